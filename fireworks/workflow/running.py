"""Running a pipeline: cut it, execute what is not in the store yet, record everything.

Comes in: a pipeline, its parameters, a store. Goes out: the plan executed by `fireworks.workflow.scheduling`, and a
`RunEnd` under ``runs/<run id>/``.
"""

import os
import socket
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ..core import StoredMessage
from ..core.state import unpack_state
from ..errors import ParameterError, RunFailed, did_you_mean
from ..records import Manifest, Plan, RunEnd, RunRecord
from ..store import Store, open_store
from .cutting import cut
from .endings import one_line
from .history import new_run_id, write_end, write_run
from .outputs import Output, read_state_files
from .packing import hide_own_folder
from .pipelines import Pipeline, check_not_importing
from .profiles import RUNNERS, RunnerName
from .progress import Display, Silent
from .scheduling import Execution, Runner

__all__ = ["Results", "run"]


@dataclass(frozen=True, kw_only=True)
class Results(RunEnd):
    """How a run ended, and its outputs: ``results["score"]`` are the rows of stage ``score``."""

    store: Store = field(repr=False, compare=False)

    def __getitem__(self, stage: str) -> StoredMessage:
        """The rows of a stage, read when they are touched; `read()` gives all of them as a Message.

        Raises:
            ParameterError: If the run has no such stage.
        """
        manifest = self._manifest(stage)
        return StoredMessage(self.store, manifest.parts, dict(manifest.columns))

    def state(self, stage: str, name: str = "model") -> Any:
        """A fitted state, as `set_state` of the object takes it.

        Raises:
            ParameterError: If the run has no such stage, or the stage fits nothing of this name.
        """
        states = self._manifest(stage).states
        if name not in states:
            raise ParameterError(f"stage {stage!r} fits {', '.join(states) or 'nothing'}, but got {name!r}.")
        return unpack_state(read_state_files(self.store, states[name]))

    def _manifest(self, stage: str) -> Manifest:
        found = {result.name: result for result in self.stages}
        if stage not in found:
            hint = did_you_mean(stage, found)
            raise ParameterError(f"the run has no stage {stage!r}.{hint} It has: {', '.join(found)}.")
        manifest = Output(self.store, found[stage].fingerprint or "").manifest()
        if manifest is None:
            raise ParameterError(f"the output of stage {stage!r} must be in {self.store.url}, but is gone. Run again.")
        return manifest


def run(
    pipeline: Pipeline,
    parameters: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    runner: RunnerName | Runner = "inprocess",
    workers: int | None = None,
    image: str | None = None,
    sample: int | None = None,
    force: Collection[str] = (),
    seed: int = 0,
    progress: Display | None = None,
) -> Results:
    """Run a pipeline: cut it, execute what is not in the store yet, record everything.

    Args:
        parameters: By name, as values or texts.
        store: Where outputs and records go; default ``.fireworks/store`` in the project folder.
        runner: One shard after the other in this process; each in a process of its own; or each in a container.
        workers: Processes or containers at once; default: the number of cores.
        image: Of containers, for stages that name none; default: what FIREWORKS_IMAGE says.
        sample: Take only this many evenly spaced rows of every source stage.
        force: Stages to compute although their output is there.

    Raises:
        CutError: If the graph is wrong; nothing has run then.
        RunFailed: If a stage failed; `end` holds the `RunEnd` that was recorded.
    """
    check_not_importing()
    plan = cut(pipeline, parameters, seed=seed, sample=sample)
    _check_forced(plan, force)
    if not isinstance(store, Store):
        store = open_store(store or pipeline.project / ".fireworks" / "store")
    chosen = _runner(runner, pipeline, store, workers, image)
    display = progress or Silent()
    plan = chosen.prepare(plan, display)
    record = _begin(plan, store, chosen.name, pipeline.project)
    execution = Execution(plan, store, chosen, record.id, force, display)
    end = _finish(execution, record.started_at)
    return Results(**{item.name: getattr(end, item.name) for item in fields(end)}, store=store)


def _check_forced(plan: Plan, force: Collection[str]) -> None:
    names = [stage.name for stage in plan.stages]
    for name in force:
        if name not in names:
            raise ParameterError(
                f"`force` must name a stage of the plan, but got {name!r}.{did_you_mean(name, names)} "
                f"It has: {', '.join(names)}."
            )


def _begin(plan: Plan, store: Store, runner: str, project: Path) -> RunRecord:
    record = _record(plan, runner)
    while store.exists(f"runs/{record.id}/plan.json"):  # Another run began in this second, with the same four digits.
        record = _record(plan, runner)
    write_run(store, record, plan)
    hide_own_folder(project)
    return record


def _record(plan: Plan, runner: str) -> RunRecord:
    return RunRecord(
        id=new_run_id(plan.pipeline.name),
        pipeline=plan.pipeline.name,
        parameters=plan.parameters,
        seed=plan.seed,
        sample=plan.sample,
        runner=runner,
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=time.time(),
        stages=tuple(stage.name for stage in plan.stages),
    )


def _finish(execution: Execution, started_at: float) -> RunEnd:
    """Execute, and record the end whatever happens."""
    status: Literal["succeeded", "failed", "cancelled"] = "cancelled"
    error: Exception | None = None
    try:
        with execution.display:
            execution.display.run_started(execution.run_id, execution.plan)
            execution.execute()
            status = "failed" if execution.error else "succeeded"
    except Exception as raised:
        status, error = "failed", raised
    finally:
        execution.runner.stop()
        end = RunEnd(
            id=execution.run_id,
            status=status,
            ended_at=time.time(),
            seconds=round(time.time() - started_at, 3),
            stages=execution.results(),
        )
        write_end(execution.store, end)
    failure = execution.error
    if error is not None:
        failure = RunFailed(one_line(error))
        failure.__cause__ = error
    if failure is not None:
        failure.end = end
        raise failure
    return end


def _runner(runner: str | Runner, pipeline: Pipeline, store: Store, workers: int | None, image: str | None) -> Runner:
    if not isinstance(runner, str):
        return runner
    if runner == "inprocess":
        from .inprocess import InProcess

        return InProcess(pipeline)
    if runner == "processes":
        from .processes import Processes

        return Processes(pipeline, store, workers)
    if runner == "container":
        from .containers import Containers

        return Containers(pipeline, store, workers, image)
    raise ParameterError(
        f"runner must be one of {', '.join(RUNNERS)}, but got {runner!r}.{did_you_mean(runner, RUNNERS)}"
    )
