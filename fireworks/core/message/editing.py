"""Changing a Message: columns and rows set and deleted.

Comes in: assignments. Goes out: `Message` inherits it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import SchemaError
from . import rows as row_numbers
from .columns import assign, concat, is_tensor, select
from .fitting import fit
from .ragged import Ragged
from .table import Table

if TYPE_CHECKING:
    from .message import Message

__all__ = ["Editing"]


class Editing(Table):
    """Item assignment and deletion, and columns as attributes."""

    __slots__ = ()

    def _joining(self, other: Any) -> "Message":
        """Rows that are to join these."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        if name in self._columns:
            return self._public(name)
        raise AttributeError(
            f"a Message has its own methods and its columns as attributes, but no {name!r}. Its columns are "
            f"{list(self._columns)}; methods of a DataFrame are reached through `.df` or `.to_dataframe().df`."
        )

    def __setattr__(self, name: str, new: Any) -> None:
        try:
            object.__setattr__(self, name, new)
        except AttributeError:
            if hasattr(type(self), name):
                raise
            raise AttributeError(
                f"columns are set by their name in brackets, but got an attribute {name!r}. Use `m[{name!r}] = …`."
            ) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._columns]

    def __setitem__(self, index: Any, new: Any) -> None:
        """Set a column, several columns, or rows in place.

        A column given as a tensor goes to the tensor side, anything else to the other; a scalar is repeated; the name
        moves if it was on the other side. An empty Message takes the new column's length, and gives up columns without
        rows. Rows are anything `Message()` takes, with the same columns; values take each column's side and dtype, and
        floats its precision. An array column whose dtype cannot hold them is promoted, as by pandas.

        Raises:
            SchemaError: If lengths or columns differ, or no row is meant.
            UnsupportedColumn: If a tensor column of integers or booleans would lose a number.
            RowNotFound: If a row number lies beyond the table.
        """
        if isinstance(index, str):
            self._set_column(index, self._coerce(index, new, self._length or None))
        elif row_numbers.is_names(index):
            self._set_columns(list(index), new)
        else:
            self._set_rows(row_numbers.resolve(index, self._length), new)

    def _set_columns(self, names: list[str], new: Any) -> None:
        if not hasattr(new, "keys"):
            raise SchemaError(
                f"columns {names} are set from a mapping, but got {type(new).__name__}. Give one by name."
            )
        absent = [name for name in names if name not in new]
        if absent:
            raise SchemaError(f"columns {names} are set from a mapping of them, but it lacks {absent}. Add them.")
        columns = {name: self._coerce(name, new[name], self._length or None) for name in names}
        for name, column in columns.items():
            self._check_length(name, column)
        for name, column in columns.items():
            self._set_column(name, column)

    def _check_length(self, name: str, column: Any) -> None:
        if self._length and len(column) != self._length:
            raise SchemaError(
                f"column {name!r} must have the Message's {self._length} rows, but got {len(column)}. "
                "Cut or pad it, or make a new Message."
            )

    def _set_column(self, name: str, column: Any) -> None:
        self._check_length(name, column)
        if not self._length and len(column):
            self._columns.clear()
            self._tails.clear()
        self._length = len(column)
        self._put(name, column)

    def _put(self, name: str, column: Any) -> None:
        """Set a checked column. A name that changes sides becomes that side's last."""
        if name in self._columns and self._on_tensor_side(name) != is_tensor(column):
            del self._columns[name]
        self._tails.pop(name, None)
        self._columns[name] = column

    def _set_rows(self, rows: row_numbers.Rows, new: Any) -> None:
        n = row_numbers.count(rows)
        if n == 0:
            raise SchemaError("rows to set must be at least one, but the index names none. Check it before.")
        table = self._joining(new)
        if table._columns.keys() != self._columns.keys():
            raise SchemaError(
                f"rows must have the Message's columns {self._names()}, but got {table._names()}. Add or drop columns."
            )
        if len(table) != n:
            raise SchemaError(f"the index names {n} rows, but got {len(table)}. Give as many rows.")
        fresh = {name: self._like(name, table._column(name)) for name in self._columns}
        self._settle()
        for name, part in fresh.items():
            self._write(name, rows, part)

    def _like(self, name: str, part: Any) -> Any:
        """Rows to write, of the type and with the row shape of the column they go to."""
        column = self._column(name)
        rows = fit(part, column, name, rounds=True)
        if isinstance(column, torch.Tensor):
            if isinstance(rows, Ragged) or rows.shape[1:] != column.shape[1:]:
                got = "ragged rows" if isinstance(rows, Ragged) else tuple(rows.shape[1:])
                raise SchemaError(
                    f"rows of {name!r} must have shape {tuple(column.shape[1:])}, but got {got}. Reshape."
                )
        elif isinstance(column, Ragged) and not isinstance(rows, Ragged):
            raise SchemaError(
                f"rows of {name!r} must be ragged, but got a plain tensor. Make it a jagged NestedTensor."
            )
        return rows

    def _write(self, name: str, rows: row_numbers.Rows, part: Any) -> None:
        column = self._column(name)
        if name in self._tails:
            # The buffer is shared with the Messages this one grew from.
            column = column.clone() if isinstance(column, torch.Tensor) else column.copy()
        if isinstance(column, torch.Tensor):
            if part.untyped_storage().data_ptr() == column.untyped_storage().data_ptr():
                part = part.clone()  # rows of this Message: torch refuses to copy onto what it reads
            assign(column, rows, part.to(column.device))
        elif isinstance(column, np.ndarray) and isinstance(part, np.ndarray) and part.dtype == column.dtype:
            column = column if column.flags.writeable else column.copy()
            assign(column, rows, part)
        else:
            # Text, categories, ragged rows and promoted columns need another memory layout.
            order = torch.arange(self._length)
            order[row_numbers.numbers(rows)] = torch.arange(self._length, self._length + len(part))
            column = select(concat([column, part], name), order)
        self._tails.pop(name, None)
        self._columns[name] = column

    def __delitem__(self, index: Any) -> None:
        """Delete a column, several columns, or rows.

        Raises:
            ColumnNotFound: If there is no such column.
            RowNotFound: If a row number lies beyond the table.
        """
        if isinstance(index, str) or row_numbers.is_names(index):
            self._delete_columns(self._check_names(index))
            return
        doomed = row_numbers.resolve(index, self._length)
        if row_numbers.count(doomed) == 0:
            return
        keep = torch.ones(self._length, dtype=torch.bool)
        keep[row_numbers.numbers(doomed)] = False
        order = keep.nonzero().squeeze(1)
        self._columns = {name: select(self._column(name), order) for name in self._columns}
        self._length = int(order.shape[0])
        self._tails.clear()

    def _delete_columns(self, names: Iterable[str]) -> None:
        for name in names:
            self._columns.pop(name, None)
            self._tails.pop(name, None)
        if not self._columns:
            self._length = 0
