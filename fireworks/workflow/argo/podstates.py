"""What a pod is doing, and why it does not.

Comes in: pods as the Kubernetes API gives them. Goes out: `PodState` to `fireworks.workflow.argo.diagnosis`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PodState", "pod_state"]

# Reasons that do not pass by themselves, nearly always.
_STUCK = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


@dataclass(frozen=True)
class PodState:
    """A pod in two words and a sentence.

    Args:
        phase: Kubernetes's: Pending, Running, Succeeded, Failed, Unknown.
        reason: Kubernetes's, such as Unschedulable, ImagePullBackOff, OOMKilled, Evicted; empty if all is well.
        message: What it says about that.
        exit_code: Of the container `main`, once it has ended.
        stuck: Whether it waits for something that will not come by itself.
    """

    phase: str
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    stuck: bool = False

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.phase in {"Succeeded", "Failed"}

    def __str__(self) -> str:
        return f"{self.phase}{f': {self.reason}' if self.reason else ''}{f', {self.message}' if self.message else ''}"


def pod_state(pod: Mapping[str, Any]) -> PodState:
    """The state of a pod, by the container that matters most: one that is stuck, then `main`."""
    status = pod.get("status") or {}
    phase = str(status.get("phase") or "Pending")
    for container in _containers(status):
        waiting = container["state"].get("waiting") or {}
        if waiting.get("reason") in _STUCK:
            return PodState(phase, waiting["reason"], _line(waiting.get("message")), stuck=True)
    ended: Mapping[str, Any] = next(
        (one["state"]["terminated"] for one in _containers(status) if _is_ended_main(one)), {}
    )
    if phase == "Failed" or ended.get("exitCode"):
        reason = str(status.get("reason") or ended.get("reason") or "")
        message = _line(status.get("message") or ended.get("message"))
        return PodState(phase, reason, message, ended.get("exitCode"))
    if phase == "Pending":
        return _unscheduled(status) or PodState(phase, next(_reasons(status), ""))
    return PodState(phase, exit_code=ended.get("exitCode"))


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(part) or []


def _is_ended_main(container: Mapping[str, Any]) -> bool:
    return container["name"] == "main" and "terminated" in container["state"]


def _unscheduled(status: Mapping[str, Any]) -> PodState | None:
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return PodState("Pending", condition.get("reason", ""), _line(condition.get("message")))
    return None


def _reasons(status: Mapping[str, Any]) -> Iterator[str]:
    for container in _containers(status):
        reason = (container["state"].get("waiting") or {}).get("reason")
        if reason:
            yield str(reason)


def _line(message: object) -> str:
    return " ".join(str(message or "").split())
