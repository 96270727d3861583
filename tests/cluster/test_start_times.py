"""How long it takes from a pod to its first row, and what of it is ours.

Neighbours: `timelines.py`, `benchmarks/stage_start.py`.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from cluster.faults import STEADY
from cluster.provider.images import stage_image
from cluster.runs import Runs
from cluster.timelines import Times, timeline
from fireworks.store import open_store
from fireworks.workflow.argo.resources import PODS, WORKFLOWS
from fireworks.workflow.history import Attempt, RunFolder, plan_url

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.timeout(600)]

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "stage_start.py"
BRIEF = f"{STEADY}:brief"
SHARE_S = 0.3
# Argo's executor image has a `version`; a pod of it is what Argo and Kubernetes take by themselves.
TRIVIAL_S, STAGE_S = 15, 30

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
USER = {"runAsNonRoot": True, "runAsUser": 8737, "runAsGroup": 8737, "seccompProfile": {"type": "RuntimeDefault"}}

# Run the entrypoint in this process, then tell which modules it took.
MODULES = """
import json, runpy, sys
sys.argv = ["stage", *sys.argv[1:]]
try:
    runpy.run_module("fireworks.workflow.stage", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
asked = ("torch", "pyarrow", "obstore", "pandas", "hera", "kubernetes")
print(json.dumps([name for name in asked if name in sys.modules]))
"""


@pytest.fixture
def stage_pod(client, runs):
    """Runs Python in a pod as a stage's pod is, and returns the last line that it prints."""
    made = []

    def in_pod(name, *command):
        container = {
            "name": "main",
            "image": stage_image(),
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", *command],
            "workingDir": "/scratch",
            "env": [{"name": "HOME", "value": "/scratch"}, {"name": "TMPDIR", "value": "/scratch"}],
            "envFrom": [
                {"configMapRef": {"name": "store-settings"}},
                {"secretRef": {"name": "store-credentials"}},
            ],
            "securityContext": RESTRICTED,
            "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {**USER, "fsGroup": 8737},
            "containers": [container],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        }
        metadata = {"name": f"{name}-{time.time_ns() // 1_000_000}", "namespace": client.namespace}
        made.append(metadata["name"])
        client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        phase = ended(client, metadata["name"])
        lines = [line.text for line in client.logs(metadata["name"])]
        assert phase == "Succeeded", "\n".join(lines[-20:])
        return lines[-1]

    yield in_pod
    for name in made:
        client.delete(PODS, name, grace_s=0)


def ended(client, pod, limit_s=400):
    deadline = time.monotonic() + limit_s
    while (phase := client.get(PODS, pod)["status"]["phase"]) not in {"Succeeded", "Failed"}:
        assert time.monotonic() < deadline, f"{pod} must end within {limit_s} s"
        time.sleep(0.3)
    return phase


@dataclass(frozen=True)
class Watched:
    """A run that is over, and when its pods did what."""

    folder: RunFolder
    attempts: list[Attempt]
    asked: float
    submitted: float
    pods: dict[str, Times]


@pytest.fixture(scope="module")
def watched(client, cluster, tmp_path_factory):
    """Of two stages with torch, one after the other."""
    store = open_store(f"{cluster.s3_url()}/tests/{uuid4().hex[:12]}")
    runs = Runs(client, store, tmp_path_factory.mktemp("watched"))
    asked = time.time()
    run_id = runs.start(BRIEF)
    submitted, folder = time.time(), runs.folder(run_id)
    seen = timeline(client, f"fireworks.io/run={run_id},fireworks.io/stage", lambda: folder.end is not None)
    assert "succeeded" == folder.end.status
    yield Watched(folder, folder.attempts(), asked, submitted, seen)
    runs.remove()
    store.delete([info.key for info in store.list("")])


@pytest.fixture
def planned(watched):
    """Options that name the run's first stage: the plan, its code and its inputs are in the store."""
    return ["--plan", plan_url(watched.folder.store.url, watched.folder.id), "--stage", "ground"]


def test_our_share_of_a_stage_s_start(stage_pod, planned, report):
    found = json.loads(stage_pod("start", BENCHMARK.read_text(encoding="utf-8"), *planned, "--pairs=5", "--json"))
    report(
        f"in a pod: first row after {found['first_row_s']} s; torch, pyarrow and obstore take {found['imports_s']} s;"
        f" ours: {found['share_s']} s"
    )
    assert found["share_s"] <= SHARE_S


def test_a_stage_imports_no_more_than_it_uses(stage_pod, planned):
    """pandas is for those who ask for a DataFrame; Hera and kubernetes are for those who submit."""
    assert ["torch", "pyarrow", "obstore"] == json.loads(stage_pod("modules", MODULES, *planned, "--force"))
    assert ["obstore"] == json.loads(stage_pod("modules", MODULES, *planned))


def parts(times, **others):
    """One line: what was when, in seconds after the pod was created."""
    marks = sorted((times | others).items(), key=lambda item: item[1])
    return ", ".join(f"{name} {when - times['created']:+.2f}" for name, when in marks)


def workflow_over(client, name):
    return (client.get(WORKFLOWS, name).get("status") or {}).get("phase") in {"Succeeded", "Failed", "Error"}


def test_a_trivial_pod_from_creation_to_its_end(client, cluster, report):
    image = next(name for name in cluster.images() if "/argoexec:" in name)
    container = {"image": image, "command": ["argoexec", "version"], "securityContext": RESTRICTED}
    container["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    spec = {
        "entrypoint": "main",
        "serviceAccountName": "stage",
        "securityContext": USER,
        "templates": [{"name": "main", "container": container}],
    }
    metadata = {"name": f"trivial-{time.time_ns() // 1_000_000}", "namespace": client.namespace}
    asked = time.time()
    client.create(
        WORKFLOWS, {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec}
    )
    try:
        labels = f"workflows.argoproj.io/workflow={metadata['name']}"
        ((_, times),) = timeline(client, labels, lambda: workflow_over(client, metadata["name"])).items()
        phase = client.get(WORKFLOWS, metadata["name"])["status"]["phase"]
        report(f"argoexec version: {parts(times, asked=asked, **{'Workflow over': time.time()})}")
        assert "Succeeded" == phase
        assert times["pod over"] - times["created"] <= TRIVIAL_S
    finally:
        client.delete(WORKFLOWS, metadata["name"])


def test_a_stage_s_pods_from_creation_to_their_end(watched, report):
    end = watched.folder.end.ended_at
    report(f"submit: {watched.submitted - watched.asked:.2f} s; to the run's end: {end - watched.submitted:.2f} s")
    for attempt in watched.attempts:
        marks = {
            "asked": watched.submitted,
            "attempt begins": attempt.start.started_at,
            "attempt ends": attempt.end.ended_at,
        }
        times = watched.pods[attempt.start.host]
        report(f"{attempt.start.stage}: {parts(times, **marks)}")
        assert times["created"] <= attempt.start.started_at
        assert attempt.end.ended_at - times["created"] <= STAGE_S
