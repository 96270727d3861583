"""What went wrong, in one line on stderr, and the exit code that says who can do something about it.

Comes in: anything raised below `fireworks.cli.main`. Goes out: stderr and 1 (the user's error), 75 (try again later),
130 (Ctrl-C), 143 (SIGTERM).
"""

import os
import traceback
from collections.abc import Iterable

import click

from ..errors import CutError, FireworksError, RunFailed, TransientError

__all__ = ["INTERRUPTED", "TERMINATED", "TRANSIENT", "USER_ERROR", "Terminated", "report", "warn"]

USER_ERROR, TRANSIENT, INTERRUPTED, TERMINATED = 1, 75, 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM came: handled like Ctrl-C, but for the exit code."""


def report(error: Exception) -> int:
    """Print the error; return the exit code."""
    if isinstance(error, click.Abort):
        terminated = isinstance(error.__cause__, Terminated)
        click.echo("terminated" if terminated else "interrupted", err=True)
        return TERMINATED if terminated else INTERRUPTED
    if os.environ.get("FIREWORKS_TRACEBACK"):
        traceback.print_exception(error)
    for line in _lines(error):
        click.echo(f"error: {line}", err=True)
    causes = (error, error.__cause__) if isinstance(error, RunFailed) else (error,)
    return TRANSIENT if any(isinstance(cause, TransientError) for cause in causes) else USER_ERROR


def warn(lines: Iterable[str]) -> None:
    """Print warnings, one line each, on stderr."""
    for line in lines:
        click.echo(f"warning: {line}", err=True)


def _lines(error: Exception) -> list[str]:
    if isinstance(error, CutError):
        return [_one_line(finding) for finding in error.findings]
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" See `{context.command_path} --help`." if context else ""
        return [_one_line(error.format_message()) + hint]
    if isinstance(error, FireworksError):
        return [_one_line(str(error))]
    return [
        f"{_one_line(f'{type(error).__name__}: {error}')}{_place(error)} FIREWORKS_TRACEBACK=1 shows the way there."
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})." if frames else "."
