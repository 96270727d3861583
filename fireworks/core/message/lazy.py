"""Columns that wait: rows picked but not yet gathered, pieces appended but not yet joined, buffers with room to grow.

Comes in: `Message.__getitem__` and `append`. Goes out: a plain column of `columns` at the first touch.
"""

import threading
from typing import Any

import numpy as np
import torch

from .columns import concat, empty, select

__all__ = ["Gather", "Lazy", "Pieces", "Tail", "grow", "peek", "value"]


class Lazy:
    """A column that is computed once, when first asked for; copies of a Message share the result."""

    __slots__ = ("_value",)
    _value: Any

    def resolve(self) -> Any:
        """The column."""
        if self._value is None:
            self._value = self._compute()
        return self._value

    def _compute(self) -> Any:
        raise NotImplementedError


class Gather(Lazy):
    """Rows `index`, int64 (k,), of a column."""

    __slots__ = ("index", "source")

    def __init__(self, source: Any, index: torch.Tensor) -> None:
        self.source = source
        self.index = index
        self._value = None

    @property
    def waiting(self) -> bool:
        """Whether the rows are still to be gathered."""
        return self._value is None

    def _compute(self) -> Any:
        result = select(value(self.source), self.index)
        self.source = None
        return result


class Pieces(Lazy):
    """A column and what was appended to it: a linked list, so that appending costs the same at any length."""

    __slots__ = ("before", "last", "name")

    def __init__(self, before: Any, last: Any, name: str) -> None:
        self.before = before
        self.last = last
        self.name = name
        self._value = None

    def _compute(self) -> Any:
        parts, node = [], self
        while True:
            parts.append(node.last)
            before = node.before
            if not isinstance(before, Pieces) or before._value is not None:
                parts.append(value(before))
                break
            node = before
        result = concat(parts[::-1], self.name)
        self.before = self.last = None
        return result


def value(slot: Any) -> Any:
    """The column behind a slot, waiting or not."""
    return slot.resolve() if isinstance(slot, Lazy) else slot


def peek(slot: Any) -> Any:
    """A column of the same side, dtype and row shape as the slot's, without computing what waits."""
    while isinstance(slot, Lazy) and slot._value is None:
        slot = slot.source if isinstance(slot, Gather) else slot.last  # type: ignore[attr-defined]
    return value(slot)


class Tail:
    """A buffer whose first `used` rows belong to somebody. Who holds exactly those may claim the rows that follow."""

    __slots__ = ("buffer", "lock", "used")

    def __init__(self, buffer: Any, used: int) -> None:
        self.buffer = buffer
        self.used = used
        self.lock = threading.Lock()

    def claim(self, start: int, n: int) -> bool:
        """Take `n` rows from `start` on, if nobody has them and they fit."""
        with self.lock:
            if self.used != start or start + n > len(self.buffer):
                return False
            self.used = start + n
            return True

    def view(self, n: int) -> Any:
        """The first `n` rows. A tensor gets its own version counter: growth is no in-place change of what was there."""
        return self.buffer.data[:n].data if isinstance(self.buffer, torch.Tensor) else self.buffer[:n]


def grow(column: Any, tail: Tail | None, extra: Any) -> tuple[Any, Tail]:
    """Append to a tensor or array in amortised constant time per row.

    Args:
        column: (n, …); it does not change.
        tail: The buffer that `column` may be the head of.
        extra: (k, …), of the same dtype and trailing shape.

    Returns:
        The n + k rows, and the buffer they are the head of.
    """
    n, k = len(column), len(extra)
    buffer: Any
    if tail is None or not _writable(tail.buffer) or not tail.claim(n, k):
        capacity = max((n + k) * 3 // 2, 16)
        if isinstance(column, torch.Tensor):
            shape = (capacity, *column.shape[1:])
            on_cpu = column.device.type == "cpu"
            buffer = empty(shape, column.dtype) if on_cpu else column.new_empty(shape)
        else:
            buffer = np.empty(capacity, dtype=column.dtype)
        buffer[:n] = column
        tail = Tail(buffer, n + k)
    tail.buffer[n : n + k] = extra
    return tail.view(n + k), tail


def _writable(buffer: Any) -> bool:
    # A buffer that was made under inference_mode refuses writes outside it.
    return not isinstance(buffer, torch.Tensor) or not buffer.is_inference() or torch.is_inference_mode_enabled()
