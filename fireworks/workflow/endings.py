"""How an attempt ends: the exit code that says what may be done about it, and the cause in one line.

Comes in: whatever was raised, or warned of. Goes out: codes and lines for `fireworks.workflow.stage`, ``fireworks run``
and the attempt's record.
"""

import traceback
import warnings
from pathlib import Path

from ..errors import FireworksError, TransientError

__all__ = ["Preempted", "exit_code", "one_line", "warn_in_one_line"]

_PACKAGE = str(Path(__file__).resolve().parents[1])


class Preempted(BaseException):
    """The process was asked to stop, and has saved what it can. Not an `Exception`: no pipe should catch it."""

    def __str__(self) -> str:
        return "asked to stop (SIGTERM); the next attempt goes on from the last checkpoint"


def exit_code(error: BaseException) -> int:
    """What a process that ends with this error exits with: 75 means try again, 1 means don't."""
    if isinstance(error, Preempted):
        return 143
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, SystemExit):
        # A pipe that calls sys.exit has not done its work; 143 is how the command line ends on SIGTERM.
        return 143 if error.code == 143 else 1
    return 75 if isinstance(error, TransientError) else 1


def one_line(error: BaseException) -> str:
    """An error as one line; with the place it was raised at, if it is not one of ours."""
    text = " ".join(str(error).split("\n")) or type(error).__name__
    if isinstance(error, FireworksError | Preempted):
        return text
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if not frame.filename.startswith(_PACKAGE) and "site-packages" not in frame.filename
    ]
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {text}{place}"


def warn_in_one_line() -> None:
    """Let this process print warnings as ``warning: text``; with the place they come from, if it is not ours."""
    warnings.formatwarning = _as_line


def _as_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    place = "" if filename.startswith(_PACKAGE) else f" ({Path(filename).name}:{lineno})"
    return f"warning: {' '.join(str(message).split())}{place}\n"
