"""What the stages of a run print, as one stream by time: from the store, and from living pods what it has not yet.

An attempt has its lines twice while its pod lives: in the pod's log at once, in the store within seconds. What has
been told is known by text and time, which differ by little: the process and its node read one clock.

Comes in: a run's folder; for runs on a cluster, `fireworks.workflow.argo.tailing.PodLogs`. Goes out: `Printed` after
`Printed` to `fireworks logs`.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ..records import AttemptStart
from .loglines import Line, LogFile, interleave

if TYPE_CHECKING:
    from .argo.tailing import PodLogs, RunPod
    from .history import RunFolder

__all__ = ["Entry", "Printed", "RunLog", "Source"]

_POLL_S = 1.0
# How much later than a process its node may note the time of a line.
_LAG_S = 2.0
# Rounds without a line after which what is over has told all; more, if pods still have something to say.
_QUIET_ROUNDS, _QUIET_ROUNDS_OF_PODS = 2, 5


class Source(NamedTuple):
    """Who printed: an attempt; or a pod, before its first attempt."""

    stage: str
    shard: int
    attempt: str
    pod: str = ""


class Printed(NamedTuple):
    """One line of one source; see `Line`."""

    time: float
    source: Source
    text: bytes


@dataclass
class Entry:
    """What there is of one source: chunks in the store, and what its pod has beyond them."""

    source: Source
    file: LogFile
    beyond: list[Line] = field(default_factory=list)


class RunLog:
    """The log of a run, of one of its stages, or of one shard.

    Args:
        folder: The run's.
        stage: Only this one's.
        shard: Only this one's.
        pods: Those of the run, while it goes on.
    """

    def __init__(
        self, folder: RunFolder, stage: str | None = None, shard: int | None = None, pods: PodLogs | None = None
    ) -> None:
        self._folder, self._stage, self._shard, self._pods = folder, stage, shard, pods
        self._attempts = _Attempts(folder)
        self._told: defaultdict[Source, _Told] = defaultdict(_Told)
        self._read: set[str] = set()
        self._waiting: list[Printed] = []

    def entries(self) -> list[Entry]:
        """What there is now, in the order of stages, shards and first lines."""
        entries = {}
        for file in self._folder.log_files(self._stage, self._shard):
            self._read.update(chunk.key for chunk in file.chunks)
            entries[_source(file)] = Entry(_source(file), file)
        if self._pods is not None:
            self._pods.look()
            self._attempts.refresh()
            for printed in self._assigned(self._pods.read(lambda pod: self._since(pod, entries))):
                source = printed.source
                none = LogFile(stage=source.stage, shard=source.shard, attempt=source.attempt, chunks=())
                entries.setdefault(source, Entry(source, none)).beyond.append(Line(printed.time, printed.text))
        rank = {name: index for index, name in enumerate(self._folder.record.stages)}
        return sorted(entries.values(), key=lambda entry: (rank.get(entry.source.stage, len(rank)), entry.source.shard))

    def lines(self, entries: Iterable[Entry]) -> Iterator[Printed]:
        """Their lines by time."""
        entries = list(entries)
        stored = interleave(self._folder.store, [entry.file for entry in entries])
        streams: list[Iterator[tuple[Printed, bool]]] = [
            ((Printed(line.time, _source(file), line.text), False) for file, line in stored)
        ]
        streams += [_beyond(entry) for entry in entries if entry.beyond]
        for printed, by_pod in heapq.merge(*streams, key=lambda one: one[0].time):
            yield from self._new(printed, by_pod=by_pod)

    def follow(self, over: Callable[[], bool]) -> Iterator[Printed]:
        """What comes after `entries`, until it is over; by time as far as it comes within a second.

        Args:
            over: Asked once a second.
        """
        if self._pods is None:
            yield from self._follow(over)
            return
        self._pods.start()
        try:
            yield from self._follow(over)
        finally:
            self._pods.stop()

    def _follow(self, over: Callable[[], bool]) -> Iterator[Printed]:
        quiet = 0
        while quiet < (_QUIET_ROUNDS if self._pods is None or self._pods.done() else _QUIET_ROUNDS_OF_PODS):
            # Asked first: what was printed is there before the end is.
            ended = over()
            started = time.monotonic()
            horizon = max((printed.time for printed in self._waiting), default=0.0)
            new = list(self._round())
            self._waiting = sorted(self._waiting + new, key=lambda printed: printed.time)
            yield from self._due(horizon)
            quiet = quiet + 1 if ended and not new else 0
            # Half of the time at most, where listing many chunks takes long.
            rest = time.monotonic() - started if self._pods is None else 0.0
            time.sleep(max(0.0, rest, started + _POLL_S - time.monotonic()))
        yield from self._waiting

    def _due(self, horizon: float) -> Iterator[Printed]:
        """Lines that others which came a round later have had the chance to precede."""
        due = [printed for printed in self._waiting if printed.time <= horizon]
        self._waiting = self._waiting[len(due) :]
        yield from due

    def _round(self) -> Iterator[Printed]:
        """What has come since the last one."""
        told: set[str] = set()
        if self._pods is not None:
            said = self._pods.lines(_POLL_S)
            # After the lines, so that the attempts that printed them are known; before the chunks, for the same reason.
            pods = self._pods.telling()
            self._attempts.refresh()
            told = {attempt for pod in pods for attempt in self._attempts.of(pod)}
            for printed in self._assigned(said):
                yield from self._new(printed, by_pod=True)
        files = self._folder.log_files(self._stage, self._shard)
        fresh = [one for file in files if file.attempt not in told and (one := self._fresh(file)).chunks]
        for file, line in interleave(self._folder.store, fresh):
            yield from self._new(Printed(line.time, _source(file), line.text), by_pod=False)

    def _fresh(self, file: LogFile) -> LogFile:
        """The chunks that were not there yet; not those whose lines a pod has told that was lost later."""
        told = self._told[_source(file)].by_pod_until() - _LAG_S
        ends = [*(chunk.time for chunk in file.chunks[1:]), math.inf]
        chunks = tuple(c for c, end in zip(file.chunks, ends, strict=True) if c.key not in self._read and end >= told)
        self._read.update(chunk.key for chunk in chunks)
        return replace(file, chunks=chunks)

    def _new(self, printed: Printed, *, by_pod: bool) -> Iterator[Printed]:
        if self._pods is None:
            yield printed
        elif text := self._told[printed.source].take(printed.time, printed.text, by_pod=by_pod):
            yield printed._replace(text=text)

    def _assigned(self, said: Iterable[tuple[RunPod, Line]]) -> Iterator[Printed]:
        """Lines of pods as lines of their attempts; those of other stages in the same pod are left out."""
        for pod, line in said:
            start = self._attempts.at(pod, line.time)
            if start is None:
                source = Source(pod.stages[0], pod.shard, "", pod.name)
            else:
                source = Source(start.stage, start.shard, start.attempt)
            if self._stage in {None, source.stage}:
                yield Printed(line.time, source, line.text)

    def _since(self, pod: RunPod, entries: dict[Source, Entry]) -> float | None:
        """From when on a pod may have lines that the store has not; None: from its beginning."""
        start = self._attempts.at(pod, math.inf)
        if start is None:
            return None
        if self._stage not in {None, start.stage}:
            return start.started_at
        entry = entries.get(Source(start.stage, start.shard, start.attempt))
        return entry.file.chunks[-1].time - _LAG_S if entry else None


class _Attempts:
    """Which attempts were made in which pods."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._by_host: dict[str, list[AttemptStart]] = {}

    def refresh(self) -> None:
        """Read records that are new."""
        self._by_host = {}
        for attempt in self._folder.attempts():
            self._by_host.setdefault(attempt.start.host, []).append(attempt.start)

    def of(self, pod: RunPod) -> list[str]:
        """The attempts made in a pod."""
        return [start.attempt for start in self._in(pod)]

    def at(self, pod: RunPod, moment: float) -> AttemptStart | None:
        """The attempt that printed in a pod at a time: the last that had begun.

        Between the last line of one stage and the begin of the next in its pod, the store takes records; the node's
        delay in noting a line is shorter.
        """
        begun = [start for start in self._in(pod) if start.started_at <= moment]
        return max(begun, key=lambda start: start.started_at, default=None)

    def _in(self, pod: RunPod) -> list[AttemptStart]:
        starts = self._by_host.get(pod.host, [])
        return [start for start in starts if start.stage in pod.stages and start.shard == pod.shard]


class _Told:
    """What was told lately of one source, by the store or by its pod, so that the other does not tell it again."""

    def __init__(self) -> None:
        self._lines: deque[tuple[float, bytes, bool]] = deque()
        self._last = {True: 0.0, False: 0.0}
        self._begun = b""

    def take(self, moment: float, text: bytes, *, by_pod: bool) -> bytes:
        """What is new of a line: nothing, if the other has told it; the rest, if the store had its beginning."""
        other = self._last[not by_pod]
        if moment < other - _LAG_S or self._had(moment, text, by_pod=by_pod):
            return b""
        whole = text if by_pod else self._begun + text
        new = text.removeprefix(self._begun) if by_pod else text
        self._begun = b"" if whole.endswith(b"\n") else whole
        self._last[by_pod] = max(self._last[by_pod], moment)
        if not self._begun:
            self._lines.append((moment, whole, by_pod))
            while self._lines[0][0] < moment - 2 * _LAG_S:
                self._lines.popleft()
        return new

    def by_pod_until(self) -> float:
        """The time of the pod's last line; 0 if it has told none."""
        return self._last[True]

    def _had(self, moment: float, text: bytes, *, by_pod: bool) -> bool:
        for index, (then, told, pod_told) in enumerate(self._lines):
            if pod_told != by_pod and told == text and abs(then - moment) <= _LAG_S:
                del self._lines[index]
                return True
        return False


def _source(file: LogFile) -> Source:
    return Source(file.stage, file.shard, file.attempt)


def _beyond(entry: Entry) -> Iterator[tuple[Printed, bool]]:
    return ((Printed(line.time, entry.source, line.text), True) for line in entry.beyond)
