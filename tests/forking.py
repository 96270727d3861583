"""The command line, run in child processes that start with torch imported already: milliseconds, not seconds.

Comes in: arguments as a user would type them. Goes out: exit code, stdout and stderr of a real process.
"""

import multiprocessing
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PRELOADED = [
    "torch",
    # What an optimizer imports when it is made.
    "torch._dynamo",
    "pandas",
    "pyarrow",
    "fireworks.cli",
    "fireworks.workflow.running",
    "fireworks.workflow.processes",
    "fireworks.toolbox",
    "fireworks.training",
    "fireworks.workflow.argo.submitting",
    "hera.workflows",
    "kubernetes.client",
]


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


@cache
def _context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _child(arguments: list[str], folder: str, environ: dict[str, str], out: str, err: str) -> None:
    for descriptor, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    from fireworks.cli import main

    sys.argv = ["fireworks", *arguments]
    code = 1
    try:
        code = main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code or 0)


def start(arguments: list[str], folder: Path, scratch: Path, **environ: str) -> multiprocessing.Process:
    """Begin ``fireworks …`` in a folder; its output goes to ``scratch/out`` and ``scratch/err``."""
    out, err, environ = str(scratch / "out"), str(scratch / "err"), {**os.environ, **environ}
    process = _context().Process(target=_child, args=(arguments, str(folder), environ, out, err))
    process.start()
    return process


def fireworks(arguments: list[str], folder: Path, scratch: Path, *, limit_s: float = 120, **environ: str) -> Finished:
    """Run ``fireworks …`` to its end."""
    process = start(arguments, folder, scratch, **environ)
    process.join(limit_s)
    if process.is_alive():
        # Else the end of the test session would wait for it.
        process.kill()
        process.join()
    return Finished(process.exitcode, (scratch / "out").read_text(), (scratch / "err").read_text())
