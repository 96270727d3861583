"""``fireworks watch``.

Comes in: a run, on this machine or a cluster. Goes out: a live tree of its stages on stderr until it ends.
"""

from __future__ import annotations

from typing import Any

import click

from .clusters import come_back, reachable_cluster_of
from .following import follow
from .options import cluster_options, json_option, open_run, place_options, settings_of

__all__ = ["command"]


@click.command("watch")
@click.argument("run", required=False)
@cluster_options
@place_options
@json_option
def command(
    *, run: str | None, store: str | None, profile: str | None, as_json: bool, context: str | None, **options: Any
) -> int:
    """Follow a run until it ends; Ctrl-C leaves it going on.

    RUN is the start of a run's id; the latest run by default. With --json, its status at the end.
    """
    folder = open_run(store, profile, run)
    client = reachable_cluster_of(folder, context or settings_of(profile).context, options["namespace"])
    back = come_back("watch", folder.id, folder.store, profile=profile, context=context)
    return follow(folder.store, folder.id, client, back, as_json=as_json)
