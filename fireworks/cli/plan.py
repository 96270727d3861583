"""``fireworks plan``.

Comes in: a pipeline and its parameters. Goes out: its stages, and which of them would run and why, on stdout.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..records import Plan, StagePlan
from .drawing import brief, draw_table, print_json, short
from .options import json_option, open_place, parse_parameters, pipeline_options, place_options

if TYPE_CHECKING:
    from ..workflow.argo.suggesting import Suggestion

__all__ = ["command"]


@click.command("plan")
@pipeline_options
@place_options
@json_option
def command(
    *,
    pipeline: str,
    parameters: tuple[str, ...],
    sample: int | None,
    seed: int,
    store: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Show the stages of a pipeline, and which of them would run.

    Nothing is run. A fingerprint is known as soon as the outputs before it are. By what stages took when they last ran,
    it says which could share a pod on a cluster.
    """
    given = parse_parameters(parameters)
    from ..workflow import cut, load_pipeline, predict

    loaded = load_pipeline(pipeline)
    _, place = open_place(store, profile, loaded.project)
    plan = cut(loaded, loaded.convert(given, Path.cwd()), seed=seed, sample=sample)
    from ..workflow.argo.fusing import fused
    from ..workflow.argo.suggesting import suggestions
    from ..workflow.costs import measured
    from ..workflow.prediction import explain

    predictions = predict(plan, place)
    reasons = explain(plan, place, predictions)
    shared = [chain for chain in fused(plan) if len(chain) > 1]
    advice = suggestions(plan, measured(plan, place))
    stages = [
        _describe(plan.stage(found.name), found.fingerprint, reasons.get(found.name, ""), cached=found.cached)
        for found in predictions
    ]
    if as_json:
        print_json(_head(plan) | {"stages": stages, "share_pods": shared, "suggestions": advice})
        return
    _draw(plan, stages)
    for line in _notes(shared, advice):
        click.echo(line)


def _draw(plan: Plan, stages: list[dict[str, Any]]) -> None:
    title = ", ".join(f"{name}={brief(value)}" for name, value in plan.parameters.items())
    rows = [
        (
            stage["name"],
            ", ".join((*stage["inputs"], *stage["states"])),
            str(stage["shards"]),
            "cached" if stage["cached"] else f"runs: {stage['reason']}",
            short(stage["fingerprint"]) or "not known yet",
        )
        for stage in stages
    ]
    columns = ("stage", "inputs", "shards", "would be", "fingerprint")
    draw_table(f"{plan.pipeline.name}({title})", columns, rows, right=["shards"])


def _notes(shared: list[tuple[str, ...]], advice: list[Suggestion]) -> Iterator[str]:
    """What would share a pod on a cluster, and what could."""
    if shared:
        yield f"on a cluster these share a pod: {', '.join(' + '.join(chain) for chain in shared)}"
    for suggestion in advice:
        yield f"suggestion: {suggestion}"


def _head(plan: Plan) -> dict[str, Any]:
    return {
        "pipeline": plan.pipeline.name,
        "parameters": plan.parameters,
        "seed": plan.seed,
        "sample": plan.sample,
    }


def _describe(stage: StagePlan, fingerprint: str | None, reason: str, *, cached: bool) -> dict[str, Any]:
    return {
        "name": stage.name,
        "inputs": list(stage.inputs),
        "states": [f"{edge.stage}[{edge.name}]" for edge in stage.states],
        "sources": list(stage.sources),
        "shards": stage.shards,
        "cached": cached,
        "reason": reason,
        "recipe": stage.recipe,
        "fingerprint": fingerprint,
    }
