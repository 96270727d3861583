"""A run as the cluster sees it: the Workflow's phase; of each pod which shard it is, how far, and what it waits for.

Comes in: a Workflow by the run's id. Goes out: `ClusterView` to ``fireworks watch`` and ``status``; a run that the
cluster has ended, but that nobody recorded as ended, is closed by `reconcile`.
"""

import base64
import gzip
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...errors import ClusterError, ResourceNotFound
from ...records import Plan, Resources, RunEnd
from ..closing import OUTCOMES, close_run, stage_causes
from ..history import RunFolder
from .client import ClusterClient
from .names import workflow_name
from .resources import PODS, WORKFLOWS

__all__ = ["ClusterView", "PodView", "observe", "reconcile", "remove", "stop", "waits"]

_STARTING = {"PodInitializing", "ContainerCreating"}
# What a stopped or terminated Workflow says of itself.
_STOPPED = "Stopped with strategy"
# For so long, a submit may still take back a Workflow that Argo gave up because its template was new.
_NEW_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PodView:
    """One pod of a run.

    Args:
        stages: The stages it runs, one after the other; one, unless neighbours share a pod.
        phase: Argo's: Pending, Running, Succeeded, Failed, Error.
        message: Why it waits or has failed, in a sentence; empty if all is well.
        rows: Done, of `total` if that is known.
        started_at: When Argo made it, in UTC; sorts as time does.
    """

    name: str
    stages: tuple[str, ...]
    shard: int
    phase: str
    message: str = ""
    rows: int | None = None
    total: int | None = None
    started_at: str = ""


@dataclass(frozen=True, kw_only=True)
class ClusterView:
    """A run's Workflow.

    Args:
        phase: Argo's; ``Gone`` if the Workflow was deleted; empty if the controller has not looked at it yet, or it is
            still to be made.
        created_at: Seconds since the epoch, by the cluster's clock.
        pods: Of each shard the newest one.
    """

    phase: str
    message: str = ""
    created_at: float = 0.0
    pods: tuple[PodView, ...] = ()
    failures: tuple[dict[str, str], ...] = ()

    @property
    def over(self) -> bool:
        """Whether the cluster does nothing more for it."""
        return self.phase in OUTCOMES or self.phase == "Gone"


def observe(client: ClusterClient, folder: RunFolder) -> ClusterView:
    """How the Workflow of a run stands now.

    Raises:
        ClusterError: If it is not here, and may be elsewhere.
    """
    workflow = client.find(WORKFLOWS, workflow_name(folder.id))
    if workflow is None:
        if not _was_here(client, folder):
            return ClusterView(phase="", message="its Workflow is not made yet")
        return ClusterView(phase="Gone", message=f"the Workflow is not in namespace {client.namespace}")
    status = workflow.get("status") or {}
    nodes = _nodes(status)
    failed = [node for node in nodes if node.get("phase") in {"Failed", "Error"}]
    created = workflow["metadata"].get("creationTimestamp")
    return ClusterView(
        phase=status.get("phase", ""),
        message=status.get("message", ""),
        created_at=datetime.fromisoformat(created).timestamp() if created else 0.0,
        pods=tuple(_newest(_pod(node) for node in nodes if node.get("type") == "Pod" and _parameter(node, "stage"))),
        failures=tuple(_failure(node) for node in sorted(failed, key=lambda node: node.get("finishedAt") or "")),
    )


def _was_here(client: ClusterClient, folder: RunFolder) -> bool:
    """Whether the run's Workflow was made in this place; False if it was not made yet."""
    made = folder.workflow
    if made is None:
        return False
    if (made.server, made.namespace) != (client.server, client.namespace):
        raise ClusterError(
            f"a run must be looked for where it is, namespace {made.namespace} of {made.server}, but got namespace"
            f" {client.namespace} of {client.server}. Pass --context and --namespace."
        )
    return True


def reconcile(folder: RunFolder, view: ClusterView) -> RunEnd | None:
    """The run's end; recorded now, if the cluster is done with the run and its last pod could not record that."""
    end = folder.end
    if end is not None or not view.over:
        return end
    if view.phase == "Error" and folder.workflow is None and time.time() - view.created_at < _NEW_S:
        return None
    stopped = view.phase == "Gone" or view.message.startswith(_STOPPED)
    causes = stage_causes(folder.plan, list(view.failures))
    return close_run(folder.store, folder.id, "cancelled" if stopped else OUTCOMES[view.phase], causes)


def waits(view: ClusterView, plan: Plan) -> dict[tuple[str, ...], dict[int, str]]:
    """Why pods are not under way, by their stages and shard."""
    found: dict[tuple[str, ...], dict[int, str]] = {}
    for pod in view.pods:
        if pod.phase == "Pending" and pod.message:
            reason = f"Pending: {pod.message}"
            if "nschedulable" in reason:
                reason += f"; its stage asks for {_asked(plan.stage(pod.stages[0]).resources)}"
            found.setdefault(pod.stages, {})[pod.shard] = reason
    return found


def _asked(resources: Resources) -> str:
    gpus = f", {resources.gpu} GPU{'s' * (resources.gpu > 1)}" if resources.gpu else ""
    disk = f", {resources.disk} disk" if resources.disk else ""
    return f"{resources.cpu:g} CPU, {resources.memory} memory{gpus}{disk}"


def stop(client: ClusterClient, folder: RunFolder) -> None:
    """End the run's pods; each gets its stage's grace to save what it can.

    Raises:
        ClusterError: If the Workflow is not here, and may be elsewhere.
    """
    try:
        client.patch(WORKFLOWS, workflow_name(folder.id), {"spec": {"shutdown": "Terminate"}})
    except ResourceNotFound:
        _was_here(client, folder)


def remove(client: ClusterClient, run_id: str, *, wait_s: float = 0.0) -> None:
    """Take the Workflow and its pods away, if they are here.

    Args:
        wait_s: How long to wait, in seconds, until its pods are gone, which may record how they ended.
    """
    with suppress(ResourceNotFound):
        client.delete(WORKFLOWS, workflow_name(run_id))
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and client.list(PODS, labels=f"fireworks.io/run={run_id}"):
        time.sleep(0.5)


def _nodes(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The nodes, which Argo compresses once they are many."""
    packed = status.get("compressedNodes")
    nodes = json.loads(gzip.decompress(base64.b64decode(packed))) if packed else status.get("nodes")
    return list((nodes or {}).values())


def _pod(node: Mapping[str, Any]) -> PodView:
    done, total = _progress(node)
    shard = _parameter(node, "shard")
    return PodView(
        name=node["id"],
        stages=tuple(_parameter(node, "stage").split(",")),
        shard=int(shard) if shard.isdigit() else 0,
        phase=node.get("phase", ""),
        message=_sentence(str(node.get("message") or "")),
        rows=done,
        total=total,
        started_at=str(node.get("startedAt") or ""),
    )


def _newest(pods: Iterator[PodView]) -> Iterator[PodView]:
    """Of each shard the pod that was made last: those before it were lost."""
    last: dict[tuple[tuple[str, ...], int], PodView] = {}
    for pod in sorted(pods, key=lambda pod: pod.started_at):
        last[pod.stages, pod.shard] = pod
    yield from last.values()


def _sentence(message: str) -> str:
    """What matters of a pod's message: every pod is initialised, and the scheduler goes on at length."""
    text = " ".join(message.split())
    return "" if text in _STARTING else text.partition(". ")[0]


def _progress(node: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """``rows/total``, as the stage writes it; Argo says 0/1 and 1/1 of pods that say nothing."""
    done, slash, total = str(node.get("progress", "")).partition("/")
    if not slash or not done.isdigit() or not total.isdigit() or total == "1":
        return None, None
    return int(done), int(total)


def _parameter(node: Mapping[str, Any], name: str) -> str:
    for parameter in _parameters(node):
        if parameter["name"] == name:
            return str(parameter.get("value", ""))
    return ""


def _parameters(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (node.get("inputs") or {}).get("parameters") or []


def _failure(node: Mapping[str, Any]) -> dict[str, str]:
    shown = _parameter(node, "stage").replace(",", "+") or str(node.get("displayName", ""))
    return {"displayName": shown, "message": str(node.get("message", ""))}
