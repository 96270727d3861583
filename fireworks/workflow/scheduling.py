"""Executing a plan: which shard next, what to do when one is lost, how each stage ended.

Comes in: a plan and a store, from `fireworks.workflow.running`. Goes out: shards handed to a runner
(`fireworks.workflow.inprocess`, `fireworks.workflow.processes`, `fireworks.workflow.containers`), and events for
`fireworks.workflow.progress`.
"""

from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import RunFailed
from ..records import AttemptEnd, Plan, StagePlan, StageResult
from ..store import Store
from .history import write_stage_result
from .jobs import Job
from .outputs import Fingerprints
from .progress import Display

__all__ = ["Execution", "Runner"]

# How often an attempt that ended so is made again; what is not listed counts against the stage's own retries.
_CRASHES = {134: 1, 139: 1}
_LOST = {75, 137, 143}


class Runner(Protocol):
    """Starts attempts, each ending in an `AttemptEnd`; the conformance suite is `fireworks.testing.runners`."""

    name: str

    def prepare(self, plan: Plan, display: Display) -> Plan:
        """See to what attempts will need, before anything is recorded; returns the plan that they read."""

    def start(self, job: Job, display: Display) -> "Future[tuple[AttemptEnd, BaseException | None]]":
        """Begin one attempt."""

    def stop(self) -> None:
        """End all attempts that are under way."""


@dataclass
class _Progress:
    """What is known of one stage in this run."""

    plan: StagePlan
    opened: bool = False
    waiting: list[int] = field(default_factory=list)
    done: dict[int, AttemptEnd] = field(default_factory=dict)
    attempts: int = 0
    exits: dict[int, list[int]] = field(default_factory=dict)
    result: StageResult | None = None


class Execution:
    """One run of one plan."""

    def __init__(
        self, plan: Plan, store: Store, runner: Runner, run_id: str, force: Collection[str], display: Display
    ) -> None:
        self.plan, self.store, self.runner, self.run_id = plan, store, runner, run_id
        self.force, self.display = force, display
        self.fingerprints = Fingerprints(plan, store, run_id)
        self.stages = {stage.name: _Progress(stage) for stage in plan.stages}
        self.running: dict[Future[tuple[AttemptEnd, BaseException | None]], Job] = {}
        self.error: RunFailed | None = None

    def execute(self) -> None:
        """Until every stage is done, or one has failed and those under way have ended."""
        while True:
            while self.error is None and self._open_stages():
                self._start_shards()
            if not self.running:
                return
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                job = self.running.pop(future)
                end, error = future.result()
                self._finish(job, end, error)

    def _open_stages(self) -> bool:
        """Open what can begin; whether anything happened that may let more begin."""
        moved = False
        for progress in self.stages.values():
            ready = progress.result is None and not progress.opened and self._ready(progress.plan)
            if ready:
                self._open(progress)
                moved = True
        return moved or any(progress.waiting for progress in self.stages.values())

    def _ready(self, stage: StagePlan) -> bool:
        results = (self.stages[name].result for name in self.plan.upstream(stage.name))
        return all(result is not None and result.status == "succeeded" for result in results)

    def _open(self, progress: _Progress) -> None:
        stage = progress.plan
        progress.opened = True
        output = self.fingerprints.output(stage.name)
        if output is not None and stage.name in self.force and output.damaged():
            output.discard()
        if stage.name not in self.force and self.fingerprints.manifest(stage.name) is not None:
            self._close(progress, cached=True)
            return
        progress.waiting = list(range(stage.shards))

    def _start_shards(self) -> None:
        for progress in self.stages.values():
            waiting, progress.waiting = progress.waiting, []
            for shard in waiting:
                if self.error is not None:
                    return
                self._start(progress, shard)

    def _start(self, progress: _Progress, shard: int) -> None:
        stage = progress.plan
        if not progress.attempts:
            self.display.stage_started(stage.name, stage.shards)
        progress.attempts += 1
        force = stage.name in self.force
        job = Job(plan=self.plan, stage=stage, shard=shard, store=self.store, run_id=self.run_id, force=force)
        future = self.runner.start(job, self.display)
        if future.done():
            self._finish(job, *future.result())
        else:
            self.running[future] = job

    def _finish(self, job: Job, end: AttemptEnd, error: BaseException | None) -> None:
        progress = self.stages[job.stage.name]
        if end.exit_code == 0:
            progress.done[job.shard] = end
            self.display.shard_finished(job.stage.name, job.shard, end)
            if len(progress.done) == job.stage.shards and progress.result is None:
                self._close(progress, cached=False)
            return
        if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and end.exit_code == 143):
            raise error
        exits = progress.exits.setdefault(job.shard, [])
        exits.append(end.exit_code)
        if self.error is None and _retry(job.stage, exits):
            self.display.shard_retried(job.stage.name, job.shard, end)
            progress.waiting.append(job.shard)
        elif progress.result is None:
            self._fail(progress, end, error)

    def _close(self, progress: _Progress, cached: bool) -> None:
        stage = progress.plan
        manifest = self.fingerprints.manifest(stage.name)
        if manifest is None:
            raise RunFailed(
                f"stage {stage.name!r} ended, but its output is not in {self.store.url}. Is something deleting it?"
            )
        progress.result = StageResult(
            name=stage.name,
            status="succeeded",
            fingerprint=self.fingerprints.of(stage.name),
            shards=stage.shards,
            rows=manifest.rows,
            size_bytes=manifest.size_bytes,
            hash=manifest.data_hash,
            cached=cached,
            attempts=progress.attempts,
            seconds=_duration(progress.done.values()),
            nondeterministic=any(end.nondeterministic for end in progress.done.values()),
        )
        self._record(progress.result)

    def _fail(self, progress: _Progress, end: AttemptEnd, error: BaseException | None) -> None:
        failure = RunFailed(f"stage {end.stage!r} failed: {end.cause}")
        failure.__cause__ = error
        self.error = failure
        progress.result = StageResult(
            name=end.stage,
            status="failed",
            fingerprint=end.fingerprint or None,
            shards=progress.plan.shards,
            attempts=progress.attempts,
            seconds=_duration([*progress.done.values(), end]),
            cause=end.cause,
        )
        self._record(progress.result)

    def _record(self, result: StageResult) -> None:
        write_stage_result(self.store, self.run_id, result)
        self.display.stage_finished(result)

    def results(self) -> tuple[StageResult, ...]:
        """How every stage stands, in the plan's order; those never finished as cancelled."""
        return tuple(
            progress.result
            or StageResult(name=name, status="cancelled", shards=progress.plan.shards, attempts=progress.attempts)
            for name, progress in self.stages.items()
        )


def _duration(ends: Collection[AttemptEnd]) -> float:
    """Seconds from the start of the first of these attempts to the end of the last."""
    if not ends:
        return 0.0
    return round(max(end.ended_at for end in ends) - min(end.ended_at - end.seconds for end in ends), 3)


def _retry(stage: StagePlan, exits: list[int]) -> bool:
    """Whether an attempt at a shard is made again, given the exit codes of all so far."""
    last = exits[-1]
    if last in _CRASHES:
        return exits.count(last) <= _CRASHES[last]
    return last in _LOST and len(exits) <= stage.retries
