"""Message: a table whose columns are torch tensors, or anything pandas can hold.

Comes in: mappings, DataFrames, files (`reading`). Goes out: what every Pipe passes on; files (`writing`).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

import numpy as np
import torch

from ...errors import SchemaError, UnsupportedColumn
from . import joining
from .columns import as_column, cells, describe, is_tensor, to_device
from .converting import as_array, as_tensor, converted
from .editing import Editing
from .frames import Frames
from .lazy import peek
from .printing import as_html, as_text
from .ragged import Ragged
from .table import checked_name, compute_length

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Message", "TensorMessage"]


class Message(Editing, Frames):
    """An ordered table: tensor columns on one side, numpy and pandas columns on the other, rows 0…n-1, no index.

    ``Message(mapping)`` parts its values: tensors to the tensor side, the rest to the other. ``Message(tensors, df)``
    says which is which: everything in the first is made a tensor (float32 unless it is one), everything in the second
    an array. Either may be None, a Message, a mapping or a DataFrame. A side without rows is left out if the other
    has rows. Nothing is copied.

    Args:
        metadata: Accepted, ignored.
        length: Accepted, ignored: columns know their length.
        tensors: Replaces the first.
        df: Replaces the second.

    Raises:
        SchemaError: If columns differ in length, or one name is on both sides.
        UnsupportedColumn: If a value cannot be a column, or no tensor where one is asked for.

    >>> Message({"name": ["a", "b"], "x": torch.ones(2, 3)})[1]["x"]
    tensor([[1., 1., 1.]])
    """

    __slots__ = ()

    def __init__(
        self, *args: Any, metadata: Any = None, length: int | None = None, tensors: Any = None, df: Any = None
    ) -> None:
        if len(args) > 2:
            raise SchemaError(f"a Message takes up to two tables, tensors and df, but got {len(args)}. Merge them.")
        if len(args) == 1 and isinstance(args[0], Message) and tensors is None and df is None:
            self._resemble(args[0])
            return
        left, right = self._sides(args)
        if tensors is not None:
            left = _tensor_side(tensors)
        if df is not None:
            right = _array_side(df)
        both = sorted(left.keys() & right.keys())
        if both:
            raise SchemaError(f"a column must be on one side, but {both} are in tensors and df. Drop or rename one.")
        self._columns = _agreed(right, left)
        self._length = compute_length(self._columns)
        self._cursor, self._tails, self._readers = 0, {}, None

    def _sides(self, args: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
        if len(args) == 2:
            return _tensor_side(args[0]), _array_side(args[1])
        if not args or args[0] is None:
            return {}, {}
        table = args[0]
        if isinstance(table, Message):
            parted = table._parted()
        else:
            columns = {name: self._coerce(name, new, n) for name, new, n in _entries(table)}
            parted = _part(columns, order=True)
        return parted

    def _parted(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return _part({name: self._column(name) for name in self._columns})

    @classmethod
    def from_objects(cls, *args: Any, **sides: Any) -> Self:
        """One row: a tensor gains a leading axis of 1, anything else becomes one cell (a list stays a list).

        Takes what the constructor takes; of a Message or DataFrame each whole column. Tensors share their storage.
        """
        named = dict(zip(("tensors", "df"), args, strict=False)) if len(args) == 2 else {}
        tables = {side: _row(table) for side, table in {**named, **sides}.items() if side in ("tensors", "df")}
        return cls(_row(args[0]), **tables) if len(args) == 1 else cls(**tables)

    # Both sides

    @property
    def df(self) -> "DataFrame":
        """The array columns as a DataFrame on the same memory; adding a column to it does not alter the Message."""
        import pandas as pd

        names = [name for name in self._names() if not self._on_tensor_side(name)]
        columns = {name: self._column(name) for name in names}
        index = pd.RangeIndex(self._length if names else 0)
        return pd.DataFrame(columns, index=index, columns=pd.Index(names, dtype="str"), copy=False)

    @property
    def tensor_message(self) -> "TensorMessage":
        """The tensor columns; same storage."""
        tensors = self._parted()[0]
        return TensorMessage._new(tensors, self._length if tensors else 0)

    def tensors(self, keys: str | Iterable[str] | None = None) -> "Message":
        """Without `keys` the tensor columns as they are, else a Message of those columns as tensors."""
        if keys is None:
            return self.tensor_message
        names = self._check_names(keys)
        return Message._new({name: as_tensor(self._column(name), name) for name in names}, self._length)

    def to_tensors(self, keys: str | Iterable[str] | None = None) -> Self:
        """Make columns tensors (float32), in place; all array columns by default. Returns self.

        Raises:
            UnsupportedColumn: If a column holds no numbers; then nothing has changed.
        """
        names = self._names() if keys is None else self._check_names(keys)
        tensors = {name: as_tensor(self._column(name), name) for name in names}
        for name, column in tensors.items():
            self._put(name, column)
        return self

    def dataframe(self, keys: str | Iterable[str] | None = None) -> "DataFrame":
        """Without `keys` the array columns (`df`), else a DataFrame of those columns, tensors converted."""
        return self.df if keys is None else self[self._check_names(keys)].to_dataframe().df

    def to_dataframe(self, keys: str | Iterable[str] | None = None) -> "Message":
        """A new Message with tensor columns made arrays: copies, from any device, detached.

        Tensors of two or more dimensions become cells holding nested lists.
        """
        names = set(self._columns if keys is None else self._check_names(keys))
        columns = {
            name: as_array(self._column(name)) if name in names else self._column(name) for name in self._names()
        }
        return Message._new(columns, self._length)

    # Whole tables

    def append(self, other: Any) -> Self:
        """A new Message with the rows of `other` (anything `Message()` takes) after these, which do not change.

        Array columns are united, missing values NaN; tensor columns must be in both. Rows take the dtype of the column
        they join. Of what that cannot hold, lists and arrays are refused by a tensor column, tensors promote it as in
        `torch.cat`, and array columns are promoted as by `pandas.concat`. Amortised constant time per row:
        ``m = m.append(row)`` in a loop is fine.

        Raises:
            SchemaError: If a tensor column is in one of the two only.
            UnsupportedColumn: If a tensor column of integers or booleans would lose a number.
        """
        return joining.append(self, self._joining(other))

    def merge(self, other: Any) -> Self:
        """A new Message with both sets of columns; where names clash `other` wins.

        Raises:
            SchemaError: If the lengths differ and neither is empty.
        """
        return joining.merge_two(self, self._wrap(other))

    def map(self, functions: "Callable[[Any], Any] | Mapping[str, Callable[[Any], Any]]") -> Self:
        """A new Message: `functions` applied to every column, or by name; others stay. They get a tensor or Series."""
        mapping = functions if isinstance(functions, Mapping) else dict.fromkeys(self._names(), functions)
        columns = {
            name: self._coerce(name, mapping[name](self._public(name)), self._length)
            if name in mapping
            else self._column(name)
            for name in self._names()
        }
        return self._new(columns, compute_length(columns))

    def permute(self, index: object) -> Self:
        """The rows in the order of `index`: the same as ``m[index]``."""
        return self[index]

    def cpu(self, keys: str | Iterable[str] | None = None) -> Self:
        """Move tensor columns to the CPU, in place; returns self."""
        return self._move("cpu", keys)

    def cuda(
        self, device: int | str = 0, keys: str | Iterable[str] | None = None, *, device_num: int | None = None
    ) -> Self:
        """Move tensor columns to a GPU, in place; returns self. `device_num` is another name of `device`."""
        chosen = device if device_num is None else device_num
        return self._move(f"cuda:{chosen}" if isinstance(chosen, int) else chosen, keys)

    def _move(self, device: str, keys: str | Iterable[str] | None) -> Self:
        for name in list(self._columns) if keys is None else self._check_names(keys):
            self._put(name, to_device(self._column(name), device))
        return self

    def enable_gradients(self, columns: str | Iterable[str] | None = None) -> Self:
        """Set ``requires_grad`` on tensor columns, in place; on all floating ones by default. Returns self.

        Raises:
            UnsupportedColumn: If a column that is named holds no floats; then nothing has changed.
        """
        tensors = {}
        for name in list(self._columns) if columns is None else self._check_names(columns):
            column = self._column(name)
            tensor = _values(column)
            if isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.is_complex()):
                tensors[name] = tensor
            elif columns is not None:
                remedy = f"m[{name!r}] = m[{name!r}].float()" if is_tensor(column) else f"m.to_tensors({name!r})"
                raise UnsupportedColumn(
                    f"gradients need a tensor of floats, but column {name!r} is {describe(column)}. Use `{remedy}`."
                )
        for name, tensor in tensors.items():
            tensor.requires_grad_(True)
            self._tails.pop(name, None)
        return self

    def save(self, target: "str | Path | BinaryIO") -> None:
        """Write both sides to one file (see `writing.write_message`); a path is replaced only when all is written."""
        from .writing import write_message

        write_message(self, target)

    @classmethod
    def load(cls, source: "str | Path | bytes | BinaryIO") -> "Message":
        """Read what `save` wrote; a buffer is read from its start."""
        from .reading import read_message

        return read_message(source)

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def _wrap(self, other: Any) -> "Message":
        return other if self._is_alike(other) else Message(other)

    def _is_alike(self, other: Any) -> bool:
        return isinstance(other, Message)

    def _joining(self, other: Any) -> "Message":
        """`other` as rows that are to join these: values for a tensor column become a tensor of its dtype."""
        if self._is_alike(other):
            return cast("Message", other)
        entries = {name: self._joining_column(name, new, n) for name, new, n in _entries(other)}
        return self._wrap(entries)

    def _joining_column(self, name: Any, new: Any, n: int | None) -> Any:
        like = peek(self._columns[name]) if name in self else None
        if not is_tensor(like):
            return new
        return as_tensor(new, name, n, _values(like).dtype)


class TensorMessage(Message):
    """A Message of tensors only: whatever enters becomes one (float32 unless it is a tensor).

    Args:
        message_dict: Mapping, Message or DataFrame; numbers and 0-d tensors become columns of length 1.
        map_dict: Name → dtype, tensor type (``torch.LongTensor``) or function, applied on the way in.

    Raises:
        UnsupportedColumn: If values are no numbers, naming the column.
    """

    __slots__ = ()

    def __init__(self, message_dict: Any = None, map_dict: Mapping[str, Any] | None = None) -> None:
        if map_dict:
            entries = {name: new for name, new, _ in _entries(message_dict)}
            message_dict = {
                name: converted(new, name, map_dict[name]) if name in map_dict else new for name, new in entries.items()
            }
        super().__init__(message_dict, None)

    @property
    def tensor_message(self) -> "TensorMessage":
        """Itself."""
        return self

    def _coerce(self, name: Any, new: Any, n: int | None = None) -> Any:
        return as_tensor(new, checked_name(name), n)

    def _wrap(self, other: Any) -> Message:
        return other if self._is_alike(other) else TensorMessage(other)

    def _is_alike(self, other: Any) -> bool:
        return isinstance(other, TensorMessage)


def _entries(table: Any) -> list[tuple[Any, Any, int | None]]:
    """Name, value, and the rows that a scalar is repeated for."""
    if table is None:
        return []
    if isinstance(table, Message):
        return [(name, table._column(name), None) for name in table._names()]
    if not (hasattr(table, "items") and hasattr(table, "keys")):
        raise SchemaError(
            f"a Message is made of mappings, DataFrames or Messages, but got {type(table).__name__}. "
            "Give columns by name: `Message({'x': values})`."
        )
    entries = list(table.items())
    names = [name for name, _ in entries]
    if len(set(names)) < len(names):
        raise SchemaError(f"column names must be unique, but got {names}. Rename the repeated ones.")
    n = next((rows for _, new in entries if (rows := _n_rows(new)) is not None), None)
    return [(name, new, n) for name, new in entries]


def _n_rows(new: Any) -> int | None:
    """How many rows a column made of it will have; None of a scalar, and of what must be iterated to know."""
    if isinstance(new, torch.Tensor):
        return new.size(0) if new.ndim else None
    if isinstance(new, str | bytes) or getattr(new, "ndim", 1) == 0 or not hasattr(new, "__len__"):
        return None
    return len(new)


def _tensor_side(table: Any) -> dict[str, Any]:
    return {name: as_tensor(new, checked_name(name), n) for name, new, n in _entries(table)}


def _array_side(table: Any) -> dict[str, Any]:
    arrays = {name: as_array(as_column(new, checked_name(name), n)) for name, new, n in _entries(table)}
    return arrays if isinstance(table, Message) else {name: arrays[name] for name in sorted(arrays)}


def _values(column: Any) -> Any:
    return column.values if isinstance(column, Ragged) else column


def _part(columns: dict[str, Any], order: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensor columns and the others, these sorted by name if asked."""
    tensors = {name: column for name, column in columns.items() if is_tensor(column)}
    rest = [name for name in columns if name not in tensors]
    return tensors, {name: columns[name] for name in (sorted(rest) if order else rest)}


def _agreed(arrays: dict[str, Any], tensors: dict[str, Any]) -> dict[str, Any]:
    """Both sides in one; a side without rows is left out if the other has rows."""
    if arrays and tensors:
        longest = {side: max(len(column) for column in table.values()) for side, table in ((0, arrays), (1, tensors))}
        if not longest[0] and longest[1]:
            return tensors
        if longest[0] and not longest[1]:
            return arrays
    return {**arrays, **tensors}


def _row(table: Any) -> Any:
    """The mapping with each value made a column of one row."""
    if table is None:
        return table
    row: dict[Any, Any] = {}
    for name, item in table.items():
        if isinstance(item, torch.Tensor) and not item.is_nested:
            row[name] = item.unsqueeze(0)
        elif isinstance(item, bool | int | float | complex | str | np.generic):
            row[name] = [item]
        else:
            row[name] = cells([item])
    return row
