"""What stages cost when they last ran: the seconds of each shard, from the records of a store.

Comes in: a plan and a store. Goes out: to ``fireworks plan`` and ``fireworks compile --budget``, which predict from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import FireworksError
from ..records import AttemptEnd, Plan, RunRecord
from ..store import Store
from .history import RunFolder, list_runs

__all__ = ["Cost", "measured"]

# Runs that are looked at, and those of them whose attempts are read.
_LOOK_BACK, _READ = 50, 8


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One stage, in the last run in which all its shards were computed.

    Args:
        run: That run's id.
        seconds: Of each shard's attempt that ended well, in order; imports included where it had its own process.
    """

    run: str
    seconds: tuple[float, ...]

    @property
    def total_s(self) -> float:
        """Of one shard after the other."""
        return sum(self.seconds)

    @property
    def longest_s(self) -> float:
        """Of all shards at once."""
        return max(self.seconds, default=0.0)


def measured(plan: Plan, store: Store) -> dict[str, Cost]:
    """By stage, from runs of the same pipeline and sample, newest first; of those stages that were ever computed."""
    names = {stage.name for stage in plan.stages}
    found: dict[str, Cost] = {}
    read = 0
    for run_id in list_runs(store)[:_LOOK_BACK]:
        folder = RunFolder(store, run_id)
        record = _record(folder)
        if record is None or (record.pipeline, record.sample) != (plan.pipeline.name, plan.sample):
            continue
        if not (names - found.keys()) & set(record.stages):
            continue
        for name, seconds in _of_run(folder):
            if name in names:
                found.setdefault(name, Cost(run=run_id, seconds=seconds))
        read += 1
        if read == _READ or len(found) == len(names):
            break
    return found


def _record(folder: RunFolder) -> RunRecord | None:
    try:
        return folder.record
    except FireworksError:
        return None


def _of_run(folder: RunFolder) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Of stages that the run computed whole."""
    try:
        end = folder.end
        results = end.stages if end else tuple(folder.stage_results().values())
        attempts = folder.attempts() if any(result.attempts for result in results) else []
    except FireworksError:
        return
    good: dict[str, dict[int, AttemptEnd]] = {}
    for attempt in attempts:
        if attempt.end is not None and attempt.end.exit_code == 0:
            good.setdefault(attempt.start.stage, {})[attempt.start.shard] = attempt.end
    for result in results:
        shards = good.get(result.name, {})
        if result.status == "succeeded" and len(shards) == result.shards:
            ends = [shards[number] for number in sorted(shards)]
            if not any(end.cached for end in ends):
                yield result.name, tuple(end.seconds for end in ends)
