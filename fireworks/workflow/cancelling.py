"""Stopping a run from outside.

Comes in: a run's folder. Goes out: the run, recorded as cancelled.
"""

import os
import signal
import socket
import time
from collections.abc import Callable

from ..errors import ParameterError
from ..records import RunEnd
from .closing import close_run
from .history import RunFolder, is_dead

__all__ = ["cancel"]


def cancel(folder: RunFolder, stop: Callable[[], None] | None = None, *, patience_s: float = 60.0) -> RunEnd:
    """Stop a run and return its end; of one that has ended, the end it had.

    Args:
        stop: Stops a run that is not a process of some machine.
        patience_s: How long a process gets to save what it can.

    Raises:
        ParameterError: If it is a process of another machine, or does not stop.
    """
    end = folder.end
    if end is not None:
        return end
    if stop is not None:
        stop()
        return close_run(folder.store, folder.id, "cancelled")
    record = folder.record
    if record.host != socket.gethostname() or record.pid is None:
        raise ParameterError(
            f"a run must be cancelled where it runs, but {folder.id} runs on {record.host}. Stop process {record.pid}"
            " there."
        )
    if not is_dead(record):
        os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while folder.end is None and not is_dead(record):
        if time.monotonic() > deadline:
            raise ParameterError(
                f"a run must stop within {patience_s:g} s of SIGTERM, but process {record.pid} did not. Kill it."
            )
        time.sleep(0.1)
    return folder.end or close_run(folder.store, folder.id, "cancelled")
