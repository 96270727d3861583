"""SourcePipe: rows from outside, read at first use.

Comes in: whatever a subclass reads. Goes out: rows for any pipe.
"""

from typing import Any, ClassVar

from .message import Message
from .pipe import Pipe, recursive

__all__ = ["SourcePipe"]


class SourcePipe(Pipe):
    """A table that is read when it is first needed, and kept; subclasses say how, in `_load`.

    Args:
        input: Ignored.
    """

    is_source = True
    stateful_attributes: ClassVar[tuple[str, ...]] = ("position",)
    cursor_attributes: ClassVar[tuple[str, ...]] = ("position",)

    def __init__(self, input: Any = None) -> None:
        super().__init__(input)
        self.position = 0
        self._table: Any = None

    def _load(self) -> Any:
        """Override: the table, a Message or a `StoredMessage`."""
        raise NotImplementedError(f"{type(self).__name__} must say how its rows are read. Define _load.")

    def _read(self) -> Any:
        if self._table is None:
            self._table = self._load()
        return self._table

    @property
    def random_access(self) -> bool:
        """Yes: all rows are at hand once they are read."""
        return True

    @recursive()
    def reset(self) -> None:
        """Rewind to the first row."""
        self.position = 0

    def __len__(self) -> int:
        return len(self._read())

    def __getitem__(self, index: Any) -> Any:
        return self._read()[index]

    def __next__(self) -> Message:
        if self.position >= len(self):
            raise StopIteration
        self.position += 1
        return Message(self._read()[self.position - 1])

    def __getstate__(self) -> dict[str, Any]:
        # A copy reads again: pickles of a graph carry no data.
        return super().__getstate__() | {"_table": None}
