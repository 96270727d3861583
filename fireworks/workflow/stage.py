"""``python -m fireworks.workflow.stage --plan URL --stage NAME --shard I``: how a stage runs in a process of its own.

Several stages, separated by commas, run one after the other: the pods of a cluster hold small neighbours together.
``--operator NAME`` instead of a plan runs a ready-made stage: `fireworks.workflow.operating` makes the plan.

Comes in: the URL of a plan, ``<store>/runs/<run id>/plan.json``, and the project's code, from a folder or by
`fireworks.workflow.shipping`. Goes out: a committed shard, and an exit code: 0 done; 75 may be tried again; 1 must not;
143 stopped by SIGTERM after a checkpoint.
"""

import argparse
import atexit
import gc
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .determinism import level_processor

if TYPE_CHECKING:
    from ..records import AttemptEnd
    from ..store import Store
    from .jobs import Job
    from .operating import Operation
    from .pipelines import Pipeline

__all__ = ["main"]


class _Stopping:
    """Remembers that SIGTERM came; long stages look at it between two iterations."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def main(argv: Sequence[str] | None = None) -> int:
    """Run one shard of each stage named; return the exit code."""
    options = _parse(argv)
    level_processor()
    if options.attached:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    stopping = _Stopping()
    from ..errors import FireworksError
    from .endings import exit_code, one_line, warn_in_one_line

    warn_in_one_line()
    with ExitStack() as stack:
        operation = None
        try:
            operation = _operation(options)
            opened = _Opened(options, stack, operation)
            jobs = [opened.job(name, stopping) for name in options.stage.split(",")]
        except FireworksError as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            return exit_code(error)
        code = next((code for job in jobs if (code := _run(job, opened, options))), 0)
    return operation.end(code) if operation else code


def _operation(options: argparse.Namespace) -> "Operation | None":
    """The ready-made stage that was asked for, as a plan; the options then name that plan and its stage."""
    if options.operator is None:
        return None
    from .operating import begin

    operation = begin(options)
    options.plan, options.stage, options.shard = operation.plan_url, operation.stage, 0
    return operation


def _run(job: "Job", opened: "_Opened", options: argparse.Namespace) -> int:
    from .capturing import LogChunks, captured_descriptors
    from .history import write_log_chunk

    chunks = LogChunks(
        lambda number, lines: write_log_chunk(job.store, job.run_id, job.stage.name, job.shard, job.id, number, lines)
    )
    with captured_descriptors(chunks):
        end = _attempt(job, opened, options)
    if end.exit_code == 0 and options.facts is not None:
        _tell(end, job.store, options.facts)
    return end.exit_code


def _end_with_parent() -> None:
    os.read(0, 1)
    # Not by a signal: the first process of a container gets none that it sends itself.
    os._exit(137)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fireworks.workflow.stage", description="Run one shard of one stage of a plan."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--plan", help="URL of the plan: <store>/runs/<run id>/plan.json")
    what.add_argument("--operator", metavar="NAME", help="a ready-made stage, in place of a plan")
    parser.add_argument("--stage", help="its name; or several, separated by commas")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument(
        "--project", type=Path, help="the project folder (default: the code that the plan was shipped with)"
    )
    parser.add_argument("--attempt", help="id of this attempt (default: a new one)")
    parser.add_argument("--force", action="store_true", help="compute the shard although it is committed")
    parser.add_argument("--attached", action="store_true", help="end when standard input closes: the parent is gone")
    parser.add_argument("--facts", type=Path, help="folder to write files rows, hash and url to, for who started this")
    parser.add_argument("--progress", type=Path, help="file to append lines `rows total` to, for who started this")
    _add_operator_options(parser)
    options = parser.parse_args(argv)
    if options.plan and not options.stage:
        parser.error("--plan needs --stage")
    return options


def _add_operator_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("ready-made stages")
    group.add_argument("--params", metavar="JSON", default="{}", help="parameters, as one JSON object")
    group.add_argument("--param", metavar="NAME=VALUE", action="append", default=[], help="one of them, as text")
    group.add_argument(
        "--input", metavar="[NAME=]URL", action="append", default=[], help="a file, or a stage's output: ends in /"
    )
    group.add_argument("--output", metavar="URL", help="the store that the output goes to, below outputs/")
    group.add_argument("--file", metavar="URL", help="write the output as a file too: .csv, .parquet, .arrow, .html")


class _Opened:
    """The plan, the store it lies in, and the pipeline's code."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack, operation: "Operation | None") -> None:
        from ..records import Plan, decode
        from ..store import open_store
        from .history import split_plan_url
        from .shipping import Shipped

        base, self.run_id = split_plan_url(options.plan)
        self._options = options
        self.store = open_store(base)
        self.plan = decode(Plan, self.store.get(f"runs/{self.run_id}/plan.json"))
        self._operation = operation
        self._shipped = None
        if self.plan.code and options.project is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="fireworks-"))
            self._shipped = Shipped(self.store, Path(scratch))

    def job(self, name: str, stopping: _Stopping) -> "Job":
        """One attempt at the shard that was asked for."""
        from uuid import uuid4

        from ..errors import ParameterError, did_you_mean
        from .jobs import Job

        names = [stage.name for stage in self.plan.stages]
        if name not in names:
            raise ParameterError(
                f"the plan has no stage {name!r}.{did_you_mean(name, names)} It has: {', '.join(names)}."
            )
        stage, shard = self.plan.stage(name), self._options.shard
        if not 0 <= shard < stage.shards:
            raise ParameterError(
                f"stage {name!r} has shards 0 to {stage.shards - 1}, but got {shard}. Pass one of them."
            )
        return Job(
            plan=self.plan,
            stage=stage,
            shard=shard,
            store=self.store,
            run_id=self.run_id,
            id=self._options.attempt or uuid4().hex[:12],
            force=self._options.force or name in self.plan.force,
            stopping=stopping,
            fetch=self._shipped.source if self._shipped else None,
        )

    @cached_property
    def pipeline(self) -> "Pipeline":
        """Imported when something is to be computed."""
        from .pipelines import load_planned

        if self._operation is not None:
            return self._operation.pipeline
        if self._shipped is not None and self.plan.code is not None:
            folder = self._shipped.code(self.plan.code)
        else:
            folder = self._options.project or Path()
        return load_planned(self.plan.pipeline, folder)


def _attempt(job: "Job", opened: _Opened, options: argparse.Namespace) -> "AttemptEnd":
    from ..errors import FireworksError
    from .jobs import adopt

    adopted = adopt(job)
    if adopted is None:
        # Here, not above: what is in the store already needs no torch. To look for garbage among its modules, of which
        # none becomes any, takes a tenth of the import.
        gc.disable()
        from .execution import attempt

        gc.enable()
        adopted = attempt(job, lambda: opened.pipeline, _Reporter(options.progress))
    end, error = adopted
    if error is not None:
        if isinstance(error, Exception) and not isinstance(error, FireworksError):
            traceback.print_exception(error)
        print(f"error: {end.cause}", file=sys.stderr)
    return end


def _tell(end: "AttemptEnd", store: "Store", folder: Path) -> None:
    """Small facts of the output, as files: rows and hash of the shard, where the output lies."""
    facts = {
        "rows": str(end.rows),
        "hash": end.hash or "",
        "url": f"{store.url}/outputs/{end.fingerprint}/",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in facts.items():
        (folder / name).write_text(value, encoding="utf-8")


class _Reporter:
    """Tells rows done and in total to whoever started this process, and to Argo."""

    def __init__(self, file: Path | None) -> None:
        self._descriptor = None if file is None else os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._argo = os.environ.get("ARGO_PROGRESS_FILE")

    def __call__(self, rows: int, total: int | None) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, f"{rows} {'' if total is None else total}\n".encode())
        if self._argo and total:
            Path(self._argo).write_text(f"{rows}/{total}\n")


class _Ending:
    """Ends the process with this exit code once threads and what others registered are over, its modules as they are.

    To take torch's apart, as Python does last of all, takes longer than many a stage.
    """

    code: int | None = None

    def __call__(self) -> None:
        if self.code is not None:
            for stream in (sys.stdout, sys.stderr):
                print(end="", file=stream, flush=True)
            os._exit(self.code)


if __name__ == "__main__":
    ending = _Ending()
    # The first to be registered is the last to be called.
    atexit.register(ending)
    ending.code = main()
    sys.exit(ending.code)
