"""What happens to a run when its pods go wrong (OOM, eviction, signals, drain, exit codes, images, secrets).

Neighbours: `tests/projects/unruly` and `steady`, `fireworks.workflow.closing`, `fireworks.workflow.argo.retrying`.
"""

import json
import secrets

import pytest

from cluster.faults import STEADY
from cluster.provider.commands import wait_until
from cluster.runs import UNRULY
from fireworks import load_pipeline, run
from fireworks.workflow.argo.podstates import pod_state
from fireworks.workflow.argo.resources import PODS, SECRETS, WORKFLOWS

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

CHAINED, SEVERAL = (UNRULY.with_name(name) for name in ("chained.py", "several.py"))
FITTED, BATCHES, PACE_S = f"{STEADY}:fitted", 60, 0.3


def outcome(end):
    """Status, attempts and cause of the stage that misbehaves."""
    stage = next(stage for stage in end.stages if stage.name == "rows")
    return stage.status, stage.attempts, stage.cause


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    """The hash of the rows of a stage that behaves, computed in this process."""
    end = run(load_pipeline(str(UNRULY)), store=tmp_path_factory.mktemp("fine"))
    return [stage.hash for stage in end.stages]


def hashes(end):
    return [stage.hash for stage in end.stages]


def test_errors_end_the_run_and_are_named(runs):
    """All at once: each waits for the others' pods."""
    cases = {
        "error:a mistake": {},
        "exit:1": {},
        "memory:all": {"memory": "900Mi"},
        "write:/usr/local/x": {},
    }
    ids = {how: runs.start(UNRULY, how=how, **given) for how, given in cases.items()}
    outcomes = {how: outcome(runs.wait(run_id)) for how, run_id in ids.items()}
    status, attempts, cause = outcomes["error:a mistake"]
    assert ("failed", 1, "ValueError: this is a mistake (unruly.py:") == (status, attempts, cause[:41])
    assert ("failed", 1, "main: Error (exit code 1)") == outcomes["exit:1"]
    status, attempts, cause = outcomes["memory:all"]
    assert ("failed", 1) == (status, attempts)
    assert "OOMKilled" in cause
    assert "it used all of the 900Mi of memory that it asks for. Raise Resources(memory=…)" in cause
    status, attempts, cause = outcomes["write:/usr/local/x"]
    assert ("failed", 1) == (status, attempts)
    assert "Read-only file system: '/usr/local/x'" in cause


def test_what_may_pass_is_tried_again(runs, store, fine):
    """Lost once, each in its own way: the next attempt gives the same bytes."""
    kinds = ["exit:64", "exit:75", "exit:137", "signal:SIGKILL", "signal:SIGSEGV", "signal:SIGABRT", "signal:SIGTERM"]
    end = runs.wait(runs.start(SEVERAL, hows=kinds, marks=f"{store.url}/marks"), 600)
    assert ("succeeded", len(kinds)) == (end.status, len(end.stages))
    assert {("succeeded", 2, fine[0])} == {(stage.status, stage.attempts, stage.hash) for stage in end.stages}


def test_what_never_passes_is_given_up_with_its_cause(runs):
    ids = {code: runs.start(UNRULY, how=f"exit:{code}", retries=1) for code in (64, 65, 75, 137, 134)}
    outcomes = {code: outcome(runs.wait(run_id, 600)) for code, run_id in ids.items()}
    assert dict.fromkeys(ids, ("failed", 2)) == {code: found[:2] for code, found in outcomes.items()}
    assert {code: f"exit code {code}" in found[2] for code, found in outcomes.items()} == dict.fromkeys(ids, True)


def test_a_deleted_pod_is_replaced(runs, store, client, fine):
    run_id = runs.start(UNRULY, how="sleep:120", times=1, marks=f"{store.url}/marks")
    client.delete(PODS, runs.running_pod(run_id, "rows"), grace_s=1)
    end = runs.wait(run_id)
    assert ("succeeded", 2, fine) == (end.status, outcome(end)[1], hashes(end))


def test_a_fit_that_is_terminated_saves_and_goes_on(runs, store, client, tmp_path):
    """Its pod is deleted with its own grace: no batch is computed twice, none is left out."""
    run_id = runs.start(FITTED, pace=PACE_S)
    pod, folder = runs.running_pod(run_id, "train"), runs.folder(run_id)
    wait_until(lambda: sum(line.text == "a batch" for line in client.logs(pod)) > 10, "batches must be computed", 120)
    client.delete(PODS, pod)

    def ended():
        return [one.end for one in folder.attempts() if one.start.stage == "train" and one.end]

    wait_until(ended, "the attempt must record its end", 60)
    [first] = ended()
    assert (143, "train") == (first.exit_code, first.stage)
    assert 1 == sum(info.key.endswith("/done") for info in store.list(f"checkpoints/{first.fingerprint}/"))
    expected = hashes(run(load_pipeline(FITTED), {"pace": PACE_S}, store=tmp_path / "here"))
    end = runs.wait(run_id)
    assert ("succeeded", expected) == (end.status, hashes(end))
    assert [143, 0] == [one.exit_code for one in sorted(ended(), key=lambda one: one.ended_at)]
    logs = [
        b"".join(store.get(chunk.key) for chunk in file.chunks).count(b"a batch") for file in folder.log_files("train")
    ]
    assert 2 == sum(count > 0 for count in logs)
    assert BATCHES == sum(logs)
    assert [] == list(store.list("checkpoints/"))


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


def test_of_stages_that_share_a_pod_the_one_that_failed_is_named(runs):
    """Whether it says so itself or ends without a word."""
    causes = {"error:a mistake": "ValueError: this is a mistake (unruly.py:", "exit:1": "main: Error (exit code 1)"}
    ids = {how: runs.start(CHAINED, how=how) for how in causes}
    for how, run_id in ids.items():
        end = runs.wait(run_id)
        assert ("failed", ["succeeded", "failed", "cancelled"]) == (end.status, [one.status for one in end.stages])
        assert end.stages[1].cause.startswith(causes[how])
        assert (0, None) == (end.stages[2].attempts, end.stages[2].cause)
    assert 1 == len(runs.pods(ids["exit:1"], "a--b--c"))


def test_a_workflow_deleted_under_us_ends_the_run(runs, client):
    run_id = runs.start(UNRULY, how="sleep:120")
    runs.running_pod(run_id, "rows")
    client.delete(WORKFLOWS, run_id)
    end = runs.wait(run_id, 60)
    assert "cancelled" == end.status
