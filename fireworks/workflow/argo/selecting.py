"""Which stages of a plan get no pod.

Comes in: a plan, and the stages whose outputs are in the store. Goes out: the stages to skip, for
`fireworks.workflow.argo.submitting`.
"""

from collections.abc import Collection

from ...errors import ParameterError, did_you_mean
from ...records import Plan

__all__ = ["choose", "skipped"]


def choose(plan: Plan, *, only: Collection[str] = (), start: str | None = None) -> tuple[str, ...]:
    """The stages that may run, in the plan's order; empty if all may.

    Args:
        only: If any are named, no others.
        start: If given, it and what comes after it.

    Raises:
        ParameterError: If a name, or one of `plan.force`, is none of the plan's.
    """
    names = [stage.name for stage in plan.stages]
    for name in (*only, *plan.force, *((start,) if start else ())):
        if name not in names:
            raise ParameterError(
                f"a stage must be one of the plan's, but got {name!r}.{did_you_mean(name, names)} "
                f"It has: {', '.join(names)}."
            )
    if not only and start is None:
        return ()
    after = set(names) if start is None else _after(plan, start)
    chosen = tuple(name for name in names if name in after and (not only or name in only))
    if not chosen:
        raise ParameterError(
            f"a stage must be left to run, but none of --only comes after {start!r}. Drop one of them."
        )
    return chosen


def skipped(plan: Plan, cached: Collection[str], chosen: Collection[str] = ()) -> tuple[str, ...]:
    """The stages to skip, in the plan's order.

    Args:
        cached: Their outputs are in the store; of those in `plan.force`, new ones are made.
        chosen: If not empty, all others are skipped.

    Raises:
        ParameterError: If what is to run needs an output that is not there.
    """
    names = [stage.name for stage in plan.stages]
    runs = {name for name in chosen or names if name not in cached or name in plan.force}
    for name in names:
        missing = [other for other in plan.upstream(name) if other not in runs and other not in cached]
        if name in runs and missing:
            raise ParameterError(
                f"stage {name!r} needs the output of {', '.join(missing)}, which is not in the store. "
                "Run that too, or drop --only and --from."
            )
    return tuple(name for name in names if name not in runs)


def _after(plan: Plan, start: str) -> set[str]:
    found = {start}
    for stage in plan.stages:  # In topological order.
        if found & set(plan.upstream(stage.name)):
            found.add(stage.name)
    return found
