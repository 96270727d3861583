"""``fireworks run``.

Comes in: a pipeline and its parameters. Goes out: a run, recorded in the store; progress on stderr, and with ``--json``
its result on the last line of stdout.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import FireworksError, ParameterError, RunFailed, TransientError
from ..records import RunEnd
from ..workflow.profiles import RUNNERS, RunnerName
from .drawing import counted, duration, print_json
from .options import (
    image_option,
    json_option,
    open_place,
    other_store,
    parse_parameters,
    pipeline_options,
    place_options,
)
from .reporting import Terminated, warn

if TYPE_CHECKING:
    from ..store import Store
    from ..workflow.pipelines import Pipeline
    from ..workflow.profiles import Profile

__all__ = ["command"]


@click.command("run")
@pipeline_options
@click.option(
    "--runner", type=click.Choice(RUNNERS), help="Where stages run.  [default: the profile's, else inprocess]"
)
@click.option(
    "--workers", metavar="N", type=click.IntRange(min=1), help="Processes or containers at once.  [default: the cores]"
)
@image_option
@click.option("--force", metavar="STAGE", multiple=True, help="Run this stage although its output is there; repeat.")
@place_options
@json_option
def command(
    *,
    pipeline: str,
    parameters: tuple[str, ...],
    store: str | None,
    profile: str | None,
    runner: RunnerName | None,
    workers: int | None,
    image: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a pipeline; what is in the store already is not run again.

    To resume after an interruption, run the same thing again.
    """
    given = parse_parameters(parameters)
    from ..workflow import load_pipeline, progress, run

    loaded = load_pipeline(pipeline)
    settings, place = open_place(store, profile, loaded.project)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        end = run(
            loaded,
            _values(loaded, given),
            store=place,
            **_way(settings, runner, workers, image),
            progress=progress.display(),
            **options,
        )
    except RunFailed as error:
        if as_json and error.end:
            print_json(_result(error.end))
        error.args = (_pointed(error, place),)
        raise
    _tell(end, place, as_json=as_json)


def _values(pipeline: Pipeline, given: dict[str, str]) -> dict[str, Any]:
    """The parameters; with a warning if one looks like a secret, the first of what may be warned of."""
    from ..workflow.endings import warn_in_one_line
    from ..workflow.secrecy import exposed

    warn_in_one_line()
    values = pipeline.convert(given, Path.cwd())
    warn(exposed(values))
    return values


def _way(settings: Profile, runner: RunnerName | None, workers: int | None, image: str | None) -> dict[str, Any]:
    """How stages run: as was asked for, else as the profile says."""
    name = runner or settings.runner
    if workers is not None and name == "inprocess":
        raise ParameterError("--workers needs processes, but the runner is 'inprocess'. Add --runner processes.")
    return {"runner": name, "workers": workers or settings.workers, "image": image or settings.image}


def _terminate(number: int, frame: object) -> NoReturn:
    """Unwind like Ctrl-C: the runner stops its workers and records the run as cancelled."""
    raise Terminated


def _pointed(error: RunFailed, place: Store) -> str:
    """The message, and which command shows more, if there is more."""
    message = str(error)
    try:
        # A store that is away would be waited for.
        if error.end is None or isinstance(error.__cause__, TransientError):
            return message
        elsewhere = other_store(place)
        stage = _failed_stage(error.end, place)
    except FireworksError:
        return message
    command = f"fireworks logs {stage}" if stage else "fireworks status" if elsewhere else ""
    if not command:
        return message
    end = "" if message.endswith((".", "?", "!")) else "."
    return f"{message}{end} See: {command}" + (f" --store {elsewhere}" if elsewhere else "")


def _failed_stage(end: RunEnd, place: Store) -> str | None:
    """The first failed stage that has printed something."""
    from ..workflow.history import RunFolder

    folder = RunFolder(place, end.id)
    return next((stage.name for stage in end.stages if stage.status == "failed" and folder.log_files(stage.name)), None)


def _tell(end: RunEnd, place: Store, *, as_json: bool) -> None:
    if as_json:
        print_json(_result(end))
        return
    cached = sum(stage.cached for stage in end.stages)
    stages = counted(len(end.stages), "stage")
    click.echo(f"{end.id} {end.status}: {stages}, {cached} cached, {duration(end.seconds)}", err=True)
    if elsewhere := other_store(place):
        click.echo(f"look at it with: fireworks status --store {elsewhere}", err=True)


def _result(end: RunEnd) -> dict[str, Any]:
    return {
        "run": end.id,
        "status": end.status,
        "seconds": end.seconds,
        "stages": [
            {
                "name": stage.name,
                "status": stage.status,
                "shards": stage.shards,
                "rows": stage.rows,
                "bytes": stage.size_bytes,
                "hash": stage.hash,
                "fingerprint": stage.fingerprint,
                "cached": stage.cached,
                "attempts": stage.attempts,
                "seconds": stage.seconds,
                "nondeterministic": stage.nondeterministic,
                "cause": stage.cause,
            }
            for stage in end.stages
        ],
    }
