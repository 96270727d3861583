"""``fireworks get``.

Comes in: a stage's output, by its manifest. Goes out: a Message file, a CSV or Parquet file, the head of the table on
stdout, files that are its rows, or those of a fitted state.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ObjectNotFound, ParameterError, did_you_mean
from ..records import Manifest, decode
from .drawing import counted, print_json, size
from .options import json_option, open_run, place_options, stage_of

if TYPE_CHECKING:
    from ..core.message import Message, StoredMessage
    from ..store import Store
    from ..workflow.history import RunFolder

__all__ = ["command"]

_HEAD_ROWS = 10


@click.command("get")
@click.argument("run", metavar="[RUN]", required=False)
@click.argument("stage", metavar="STAGE", required=False)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=".arrow, .csv, .parquet, or a file of a report.",
)
@click.option("-n", "--rows", metavar="ROWS", type=click.IntRange(min=1), help="Print so many rows.  [default: 10]")
@click.option("--state", metavar="NAME", help="Fetch this fitted state instead; -o then names a folder.")
@place_options
@json_option
def command(
    *,
    run: str | None,
    stage: str | None,
    output: Path | None,
    rows: int | None,
    state: str | None,
    store: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Fetch a stage's output: as a table, or a fitted state.

    RUN is the start of a run's id; the latest run by default. Without -o, prints the first rows. If the rows are files,
    with columns name and content, as a report's are, -o takes the name of one, or a folder for all.
    """
    if stage is None:
        run, stage = None, run
    if stage is None:
        raise ParameterError("a stage must be named. See `fireworks status` for their names.")
    if rows is not None and (as_json or output is not None or state is not None):
        raise ParameterError("-n must stand without -o, --state and --json: it is for what is printed. Drop one.")
    if output is not None and not output.absolute().parent.is_dir():
        raise ParameterError(f"-o must lie in a folder that exists, but {output.parent} is none. Make it first.")
    folder = open_run(store, profile, run)
    manifest = _manifest(folder, stage)
    sample = folder.record.sample
    facts = {"run": folder.id, "stage": stage, "rows": manifest.rows, "bytes": manifest.size_bytes, "sample": sample}
    facts |= {"hash": manifest.data_hash, "columns": dict(manifest.columns), "output": str(output) if output else None}
    if state is not None:
        facts["files"] = _fetch_state(folder.store, manifest, stage, state, output)
    elif output is not None:
        _write(_table(folder.store, manifest), output, manifest)
    elif not as_json:
        _print_head(_table(folder.store, manifest), manifest, rows or _HEAD_ROWS, f"{stage} of {folder.id}", sample)
    if as_json:
        print_json(facts)
    elif output is not None:
        what = f"state {state} of {stage}" if state is not None else f"{counted(manifest.rows, 'row')} of {stage}"
        click.echo(f"{output}: {what}, {folder.id}{_sampled(sample)}", err=True)


def _sampled(sample: int | None) -> str:
    return f" (sample {sample})" if sample else ""


def _manifest(folder: RunFolder, stage: str) -> Manifest:
    stage_of(folder.plan, stage)
    from ..workflow.closing import settled

    end = folder.end
    results = {result.name: result for result in end.stages} if end else settled(folder)
    result = results.get(stage)
    if result is None or result.status != "succeeded":
        how = f"is {result.status}" if result else "has no output" if end else "is not done yet"
        remedy = "Run it again." if end else f"Follow it: fireworks watch {folder.id}"
        raise ObjectNotFound(f"stage {stage!r} must have succeeded, but in {folder.id} it {how}. {remedy}")
    try:
        return decode(Manifest, folder.store.get(f"outputs/{result.fingerprint}/manifest.json"))
    except ObjectNotFound as error:
        message = f"the output of {stage!r} must be in {folder.store.url}, but it was removed. Run it again."
        raise ObjectNotFound(message) from error


def _table(store: Store, manifest: Manifest) -> StoredMessage:
    from ..core.message import StoredMessage

    return StoredMessage(store, manifest.parts, dict(manifest.columns))


def _print_head(table: StoredMessage, manifest: Manifest, rows: int, name: str, sample: int | None) -> None:
    whole = counted(manifest.rows, "row")
    if manifest.rows:
        shown = whole if manifest.rows <= rows else f"first {rows:,} of {whole}"
        click.echo(f"{name}: {shown}{_sampled(sample)}")
        click.echo(_body(table[:rows]))
    columns = counted(len(manifest.columns), "column")
    click.echo(f"{whole}, {columns}, {size(manifest.size_bytes)}{_sampled(sample)}", err=True)


def _body(head: Message) -> str:
    """The rows in columns; a Message prints ten of its own."""
    if len(head) <= _HEAD_ROWS:
        return repr(head).partition("\n")[2]
    text: str = head.to_dataframe().df.to_string(max_colwidth=40)
    return text


def _write(table: StoredMessage, target: Path, manifest: Manifest) -> None:
    files = _files(table, manifest)
    if files and target.is_dir():
        for name, content in files.items():
            _put(target / name, partial(_write_bytes, content))
        return
    from ..core.message.exporting import WRITERS

    if target.name in files:
        _put(target, partial(_write_bytes, files[target.name]))
    elif target.suffix in WRITERS:
        _put(target, partial(WRITERS[target.suffix], table))
    elif files:
        hint = did_you_mean(target.name, files)
        raise ParameterError(f"-o must name one of {', '.join(files)}, or a folder, but got {target.name!r}.{hint}")
    else:
        hint = did_you_mean(target.suffix, WRITERS)
        raise ParameterError(f"-o must end in {', '.join(WRITERS)}, but got {target.name!r}.{hint}")


def _files(table: StoredMessage, manifest: Manifest) -> dict[str, bytes]:
    """Name → content, where each row is a file; no name leads out of the folder."""
    if not {("name", "str"), ("content", "bytes")} <= set(manifest.columns):
        return {}
    rows = table.read()
    return {Path(name).name: content for name, content in zip(rows["name"], rows["content"], strict=True)}


def _write_bytes(content: bytes, target: Path) -> None:
    target.write_bytes(content)


def _put(target: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name, then rename: nobody finds half a file."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        write(unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _fetch_state(store: Store, manifest: Manifest, stage: str, name: str, folder: Path | None) -> list[str]:
    if name not in manifest.states:
        hint = did_you_mean(name, manifest.states) or f" It has: {', '.join(manifest.states) or 'none'}."
        raise ParameterError(f"a state must be one that stage {stage!r} fits, but got {name!r}.{hint}")
    from ..workflow.outputs import read_state_files

    files = read_state_files(store, manifest.states[name])
    for file, data in files.items():
        if folder is None:
            click.echo(f"{file}  {size(len(data))}", err=True)
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return sorted(files)
