"""``fireworks status``.

Comes in: a run's folder, summed up by `fireworks.workflow.summary`; of a run that is on a cluster, what waits there.
Goes out: a table of its stages on stdout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import FireworksError
from .drawing import brief, counted, draw_table, duration, local_time, print_json, short, size
from .options import cluster_options, json_option, open_run, place_options, settings_of

if TYPE_CHECKING:
    from ..workflow.history import RunFolder
    from ..workflow.summary import RunStatus, StageStatus

__all__ = ["command"]

_PATIENCE_S = 5.0
_COLUMNS = ("stage", "status", "shards", "rows", "size", "hash", "time", "note")


@click.command("status")
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
    """Show how a run stands, stage by stage.

    RUN is the start of a run's id; the latest run by default.
    """
    from ..workflow.summary import is_over, summarize

    folder = open_run(store, profile, run)
    waits = {} if is_over(folder) else _ask_cluster(folder, context or settings_of(profile).context, namespace)
    status = summarize(folder, waits)
    if as_json:
        print_json(status)
        return
    rows = [_row(stage) for stage in status.stages]
    draw_table(_title(status), _COLUMNS, rows, right=["shards", "rows", "size", "time"])


def _title(status: RunStatus) -> str:
    facts = [f"{name}={brief(value)}" for name, value in status.parameters.items()]
    facts += [f"seed {status.seed}"] + ([f"sample {status.sample}"] if status.sample else [])
    return (
        f"{status.id}: {status.status}, {duration(status.seconds)}\n"
        f"started {local_time(status.started_at)} on {status.host}, runner {status.runner}\n{', '.join(facts)}"
    )


def _ask_cluster(folder: RunFolder, context: str | None, namespace: str | None) -> dict[str, str]:
    """What stages of a run on a cluster wait for. If the cluster has ended the run, that is recorded now."""
    made = folder.record.namespace
    if made is None:
        return {}
    from ..workflow.argo.client import ClusterClient
    from ..workflow.argo.observing import observe, reconcile, waits

    try:
        view = observe(ClusterClient(context, namespace or made, patience_s=_PATIENCE_S), folder)
    except FireworksError as error:
        click.echo(f"from the records alone, for the cluster did not answer: {error}", err=True)
        return {}
    reconcile(folder, view)
    if not view.phase and view.message:
        click.echo(f"{view.message}. If its submit was cut off, submit again.", err=True)
    why = waits(view, folder.plan)
    return {name: next(iter(shards.values())) for stages, shards in why.items() for name in stages}


def _row(stage: StageStatus) -> tuple[str, ...]:
    notes = [f"waits: {stage.waits}"] if stage.waits else []
    notes += [stage.cause] if stage.cause else []
    if stage.attempts_lost:
        notes.append(counted(stage.attempts_lost, "lost attempt"))
    if stage.nondeterministic:
        notes.append("nondeterministic")
    return (
        stage.name,
        "cached" if stage.cached else stage.status,
        f"{stage.shards_done}/{stage.shards}",
        f"{stage.rows:,}",
        size(stage.size_bytes),
        short(stage.hash),
        duration(stage.seconds),
        "; ".join(notes),
    )
