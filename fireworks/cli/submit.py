"""``fireworks submit``.

Comes in: a pipeline and its parameters. Goes out: a run on a cluster, and how to follow it, on stdout.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .clusters import come_back, connect, target_of
from .drawing import counted, print_json
from .following import follow
from .options import (
    cluster_options,
    json_option,
    open_place,
    parse_parameters,
    pipeline_options,
    place_options,
    target_options,
)
from .reporting import warn

if TYPE_CHECKING:
    from ..records import Plan
    from ..store import Store
    from ..workflow.argo.client import ClusterClient
    from ..workflow.argo.compiling import Target
    from ..workflow.argo.submitting import Submission
    from ..workflow.profiles import Profile

__all__ = ["command"]


@click.command("submit")
@pipeline_options
@click.option("--only", metavar="STAGE", multiple=True, help="Run this stage alone, from what is there; repeat.")
@click.option("--from", "start", metavar="STAGE", help="Run this stage and what follows it, from what is there.")
@click.option("--force", metavar="STAGE", multiple=True, help="Run this stage although its output is there; repeat.")
@target_options
@click.option("--dry-run", is_flag=True, help="Let the cluster check everything; start nothing.")
@click.option("--watch", "mode", flag_value="watch", help="Follow the run; Ctrl-C leaves it going on.")
@click.option("--wait", "mode", flag_value="wait", help="Return when the run has ended, saying nothing meanwhile.")
@cluster_options
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
    dry_run: bool,
    mode: str | None,
    context: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Run a pipeline on a Kubernetes cluster with Argo Workflows.

    Code and local files are uploaded once; what is in the store already takes no pod. A submit that was cut off is
    continued by submitting again.
    """
    given = parse_parameters(parameters)
    from ..workflow import cut, load_pipeline
    from ..workflow.secrecy import exposed

    loaded = load_pipeline(pipeline)
    settings, place = open_place(store, profile, loaded.project)
    plan = cut(loaded, loaded.convert(given, Path.cwd()), seed=seed, sample=sample)
    warn(exposed(plan.parameters, plan.stages))
    plan = replace(plan, force=options.pop("force"))
    client, target = _ways(plan, settings, context, **options)
    in_pods = (settings.store_in_pods if store is None else None) or place.url
    if dry_run:
        return _check(plan, loaded.project, client, target, in_pods, as_json=as_json)
    submission = _submit(plan, loaded.project, place, client, target, in_pods)
    back = come_back("watch", submission.run, place, profile=profile, context=context)
    facts = _facts(submission, target, settings, client, back)
    if not as_json:
        _tell(submission, facts, err=mode is not None)
    elif mode is None:
        print_json(facts)
    return 0 if mode is None else follow(place, submission.run, client, back, silent=mode == "wait", as_json=as_json)


def _ways(
    plan: Plan,
    settings: Profile,
    context: str | None,
    *,
    only: tuple[str, ...],
    start: str | None,
    namespace: str | None,
    no_fuse: bool,
    **options: Any,
) -> tuple[ClusterClient, Target]:
    """The cluster, and what is sent there."""
    from ..workflow.argo.selecting import choose

    chosen = choose(plan, only=only, start=start)
    client = connect(context or settings.context, namespace or settings.namespace)
    target = target_of(settings, namespace=client.namespace, fuse=not no_fuse, chosen=chosen, **options)
    return client, target


def _submit(plan: Plan, project: Path, place: Store, client: ClusterClient, target: Target, in_pods: str) -> Submission:
    from ..workflow import predict
    from ..workflow.argo.submitting import submit
    from ..workflow.shipping import pack_for

    cached = [found.name for found in predict(plan, place) if found.cached]
    package = pack_for(plan, project)
    warn(package.warnings)
    submission = submit(plan, package, project, place, client, target, store_in_pods=in_pods, cached=cached)
    warn(submission.warnings)
    return submission


def _check(plan: Plan, project: Path, client: ClusterClient, target: Target, in_pods: str, *, as_json: bool) -> int:
    from ..workflow.argo.submitting import dry_run
    from ..workflow.shipping import pack_for

    warn(pack_for(plan, project).warnings)
    checked = dry_run(plan, client, target, in_pods)
    if as_json:
        print_json({"ok": True, "objects": checked})
    else:
        for made in checked:
            click.echo(f"the cluster would take {made['kind']} {made['metadata']['name']}")
    return 0


def _facts(
    submission: Submission, target: Target, settings: Profile, client: ClusterClient, back: str
) -> dict[str, Any]:
    """What was made, and where to see it."""
    context = f" --context {client.context}" if client.context else ""
    labels = f"-l fireworks.io/run={submission.run}"
    pages = f"/workflows/{submission.namespace}/{submission.run}"
    there = submission.template is not None
    return {
        "run": submission.run,
        "namespace": submission.namespace,
        "template": submission.template,
        "skipped": submission.skipped,
        "left_out": [name for name in submission.skipped if target.chosen and name not in target.chosen],
        "resumed": submission.resumed,
        "follow": back,
        "kubectl": f"kubectl{context} -n {submission.namespace} get workflows,pods {labels}" if there else None,
        "argo_ui": f"{(settings.argo_ui or '').rstrip('/')}{pages}" if there else None,
        "dashboard": f"{settings.service.rstrip('/')}/runs/{submission.run}" if settings.service else None,
    }


def _tell(submission: Submission, facts: dict[str, Any], *, err: bool) -> None:
    """The same for people; on stderr where the run is followed."""
    left_out = len(facts["left_out"])
    cached = len(submission.skipped) - left_out
    notes = [f", {counted(cached, 'stage')} from the cache"] if cached else []
    notes += [f", {counted(left_out, 'stage')} left out"] if left_out else []
    how = "was submitted before, and goes on" if submission.resumed else "submitted"
    click.echo(f"{submission.run} {how}{''.join(notes)}", err=err)
    names = {"follow": "follow  ", "kubectl": "kubectl ", "argo_ui": "Argo UI ", "dashboard": "see     "}
    if submission.template is not None:
        for key, shown in names.items():
            if facts[key]:
                click.echo(f"{shown} {facts[key]}", err=err)
    sys.stdout.flush()
