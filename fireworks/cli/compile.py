"""``fireworks compile``.

Comes in: a pipeline and its parameters. Goes out: what Argo would be given, as YAML or JSON, or what it would cost, on
stdout or in a file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import StoreError, TransientError
from .clusters import target_of
from .drawing import draw_table, duration, print_json, size
from .options import json_option, open_place, parse_parameters, pipeline_options, place_options, target_options
from .reporting import warn

if TYPE_CHECKING:
    from ..records import Plan
    from ..workflow.argo.budget import Budget
    from ..workflow.argo.compiling import Target
    from ..workflow.costs import Cost
    from ..workflow.profiles import Profile

__all__ = ["command"]


@click.command("compile")
@pipeline_options
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write there, not to stdout.")
@click.option("--budget", "only_budget", is_flag=True, help="Show sizes, pods and names instead.")
@target_options
@click.option("--namespace", metavar="NAME", help="Where stages run.  [default: the profile's, else fireworks]")
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
    output: Path | None,
    only_budget: bool,
    as_json: bool,
    no_fuse: bool,
    **settings: Any,
) -> None:
    """Print what Argo Workflows would be given for a pipeline, as YAML.

    Nothing is sent. The run's id and the URL of its plan stand for those that `fireworks submit` fills in. What Argo
    would refuse is an error here. With --budget the store is asked what stages took when they last ran.
    """
    given = parse_parameters(parameters)
    from ..workflow import cut, load_pipeline
    from ..workflow.profiles import load_profile

    loaded = load_pipeline(pipeline)
    place = load_profile(loaded.project, profile)
    target = target_of(place, fuse=not no_fuse, **settings)
    plan = cut(loaded, loaded.convert(given, Path.cwd()), seed=seed, sample=sample)
    costs = _costs(plan, store, profile, loaded.project) if only_budget else None
    _compile(plan, target, place, output, costs, as_json=as_json)


def _costs(plan: Plan, store: str | None, profile: str | None, project: Path) -> dict[str, Cost]:
    """What is known of the stages' work; nothing if the store does not answer, which compiling needs not."""
    from ..workflow.costs import measured

    try:
        return measured(plan, open_place(store, profile, project)[1])
    except (StoreError, TransientError) as error:
        warn([f"what stages took is not known: {error}"])
        return {}


def _compile(
    plan: Plan, target: Target, place: Profile, output: Path | None, costs: dict[str, Cost] | None, *, as_json: bool
) -> None:
    """Print the manifests, or their budget if there are `costs`."""
    from ..workflow.argo.budget import measure
    from ..workflow.argo.checking import check
    from ..workflow.argo.compiling import compile_template, compile_workflow
    from ..workflow.argo.rendering import render
    from ..workflow.secrecy import exposed

    template = compile_template(plan, target)
    # A stand-in, and the same whenever the graph is: two outputs can be compared.
    run_id = name = template["metadata"]["name"]
    plan_url = f"{(place.store_in_pods or 's3://STORE').rstrip('/')}/runs/{run_id}/plan.json"
    workflow = compile_workflow(plan, target, template=name, run_id=run_id, plan_url=plan_url)
    budget = measure(target.tasks(plan), template, workflow, costs or {})
    if costs is not None:
        _show(budget, plan, as_json=as_json)
    warn([*exposed(plan.parameters, plan.stages), *check(template, workflow, budget, target)])
    if costs is None:
        objects = {"apiVersion": "v1", "kind": "List", "items": [template, workflow]}
        text = f"{json.dumps(objects)}\n" if as_json else render(template, workflow, plan, fuse=target.fuse)
        with click.open_file(output or "-", "w", encoding="utf-8") as file:
            file.write(text)


def _show(budget: Budget, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(budget)
        return
    packed = "; Argo packs its history" if budget.is_packed else ""
    rows = [
        (
            "template",
            size(budget.template_bytes),
            f"{budget.templates} in it; kept once for all runs of this graph",
        ),
        ("bytes a stage", size(budget.template_bytes / budget.stages), ""),
        ("workflow, submitted", size(budget.workflow_bytes), ""),
        ("workflow, at its end", f"about {size(budget.live_bytes)}", f"{budget.nodes:,} entries of history{packed}"),
        ("stages", f"{budget.stages:,}", f"in {budget.tasks:,} tasks; stages of one pod are one task"),
        ("pods", f"{budget.pods:,}", "with the one that records the end"),
        ("longest path", f"{budget.depth:,}", "tasks one after the other"),
        ("longest name", str(len(budget.longest_name)), budget.longest_name),
        ("time for pods", f"about {duration(budget.overhead_s)}", "an estimate: 3 s a level, 3 s a pod"),
        ("time for work", *_work(budget)),
    ]
    draw_table(f"{plan.pipeline.name}: what it costs Argo", ("", "amount", "remark"), rows, right=["amount"])


def _work(budget: Budget) -> tuple[str, str]:
    """What the stages take, by what they took."""
    if budget.work_s is None:
        return "not known", "no stage has run yet from this store"
    known = f"{budget.measured} of {budget.stages}" if budget.measured < budget.stages else "all"
    return (
        f"about {duration(budget.work_s)}",
        f"as {known} stages took when they last ran, side by side where they may",
    )
