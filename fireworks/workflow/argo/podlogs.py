"""What containers print, line by line, while they run or as long as their pod is there.

Comes in: open streams of the Kubernetes API. Goes out: `LogLine` after `LogLine`, in order, none twice, to
``fireworks logs``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import ClusterError, ResourceNotFound, ResourceRefused
from .transport import Breaks, Broken, Call, Transport

__all__ = ["LogLine", "follow", "read"]

_SILENCE_S = 60.0
_PAUSE_S = 0.5
_TIMED = re.compile(rb"\d{4}-\d\d-\d\dT")
_GONE = b"unable to retrieve container logs"
# A container that waits for one of these starts soon; other reasons, such as ImagePullBackOff, need somebody.
_STARTING = {"", "ContainerCreating", "PodInitializing", "Pending", "Unschedulable"}


@dataclass(frozen=True, order=True)
class LogLine:
    """One line.

    Args:
        time: When the node read it: RFC 3339 with nanoseconds, UTC, so that texts sort as times do.
        text: Without its line break; bytes that are not UTF-8 are replaced.
    """

    time: str
    text: str


@dataclass
class _Place:
    """Up to where a log was read: the API can only be asked from a second on."""

    time: str = ""
    count: int = 0

    def fresh(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """The lines after this place, which moves on with them."""
        last, seen = self.time, 0
        skipped = self.count
        for line in lines:
            if line.time < last:
                continue
            if line.time == last:
                seen += 1
                if seen <= skipped:
                    continue
            self.count = self.count + 1 if line.time == self.time else 1
            self.time = line.time
            yield line


def read(transport: Transport, call: Callable[..., Call], container: str, since: str | None) -> Iterator[LogLine]:
    """What is there now. See `fireworks.workflow.argo.client.ClusterClient.logs`."""
    place = _Place(since or "", 2**62 if since else 0)
    try:
        yield from place.fresh(_lines(transport, call, container, since, follow_on=False))
    except Broken as broken:
        raise broken.fault from broken


def follow(
    transport: Transport,
    call: Callable[..., Call],
    pod: Callable[[], dict[str, Any]],
    container: str,
    since: str | None,
) -> Iterator[LogLine]:
    """The same, from before the container starts until it has ended.

    Args:
        transport: Sends requests.
        call: Makes the request of one stream.
        pod: Reads the pod.
        container: Which of its containers.
        since: Leave out lines up to this time.
    """
    place = _Place(since or "", 2**62 if since else 0)
    breaks = Breaks(transport.patience_s)
    while True:
        try:
            state = _state(pod(), container)
            if "waiting" in state:
                _check_starting(state["waiting"], container)
            else:
                for line in place.fresh(_lines(transport, call, container, place.time or None, follow_on=True)):
                    breaks.progress()
                    yield line
                if "terminated" in state:
                    return
            breaks.progress()
        except Broken as broken:
            if broken.silent:  # The container prints nothing, or the connection is dead: asking again tells.
                continue
            breaks.wait(broken)
        except ResourceRefused as error:
            if "waiting to start" not in str(error):  # It started and was restarted between two questions.
                raise
        time.sleep(_PAUSE_S)


def _state(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """The state of one container: ``waiting``, ``running`` or ``terminated``."""
    names = [one["name"] for part in ("containers", "initContainers") for one in pod["spec"].get(part) or []]
    if container not in names:
        raise ClusterError(f"a log must be of one of the pod's containers ({', '.join(names)}), but got {container!r}.")
    status = pod.get("status", {})
    for part in ("containerStatuses", "initContainerStatuses"):
        for one in status.get(part) or []:
            if one["name"] == container:
                return dict(one["state"])
    if status.get("phase") in {"Failed", "Succeeded"}:
        raise ClusterError(
            f"a container must have run to have a log, but {container!r} of {pod['metadata']['name']} did not:"
            f" {status.get('message') or status.get('reason') or status['phase']}."
        )
    return {"waiting": {}}


def _check_starting(waiting: dict[str, str], container: str) -> None:
    reason = waiting.get("reason", "")
    if reason not in _STARTING:
        said = " ".join(waiting.get("message", "").split())
        raise ClusterError(
            f"container {container!r} must start to have a log, but waits: {reason}{f', {said}' if said else ''}."
        )


def _lines(
    transport: Transport, call: Callable[..., Call], container: str, since: str | None, *, follow_on: bool
) -> Iterator[LogLine]:
    second = f"{since[:19]}Z" if since else None
    asked = call(query={"container": container, "timestamps": True, "follow": follow_on, "sinceTime": second})
    buffer = b""
    with transport.stream(asked, _SILENCE_S if follow_on else transport.timeout_s) as response:
        for block in response.stream(2**16, decode_content=True):
            *lines, buffer = (buffer + block).split(b"\n")
            for line in lines:
                yield from _parsed(line, container)
    if buffer:
        yield from _parsed(buffer, container)


def _parsed(line: bytes, container: str) -> Iterator[LogLine]:
    """The line; what the kubelet says in place of one has no time."""
    if _TIMED.match(line):
        time_, _, text = line.decode("utf-8", "replace").partition(" ")
        yield LogLine(time_, text)
    elif line.startswith(_GONE):
        said = line.decode("utf-8", "replace")
        raise ResourceNotFound(
            f"the log of container {container!r} must be on its node, but: {said}. The store has it."
        )
