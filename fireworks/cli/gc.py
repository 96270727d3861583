"""``fireworks gc``.

Comes in: a store; the cluster that its runs were on. Goes out: what `fireworks.workflow.garbage` and
`fireworks.workflow.argo.tidying` removed, on stdout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import FireworksError
from .clusters import connect
from .drawing import counted, print_json, size
from .options import cluster_options, json_option, open_place, place_options

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["command"]


@click.command("gc")
@click.option("--keep", metavar="N", type=click.IntRange(min=0), help="Keep only the N newest runs.  [default: all]")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@cluster_options
@place_options
@json_option
def command(
    *,
    keep: int | None,
    dry_run: bool,
    store: str | None,
    profile: str | None,
    as_json: bool,
    context: str | None,
    namespace: str | None,
) -> None:
    """Remove runs and outputs that are no longer needed.

    Outputs go that no kept run refers to, and what interrupted attempts left behind. Runs that may be going on stay. If
    runs of the store were on a cluster, templates go that no Workflow there has used for a week.
    """
    from ..workflow.garbage import collect

    settings, place = open_place(store, profile)
    on_cluster = context or settings.context or _was_on_cluster(place)
    found = collect(place, keep, dry_run)
    templates: list[str] = []
    if on_cluster:
        templates = _tidy(context or settings.context, namespace or settings.namespace, dry_run=dry_run)
    if as_json:
        from msgspec import to_builtins

        print_json(to_builtins(found) | {"templates": templates})
        return
    verb = "would remove" if dry_run else "removed"
    counts = [counted(len(found.runs), "run"), counted(len(found.outputs), "output"), counted(found.objects, "object")]
    counts += [counted(len(templates), "template")] if on_cluster else []
    click.echo(f"{verb} {', '.join(counts)}, {size(found.size_bytes)}, in {place.url}")


def _was_on_cluster(place: Store) -> bool:
    """Whether the newest run was."""
    from ..errors import ObjectNotFound
    from ..workflow.history import RunFolder, latest_run

    try:
        return RunFolder(place, latest_run(place)).record.namespace is not None
    except ObjectNotFound:
        return False


def _tidy(context: str | None, namespace: str | None, *, dry_run: bool) -> list[str]:
    from ..workflow.argo.tidying import remove_unused_templates

    try:
        return remove_unused_templates(connect(context, namespace), dry_run=dry_run)
    except FireworksError as error:
        click.echo(f"templates stay, for the cluster did not answer: {error}", err=True)
        return []
