"""Waiting for what other processes and threads do. Goes out: to tests."""

import time
from collections.abc import Callable


def wait_until(true: Callable[[], object], what: str, limit_s: float = 60) -> None:
    """Return once it is true; asked ten times a second.

    Args:
        true: Says so.
        what: What is awaited; the error's text.
        limit_s: How long to wait.
    """
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"{what}, but not within {limit_s:g} s"
        time.sleep(0.1)
