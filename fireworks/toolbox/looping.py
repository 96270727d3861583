"""Sources read more than once: repeated passes, and rows by number from what can only step.

Comes in: pipes with ``next`` and ``reset``. Goes out: longer or indexable pipes.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from ..core.message import Message, cat
from ..core.message.rows import numbers, resolve
from ..core.pipe import Pipe, has_random_access, recursive
from ..errors import GraphError, RowNotFound, StateError

__all__ = ["LoopingPipe", "RepeaterPipe"]


class RepeaterPipe(Pipe):
    """Several passes over the input as one.

    ``len`` is that of all passes, and ``[i]`` is row i of them, if the input has them.

    Args:
        input: Any pipe or Message.
        repetitions: Number of passes.

    Raises:
        GraphError: If `repetitions` is no positive int (a ValueError).
    """

    stateful_attributes: ClassVar[tuple[str, ...]] = ("repetition",)
    cursor_attributes: ClassVar[tuple[str, ...]] = ("repetition",)

    def __init__(self, input: Any = None, repetitions: int = 10) -> None:
        super().__init__(input)
        if isinstance(repetitions, bool) or not hasattr(repetitions, "__index__") or repetitions < 1:
            raise GraphError(f"repetitions must be a positive int, but got {repetitions!r}. Pass at least 1.")
        self.repetitions = int(repetitions)
        self.repetition = 0

    @property
    def random_access(self) -> bool:
        """As the input: every pass gives the same rows then."""
        return has_random_access(self.input)

    @recursive()
    def reset(self) -> None:
        """Rewind to the first pass."""
        self.repetition = 0

    def __len__(self) -> int:
        return super().__len__() * self.repetitions

    def __getitem__(self, index: Any) -> Message:
        # Lengths first: the row numbers of all passes are those of one, taken modulo.
        rows = numbers(resolve(index, len(self))).tolist()
        return Message(self._needed("index")[[row % len(self.input) for row in rows]])

    def __next__(self) -> Any:
        while True:
            try:
                return self.next_input()
            except StopIteration:
                if self.repetition + 1 >= self.repetitions:
                    raise
                self.repetition += 1
                self._rewind_input()

    def _rewind_input(self) -> None:
        if isinstance(self.input, Pipe):
            self.input.reset()
        vars(self)["_source"] = None


class LoopingPipe(Pipe):
    """Makes a source that can only step and rewind indexable and sized, by stepping and rewinding.

    The length is learnt on the way. ``next`` cycles: after the last row comes the first; ``iter`` makes one pass.

    Args:
        input: Has ``__next__`` and ``reset``, and yields single rows.

    Raises:
        StateError: If the input cannot step or rewind (a TypeError).
    """

    cursor_attributes: ClassVar[tuple[str, ...]] = ("position",)

    def __init__(self, input: Any = None) -> None:
        super().__init__(input)
        if input is not None and not (hasattr(input, "__next__") and hasattr(input, "reset")):
            raise StateError(f"LoopingPipe needs an input with next and reset, but got {type(input).__name__}.")
        self.position = 0
        self._length: int | None = None

    @property
    def random_access(self) -> bool:
        """Always: rows are found by stepping."""
        return True

    @recursive()
    def reset(self) -> None:
        """Rewind to the first row."""
        self.position = 0

    def __len__(self) -> int:
        if self._length is None:
            self._seek(self.position)
            while self._step() is not None:
                pass
        return self._length or 0

    def __getitem__(self, index: Any) -> Message:
        bounded = isinstance(index, int) and index >= 0
        wanted = [index] if bounded else numbers(resolve(index, len(self))).tolist()
        found: dict[int, Message] = {}
        for row in sorted(set(wanted)):
            self._seek(row)
            rows = self._step()
            if rows is None:
                raise RowNotFound(f"a row number must lie within {self._length} rows, but got {row}. Count from 0.")
            found[row] = rows
        return cat([found[row] for row in wanted])

    def __next__(self) -> Message:
        row = self._step()
        if row is None:
            self._seek(0)
            row = self._step()
        if row is None:
            raise StopIteration
        return row

    def __iter__(self) -> Iterator[Message]:
        return (self[row] for row in range(len(self)))

    def _seek(self, row: int) -> None:
        if row < self.position or self.position == self._length:
            self._needed("rewind").reset()
            vars(self)["_source"] = None
            self.position = 0
        while self.position < row and self._step() is not None:
            pass

    def _step(self) -> Message | None:
        """The row at the position, which moves on; None at the end, where the length becomes known."""
        try:
            row = Message(self.next_input())
        except StopIteration:
            self._length = self.position
            return None
        self.position += 1
        return row
