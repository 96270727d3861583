"""What the pods of a run print, while they live.

Comes in: a cluster and a run's id. Goes out: lines of its pods to `fireworks.workflow.runlog`.
"""

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...errors import FireworksError, ResourceNotFound, ResourceRefused
from ..loglines import Line, stamp
from .client import ClusterClient
from .podlogs import LogLine
from .resources import PODS

__all__ = ["PodLogs", "RunPod"]

# What Argo's executor says in the stage's container.
_EXECUTOR = re.compile(r'time="[^"]+" level=\w+ msg=.* argo=true')
_READERS = 16
# A thread that waits for a server which does not answer is left to itself.
_STOP_S = 1.0
# Pods wait with what they say until what they said is told.
_UNTOLD_LINES = 10_000
_HOST_LENGTH = 63


@dataclass(frozen=True)
class RunPod:
    """A pod of a run.

    Args:
        stages: Those that it runs, one after the other.
        shard: Of each.
    """

    name: str
    stages: tuple[str, ...]
    shard: int

    @property
    def host(self) -> str:
        """What its processes take for the name of their machine: the kubelet shortens it."""
        return self.name[:_HOST_LENGTH].rstrip("-.")


class PodLogs:
    """The pods of a run, each followed in a thread of its own once they are to be.

    Args:
        client: The cluster that the run is on.
        run_id: Which run.
        stage: Only pods that run this one, alone or with others.
        shard: Only this one's.
    """

    def __init__(self, client: ClusterClient, run_id: str, stage: str | None = None, shard: int | None = None) -> None:
        self.client, self._stage = client, stage
        self._labels = f"fireworks.io/run={run_id}" + ("" if shard is None else f",fireworks.io/shard={shard}")
        self._pods: list[RunPod] = []
        self._last: dict[str, str] = {}
        self._watching = threading.Thread(target=self._watch, name="pods", daemon=True)
        self._threads: dict[str, threading.Thread] = {}
        self._telling: dict[str, RunPod] = {}
        self._lines: queue.Queue[tuple[RunPod, Line]] = queue.Queue(_UNTOLD_LINES)
        self._stopped = False
        self.fault: FireworksError | None = None
        """Why pods, or one of them, cannot be read, if not because they are gone."""

    def look(self) -> None:
        """See which run now, or were ended by force: the store may lack their last seconds. None if nobody answers."""
        try:
            found = self.client.list(PODS, labels=self._labels)
        except FireworksError as fault:
            self._note(fault)
            found = []
        self._pods = [pod for one in found if (pod := self._in_phase(one, "Running", "Failed")) is not None]

    def read(self, since: Callable[[RunPod], float | None]) -> list[tuple[RunPod, Line]]:
        """What those of the last look have printed since a time, pod by pod."""
        with ThreadPoolExecutor(_READERS) as pool:
            read = pool.map(lambda pod: list(self._read(pod, since(pod))), self._pods)
            return [(pod, line) for pod, lines in zip(self._pods, read, strict=True) for line in lines]

    def start(self) -> None:
        """Follow pods from now on, from where they were read to, until `stop`."""
        self._watching.start()

    def stop(self) -> None:
        """Follow them no longer; closes the client."""
        self._stopped = True
        self.client.close()
        while not self._lines.empty():  # Threads that wait for room go on, and see that it is over.
            self._lines.get_nowait()
        end = time.monotonic() + _STOP_S
        for thread in (self._watching, *self._threads.copy().values()):
            thread.join(max(end - time.monotonic(), 0.0))

    def lines(self, limit_s: float) -> list[tuple[RunPod, Line]]:
        """What comes within so many seconds."""
        end, found = time.monotonic() + limit_s, list[tuple[RunPod, Line]]()
        # Not more at once than pods may be ahead: a list, other than they, does not wait.
        while (rest := end - time.monotonic()) > 0 and len(found) < _UNTOLD_LINES:
            try:
                found.append(self._lines.get(timeout=rest))
            except queue.Empty:
                break
        return found

    def telling(self) -> list[RunPod]:
        """Those whose lines come, or came to the end; not those that could not be read."""
        return list(self._telling.values())

    def done(self) -> bool:
        """Whether none has more to tell, unless of stages that come later in the pod."""
        last = [name for name, pod in self._telling.copy().items() if self._stage in {None, pod.stages[-1]}]
        return self._lines.empty() and not any(self._threads[name].is_alive() for name in last)

    def _in_phase(self, pod: dict[str, Any], *phases: str) -> RunPod | None:
        """The pod, if it is so far, and has stages that are asked for."""
        metadata = pod["metadata"]
        stages = metadata.get("annotations", {}).get("fireworks.io/stages", "")
        if pod.get("status", {}).get("phase") not in phases or not stages:
            return None
        found = RunPod(metadata["name"], tuple(stages.split(",")), int(metadata["labels"]["fireworks.io/shard"]))
        return found if self._stage is None or self._stage in found.stages else None

    def _read(self, pod: RunPod, since: float | None) -> Iterator[Line]:
        text = None if since is None else stamp(since)
        if text is not None:
            self._last[pod.name] = text
        try:
            for line in self.client.logs(pod.name, since=text):
                self._last[pod.name] = line.time
                yield from _printed(line)
        except FireworksError as fault:
            self._note(fault)

    def _watch(self) -> None:
        try:
            for change in self.client.watch(PODS, labels=self._labels):
                pod = None if change.kind == "deleted" else self._in_phase(change.object, "Running")
                if pod is not None and pod.name not in self._threads:
                    thread = threading.Thread(target=self._follow, args=[pod], name=pod.name, daemon=True)
                    self._threads[pod.name] = thread
                    self._telling[pod.name] = pod
                    thread.start()
        except FireworksError as fault:
            self._note(fault)

    def _follow(self, pod: RunPod) -> None:
        try:
            for line in self.client.logs(pod.name, follow_on=True, since=self._last.get(pod.name)):
                for printed in _printed(line):
                    self._lines.put((pod, printed))
                    if self._stopped:
                        return
        except FireworksError as fault:  # The store has what it printed.
            self._telling.pop(pod.name)
            self._note(fault)

    def _note(self, fault: FireworksError) -> None:
        # Refused is what asks too early; gone is what asks too late.
        if not self._stopped and not isinstance(fault, ResourceNotFound | ResourceRefused):
            self.fault = self.fault or fault


def _printed(line: LogLine) -> Iterator[Line]:
    """The line, unless Argo said it."""
    if not _EXECUTOR.match(line.text):
        yield Line(datetime.fromisoformat(line.time).timestamp(), line.text.encode() + b"\n")
