"""A ready-made stage in a process of its own: ``--operator NAME``, with no plan and no code but those in the image.

Comes in: an operator's name, texts for its parameters, URLs. Goes out: a plan of one stage, recorded as a run like any
other, for `fireworks.workflow.stage` to execute; afterwards the end of that run, and a file if one was asked for.
"""

import argparse
import json
import os
import re
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FireworksError, ParameterError, did_you_mean
from ..records import Manifest, RunRecord
from ..store import Store, open_store
from .closing import close_run
from .cutting import cut
from .endings import exit_code, one_line
from .history import RunFolder, new_run_id, plan_url, write_run
from .operators import file_parameters, load_operator
from .outputs import Output
from .pipelines import Pipeline

if TYPE_CHECKING:
    from ..core.message import StoredMessage

__all__ = ["Operation", "begin"]

_MANIFEST = "manifest.json"
_TRANSIENT = 75
_NAME = re.compile(r"([A-Za-z_]\w*)=")
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operator under way.

    Args:
        file: Where the output is written as a file, if anywhere.
    """

    pipeline: Pipeline
    store: Store
    run_id: str
    stage: str
    file: str | None

    @property
    def plan_url(self) -> str:
        """Where its plan of one stage lies."""
        return plan_url(self.store.url, self.run_id)

    def end(self, code: int) -> int:
        """Write the file, and record how it ended; returns the exit code."""
        try:
            if code == 0 and self.file:
                self._write(self.file)
            # If the store is away, the pod that comes after this one tells how it ended.
            if code != _TRANSIENT:
                close_run(self.store, self.run_id, "failed" if code else "succeeded")
        except Exception as error:
            if not isinstance(error, FireworksError):
                traceback.print_exception(error)
            print(f"error: {one_line(error)}", file=sys.stderr)
            code = code or exit_code(error)
            if code != _TRANSIENT:
                with suppress(FireworksError):
                    close_run(self.store, self.run_id, "failed")
        return code

    def _write(self, url: str) -> None:
        from ..core.message import StoredMessage

        folder, _, name = url.rpartition("/")
        manifest = self._manifest()
        table = StoredMessage(self.store, manifest.parts, dict(manifest.columns))
        with tempfile.TemporaryDirectory(prefix="fireworks-") as scratch:
            path = Path(scratch, "file")
            _write_as(table, Path(name).suffix, path)
            # Whole or not at all, and the same again if this is tried again.
            open_store(folder).put(name, path)

    def _manifest(self) -> Manifest:
        [attempt] = RunFolder(self.store, self.run_id).attempts()
        manifest = Output(self.store, attempt.start.fingerprint).manifest()
        assert manifest is not None
        return manifest


def begin(options: argparse.Namespace) -> Operation:
    """Make the plan, and record that it is being executed.

    Raises:
        ParameterError: If an option or a parameter is wrong.
        CutError: If what the operator is told makes no stage.
    """
    if not options.output:
        raise ParameterError("an operator needs --output, the URL of a store, such as s3://bucket/prefix. Give it.")
    _check_no_password([options.output, options.file, options.params, *options.param, *options.input])
    pipeline = load_operator(options.operator)
    given = _given(pipeline, options)
    _check_no_password(given.values())
    store = open_store(options.output)
    # Waits for the store if it is away, which what is read for the plan does not.
    store.exists(_MANIFEST)
    plan = cut(pipeline, given)
    [stage] = plan.stages
    run_id = new_run_id(pipeline.name)
    while store.exists(f"runs/{run_id}/plan.json"):  # Many pods begin in the same second, some with the same digits.
        run_id = new_run_id(pipeline.name)
    record = RunRecord(
        id=run_id,
        pipeline=pipeline.name,
        parameters=plan.parameters,
        seed=plan.seed,
        sample=plan.sample,
        runner="operator",
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=time.time(),
        stages=(stage.name,),
    )
    write_run(store, record, plan)
    return Operation(pipeline=pipeline, store=store, run_id=record.id, stage=stage.name, file=options.file or None)


def _given(pipeline: Pipeline, options: argparse.Namespace) -> dict[str, Any]:
    """Parameters by name. What is empty is left to its default: a workflow passes all that it might pass."""
    try:
        given = json.loads(options.params or "{}")
    except ValueError as error:
        raise ParameterError(f'--params must be a JSON object, but: {error}. Quote names and texts with ".') from error
    if not isinstance(given, dict):
        raise ParameterError(
            f'--params must be a JSON object, but got a {type(given).__name__}. Write {{"name": value}}.'
        )
    for text in options.param:
        name, found, value = text.partition("=")
        if not found:
            raise ParameterError(f"--param must be NAME=VALUE, but got {text!r}. Correct it.")
        given[name] = value
    files = file_parameters(pipeline)
    for text in options.input:
        named = _NAME.match(text)
        name, url = (named[1], text[named.end() :]) if named else (files[0] if files else "", text)
        if name not in files:
            hint = did_you_mean(name, files) or f" It has {', '.join(files) or 'none'}."
            raise ParameterError(f"--input must be one of {pipeline.name}'s, but got {name or text!r}.{hint}")
        given[name] = f"{url}{_MANIFEST}" if url.endswith("/") else url
    return {name: value for name, value in given.items() if value != ""}


def _check_no_password(values: Iterable[Any]) -> None:
    for value in values:
        if _PASSWORD.search(json.dumps(value)):
            raise ParameterError(
                "parameters can be read by all who see the run, but one holds a URL with a password. Put the URL of a "
                "database into a Secret, which `connection` names; give a store's credentials in its environment."
            )


def _write_as(table: "StoredMessage", ending: str, path: Path) -> None:
    from ..core.message.exporting import WRITERS

    if ending in WRITERS:
        WRITERS[ending](table, path)
        return
    content = list(table["content"]) if "content" in table else []
    if len(content) != 1 or not isinstance(content[0], bytes):
        raise ParameterError(
            f"--file must end in {', '.join(WRITERS)}, but got {ending!r}.{did_you_mean(ending, WRITERS)} "
            "Other files come from stages whose output is one, such as report."
        )
    path.write_bytes(content[0])
