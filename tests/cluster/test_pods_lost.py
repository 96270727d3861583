"""What happens to a run whose pods are taken away, or never start: eviction, drain, disk, images, secrets.

Neighbours: `tests/projects/unruly`, `fireworks.workflow.argo.retrying`, `test_pod_faults.py`.
"""

import json
import secrets

import pytest

from cluster.faults import hashes
from cluster.provider.commands import wait_until
from cluster.runs import UNRULY, outcome
from fireworks.workflow.argo.podstates import pod_state
from fireworks.workflow.argo.resources import PODS, SECRETS, WORKFLOWS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_deleted_pod_is_replaced(runs, store, client, fine):
    run_id = runs.start(UNRULY, how="sleep:120", times=1, marks=f"{store.url}/marks")
    client.delete(PODS, runs.running_pod(run_id, "rows"), grace_s=1)
    end = runs.wait(run_id)
    assert ("succeeded", 2, fine) == (end.status, outcome(end)[1], hashes(end))


def test_a_pod_evicted_before_its_stage_begins_is_replaced(runs, cluster, client, fine):
    """It waits for a secret, which comes when the first pod is gone."""
    secret = f"late-{secrets.token_hex(4)}"
    run_id = runs.start(UNRULY, secret=f"{secret}/token")

    def waiting():
        """Pods by their uids: Argo gives one that takes another's place the same name."""
        found = [pod for pod in runs.pods(run_id, "rows") if pod_state(pod).reason == "CreateContainerConfigError"]
        return {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in found}

    wait_until(waiting, "a pod must wait for the secret", 120)
    [(uid, first)] = waiting().items()
    path = f"/api/v1/namespaces/{client.namespace}/pods/{first}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}}
    cluster.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))
    wait_until(lambda: waiting().keys() - {uid}, "another pod must take its place", 120)
    try:
        made = ("create", "secret", "generic", secret, "--from-literal=token=x")
        cluster.kubectl(*made, f"--namespace={client.namespace}")
        end = runs.wait(run_id)
    finally:
        cluster.kubectl("delete", "secret", secret, f"--namespace={client.namespace}", "--ignore-not-found")
    # The one that was evicted never began.
    assert ("succeeded", 1, fine) == (end.status, outcome(end)[1], hashes(end))


@pytest.mark.alone
def test_a_drained_node_loses_nothing(runs, store, cluster, client, fine):
    run_id = runs.start(UNRULY, how="sleep:120", times=1, marks=f"{store.url}/marks")
    pod = runs.running_pod(run_id, "rows")
    node = client.get(PODS, pod)["spec"]["nodeName"]
    try:
        cluster.kubectl("drain", node, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--grace-period=2")
        wait_until(lambda: any(one.phase == "Pending" for one in runs.view(run_id).pods), "a pod must wait", 60)
        waiting = next(one for one in runs.view(run_id).pods if one.phase == "Pending")
        wait_until(lambda: "nschedulable" in str(runs.view(run_id)), "the reason must be told", 60)
        assert ("rows",) == waiting.stages
    finally:
        cluster.kubectl("uncordon", node)
    end = runs.wait(run_id)
    assert ("succeeded", fine) == (end.status, hashes(end))


def test_an_evicted_pod_is_named_and_replaced(runs, store, fine):
    run_id = runs.start(UNRULY, how="disk:60", times=1, disk="30Mi", marks=f"{store.url}/marks")
    final = runs.start(UNRULY, how="disk:60", disk="30Mi", retries=0)
    end = runs.wait(run_id, 400)
    assert ("succeeded", fine) == (end.status, hashes(end))
    status, _, cause = outcome(runs.wait(final, 400))
    assert "failed" == status
    assert "evicted" in cause.lower() or "exceeds the limit" in cause


def test_what_cannot_start_says_why_at_once_and_ends_in_time(runs):
    """The pod waits; whoever watches reads the reason long before the deadline ends it."""
    ids = {
        "ErrImage": runs.start(UNRULY, image="localhost/not-there:1", timeout=20, retries=0),
        "secret": runs.start(UNRULY, secret="not-there/token", timeout=20, retries=0),
    }
    # Beside other tests a pod may wait for room first.
    wanted, told = {"ErrImage": "Image", "secret": "not-there"}, set()

    def all_told():
        for what, run_id in ids.items():
            waiting = [pod.message for pod in runs.view(run_id).pods if pod.phase == "Pending"]
            told.update(what for text in waiting if wanted[what] in text)
        return told == ids.keys()

    wait_until(all_told, f"the reasons must be told: {wanted}", 180)
    for run_id in ids.values():
        status, attempts, cause = outcome(runs.wait(run_id))
        assert ("failed", 0) == (status, attempts)
        assert "deadline" in cause.lower() or "not-there" in cause


@pytest.mark.alone
def test_without_the_store_s_secret_the_reason_is_told_at_once_and_it_ends_in_time(runs, client):
    kept = client.get(SECRETS, "store-credentials")
    kept["metadata"] = {key: kept["metadata"][key] for key in ("name", "labels") if key in kept["metadata"]}
    client.delete(SECRETS, "store-credentials")
    try:
        run_id = runs.start(UNRULY, timeout=8, retries=0)
        told = 'secret "store-credentials" not found'
        wait_until(lambda: any(told in pod.message for pod in runs.view(run_id).pods), "the reason must be told", 60)
        wait_until(lambda: runs.view(run_id).failures, "the deadline must end the pod", 120)
    finally:
        client.create(SECRETS, kept)
    # Who writes down the end needs the store, too.
    status, attempts, cause = outcome(runs.wait(run_id))
    assert ("failed", 0) == (status, attempts)
    assert "deadline" in cause.lower()


def test_a_workflow_deleted_under_us_ends_the_run(runs, client):
    run_id = runs.start(UNRULY, how="sleep:120")
    runs.running_pod(run_id, "rows")
    client.delete(WORKFLOWS, run_id)
    end = runs.wait(run_id, 60)
    assert "cancelled" == end.status
