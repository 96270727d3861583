"""``fireworks logs``.

Comes in: a run's log, from `fireworks.workflow.runlog`. Goes out: what was printed, on stdout.
"""

from __future__ import annotations

import re
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from ..errors import (
    ClusterError,
    ClusterUnavailable,
    FireworksError,
    ObjectNotFound,
    ParameterError,
    TransientError,
    did_you_mean,
)
from .clusters import come_back
from .drawing import print_json
from .options import cluster_options, json_option, open_place, open_run, place_options, settings_of, stage_of

if TYPE_CHECKING:
    from ..workflow.argo.client import ClusterClient
    from ..workflow.argo.tailing import PodLogs
    from ..workflow.history import RunFolder
    from ..workflow.runlog import Printed, RunLog, Source

__all__ = ["command"]

# How long the cluster may be silent, in seconds, when it is asked once, and while it is followed.
_PATIENCE_S, _PATIENCE_FOLLOWING_S = 5.0, 30.0
_STALE_LOOK_S, _CLUSTER_LOOK_S = 60.0, 10.0
# Pods that were killed keep their last words for so long.
_PODS_STAY_S = 600.0
_INCOMPLETE = "the last seconds of stages that run are missing"
# What only ids of runs look like.
_STAMP = re.compile(r"-\d{6,}")


@click.command("logs")
@click.argument("run", required=False)
@click.argument("stage", metavar="[STAGE[/SHARD]]", required=False)
@click.option(
    "-f", "--follow", is_flag=True, help="Go on until the stage, or the run, has ended; Ctrl-C ends it sooner."
)
@cluster_options
@place_options
@json_option
def command(
    *,
    run: str | None,
    stage: str | None,
    follow: bool,
    store: str | None,
    profile: str | None,
    as_json: bool,
    **cluster: str | None,
) -> int:
    """Print what the stages of a run printed.

    Lines come in the order of time, whichever shard printed them.
    RUN is the start of a run's id; the latest run by default. A single argument that is a stage of the latest run means
    that stage.
    With --json, one object for each attempt.
    """
    from ..workflow.runlog import RunLog

    folder, stage = _find(run, stage, store, profile)
    name, shard = _split(folder, stage)
    if follow and as_json:
        raise ParameterError("--follow prints text as it comes, so it must stand without --json. Drop one.")
    pods = _pods(folder, name, shard, profile, follow=follow, **cluster)
    log = RunLog(folder, name, shard, pods)
    if as_json:
        _print_attempts(log, pods)
        return 0
    if not follow or folder.end is not None:
        _print_all(log, pods)
        return 0
    asked = f"{folder.id} {stage}" if stage else folder.id
    back = come_back("logs -f", asked, folder.store, profile=profile, context=cluster["context"])
    page = _Page(headed=not _is_one_shard(folder, name, shard))
    return _follow(log, pods, _Ending(folder, name, pods), page, back)


def _print_attempts(log: RunLog, pods: PodLogs | None) -> None:
    entries = log.entries()
    _note(pods, _INCOMPLETE)
    for entry in entries:
        source = entry.source
        if source.attempt:
            text = b"".join(printed.text for printed in log.lines([entry])).decode(errors="replace")
            print_json({"stage": source.stage, "shard": source.shard, "attempt": source.attempt, "text": text})


def _print_all(log: RunLog, pods: PodLogs | None) -> None:
    entries = log.entries()
    _note(pods, _INCOMPLETE)
    page = _Page(headed=len(entries) > 1)
    for printed in log.lines(entries):
        page.show(printed)
    page.flush()
    if not entries:
        click.echo("nothing was printed", err=True)


def _follow(log: RunLog, pods: PodLogs | None, over: _Ending, page: _Page, back: str) -> int:
    """Print what there is, then what comes; Ctrl-C leaves the run going on, and says how to come back."""
    noted = False
    try:
        entries = log.entries()
        page.headed |= len(entries) > 1
        for printed in log.lines(entries):
            page.show(printed)
        page.flush()
        for printed in log.follow(over):
            noted = noted or _note(pods, "lines come from the store, some seconds late")
            page.show(printed)
            page.flush()
    except KeyboardInterrupt:
        page.flush()
        click.echo(f"{over.run_id} goes on. Come back with: {back}", err=True)
        return 128 + signal.SIGINT
    except TransientError as error:
        error.args = (f"{error} The run goes on; come back with: {back}",)
        raise
    return 0


def _note(pods: PodLogs | None, consequence: str) -> bool:
    """Say that pods cannot be read, if so; whether they cannot."""
    if pods is None or pods.fault is None:
        return False
    click.echo(f"note: {consequence}, because pods cannot be read: {' '.join(str(pods.fault).split())}", err=True)
    return True


def _pods(
    folder: RunFolder,
    name: str | None,
    shard: int | None,
    profile: str | None,
    *,
    follow: bool,
    context: str | None,
    namespace: str | None,
) -> PodLogs | None:
    """The pods of a run on a cluster, while they have what the store has not, if this machine knows the way there."""
    made, end = folder.record.namespace, folder.end
    if made is None or (end and (end.status == "succeeded" or end.ended_at < time.time() - _PODS_STAY_S)):
        return None
    from ..workflow.argo.client import ClusterClient
    from ..workflow.argo.tailing import PodLogs

    patience_s = _PATIENCE_FOLLOWING_S if follow else _PATIENCE_S
    try:
        client = ClusterClient(context or settings_of(profile).context, namespace or made, patience_s=patience_s)
    except FireworksError as error:
        click.echo(f"note: lines come from the store alone, some seconds late: {error}", err=True)
        return None
    return PodLogs(client, folder.id, name, shard)


class _Ending:
    """Answers whether what is followed is over; asks as little as it can, since it is asked each second."""

    def __init__(self, folder: RunFolder, stage: str | None, pods: PodLogs | None) -> None:
        self._folder, self._stage, self._pods = folder, stage, pods
        self.run_id = folder.id
        self._over = False
        self._stale_look = self._cluster_look = time.monotonic()

    def __call__(self) -> bool:
        from ..workflow.closing import settled
        from ..workflow.history import is_dead

        if not self._over:
            ended = self._folder.end is not None or is_dead(self._folder.record)
            done = self._stage is not None and self._stage in settled(self._folder)
            self._over = ended or done or self._is_given_up()
        return self._over

    def _is_given_up(self) -> bool:
        """Whether nobody will record an end: found out by looking at much, and so now and then."""
        from ..workflow.summary import is_over

        if self._pods is not None and time.monotonic() > self._cluster_look + _CLUSTER_LOOK_S:
            if self._is_closed(self._pods.client):
                return True
            self._cluster_look = time.monotonic()
        if time.monotonic() < self._stale_look + _STALE_LOOK_S:
            return False
        self._stale_look = time.monotonic()
        return is_over(self._folder)

    def _is_closed(self, client: ClusterClient) -> bool:
        """Whether the cluster is done with the run; recorded now, if its last pod could not do that."""
        from ..workflow.argo.observing import observe, reconcile

        try:
            return reconcile(self._folder, observe(client, self._folder)) is not None
        except (ClusterError, ClusterUnavailable):  # It may never answer: wait for the records alone.
            self._pods = None
            return False


class _Page:
    """Prints lines, with headings that say whose they are.

    Args:
        headed: Whether the first source has a heading too.
    """

    def __init__(self, *, headed: bool) -> None:
        self._out = sys.stdout.buffer
        self.headed = headed
        self._last: Source | None = None
        self._broken_off = False

    def show(self, printed: Printed) -> None:
        """Print a line."""
        source = printed.source
        if source != self._last and (self.headed or self._last is not None):
            whose = f"attempt {source.attempt}" if source.attempt else f"pod {source.pod}"
            before = "" if self._last is None else "\n\n" if self._broken_off else "\n"
            self._out.write(f"{before}==> {source.stage}/{source.shard} {whose} <==\n".encode())
        self._last, self._broken_off = source, not printed.text.endswith(b"\n")
        self._out.write(printed.text)

    def flush(self) -> None:
        """Let it be seen."""
        self._out.flush()


def _is_one_shard(folder: RunFolder, name: str | None, shard: int | None) -> bool:
    """Whether what is asked for can be one shard only."""
    stages = [stage for stage in folder.plan.stages if name in {None, stage.name}]
    return shard is not None or [stage.shards for stage in stages] == [1]


def _find(run: str | None, stage: str | None, store: str | None, profile: str | None) -> tuple[RunFolder, str | None]:
    """The run and the stage; a lone word is a stage of the latest run before it is the start of an id."""
    if run is None or stage is not None:
        return open_run(store, profile, run), stage
    from ..workflow.history import RunFolder, find_run, latest_run, list_runs

    _, place = open_place(store, profile)
    latest = RunFolder(place, latest_run(place))
    stages = latest.record.stages
    name = run.split("/")[0]
    if name in stages:
        return latest, run
    if _STAMP.search(run) or any(run_id.startswith(run) for run_id in list_runs(place)):
        return RunFolder(place, find_run(place, run)), None
    hint = did_you_mean(name, stages) or f" Its stages: {', '.join(stages)}."
    raise ObjectNotFound(
        f"a lone word must start a run's id or be a stage of {latest.id}, but got {run!r}.{hint} See `fireworks list`."
    )


def _split(folder: RunFolder, stage: str | None) -> tuple[str | None, int | None]:
    if stage is None:
        return None, None
    name, slash, shard = stage.partition("/")
    stage_of(folder.plan, name)
    if not slash:
        return name, None
    if not shard.isdecimal() or int(shard) >= folder.plan.stage(name).shards:
        count = folder.plan.stage(name).shards
        raise ParameterError(f"a shard of stage {name!r} must be a number from 0 to {count - 1}, but got {shard!r}.")
    return name, int(shard)
