"""Calls that block outside Python, waited for so that signals still arrive.

Comes in: requests of `fireworks.store.remote`. Goes out: their results, or Ctrl-C and SIGTERM at once. A thread inside
obstore handles no signal until its request has ended: with a stalled server, minutes later.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["concurrently", "interruptibly"]

T = TypeVar("T")
A = TypeVar("A")


def interruptibly(call: Callable[[], T]) -> T:
    """What `call` returns or raises. If a signal's handler raises meanwhile, the call is left to end by itself."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    return concurrently(lambda _: call(), [None], 1)[0]


def concurrently(call: Callable[[A], T], arguments: Sequence[A], width: int) -> list[T]:
    """What `call` returns for each argument, in their order, on up to `width` threads.

    The first failure is raised, and calls that have not begun are dropped.
    """
    tasks: list[tuple[Future[T], A]] = [(Future(), argument) for argument in arguments]
    waiting = deque(tasks)

    def work() -> None:
        while waiting:
            try:
                future, argument = waiting.popleft()
            except IndexError:  # Another thread was quicker.
                return
            try:
                future.set_result(call(argument))
            except BaseException as error:
                future.set_exception(error)

    for _ in range(min(width, len(tasks))):
        # Daemons, unlike the threads of an executor, do not hold up the end of the process.
        threading.Thread(target=work, name="fireworks-store", daemon=True).start()
    try:
        return [future.result() for future, _ in tasks]
    finally:
        waiting.clear()
