"""The plan's tasks: what is one node of Argo's graph, and how the nodes that take no pod are told.

Comes in: a plan and its chains (`fireworks.workflow.argo.fusing`). Goes out: tasks, to
`fireworks.workflow.argo.compiling` and the modules that it puts together.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ...records import Plan, StagePlan
from .fusing import fused, upstream
from .names import task_name

__all__ = ["Task", "skip_list", "tasks_of"]


@dataclass(frozen=True)
class Task:
    """One node of the graph: a stage, or a chain of stages in one pod.

    Args:
        name: As Argo shows it.
        stages: In the order they run.
        upstream: Tasks that must be done before.
    """

    name: str
    stages: tuple[StagePlan, ...]
    upstream: tuple[str, ...]

    @property
    def shards(self) -> int:
        """Pods that the task takes; a chain takes one."""
        return self.stages[0].shards

    @property
    def is_chain(self) -> bool:
        """Whether several stages share its pod."""
        return len(self.stages) > 1

    @property
    def stage_names(self) -> str:
        """What the stage entrypoint is told: names, with commas between them."""
        return ",".join(stage.name for stage in self.stages)


def tasks_of(plan: Plan, *, fuse: bool = True, chosen: Collection[str] = ()) -> list[Task]:
    """The plan's tasks, each after those it needs; see `fused`."""
    stages = {stage.name: stage for stage in plan.stages}
    chains = fused(plan, fuse=fuse, chosen=chosen)
    task_of = {name: task_name(chain, stages) for chain in chains for name in chain}
    return [
        Task(
            name=task_of[chain[0]],
            stages=tuple(stages[name] for name in chain),
            upstream=tuple(dict.fromkeys(task_of[name] for name in upstream(stages[chain[0]]))),
        )
        for chain in chains
    ]


def skip_list(tasks: Iterable[Task], skip: Collection[str]) -> str:
    """The workflow's parameter ``skip``: tasks all of whose stages are to be skipped.

    Commas stand around each name, so that none is found inside another. A chain of which only a part is skipped runs:
    its pod finds that part in the cache.
    """
    names = [task.name for task in tasks if all(stage.name in skip for stage in task.stages)]
    return f",{','.join(names)}," if names else ""
