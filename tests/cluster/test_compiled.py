"""Compiled workflows on the real Argo, with a stand-in for the stage: shape of the graph, skipping, retries, pods.

Neighbours: `fireworks.workflow.argo.compiling`; what docs/argo.md says was seen is seen here.
"""

import json
import secrets
import subprocess
import time

import pytest

from cluster.access import newest_stage_image
from cluster.provider.settings import read_settings
from fireworks.records import PipelineRef, Plan, Resources, StagePlan
from fireworks.workflow.argo import dags
from fireworks.workflow.argo.budget import measure
from fireworks.workflow.argo.compiling import Target, compile_template, compile_workflow
from fireworks.workflow.argo.resources import WORKFLOWS, WORKFLOWTEMPLATES
from fireworks.workflow.argo.submitting import _confirm, _made_at
from fireworks.workflow.argo.tasks import tasks_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# Does as the stage is called: exit-75 ends with that code, kill-9 by that signal, eat takes all memory, sleep-20 waits.
STAND_IN = """
import os, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print(given, os.getuid(), os.environ["TMPDIR"], flush=True)
if "--facts" in given:
    os.makedirs(given["--facts"])
    for name, value in {"rows": "12", "hash": "ab" * 32, "url": "s3://bucket/outputs/" + "cd" * 32}.items():
        open(given["--facts"] + "/" + name, "w").write(value)
do, _, number = given.get("--stage", "").partition("-")
if do == "exit": os._exit(int(number))
if do == "kill": os.kill(os.getpid(), int(number)); os._exit(128 + int(number))
if do == "sleep": time.sleep(int(number))
while do == "eat": number = (number or "x" * 2**20) * 2
"""
SMALL = Resources(cpu=0.05, memory="48Mi")


def stage(name, *inputs, **settings):
    settings = {"resources": SMALL} | settings
    return StagePlan(name=name, recipe="r", ingredients={}, inputs=inputs, **settings)


def plan(*stages):
    ref = PipelineRef(name="compiled", module="m", function="compiled")
    return Plan(pipeline=ref, parameters={}, seed=0, stages=stages)


class Runs:
    """Workflows of one test."""

    def __init__(self, provider, client):
        self.kubectl, self.namespace, self.client = provider.kubectl, provider.namespace, client
        self.target = Target(image=newest_stage_image(provider.images()), namespace=self.namespace)
        self.made = []

    def start(self, planned, skip=()):
        """Submit with the stand-in; returns the workflow's name."""
        template, workflow = self.compile(planned, skip)
        for found in template["spec"]["templates"]:
            if "container" in found:
                found["container"]["command"] = ["python", "-c", STAND_IN]
                found["container"]["envFrom"] = []
        self.made += [("workflow", workflow["metadata"]["name"]), ("workflowtemplate", template["metadata"]["name"])]
        ensured = self.client.ensure(WORKFLOWTEMPLATES, template)
        made = self.client.create(WORKFLOWS, workflow)
        # As `submit` does: Argo's controller gives up a Workflow whose template it has not heard of.
        _confirm(self.client, workflow, made, _made_at(made) - _made_at(ensured))
        return workflow["metadata"]["name"]

    def compile(self, planned, skip=()):
        template = compile_template(planned, self.target)
        run_id = f"compiled-{secrets.token_hex(4)}"
        name = template["metadata"]["name"]
        url = "s3://bucket/plan.json"
        return template, compile_workflow(planned, self.target, template=name, run_id=run_id, plan_url=url, skip=skip)

    def get(self, name):
        return self.kubectl.get("workflow", name, f"--namespace={self.namespace}", "--show-managed-fields")

    def pods(self, name):
        label = f"--selector=fireworks.io/run={name}"
        return self.kubectl.get("pods", f"--namespace={self.namespace}", label)["items"]

    def wait(self, name):
        """Its end. A Workflow is large: who asks five times a second takes the API server's time from other tests."""
        deadline = time.monotonic() + 300
        while not (status := self.client.get(WORKFLOWS, name).get("status") or {}).get("finishedAt"):
            assert time.monotonic() < deadline, f"{name} must end within 300 s: {status}"
            time.sleep(1)
        return status

    def remove(self):
        for kind, name in self.made:
            self.kubectl("delete", kind, name, f"--namespace={self.namespace}", "--ignore-not-found", "--wait=false")


@pytest.fixture
def runs(cluster, client):
    made = Runs(cluster, client)
    yield made
    made.remove()


def shown(status, kind=None):
    """Phase by name, as Argo's pages show it; of one type of node."""
    nodes = status["nodes"].values()
    return {node["displayName"]: node["phase"] for node in nodes if kind in {None, node["type"]}}


def attempts(status, name):
    nodes = sorted(status["nodes"].values(), key=lambda node: node["displayName"])
    return [node for node in nodes if node["type"] == "Pod" and node["displayName"].startswith(f"{name}(")]


ODD = plan(
    stage("first", pod={"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "imagePullSecrets": []}),
    stage("gpu", "first", resources=Resources(cpu=2.5, memory="4Gi", gpu=2, disk="10Gi"), secrets={"TOKEN": "hub/key"}),
    stage("wide", "first", shards=1200, retries=0),
    stage("slow", "gpu", "wide", timeout_s=90, grace_s=120, env={"A": "$(HOME) \n \u00e9 \" '"}),
    *(stage(f"s-{number:03}", "slow") for number in range(160)),
    stage("in", "s-007", "s-159"),
)


def test_argo_lint_and_the_api_server_find_nothing(runs, tmp_path):
    documents = runs.compile(ODD)
    for number, document in enumerate(documents):
        (tmp_path / f"{number}.json").write_text(json.dumps(document), encoding="utf-8")
    lint = [read_settings().binary("argo"), "lint", "--offline", "--no-color", tmp_path]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert "no linting errors found" in done.stdout, done.stdout + done.stderr
    runs.kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={tmp_path}/0.json")
    runs.kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={tmp_path}/1.json")


def test_a_graph_runs_and_what_is_skipped_takes_no_pod(runs):
    planned = plan(
        stage("raw"),
        stage("raw-two", "raw", shards=3),
        stage("in", "raw-two", "raw"),
        stage("skipped", "raw", shards=9),
        stage("filter", "in", "skipped"),
        stage("last", "filter"),
    )
    name = runs.start(planned, skip=["raw", "skipped", "filter"])
    status = runs.wait(name)
    assert "Succeeded" == status["phase"]
    assert {"raw": "Skipped", "skipped": "Skipped"} == shown(status, "Skipped")
    pods = shown(status, "Pod")
    [keyword] = [pod for pod in pods if pod.startswith("in-")]
    shards = {f"raw-two({shard}:{shard})(0)" for shard in range(3)}
    assert shards | {keyword, "filter--last(0)", f"{name}.onExit(0)"} == set(pods)
    [node] = attempts(status, "filter--last")
    facts = {fact["name"]: fact["value"] for fact in node["outputs"]["parameters"]}
    assert {"rows": "12", "hash": "ab" * 32, "url": "s3://bucket/outputs/" + "cd" * 32} == facts
    labels = {
        (pod["metadata"]["labels"].get("fireworks.io/stage"), pod["metadata"]["labels"].get("fireworks.io/shard"))
        for pod in runs.pods(name)
    }
    assert {("raw-two", "0"), ("raw-two", "2"), ("filter--last", "0"), (None, None)} <= labels


def test_graphs_and_loops_beyond_the_limits_are_nested(runs, monkeypatch):
    monkeypatch.setattr(dags, "MAX_LOOP", 2)
    many = [stage(f"s-{number:03}", "first") for number in range(160)]
    planned = plan(stage("first"), *many, stage("wide", "s-000", "s-159", shards=5), stage("last", "wide"))
    status = runs.wait(runs.start(planned, skip=[one.name for one in many]))
    assert "Succeeded" == status["phase"]
    assert 160 == len(shown(status, "Skipped"))
    ran = {name.split("(")[0] for name in shown(status, "Pod")}
    assert {"first", "wide-0", "wide-2", "wide-4", "last"} <= ran
    assert 5 == sum(name.startswith("wide-") for name in shown(status, "Pod"))


def test_a_run_of_which_all_is_done_takes_only_the_pod_that_says_so(runs):
    planned = plan(stage("a", shards=500), stage("b", "a"))
    name = runs.start(planned, skip=["a", "b"])
    status = runs.wait(name)
    assert ("Succeeded", {f"{name}.onExit(0)": "Succeeded"}) == (status["phase"], shown(status, "Pod"))


@pytest.fixture(scope="module")
def ended(cluster, client):
    """Workflows of one stage that goes wrong, all at once; their statuses."""
    runs = Runs(cluster, client)
    settings = {"eat": {"timeout_s": 120}, "sleep-90": {"timeout_s": 2, "grace_s": 2}}
    wrong = ["exit-1", "exit-64", "exit-65", "exit-75", "exit-134", "exit-139", "kill-9", "kill-15", *settings]
    try:
        names = {one: runs.start(plan(stage(one, **settings.get(one, {})))) for one in wrong}
        yield {one: runs.wait(name) for one, name in names.items()}
    finally:
        runs.remove()


@pytest.mark.parametrize(
    ("name", "pods", "message"),
    [
        ("exit-1", 1, "main: Error (exit code 1)"),
        ("exit-64", 3, "main: Error (exit code 64)"),
        ("exit-65", 3, "main: Error (exit code 65)"),
        ("exit-75", 3, "main: Error (exit code 75)"),
        ("exit-134", 2, "main: Error (exit code 134)"),
        ("exit-139", 2, "main: Error (exit code 139)"),
        ("kill-9", 3, "main: Error (exit code 137)"),
        ("kill-15", 3, "main: Error (exit code 143)"),
        ("eat", 1, "main: OOMKilled (exit code 137)"),
        ("sleep-90", 1, "Pod was active on the node longer than the specified deadline"),
    ],
)
def test_only_what_may_end_well_is_tried_again(ended, name, pods, message):
    status = ended[name]
    assert ("Failed", [message] * pods) == (status["phase"], [one["message"] for one in attempts(status, name)])


def test_the_end_is_recorded_of_runs_that_fail_too(ended):
    for status in ended.values():
        [last] = [phase for name, phase in shown(status, "Pod").items() if ".onExit" in name]
        assert "Succeeded" == last


PATCH = {
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "fireworks-test",
    "imagePullSecrets": [{"name": "registry"}],
    "volumes": [
        {"name": "more", "emptyDir": {"sizeLimit": "1Mi"}},
        {"name": "shm", "emptyDir": {"sizeLimit": "8Mi"}},
    ],
    "containers": [{"name": "main", "volumeMounts": [{"name": "more", "mountPath": "/more"}]}],
}


@pytest.fixture
def priority(cluster):
    """A PriorityClass, of which namespaces have none."""
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "fireworks-test"}}
    # Other tests' pods stay, though they count for less.
    cluster.kubectl.apply([made | {"value": 5, "preemptionPolicy": "Never"}])
    yield 5
    cluster.kubectl("delete", "priorityclass", "fireworks-test")


def test_a_pod_patch_reaches_the_pod(runs, priority):
    labels = runs.kubectl.get("nodes")["items"][0]["metadata"]["labels"]
    selector = {"kubernetes.io/hostname": labels["kubernetes.io/hostname"]}
    asked = Resources(cpu=0.05, memory="48Mi", disk="20Mi")
    patched = stage("patched", pod=PATCH | {"nodeSelector": selector}, grace_s=7, resources=asked, env={"A": "$(HOME)"})
    name = runs.start(plan(patched))
    assert "Succeeded" == runs.wait(name)["phase"]
    [pod] = [pod for pod in runs.pods(name) if "fireworks.io/stage" in pod["metadata"]["labels"]]
    spec = pod["spec"]
    [main] = [container for container in spec["containers"] if container["name"] == "main"]
    volumes = {volume["name"]: volume.get("emptyDir") for volume in spec["volumes"]}
    assert (7, priority) == (spec["terminationGracePeriodSeconds"], spec["priority"])
    assert selector == spec["nodeSelector"]
    assert "gpu" in {toleration.get("key") for toleration in spec["tolerations"]}
    assert [{"name": "registry"}] == spec["imagePullSecrets"]
    assert ({"sizeLimit": "1Mi"}, {"medium": "Memory", "sizeLimit": "8Mi"}) == (volumes["more"], volumes["shm"])
    assert {"sizeLimit": "20Mi"} == volumes["scratch"]
    assert {"/scratch", "/dev/shm", "/more"} <= {mount["mountPath"] for mount in main["volumeMounts"]}
    assert {"memory": "48Mi"} == main["resources"]["limits"]
    assert "20Mi" == main["resources"]["requests"]["ephemeral-storage"]
    assert {"name": "A", "value": "$$(HOME)"} in main["env"]


def test_the_budget_is_what_a_run_takes(runs):
    """At most twice; never less, or a run would end where there was room."""
    planned = plan(stage("wide", shards=4), *(stage(f"s-{number}", "wide") for number in range(2)))
    budget = measure(tasks_of(planned), *runs.compile(planned))
    name = runs.start(planned)
    status = runs.wait(name)
    time.sleep(1)
    taken = len(json.dumps(runs.get(name), separators=(",", ":"), ensure_ascii=False).encode())
    assert len(status["nodes"]) == budget.nodes
    assert taken <= budget.live_bytes <= 2 * taken
