"""Checks by a pod: whether the image starts as a stage would, and whether the store works from there.

Comes in: a `Case`. Goes out: findings, to `fireworks.workflow.argo.diagnosis.examining`; a pod that lives for seconds.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ....errors import FireworksError
from ..client import ClusterClient
from ..podstates import PodState, pod_state
from ..resources import PODS, WORKFLOWS, Right
from ..reviews import may
from .accounts import STAGE_ACCOUNT
from .checks import Case, Finding, failed, open_question, passed
from .storage import CREDENTIALS, SETTINGS

__all__ = ["PROGRAM", "Probe", "check_image", "check_store"]

# The same in the pod as `storage.check_store` here. One line of what it prints is the answer.
PROGRAM = """
import json, sys, time
answer, started = {"time": time.time()}, time.monotonic()
try:
    from importlib.metadata import version
    answer["version"] = version("fireworks-ml")
    from fireworks.store import open_store
    answer["import_s"] = time.monotonic() - started
    store, key, content = open_store(sys.argv[1], patience_s=15), sys.argv[2], sys.argv[2].encode()
    started = time.monotonic()
    store.put(key, content)
    assert store.get(key) == content, f"{store.url} did not give back what was put"
    store.delete([key])
    answer["store_s"] = time.monotonic() - started
except Exception as error:
    answer["error"], answer["kind"] = " ".join(str(error).split()), type(error).__name__
print(json.dumps(answer), flush=True)
"""
_USER = 8737
_REMOTE = ("s3://", "https://", "http://")
# What waits in a pod for this is no fault of the image.
_CONFIGURATION = "CreateContainerConfigError"


@dataclass(frozen=True)
class Probe:
    """How the pod fared.

    Args:
        state: Its last.
        answer: What the program found; empty if it was not heard.
        seconds: From asking for the pod to its end.
        ran_by: How it came about.
    """

    state: PodState
    answer: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    ran_by: str = "pod"


def check_image(case: Case) -> Finding:
    """Whether a pod of the image starts, with the security context of stages, and has this Fireworks."""
    if case.image is None:
        return open_question("no image is named: no pod was started", "Give --image, or set `image` in the profile")
    case.probe = probe = _run(case, case.image)
    state, answer = probe.state, probe.answer
    if state.reason == _CONFIGURATION:
        return passed(f"{case.image} was pulled")
    if not state.over:
        return failed(f"a pod of {case.image} is {state} after {probe.seconds:.0f} s", _advice(state, case))
    if not answer:
        code = f" with exit code {state.exit_code}" if state.exit_code is not None else ""
        return failed(f"a pod of {case.image} ended{code} and said nothing: {state}", "Build it from images/stage")
    if answer.get("kind") in {"ModuleNotFoundError", "PackageNotFoundError", "ImportError"}:
        return failed(f"{case.image} has no Fireworks: {answer['error']}", "Build it from images/stage: make images")
    if answer["version"] != (ours := _our_version()):
        remedy = "Build it again from this version: make images"
        return failed(f"{case.image} has Fireworks {answer['version']}, but here is {ours}", remedy)
    detail = f"{case.image}: a {probe.ran_by} started and ended in {probe.seconds:.1f} s"
    return passed(f"{detail}, Fireworks {answer['version']} imported in {answer.get('import_s', 0):.2f} s")


def check_store(case: Case) -> Finding:
    """Whether that pod could use the store."""
    probe = case.probe
    if probe is None:
        return open_question("no pod was started")
    if not case.store_in_pods.startswith(_REMOTE):
        remedy = "Give --store s3://bucket/prefix, or set `store_in_pods` in the profile"
        return failed(f"{case.store_in_pods} is on this machine, where no pod can reach it", remedy)
    if probe.state.reason == _CONFIGURATION:
        return failed(f"the pod could not start: {probe.state.message}", "See the store's credentials above")
    if "error" in probe.answer:
        found = failed(FireworksError(probe.answer["error"]))
        remedy = f"In the pod, settings are those of ConfigMap {SETTINGS} and Secret {CREDENTIALS}"
        return failed(f"{probe.answer['kind']}: {found.detail}", f"{found.remedy} {remedy}".strip())
    took_ms = probe.answer["store_s"] * 1000
    return passed(f"{case.store_in_pods}: wrote, read and deleted an object in {took_ms:.0f} ms")


def _advice(state: PodState, case: Case) -> str:
    if state.reason == "Unschedulable":
        return "Free resources, or add a node: kubectl describe nodes"
    if "Image" in state.reason:
        return "Correct the image's name, load or push it, and see that the node may pull it (imagePullSecrets)"
    name = case.cluster.namespace
    return f"Give it longer by --timeout, or see: kubectl -n {name} get events --sort-by=.lastTimestamp"


def _our_version() -> str:
    try:
        return version("fireworks-ml")
    except PackageNotFoundError:
        return "not installed"


def _run(case: Case, image: str) -> Probe:
    """Start the pod, wait until it has ended or got stuck, read what it said, remove it."""
    client, started = case.cluster, time.monotonic()
    pod = probe_pod(image, case.store_in_pods, case.limit_s)
    with _started(client, pod) as (ran_by, selector):
        name, state = "", PodState("Pending")
        for change in client.watch(PODS, labels=selector, limit_s=case.limit_s):
            name, state = change.object["metadata"]["name"], pod_state(change.object)
            if state.over or state.stuck or change.kind == "deleted":
                break
        answer = _answer(client, name) if state.over else {}
    return Probe(state, answer, time.monotonic() - started, ran_by)


@contextmanager
def _started(client: ClusterClient, pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The pod, as such or by a workflow of its own; gone afterwards.

    Who may submit need not be allowed to create pods: then Argo does it, as it does for stages.
    """
    name = pod["metadata"]["name"]
    directly = may(client, Right("create", "pods")) and may(client, Right("delete", "pods"))
    resource, body = (PODS, pod) if directly else (WORKFLOWS, _as_workflow(pod))
    client.create(resource, body)
    try:
        label = "fireworks.io/doctor" if directly else "workflows.argoproj.io/workflow"
        yield ("pod" if directly else "workflow"), f"{label}={name}"
    finally:
        client.delete(resource, name, grace_s=0 if directly else None)


def _answer(client: ClusterClient, name: str) -> dict[str, Any]:
    """The program's last line; Argo's executor adds lines of its own."""
    for line in reversed(list(client.logs(name))):
        try:
            answer = json.loads(line.text)
        except ValueError:
            continue
        if isinstance(answer, dict) and "time" in answer:
            return answer
    return {}


def probe_pod(image: str, store: str, limit_s: float) -> dict[str, Any]:
    """A pod as stages have it, which runs `PROGRAM`."""
    name = f"doctor-{secrets.token_hex(4)}"
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", PROGRAM],
        "args": [store, f"doctor/{name}"],
        "workingDir": "/scratch",
        "env": [{"name": "TMPDIR", "value": "/scratch"}, {"name": "HOME", "value": "/scratch"}],
        "envFrom": [{"configMapRef": {"name": SETTINGS, "optional": True}}, {"secretRef": {"name": CREDENTIALS}}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    spec = {
        "serviceAccountName": STAGE_ACCOUNT,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        # Were we to die before we remove it.
        "activeDeadlineSeconds": int(limit_s) + 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    labels = {"app.kubernetes.io/managed-by": "fireworks-doctor", "fireworks.io/doctor": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def _as_workflow(pod: dict[str, Any]) -> dict[str, Any]:
    """A workflow whose one pod is like it."""
    spec = pod["spec"]
    container = {key: value for key, value in spec["containers"][0].items() if key != "name"}
    return {
        "apiVersion": WORKFLOWS.api_version,
        "kind": WORKFLOWS.kind,
        "metadata": pod["metadata"],
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": spec["serviceAccountName"],
            "activeDeadlineSeconds": spec["activeDeadlineSeconds"],
            "ttlStrategy": {"secondsAfterCompletion": 60},
            "securityContext": spec["securityContext"],
            "volumes": spec["volumes"],
            "templates": [{"name": "main", "container": container}],
        },
    }
