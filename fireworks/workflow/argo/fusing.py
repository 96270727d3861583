"""Which stages share a pod: decided from the plan alone, so that compiling the same plan twice gives the same.

Comes in: a plan. Goes out: its chains, to `fireworks.workflow.argo.tasks`, ``fireworks plan`` and ``submit``; what
keeps stages apart, to `fireworks.workflow.argo.suggesting`.
"""

from collections import Counter
from collections.abc import Collection

from ...records import Plan, StagePlan

__all__ = ["differences", "fused", "upstream"]

# What a stage asks of its pod: fields of a `StagePlan`.
_SETTINGS = ("image", "resources", "env", "secrets", "pod", "timeout_s")


def fused(plan: Plan, *, fuse: bool = True, chosen: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The plan's stages in their order, those together that run one after the other in one pod.

    A stage joins the one before it if that is all it reads, nobody else reads that one, neither is sharded or has
    ``fuse=False``, and both ask the same of their pod: image, resources, environment, secrets, pod patch and timeout.

    Args:
        fuse: False leaves every stage alone.
        chosen: If not empty, those stages alone are to run: they share no pod with others.
    """
    readers = Counter(name for stage in plan.stages for name in upstream(stage))
    stages = {stage.name: stage for stage in plan.stages}
    chains: dict[str, list[str]] = {}  # By the name of their last stage.
    for stage in plan.stages:
        before = upstream(stage)
        joins = fuse and len(before) == 1 and readers[before[0]] == 1 and _may_share(stages[before[0]], stage)
        joins = joins and (before[0] in chosen) == (stage.name in chosen)
        chains[stage.name] = [*(chains.pop(before[0]) if joins else ()), stage.name]
    place = {stage.name: index for index, stage in enumerate(plan.stages)}
    return [tuple(chain) for chain in sorted(chains.values(), key=lambda chain: place[chain[-1]])]


def upstream(stage: StagePlan) -> tuple[str, ...]:
    """The stages whose rows or states it reads, each once; unlike `Plan.upstream`, without a search for the stage."""
    return tuple(dict.fromkeys((*stage.inputs, *(edge.stage for edge in stage.states))))


def _may_share(one: StagePlan, other: StagePlan) -> bool:
    alone = any(stage.shards > 1 or stage.fuse is False for stage in (one, other))
    return not alone and not differences(one, other)


def differences(one: StagePlan, other: StagePlan) -> list[str]:
    """What they ask of their pods that is not the same: arguments of `Stage`."""
    return [name.removesuffix("_s") for name in _SETTINGS if getattr(one, name) != getattr(other, name)]
