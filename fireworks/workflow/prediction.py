"""What a run would do: which stages are in the store already, and why the others are not.

Comes in: a plan and a store. Goes out: the table of `fireworks plan`; what `fireworks submit` skips.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import FireworksError
from ..records import Plan, StagePlan
from ..store import Store
from .history import RunFolder, list_runs
from .outputs import Fingerprints

__all__ = ["StagePrediction", "explain", "predict"]

_LOOK_BACK = 50


@dataclass(frozen=True, kw_only=True)
class StagePrediction:
    """What would become of one stage.

    Args:
        fingerprint: None if a stage before it has to run first.
    """

    name: str
    fingerprint: str | None
    cached: bool


def predict(plan: Plan, store: Store) -> list[StagePrediction]:
    """Follow the plan through the store, up to the first output that is missing on each path."""
    fingerprints = Fingerprints(plan, store, salt="prediction")
    return [
        StagePrediction(
            name=stage.name,
            fingerprint=fingerprints.of(stage.name),
            cached=stage.cache and fingerprints.manifest(stage.name) is not None,
        )
        for stage in plan.stages
    ]


def explain(plan: Plan, store: Store, predictions: Iterable[StagePrediction]) -> dict[str, str]:
    """Why those stages would run that are not cached, by name: what changed since the pipeline's last plan."""
    before = _last_plan(plan, store)
    return {one.name: _reason(plan, one.name, one.fingerprint, before) for one in predictions if not one.cached}


def _reason(plan: Plan, name: str, fingerprint: str | None, before: Plan | None) -> str:
    stage = plan.stage(name)
    if not stage.cache:
        return "cache=False"
    old = next((other for other in before.stages if other.name == name), None) if before else None
    if before is not None and old is not None and old.recipe != stage.recipe:
        return _changes(before, plan, old, stage)
    if fingerprint is None:
        return "after " + ", ".join(plan.upstream(name))
    return "never run to its end" if old is None else "its input has changed, or its output is gone"


def _changes(before: Plan, plan: Plan, old: StagePlan, stage: StagePlan) -> str:
    """Which ingredients of a stage differ; for objects, also which parameters and files of the plans do."""
    labels = sorted({*old.ingredients, *stage.ingredients})
    changed = [label for label in labels if old.ingredients.get(label) != stage.ingredients.get(label)]
    reasons = [", ".join(changed) or "its connections"]
    if any(label.startswith("object ") for label in changed):
        parameters = [name for name in plan.parameters if before.parameters.get(name) != plan.parameters[name]]
        reasons += [f"{name} {before.parameters.get(name)!r} → {plan.parameters[name]!r}" for name in parameters]
        hashes = {source.location: source.hash for source in before.sources}
        mine = [source for source in plan.sources if source.location in stage.sources]
        reasons += [f"file {item.location}" for item in mine if hashes.get(item.location, item.hash) != item.hash]
    return f"changed: {'; '.join(reasons)}"


def _last_plan(plan: Plan, store: Store) -> Plan | None:
    """The newest plan of the same pipeline and sample that the store remembers."""
    for run_id in list_runs(store)[:_LOOK_BACK]:
        try:
            known = RunFolder(store, run_id).plan
        except FireworksError:
            continue
        if known.pipeline.name == plan.pipeline.name and known.sample == plan.sample:
            return known
    return None
