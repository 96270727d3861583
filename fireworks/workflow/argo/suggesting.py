"""Which neighbours would be better off in one pod, by what they cost when they last ran.

Comes in: a plan and measured costs (`fireworks.workflow.costs`). Goes out: suggestions, to ``fireworks plan``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from ...records import Plan, StagePlan
from ..costs import Cost
from .budget import LEVEL_S, POD_S
from .fusing import differences, fused, upstream

__all__ = ["Suggestion", "suggestions"]

# What a pod costs that is started after another one. A stage that takes less is small.
_OVERHEAD_S = LEVEL_S + POD_S
_WORTHWHILE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Two neighbours that could share a pod.

    Args:
        stages: The one that is read, and the one that reads.
        changes: What to do, so that they may.
        work_s: What each took, all its shards one after the other.
        saves_s: An estimate of the seconds by which the run would be shorter.
    """

    stages: tuple[str, str]
    changes: tuple[str, ...]
    work_s: tuple[float, float]
    saves_s: float

    def __str__(self) -> str:
        one, other = self.stages
        return (
            f"{one} and {other} could share a pod: {' and '.join(self.changes)}. They take {self.work_s[0]:.1f} s and "
            f"{self.work_s[1]:.1f} s; that would save about {self.saves_s:.0f} s."
        )


def suggestions(plan: Plan, costs: Mapping[str, Cost]) -> list[Suggestion]:
    """Neighbours, one of them small, that are apart only because they ask for different things.

    A stage that needs another device than its neighbour stays alone: a GPU should not wait for a processor.
    """
    stages = {stage.name: stage for stage in plan.stages}
    readers = Counter(name for stage in plan.stages for name in upstream(stage))
    chain_of = {name: chain for chain in fused(plan) for name in chain}
    found: list[Suggestion] = []
    for other in plan.stages:
        before = upstream(other)
        if len(before) != 1 or readers[before[0]] != 1 or chain_of[before[0]] is chain_of[other.name]:
            continue
        one = stages[before[0]]
        if one.resources.gpu == other.resources.gpu and {one.name, other.name} <= costs.keys():
            found.extend(_suggestion(one, other, costs[one.name], costs[other.name]))
    return found


def _suggestion(one: StagePlan, other: StagePlan, cost: Cost, others: Cost) -> Iterator[Suggestion]:
    lost = cost.total_s - cost.longest_s + others.total_s - others.longest_s
    saves = _OVERHEAD_S - lost
    if min(cost.total_s, others.total_s) <= _OVERHEAD_S and saves >= _WORTHWHILE_S:
        yield Suggestion(
            stages=(one.name, other.name),
            changes=tuple(_changes(one, other)),
            work_s=(round(cost.total_s, 3), round(others.total_s, 3)),
            saves_s=round(saves, 1),
        )


def _changes(one: StagePlan, other: StagePlan) -> Iterator[str]:
    sharded = [stage.name for stage in (one, other) if stage.shards > 1]
    if sharded:
        yield f"give {' and '.join(sharded)} one shard{' each' if len(sharded) > 1 else ''}"
    alone = [stage.name for stage in (one, other) if stage.fuse is False]
    if alone:
        yield f"drop fuse=False from {' and '.join(alone)}"
    for setting in differences(one, other):
        if setting == "resources":
            mine, theirs = asdict(one.resources), asdict(other.resources)
            differing = [f"{name} ({mine[name]}, {theirs[name]})" for name in mine if mine[name] != theirs[name]]
            yield f"let both ask for the same {', '.join(differing)}"
        elif setting == "timeout":
            yield f"give both the same timeout ({_timeout(one)}, {_timeout(other)})"
        else:
            yield f"give both the same {setting}"


def _timeout(stage: StagePlan) -> str:
    return "none" if stage.timeout_s is None else f"{stage.timeout_s:g} s"
