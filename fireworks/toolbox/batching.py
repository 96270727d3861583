"""Batches: several rows at a time.

Comes in: rows of any pipe or Message. Goes out: Messages of `batch_size` rows for models and trainers.
"""

from typing import Any, ClassVar, Literal

from ..core.message import Message, cat
from ..core.pipe import Pipe, has_random_access, is_indexable, recursive
from ..errors import GraphError

__all__ = ["BatchingPipe"]


class BatchingPipe(Pipe):
    """Iterates over its input in batches; ``len`` and ``[]`` pass through and count rows.

    Batches are slices of the input, or, if it cannot be sliced, as many of its items as make up one. The position is
    state: ``next`` goes on from there, ``iter`` starts anew.

    Args:
        input: The rows.
        batch_size: Rows of a batch.
        last: What becomes of a short batch at the end: ``drop`` (as in the original) or ``keep``. A pipe that drops
            rows has no random access and is not row-local: its rows depend on how many there are.

    Raises:
        GraphError: If an argument is out of range.
    """

    stateful_attributes: ClassVar[tuple[str, ...]] = ("position",)
    cursor_attributes: ClassVar[tuple[str, ...]] = ("position", "_rest")

    def __init__(self, input: Any = None, batch_size: int = 5, last: Literal["drop", "keep"] = "drop") -> None:
        super().__init__(input)
        if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
            raise GraphError(f"batch_size must be a positive int, but got {batch_size!r}. Pass at least 1.")
        if last not in ("drop", "keep"):
            raise GraphError(f"last must be 'drop' or 'keep', but got {last!r}. It says what becomes of a short batch.")
        self.batch_size = self.batch_rows = int(batch_size)
        self.last = last
        self.row_local = last == "keep"
        self.position = 0
        self._rest: Message | None = None

    @property
    def random_access(self) -> bool:
        """If the short batch is kept, as the input."""
        return self.last == "keep" and has_random_access(self.input)

    @recursive()
    def reset(self) -> None:
        """Rewind to the first batch."""
        self.position = 0
        self._rest = None

    def __next__(self) -> Message:
        return self._slice() if is_indexable(self.input) else self._gather()

    def _slice(self) -> Message:
        # By rows asked for: an input that drops rows on the way answers with fewer.
        while (start := self.position) < (n_rows := len(self.input)):
            stop = start + self.batch_size
            if stop > n_rows and self.last == "drop":
                break
            self.position = min(stop, n_rows)
            batch = Message(self.input[start : self.position])
            if len(batch):
                return batch
        raise StopIteration

    def _gather(self) -> Message:
        held = [] if self._rest is None else [self._rest]
        n_rows = sum(len(part) for part in held)
        while n_rows < self.batch_size:
            try:
                part = Message(self.next_input())
            except StopIteration:
                break
            held.append(part)
            n_rows += len(part)
        rows = cat(held)
        if n_rows == 0 or (n_rows < self.batch_size and self.last == "drop"):
            raise StopIteration
        self._rest = rows[self.batch_size :] if n_rows > self.batch_size else None
        batch = rows[: self.batch_size] if n_rows > self.batch_size else rows
        self.position += len(batch)
        return batch
