"""Following a run on a terminal until it ends, wherever it runs.

Comes in: a run's id and the store; for runs on a cluster, a client. Goes out: a live tree on stderr, an exit code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from ..errors import ClusterError, TransientError
from .drawing import counted, duration, print_json

if TYPE_CHECKING:
    from ..records import RunEnd
    from ..store import Store
    from ..workflow.argo.client import ClusterClient
    from ..workflow.history import RunFolder
    from ..workflow.watching import Notice

__all__ = ["follow"]

_FAILED = 1


def follow(
    store: Store, run_id: str, client: ClusterClient | None, back: str, *, silent: bool = False, as_json: bool = False
) -> int:
    """Show a run until it ends; 0 if it succeeded, 1 if not. Ctrl-C leaves it going on, and says how to come back.

    Args:
        back: The command that comes back to it.
    """
    from ..workflow import progress
    from ..workflow.history import RunFolder
    from ..workflow.watching import watch

    folder = RunFolder(store, run_id)
    look = _looking(folder, client) if client is not None else None
    try:
        with progress.display(quiet=silent) as display:
            end = watch(folder, display, look)
    except KeyboardInterrupt:
        click.echo(f"{folder.id} goes on. Come back with: {back}", err=True)
        return 128 + signal.SIGINT
    except (TransientError, ClusterError) as error:
        error.args = (f"{error} The run goes on; come back with: {back}",)
        raise
    _tell(folder, as_json=as_json)
    return 0 if _succeeded(end) else _FAILED


def _tell(folder: RunFolder, *, as_json: bool) -> None:
    from ..workflow.summary import summarize

    status = summarize(folder)
    if as_json:
        print_json(status)
        return
    done = sum(stage.status == "succeeded" for stage in status.stages)
    cached = sum(stage.cached for stage in status.stages)
    stages = f"{done} of {counted(len(status.stages), 'stage')}, {cached} cached"
    click.echo(f"{folder.id} {status.status}: {stages}, {duration(status.seconds)}", err=True)
    for stage in status.stages:
        if stage.status == "failed":
            click.echo(f"error: stage {stage.name!r} failed: {stage.cause} See: fireworks logs {stage.name}", err=True)


def _succeeded(end: RunEnd | None) -> bool:
    return end is not None and end.status == "succeeded"


def _looking(folder: RunFolder, client: ClusterClient) -> Callable[[], Iterator[Notice]]:
    from ..workflow.argo.observing import observe, reconcile, waits
    from ..workflow.watching import Notice

    def look() -> Iterator[Notice]:
        view = observe(client, folder)
        why = waits(view, folder.plan)
        for pod in view.pods:
            if pod.phase in {"Pending", "Running"}:
                reason = why.get(pod.stages, {}).get(pod.shard, "")
                yield Notice(stages=pod.stages, shard=pod.shard, rows=pod.rows, total=pod.total, waits=reason)
        # Given the last pod's chance first: it records the end a moment before the Workflow is over.
        reconcile(folder, view)

    return look
