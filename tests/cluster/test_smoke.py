"""One stage of example 01 in pods, by a Workflow written by hand. Neighbours: `smoke.yaml`, the stage entrypoint."""

import re
import socket
import time
from pathlib import Path

import pytest
import yaml

import fireworks
from cluster.provider.images import stage_image
from cluster.runs import PROPHAGES
from fireworks import File, Stage, load_pipeline, run
from fireworks.errors import ResourceRefused
from fireworks.records import RunRecord
from fireworks.toolbox import FastaPipe, WindowPipe
from fireworks.workflow import cut
from fireworks.workflow.argo.resources import PODS, WORKFLOWS
from fireworks.workflow.history import new_run_id, plan_url, write_run
from fireworks.workflow.outputs import Fingerprints
from fireworks.workflow.shipping import pack_for, ship

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SMOKE = Path(__file__).with_name("smoke.yaml")


@fireworks.pipeline
def windows(genome: File, window: int, step: int, shards: int):
    """That stage of example 01 by itself."""
    return Stage(FastaPipe(genome) >> WindowPipe(window, step), name="windows", shards=shards)


@pytest.fixture
def shipped(store):
    """The id of a run whose plan, code and sources are in the store."""
    pipeline = load_pipeline(str(PROPHAGES))
    plan = cut(pipeline)
    plan = ship(plan, pack_for(plan, pipeline.project), pipeline.project, store)
    record = RunRecord(
        id=new_run_id(plan.pipeline.name),
        pipeline=plan.pipeline.name,
        parameters=plan.parameters,
        seed=plan.seed,
        sample=None,
        runner="argo",
        host=socket.gethostname(),
        started_at=time.time(),
        stages=tuple(stage.name for stage in plan.stages),
    )
    write_run(store, record, plan)
    return plan, record.id


def ended(client, name, limit_s=240):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        workflow = client.get(WORKFLOWS, name)
        if (workflow.get("status") or {}).get("finishedAt"):
            return workflow["status"]
        time.sleep(0.5)
    raise AssertionError(f"{name} must end within {limit_s} s: {workflow['status']}")


def test_a_stage_runs_in_pods_and_gives_what_it_gives_here(client, store, shipped, tmp_path):
    plan, run_id = shipped
    workflow = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))
    values = {"image": stage_image(), "plan": plan_url(store.url, run_id)}
    workflow["spec"]["arguments"]["parameters"] = [{"name": key, "value": value} for key, value in values.items()]
    made = client.create(WORKFLOWS, workflow)["metadata"]["name"]
    try:
        status = ended(client, made)
        assert "Succeeded" == status["phase"], status
        manifest = Fingerprints(plan, store, run_id).manifest("windows")
        given = {name: plan.parameters[name] for name in ("window", "step", "shards")}
        genome = str(PROPHAGES.parent / plan.parameters["genome"])
        (expected,) = run(windows, {"genome": genome, **given}, store=tmp_path / "store").stages
        assert (expected.rows, expected.hash) == (manifest.rows, manifest.data_hash)
        facts = [node["outputs"]["parameters"] for node in status["nodes"].values() if node["type"] == "Pod"]
        rows = [int(next(one["value"] for one in fact if one["name"] == "rows")) for fact in facts]
        assert (4, expected.rows) == (len(rows), sum(rows))
    finally:
        client.delete(WORKFLOWS, made)


def test_a_pod_without_our_security_context_is_refused(client):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "insecure", "namespace": client.namespace},
        "spec": {"containers": [{"name": "main", "image": stage_image(), "command": ["true"]}]},
    }
    with pytest.raises(ResourceRefused, match="PodSecurity"):
        client.create(PODS, pod, dry_run=True)


def test_a_stage_may_do_its_two_verbs_and_nothing_else(cluster):
    account = f"--as=system:serviceaccount:{cluster.namespace}:stage"
    listed = cluster.kubectl("auth", "can-i", "--list", account, f"--namespace={cluster.namespace}", "--no-headers")
    rights = {}
    for line in listed.splitlines():
        found = re.match(r"(\S*)\s+.*\[(.*)\]$", line)
        if found and found[1] and not line.lstrip().startswith("["):
            rights[found[1]] = set(found[2].split())
    # What every account may: ask what it may.
    for everyone in ("selfsubjectreviews.authentication.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io"):
        rights.pop(everyone)
    rights.pop("selfsubjectrulesreviews.authorization.k8s.io")
    assert {"workflowtaskresults.argoproj.io": {"create", "patch"}} == rights


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        *[(verb, "workflowtaskresults") for verb in ("get", "list", "watch", "delete", "update")],
        *[(verb, "workflows") for verb in ("get", "list", "create", "patch", "delete")],
        *[(verb, "pods") for verb in ("get", "list", "create", "delete", "patch")],
        *[("get", resource) for resource in ("secrets", "configmaps", "serviceaccounts", "pods/log", "events")],
        *[("create", resource) for resource in ("pods/exec", "serviceaccounts/token", "rolebindings")],
    ],
)
def test_what_a_stage_may_not(cluster, verb, resource):
    account = f"--as=system:serviceaccount:{cluster.namespace}:stage"
    question = ("auth", "can-i", verb, resource, account, f"--namespace={cluster.namespace}")
    try:
        answer = cluster.kubectl(*question)
    except Exception as error:  # kubectl exits with 1 on "no"
        answer = str(error)
    assert answer.strip().endswith("no")
