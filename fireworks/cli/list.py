"""``fireworks list``.

Comes in: the run folders of a store. Goes out: a table on stdout, newest first.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ..errors import ObjectNotFound
from .drawing import draw_table, duration, local_time, print_json
from .options import json_option, open_place, place_options

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["command"]


@click.command("list")
@click.option("-n", "--limit", metavar="N", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@place_options
@json_option
def command(*, limit: int, store: str | None, profile: str | None, as_json: bool) -> None:
    """List runs, newest first."""
    from ..workflow.history import list_runs

    _, place = open_place(store, profile)
    found: list[dict[str, Any]] = []
    for run_id in list_runs(place):
        if len(found) == limit:
            break
        try:
            found.append(_describe(place, run_id))
        except ObjectNotFound:  # Killed before it was recorded, or collected just now.
            continue
    if as_json:
        print_json({"store": place.url, "runs": found})
        return
    rows = [
        (
            run["run"],
            run["status"],
            local_time(run["started_at"]),
            duration(run["seconds"]),
            run["progress"],
            run["note"],
        )
        for run in found
    ]
    draw_table(place.url, ("run", "status", "started", "time", "stages", "note"), rows, right=["time", "stages"])


def _describe(store: Store, run_id: str) -> dict[str, Any]:
    from ..workflow.closing import settled
    from ..workflow.history import RunFolder
    from ..workflow.summary import is_over

    folder = RunFolder(store, run_id)
    record, end = folder.record, folder.end
    results = list(end.stages) if end else list(settled(folder).values())
    done = sum(result.status == "succeeded" for result in results)
    causes = [result.cause for result in results if result.cause]
    return {
        "run": run_id,
        "pipeline": record.pipeline,
        "status": end.status if end else "lost" if is_over(folder) else "running",
        "started_at": record.started_at,
        "seconds": end.seconds if end else time.time() - record.started_at,
        "sample": record.sample,
        "progress": f"{done}/{len(record.stages)}",
        "note": causes[0] if causes else f"sample {record.sample}" if record.sample else "",
    }
