"""``fireworks cancel``.

Comes in: a run that is under way. Goes out: it is stopped, and recorded as cancelled.
"""

from __future__ import annotations

import click

from .clusters import cluster_of
from .drawing import print_json
from .options import cluster_options, json_option, open_run, place_options, settings_of

__all__ = ["command"]


@click.command("cancel")
@click.argument("run", required=False)
@cluster_options
@place_options
@json_option
def command(
    *,
    run: str | None,
    store: str | None,
    profile: str | None,
    as_json: bool,
    context: str | None,
    namespace: str | None,
) -> None:
    """Stop a run; what its stages have committed stays.

    RUN is the start of a run's id; the latest run by default.
    """
    from functools import partial

    from ..workflow.cancelling import cancel

    folder = open_run(store, profile, run)
    client = cluster_of(folder, context or settings_of(profile).context, namespace)
    stop = None
    if client is not None:
        from ..workflow.argo.observing import stop as stop_workflow

        stop = partial(stop_workflow, client, folder)
    end = cancel(folder, stop)
    if as_json:
        print_json(end)
    else:
        click.echo(f"{folder.id} {end.status}")
