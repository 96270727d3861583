"""Writing a table as parts: rows of any number come in, files of a bounded size go to a store.

Where one part ends depends on the rows alone, not on how many came at once, so that equal rows give equal files.

Comes in: Messages from a stage. Goes out: objects of `fireworks.store`, and the records that `stored` opens.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ...errors import SchemaError
from ...records import PartRecord
from .columns import describe
from .kinds import typed
from .message import Message
from .ragged import Ragged
from .writing import Piece, pack

if TYPE_CHECKING:
    from ...store import Store

__all__ = ["PartWriter", "row_bytes"]

_BLOCK_BYTES = 8 * 2**20
_BITMAP = 1  # What one row takes in a bitmap, rounded up.


class PartWriter:
    """Writes rows to ``{prefix}00000.arrow``, ``{prefix}00001.arrow``, …; holds at most one part in memory.

    Args:
        store: Where to.
        prefix: Beginning of every key, with its slash.
        part_size_bytes: A part holds as many rows as fit, counted by their values without the file's own bytes; at
            least one.
    """

    def __init__(self, store: "Store", prefix: str, part_size_bytes: int = 256 * 2**20) -> None:
        self.store = store
        self.prefix = prefix
        self.part_size_bytes = part_size_bytes
        self.columns: dict[str, str] = {}
        """Name → type of each column; empty until the first row."""
        self.rows = 0
        """Rows written so far."""
        self.size_bytes = 0
        """Bytes of the parts in the store."""
        self._held = Message()
        self._empty: Message | None = None
        self._held_bytes = 0
        self._parts: list[PartRecord] = []
        self._categories: dict[str, Any] = {}

    def write(self, message: Any) -> None:
        """Add rows: a Message, or what `Message()` takes. They are copied: the caller may change them afterwards.

        Raises:
            SchemaError: If columns or types are not those of the rows before.
            UnsupportedColumn: If the format has no place for a column.
        """
        rows = message if isinstance(message, Message) else Message(message)
        if len(rows) == 0:
            self._empty = rows
            return
        rows = self._conformed(rows)
        sizes = np.cumsum(row_bytes(rows))
        start = 0
        while start < len(rows):
            before = sizes[start - 1] if start else 0
            fit = int(np.searchsorted(sizes, before + self.part_size_bytes - self._held_bytes, side="right"))
            stop = max(fit, start + (len(self._held) == 0))
            # The row that no longer fits shows that the part is full: this one, or the one held.
            if stop < len(rows) and not len(self._held):
                self._put(rows[start:stop])
            else:
                self._hold(rows[start:stop], int(sizes[stop - 1] - before) if stop > start else 0)
                if stop < len(rows):
                    self._flush()
            start = stop
        self.rows += len(rows)

    def close(self) -> list[PartRecord]:
        """Write what is held; return the records of all parts.

        A table without rows is one part that tells the columns, if any were ever written, else no part.
        """
        if len(self._held):
            self._flush()
        elif not self._parts and self._empty is not None and len(self._empty.columns):
            self._put(self._conformed(self._empty))
        return list(self._parts)

    def _conformed(self, rows: Message) -> Message:
        """The rows with text as pandas strings and columns in the order of the first write."""
        columns = {name: typed(name, rows._column(name)) for name in rows._names()}
        types = {name: kind for name, (kind, _) in columns.items()}
        categories = {name: column.dtype for name, (kind, column) in columns.items() if kind == "category"}
        if not self.columns:
            self.columns, self._categories = types, categories
        if types != self.columns:
            differ = sorted(name for name in types.keys() | self.columns if types.get(name) != self.columns.get(name))
            was, now = ({name: t.get(name) for name in differ} for t in (self.columns, types))
            raise SchemaError(
                f"all rows of a table must have the same columns, but were {was} and now are {now}. Convert them."
            )
        for name, dtype in categories.items():
            if dtype != self._categories[name]:
                raise SchemaError(
                    f"all rows of a table must have the same categories, but those of {name!r} changed. "
                    "Declare them: `.astype(pandas.CategoricalDtype([...]))`."
                )
        return Message._new({name: columns[name][1] for name in self.columns}, len(rows))

    def _hold(self, rows: Message, size_bytes: int) -> None:
        if len(rows):
            owned = {name: _owned(rows._column(name), first=not len(self._held)) for name in rows._columns}
            self._held = self._held.append(Message._new(owned, len(rows)))
            self._held_bytes += size_bytes

    def _flush(self) -> None:
        self._put(self._held)
        self._held, self._held_bytes = Message(), 0

    def _put(self, rows: Message) -> None:
        key = f"{self.prefix}{len(self._parts):05d}.arrow"
        found = self.store.put(key, _blocks(pack(rows)))
        self._parts.append(PartRecord(key=key, size_bytes=found.size_bytes, hash=found.hash, rows=len(rows)))
        self.size_bytes += found.size_bytes


def _owned(column: Any, first: bool) -> Any:
    """A column that the caller cannot change. What is appended to a buffer is copied there."""
    if isinstance(column, Ragged):
        compact = column.compact()
        return Ragged(compact.values.detach().clone(), compact.offsets.clone())
    if isinstance(column, torch.Tensor):
        return column.detach().clone() if first else column.detach()
    if isinstance(column, np.ndarray):
        return column.copy() if first else column
    return column.copy()


def _blocks(pieces: list[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _BLOCK_BYTES):
            yield bytes(piece[start : start + _BLOCK_BYTES])


def row_bytes(rows: Message) -> npt.NDArray[np.int64]:
    """Bytes that each row's values take in a file, int64 (n,)."""
    total = np.zeros(len(rows), dtype=np.int64)
    for name in rows._columns:
        total += _widths(rows._column(name))
    return total


def _widths(column: Any) -> "int | npt.NDArray[np.int64]":
    if isinstance(column, torch.Tensor):
        return column[:1].nbytes if len(column) else 0
    if isinstance(column, Ragged):
        width = column.values[:1].nbytes if len(column.values) else 0
        return np.diff(column.offsets.numpy()) * width + 8
    kind = describe(column)
    if kind in ("str", "string", "object"):
        import pyarrow as pa
        import pyarrow.compute as pc

        lengths = pc.binary_length(pa.array(column, from_pandas=True)).fill_null(0)
        return np.asarray(lengths, dtype=np.int64) + 8 + _BITMAP
    if kind == "category":
        return int(column.codes.itemsize) + _BITMAP
    return int(getattr(column.dtype, "itemsize", 8)) + _BITMAP
