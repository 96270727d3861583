"""What a pipe promises, as checks: rows by number, row by row, from the start again, from a saved state.

Comes in: a pipe, or a function that makes one. Goes out: an AssertionError that says which promise is broken.
"""

import copy
import inspect
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, pairwise
from typing import Any

from ..core.construction import arguments
from ..core.message import Message, cat
from ..core.pipe import Pipe
from ..core.state import pack_state, unpack_state

__all__ = ["check_arguments", "check_random_access", "check_reset", "check_row_local", "check_state", "pulled"]


def pulled(pipe: Any, n_items: int | None = None) -> Message:
    """The rows of one pass over a pipe, or of its first items."""
    return cat([Message(item) for item in islice(iter(pipe), n_items)])


def check_random_access(pipe: Pipe) -> None:
    """``random_access`` is claimed; ``len`` and every kind of range agree with the rows of one pass.

    Args:
        pipe: Has at least three rows.
    """
    _expect(pipe.random_access, f"{pipe!r} does not claim random_access")
    n = len(pipe)
    whole = Message(pipe[0:n])
    _expect(n >= 3, f"the check needs 3 rows at least, but {pipe!r} has {n}")
    _expect(len(whole) == n, f"len is {n}, but [0:{n}] has {len(whole)} rows")
    _same(pulled(pipe), whole, "one pass and [0:n]")
    ranges = [(0, 1), (1, n), (n // 3, 2 * n // 3), (n - 1, n), (n - 1, n + 7), (-2, None), (None, -1), (None, None)]
    for start, stop in ranges:
        _same(Message(pipe[start:stop]), whole[start:stop], f"[{start}:{stop}] and these rows of the whole")
    _same(Message(pipe[0:n:2]), whole[0:n:2], "[0:n:2] and these rows of the whole")
    for start, stop in [(0, 0), (2, 1), (n, n), (n + 3, n + 9)]:
        _expect(len(Message(pipe[start:stop])) == 0, f"[{start}:{stop}] must be empty")
    for row in (0, n - 1, -1):
        _same(Message(pipe[row]), whole[row], f"[{row}] and this row of the whole")
    _same(Message(pipe[[n - 1, 0, 0]]), whole[[n - 1, 0, 0]], "a list of rows and these rows of the whole")
    for row in (n, -n - 1):
        _raises(IndexError, partial(pipe.__getitem__, row), f"[{row}] beyond {n} rows")


def check_row_local(make: Callable[[Any], Pipe], source: Message, cuts: Sequence[int] = (1, 2)) -> None:
    """``row_local`` is claimed; cutting the input in ranges gives the same rows, whatever the cuts.

    Args:
        make: Makes the pipe on an input.
        source: The input; at least three rows.
        cuts: Row numbers to cut at, rising.
    """
    _expect(make(source).row_local, f"{make(source)!r} does not claim row_local")
    whole = pulled(make(source))
    for bounds in ([0, *cuts, len(source)], list(range(len(source) + 1))):
        parts = [pulled(make(source[start:stop])) for start, stop in pairwise(bounds)]
        _same(cat([part for part in parts if len(part)]), whole, f"input cut at {bounds[1:-1]} and the whole")


def check_reset(pipe: Pipe, same_order: bool = True) -> None:
    """Passes can be repeated, broken off and nested, and leave the input as it is.

    Args:
        pipe: Yields at least two items, and not for ever.
        same_order: Whether each pass gives the same rows in the same order, rather than just as many.
    """
    source = pipe.input
    first = list(pipe)
    _expect(len(first) >= 2, f"the check needs 2 items at least, but {pipe!r} yields {len(first)}")
    next(iter(pipe))
    second = list(pipe)
    _expect(len(second) == len(first), f"the first pass had {len(first)} items, a later one {len(second)}")
    nested = [len(list(pipe)) for _ in pipe]
    _expect(nested == [len(first)] * len(first), f"nested passes had {nested} items, not {len(first)} each")
    pipe.reset()
    again = next(pipe)
    _expect(pipe.input is source, "a pass replaced the input")
    if same_order:
        _same(cat([Message(item) for item in second]), cat([Message(item) for item in first]), "two passes")
        _same(Message(again), Message(first[0]), "next after reset and the first item")


def check_state(make: Callable[[], Pipe], n_items: int = 2, resumes: bool = True) -> None:
    """A state can be packed and set on a new pipe, which goes on from there.

    Args:
        make: Makes the pipe, always the same.
        n_items: Items to pull before the state is taken.
        resumes: Whether the state says where a pass stands; otherwise only its round trip is checked.
    """
    pipe = make()
    running = iter(pipe)
    for _ in range(n_items):
        next(running)
    packed = pack_state(pipe.get_state())
    other = make()
    other.set_state(unpack_state(packed))
    _expect(pack_state(other.get_state()) == packed, "the state is another one after set_state")
    if resumes:
        rest = [Message(item) for item in running]
        resumed: list[Message] = []
        while len(resumed) <= len(rest):
            try:
                resumed.append(Message(next(other)))
            except StopIteration:
                break
        _same(cat(resumed), cat(rest), "the rest of a pass and that of a pipe with its state")


def check_arguments(pipe: Pipe) -> None:
    """The recorded arguments make an equal pipe; copies and pickles keep them."""
    recorded = arguments(pipe)
    for twin in (_constructed(type(pipe), recorded), copy.copy(pipe)):
        _expect(arguments(twin).keys() == recorded.keys(), "a pipe of the recorded arguments has others")
        differing = [name for name, value in recorded.items() if not _is_same(arguments(twin)[name], value)]
        _expect(not differing, f"the arguments {differing} of a copy are other objects")
    for twin in (copy.deepcopy(pipe), pickle.loads(pickle.dumps(pipe))):  # noqa: S301 (it has just been dumped)
        _expect(arguments(twin).keys() == recorded.keys(), "a deep copy has other arguments")


def _constructed(kind: type[Pipe], recorded: dict[str, Any]) -> Pipe:
    named, positional = dict(recorded), []
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional = list(named.pop(name))
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(name)
    _expect(not positional or not named, "the check knows no mixture of *args and named arguments")
    return kind(*positional, **named)


def _is_same(left: Any, right: Any) -> bool:
    return left is right or (isinstance(left, tuple | dict) and left == right)


def _same(left: Message, right: Message, what: str) -> None:
    _expect(left == right, f"{what} must be equal, but are\n{left!r}\nand\n{right!r}")


def _raises(error: type[Exception], action: Callable[[], Any], what: str) -> None:
    try:
        action()
    except error:
        return
    _expect(False, f"{what} must raise {error.__name__}")


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)
