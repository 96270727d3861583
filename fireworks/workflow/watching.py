"""Following a run from outside, whoever executes it: what its records say, told to a display as it happens.

Comes in: a run's folder; for runs on a cluster, a function that looks at the cluster. Goes out: events for
`fireworks.workflow.progress`, and the run's end.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ..records import RunEnd, StageResult
from .history import Attempt, RunFolder
from .progress import Display

__all__ = ["Notice", "watch"]

_POLL_S = 1.0
# An API server sends all that is known of a Workflow, up to a megabyte: it is asked more seldom than the store.
_LOOK_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What the executor of a run says of one shard.

    Args:
        stages: Whose it is; of several that run one after the other, the first that is not done.
        rows: Done so far, of `total`; None if it does not say.
        waits: Why the shard is not under way; empty if it is.
    """

    stages: tuple[str, ...]
    shard: int
    rows: int | None = None
    total: int | None = None
    waits: str = ""


def watch(
    folder: RunFolder,
    display: Display,
    look: Callable[[], Iterable[Notice]] | None = None,
    *,
    poll_s: float = _POLL_S,
    look_s: float = _LOOK_S,
) -> RunEnd | None:
    """Follow a run until it has ended.

    Args:
        look: Called in the first round, and in others once so much time has passed; before the records are read.
        poll_s: How long a round waits.
        look_s: How long after one `look` the next may come.

    Returns:
        The run's end; None if it will have none.

    Raises:
        ObjectNotFound: If it is no run.
    """
    from .summary import is_over

    seen = _Seen(folder, display)
    looked = -math.inf
    display.run_started(folder.id, folder.plan)
    while True:
        if look is not None and (now := time.monotonic()) >= looked + look_s:
            looked = now
            for notice in look():
                seen.notice(notice)
        end = folder.end
        seen.read(end)
        # A process that was killed leaves no end.
        if end is not None or (look is None and is_over(folder)):
            return end
        time.sleep(poll_s)


class _Seen:
    """What was told already."""

    def __init__(self, folder: RunFolder, display: Display) -> None:
        self._folder, self._display = folder, display
        self._shards = {stage.name: stage.shards for stage in folder.plan.stages}
        self._started: set[str] = set()
        self._ended: set[tuple[str, int, str]] = set()
        self._finished: set[str] = set()
        self._waits: dict[tuple[str, int], str] = {}

    def notice(self, notice: Notice) -> None:
        """Rows, and reasons to wait as they change."""
        stage = next((name for name in notice.stages if name not in self._finished), None)
        if stage is None:
            return
        if notice.rows is not None:
            self._start(stage)
            self._display.rows(stage, notice.shard, notice.rows, notice.total)
        if notice.waits != self._waits.get((stage, notice.shard), ""):
            self._waits[stage, notice.shard] = notice.waits
            self._display.waiting(stage, notice.shard, notice.waits)

    def read(self, end: RunEnd | None) -> None:
        """Attempts and stages that began or ended since."""
        attempts = self._folder.attempts()
        for attempt in attempts:
            self._attempt(attempt)
        results = {result.name: result for result in end.stages} if end else self._folder.stage_results()
        for result in results.values():
            self._finish(result)
        if end is None:
            self._complete(attempts)

    def _attempt(self, attempt: Attempt) -> None:
        start, ended = attempt.start, attempt.end
        self._start(start.stage)
        key = (start.stage, start.shard, start.attempt)
        if ended is None or key in self._ended:
            return
        self._ended.add(key)
        if ended.exit_code == 0:
            self._display.rows(start.stage, start.shard, ended.rows, ended.rows)
            self._display.shard_finished(start.stage, start.shard, ended)
        else:
            self._display.shard_retried(start.stage, start.shard, ended)

    def _complete(self, attempts: list[Attempt]) -> None:
        """Stages all of whose shards are done: on a cluster, their results are recorded at the end of the run."""
        done: dict[str, dict[int, Attempt]] = {}
        for attempt in attempts:
            if attempt.end is not None and attempt.end.exit_code == 0:
                done.setdefault(attempt.start.stage, {})[attempt.start.shard] = attempt
        for stage, shards in done.items():
            if len(shards) == self._shards[stage]:
                self._finish(_so_far(stage, list(shards.values())))

    def _start(self, stage: str) -> None:
        if stage not in self._started:
            self._started.add(stage)
            self._display.stage_started(stage, self._shards[stage])

    def _finish(self, result: StageResult) -> None:
        if result.name not in self._finished and result.status != "cancelled":
            self._finished.add(result.name)
            self._display.stage_finished(result)


def _so_far(stage: str, attempts: list[Attempt]) -> StageResult:
    ends = [attempt.end for attempt in attempts if attempt.end]
    status: Literal["succeeded"] = "succeeded"
    return StageResult(
        name=stage,
        status=status,
        shards=len(ends),
        rows=sum(end.rows for end in ends),
        size_bytes=sum(end.size_bytes for end in ends),
        cached=all(end.cached for end in ends),
        attempts=len(ends),
        seconds=round(max(end.ended_at for end in ends) - min(one.start.started_at for one in attempts), 3),
    )
