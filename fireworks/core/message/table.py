"""The table underneath a Message: named columns of one length, and every way to pick rows of them.

Comes in: columns of `columns` and `lazy`. Goes out: `Message` and `TensorMessage` build on it.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload
from weakref import WeakValueDictionary

import torch

from ...errors import ColumnNotFound, SchemaError, did_you_mean
from . import rows as row_numbers
from .columns import Column, as_column, describe, is_tensor, public, same, select, size_bytes
from .lazy import Gather, Lazy, Tail, peek, value
from .ragged import Ragged

if TYPE_CHECKING:
    from pandas import Index, RangeIndex

__all__ = ["Table", "checked_name", "compute_length"]

T = TypeVar("T", bound="Table")


def compute_length(of_this: Any) -> int:
    """The length all columns of a mapping have; 0 if it has none.

    Raises:
        SchemaError: If they differ.
    """
    lengths = {name: len(column) for name, column in of_this.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}={n}" for name, n in lengths.items())
        raise SchemaError(f"columns must be equally long, but got {shown}. Cut or pad them to one length.")
    return next(iter(lengths.values()), 0)


class Table:
    """Rows 0…n-1 of named columns. Row selections are new tables: views for slices, gathered when touched otherwise."""

    __slots__ = ("__weakref__", "_columns", "_cursor", "_length", "_readers", "_tails")
    # Any range of rows can be asked for, and equals those rows of the whole.
    random_access: ClassVar[bool] = True

    _columns: dict[str, Any]
    _length: int
    _cursor: int
    _tails: dict[str, Tail]
    _readers: "WeakValueDictionary[int, Table] | None"

    @classmethod
    def _new(
        cls, columns: dict[str, Any], length: int, readers: "WeakValueDictionary[int, Table] | None" = None
    ) -> Self:
        """A table of checked columns: no copy, no look at the values."""
        table = cls.__new__(cls)
        _set_columns(table, columns)
        _set_length(table, length)
        _set_cursor(table, 0)
        _set_tails(table, {})
        _set_readers(table, readers)
        return table

    def _column(self, name: str) -> Column:
        """The column, computed if it waits."""
        try:
            slot = self._columns[name]
        except KeyError:
            raise self._absent(name) from None
        column = value(slot)
        if column is not slot:
            self._columns[name] = column
        return column

    def _absent(self, name: Any) -> ColumnNotFound:
        known = list(self._columns)
        near = did_you_mean(name, known) if isinstance(name, str) else ""
        return ColumnNotFound(f"a column must be one of {known}, but got {name!r}.{near or ' See `.columns`.'}")

    def _coerce(self, name: Any, new: Any, n: int | None = None) -> Column:
        """A value as the column `name` of this kind of table."""
        return as_column(new, checked_name(name), n)

    def _names(self) -> list[str]:
        """Array columns, then tensor columns, each in the order in which they came."""
        tensors = [name for name in self._columns if self._on_tensor_side(name)]
        if len(tensors) in (0, len(self._columns)):
            return list(self._columns)
        return [name for name in self._columns if name not in tensors] + tensors

    def _on_tensor_side(self, name: str) -> bool:
        return is_tensor(peek(self._columns[name]))

    def __len__(self) -> int:
        return self._length

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._columns

    @property
    def columns(self) -> "Index[str]":
        """Names of array columns, then of tensor columns."""
        import pandas as pd

        return pd.Index(self._names(), dtype="str")

    def keys(self) -> "Index[str]":
        """The same as `columns`."""
        return self.columns

    def items(self) -> Iterator[tuple[str, Any]]:
        """Each name with its tensor or Series."""
        return ((name, self._public(name)) for name in self._names())

    def values(self) -> Iterator[Any]:
        """Each tensor or Series."""
        return (self._public(name) for name in self._names())

    def _public(self, name: str) -> Any:
        return public(self._column(name), name)

    @property
    def index(self) -> "RangeIndex":
        """Row numbers."""
        import pandas as pd

        return pd.RangeIndex(self._length)

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(size_bytes(self._column(name)) for name in self._columns)

    def describe_columns(self) -> dict[str, str]:
        """Name → type of each column, such as ``float32[3]``, ``str``, ``ragged int64``."""
        return {name: describe(self._column(name)) for name in self._names()}

    @overload
    def __getitem__(self, index: str) -> Any: ...
    @overload
    def __getitem__(self, index: object) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        """A column by its name, columns by a list of names, rows by anything else (see `rows.resolve`).

        Returns:
            A tensor, NestedTensor or Series for a name; else a table, even for one row. Slices share memory; other
            row selections are gathered column by column when first touched, from what the column holds then:
            call `touch` before you change the source's tensors in place.

        Raises:
            ColumnNotFound: If there is no such column.
            RowNotFound: If a row number lies beyond the table.
        """
        if isinstance(index, str):
            return self._public(index)
        if isinstance(index, slice):
            return self._rows(row_numbers.resolve(index, self._length))
        if row_numbers.is_names(index):
            return self._view({name: self._slot(name) for name in index}, self._length)
        return self._rows(row_numbers.resolve(index, self._length))

    def _slot(self, name: str) -> Any:
        if name not in self._columns:
            raise self._absent(name)
        return self._columns[name]

    def _view(self, columns: dict[str, Any], length: int) -> Self:
        return self._share(columns, length, type(self))

    def _share(self, columns: dict[str, Any], length: int, kind: type[T]) -> T:
        """A table on the same memory; it is told before rows are written in place."""
        if self._readers is None:
            self._readers = WeakValueDictionary()
        table = kind._new(columns, length)
        table._join_readers(self._readers)
        return table

    def _join_readers(self, readers: "WeakValueDictionary[int, Table]") -> None:
        self._readers = readers
        if any(type(slot) is Gather for slot in self._columns.values()):
            readers[id(self)] = self

    def _resemble(self, other: "Table") -> None:
        """Become a table of the same columns on the same memory; what waits goes on waiting."""
        if other._readers is None:
            other._readers = WeakValueDictionary()
        self._columns = {name: other._columns[name] for name in other._names()}
        self._length, self._cursor, self._tails = other._length, 0, dict(other._tails)
        self._join_readers(other._readers)

    def _rows(self, rows: row_numbers.Rows) -> Self:
        if isinstance(rows, torch.Tensor):
            return self._view(self._gathers(rows), int(rows.shape[0]))
        cut = slice(rows, rows + 1) if isinstance(rows, int) else rows
        columns = {}
        for name, slot in self._columns.items():
            column = self._column(name) if isinstance(slot, Lazy) else slot
            columns[name] = select(column, cut) if isinstance(column, Ragged) else column[cut]
        if self._readers is None:
            self._readers = WeakValueDictionary()
        return self._new(columns, row_numbers.count(rows), self._readers)

    def _gathers(self, index: torch.Tensor) -> dict[str, Any]:
        # Rows of rows that still wait are picked from the source at once.
        chained: dict[int, torch.Tensor] = {}
        columns: dict[str, Any] = {}
        for name, slot in self._columns.items():
            if isinstance(slot, Gather) and slot.waiting:
                key = id(slot.index)
                if key not in chained:
                    chained[key] = slot.index.index_select(0, index)
                columns[name] = Gather(slot.source, chained[key])
            else:
                columns[name] = Gather(slot, index)
        return columns

    def touch(self) -> Self:
        """Gather every column that still waits; returns self."""
        for name in self._columns:
            self._column(name)
        return self

    def _settle(self) -> None:
        """Before rows are written in place: let every selection of this memory take what it saw."""
        for reader in list((self._readers or {}).values()):
            reader.touch()

    def __iter__(self) -> Iterator[Self]:
        return (self._rows(row) for row in range(self._length))

    def __next__(self) -> Self:
        if self._cursor >= self._length:
            raise StopIteration
        self._cursor += 1
        return self._rows(self._cursor - 1)

    def reset(self) -> Self:
        """Let `next` start from the first row again; returns self."""
        self._cursor = 0
        return self

    def __eq__(self, other: object) -> bool:
        """Equal names, sides, dtypes and values; the order of columns does not matter."""
        if not isinstance(other, Table):
            return False
        if self._length != other._length or self._columns.keys() != other._columns.keys():
            return False
        return all(same(self._column(name), other._column(name)) for name in self._columns)

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        table = self._view(dict(self._columns), self._length)
        table._tails, table._cursor = dict(self._tails), self._cursor
        return table

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        table = self._new({name: _own(self._column(name), memo) for name in self._columns}, self._length)
        table._cursor = self._cursor
        return table

    def __reduce__(self) -> tuple[Any, tuple[type, dict[str, Any], int]]:
        # A view would take its whole storage along.
        columns = {name: _compact(self._column(name)) for name in self._columns}
        return _rebuild, (type(self), columns, self._length)

    def _check_names(self, names: Iterable[str]) -> list[str]:
        wanted = [names] if isinstance(names, str) else list(names)
        for name in wanted:
            self._slot(name)
        return wanted


# Every slice makes a table: this passes by the `__setattr__` of Message, which is Python.
_set_columns, _set_length, _set_cursor, _set_tails, _set_readers = (
    vars(Table)[name].__set__ for name in ("_columns", "_length", "_cursor", "_tails", "_readers")
)


def checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise SchemaError(f"column names must be strings, but got {name!r}. Use `frame.rename(columns=str)`.")
    return name


def _rebuild(kind: type[Table], columns: dict[str, Any], length: int) -> Table:
    return kind._new(columns, length)


def _compact(column: Any) -> Any:
    if isinstance(column, torch.Tensor) and column.untyped_storage().nbytes() > column.nbytes:
        return column.detach().clone().requires_grad_(column.requires_grad)
    return column


def _own(column: Any, memo: dict[int, Any]) -> Any:
    if isinstance(column, torch.Tensor):
        return column.detach().clone().requires_grad_(column.requires_grad)
    if isinstance(column, Ragged):
        return Ragged(column.values.detach().clone(), column.offsets.clone())
    import copy

    return copy.deepcopy(column, memo)
