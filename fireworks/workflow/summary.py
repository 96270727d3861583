"""How a run stands, in one record: what `fireworks status` and `fireworks list` show.

Comes in: `fireworks.workflow.history.RunFolder`. Goes out: `RunStatus` to `fireworks.cli`.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..records import StagePlan, StageResult
from .closing import settled
from .history import Attempt, RunFolder, is_dead

__all__ = ["STALE_S", "RunStatus", "StageStatus", "is_over", "summarize"]

STALE_S = 24 * 3600.0
"""A run without an end whose youngest record is older than this is taken for dead."""
# Unless Argo runs it: its stages may say nothing for days, and what ends it at last is the Workflow's deadline, a week.
_STALE_ON_ARGO_S = 8 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """One stage of a run, as far as it has come; rows, bytes and seconds are those of finished shards until it ends.

    Args:
        waits: Why it is not under way, where a cluster says so.
    """

    name: str
    status: Literal["waiting", "running", "succeeded", "failed", "cancelled", "lost"]
    shards: int
    shards_done: int
    rows: int = 0
    size_bytes: int = 0
    hash: str | None = None
    fingerprint: str | None = None
    cached: bool = False
    attempts: int = 0
    attempts_lost: int = 0
    seconds: float = 0.0
    cause: str | None = None
    nondeterministic: bool = False
    waits: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One run; `lost` if it has no end and its process is gone, or nothing was heard of it for too long."""

    id: str
    pipeline: str
    status: Literal["running", "succeeded", "failed", "cancelled", "lost"]
    parameters: dict[str, Any]
    seed: int
    sample: int | None
    runner: str
    host: str
    started_at: float
    seconds: float
    stages: tuple[StageStatus, ...]


def summarize(folder: RunFolder, waits: Mapping[str, str] | None = None) -> RunStatus:
    """Read a run's folder and sum it up.

    Args:
        waits: What stages wait for, where a cluster says so.

    Raises:
        ObjectNotFound: If it is no run.
    """
    record, end = folder.record, folder.end
    over = end is not None or is_over(folder)
    results = {result.name: result for result in end.stages} if end else settled(folder)
    attempts = folder.attempts()
    stages = []
    for stage in folder.plan.stages:
        tries = [attempt for attempt in attempts if attempt.start.stage == stage.name]
        result = results.get(stage.name)
        status = _finished(result, stage, tries) if result else _unfinished(stage, tries, over=over)
        stages.append(replace(status, waits=(waits or {}).get(stage.name)))
    return RunStatus(
        id=record.id,
        pipeline=record.pipeline,
        status=end.status if end else "lost" if over else "running",
        parameters=record.parameters,
        seed=record.seed,
        sample=record.sample,
        runner=record.runner,
        host=record.host,
        started_at=record.started_at,
        seconds=end.seconds if end else (_youngest(folder) if over else time.time()) - record.started_at,
        stages=tuple(stages),
    )


def is_over(folder: RunFolder) -> bool:
    """Whether the run has ended or is taken for dead: nothing will be added to it."""
    if folder.end is not None or is_dead(folder.record):
        return True
    limit = _STALE_ON_ARGO_S if folder.record.runner == "argo" else STALE_S
    return _youngest(folder) < time.time() - limit


def _youngest(folder: RunFolder) -> float:
    return max((info.modified_at for info in folder.store.list(folder.prefix)), default=0.0)


def _finished(result: StageResult, stage: StagePlan, tries: Iterable[Attempt]) -> StageStatus:
    return StageStatus(
        name=result.name,
        status=result.status,
        shards=stage.shards,
        shards_done=stage.shards if result.status == "succeeded" else len(_done(tries)),
        rows=result.rows,
        size_bytes=result.size_bytes,
        hash=result.hash,
        fingerprint=result.fingerprint,
        cached=result.cached,
        attempts=result.attempts,
        attempts_lost=sum(attempt.lost for attempt in tries),
        seconds=result.seconds,
        cause=result.cause,
        nondeterministic=result.nondeterministic,
    )


def _unfinished(stage: StagePlan, tries: list[Attempt], *, over: bool) -> StageStatus:
    ends = _done(tries).values()
    status: Literal["waiting", "running", "lost"] = "waiting"
    if tries:
        status = "lost" if over else "running"
    failures = [attempt.end.cause for attempt in tries if attempt.end and attempt.end.cause]
    return StageStatus(
        name=stage.name,
        status=status,
        shards=stage.shards,
        shards_done=len(ends),
        rows=sum(end.rows for end in ends),
        size_bytes=sum(end.size_bytes for end in ends),
        fingerprint=tries[-1].start.fingerprint if tries else None,
        attempts=len(tries),
        attempts_lost=sum(attempt.lost for attempt in tries),
        seconds=sum(end.seconds for end in ends),
        cause=failures[-1] if failures else None,
        nondeterministic=any(end.nondeterministic for end in ends),
    )


def _done(tries: Iterable[Attempt]) -> dict[int, Any]:
    return {attempt.start.shard: attempt.end for attempt in tries if attempt.end and attempt.end.exit_code == 0}
