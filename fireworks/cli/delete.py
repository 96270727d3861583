"""``fireworks delete``.

Comes in: a run that has ended. Goes out: its records and its Workflow are gone; outputs go with the next ``gc``.
"""

from __future__ import annotations

import click

from ..errors import ClusterUnavailable, ParameterError
from .clusters import reachable_cluster_of
from .drawing import counted, print_json
from .options import cluster_options, json_option, open_run, place_options, settings_of

__all__ = ["command"]

_PODS_END_S = 120.0


@click.command("delete")
@click.argument("run")
@cluster_options
@place_options
@json_option
def command(
    *,
    run: str,
    store: str | None,
    profile: str | None,
    as_json: bool,
    context: str | None,
    namespace: str | None,
) -> None:
    """Remove a run that has ended: its records, logs, and Workflow.

    RUN is the start of a run's id. Outputs stay until `fireworks gc`, as other runs may use them.
    """
    from ..workflow.summary import is_over

    folder = open_run(store, profile, run)
    if not is_over(folder):
        raise ParameterError(
            f"a run must have ended to be deleted, but {folder.id} goes on. Stop it: fireworks cancel {folder.id}"
        )
    client = reachable_cluster_of(folder, context or settings_of(profile).context, namespace)
    if client is not None:
        from ..workflow.argo.observing import remove

        try:
            # A pod that is still ending would write to a folder that is gone.
            remove(client, folder.id, wait_s=_PODS_END_S)
        except ClusterUnavailable as error:
            click.echo(f"the Workflow stays, for seven days at most: {error}", err=True)
    removed = folder.store.delete_prefix(folder.prefix)
    if as_json:
        print_json({"run": folder.id, "objects": removed})
    else:
        click.echo(f"deleted {folder.id}, {counted(removed, 'object')}")
