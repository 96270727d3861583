"""Putting Messages together: below each other, and side by side.

Comes in: two or more Messages. Goes out: one; `Message.append` and `Message.merge` call it.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from ...errors import SchemaError
from .columns import concat, is_tensor, ragged
from .fitting import fit, missing
from .lazy import Pieces, grow, peek
from .ragged import Ragged

if TYPE_CHECKING:
    from .message import Message
    from .table import Table

__all__ = ["append", "cat", "merge", "merge_two"]

M = TypeVar("M", bound="Message")


def append(first: M, second: "Message") -> M:
    """The rows of both; see `Message.append`."""
    if len(second) == 0:
        return first.__copy__()
    if len(first) == 0:
        return second._share(dict(second._columns), len(second), type(first))
    columns: dict[str, Any] = {}
    tails = dict(first._tails)
    for name in _united([first, second]):
        if name in first._columns and not isinstance(peek(first._columns[name]), torch.Tensor | np.ndarray):
            columns[name] = _linked(first, second, name)
            continue
        parts = _aligned([first, second], name)
        if _growable(parts):
            columns[name], tails[name] = grow(parts[0], tails.get(name), parts[1])
        else:
            columns[name] = concat(parts, name)
            tails.pop(name, None)
    joined = first._new(columns, len(first) + len(second))
    joined._tails = tails
    return joined


def _linked(first: "Table", second: "Table", name: str) -> Any:
    """Text, ragged rows and other pandas arrays have no spare room: they are linked, and joined when touched."""
    like = peek(first._columns[name])
    if not is_tensor(like):
        last = fit(second._column(name), like, name) if name in second._columns else missing(like, len(second))
    else:
        last = fit(second._column(name), like, name)
        Ragged.concat([ragged(part, name).slice(0, 0) for part in (like, last)], name)  # refuses other shapes now
    return Pieces(first._columns[name], last, name)


def _growable(parts: Sequence[Any]) -> bool:
    before, after = parts
    if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        alike = before.dtype == after.dtype and before.device == after.device and before.shape[1:] == after.shape[1:]
        return alike and not before.requires_grad and not after.requires_grad
    return isinstance(before, np.ndarray) and isinstance(after, np.ndarray) and before.dtype == after.dtype


def cat(messages: Iterable[Any]) -> "Message":
    """All rows in order, by the rules of `Message.append`; ``[]`` gives an empty Message.

    Raises:
        SchemaError: If a tensor column is not in all of them, or its rows differ in shape.
    """
    from .message import Message, TensorMessage

    tables = [message if isinstance(message, Message) else Message(message) for message in messages]
    filled = [table for table in tables if len(table)]
    if not filled:
        return tables[0].__copy__() if tables else Message()
    if len(filled) == 1:
        return filled[0].__copy__()
    columns = {name: concat(_aligned(filled, name), name) for name in _united(filled)}
    kind = TensorMessage if all(isinstance(table, TensorMessage) for table in filled) else Message
    return kind._new(columns, sum(len(table) for table in filled))


def _united(tables: Sequence["Table"]) -> list[str]:
    """Columns of the result; tensor columns must be in all tables."""
    first = tables[0]
    names = dict.fromkeys(first._names())
    for table in tables[1:]:
        if table._columns.keys() == first._columns.keys():
            continue
        names.update(dict.fromkeys(table._names()))
        for name in table._columns.keys() ^ first._columns.keys():
            owner = first if name in first._columns else table
            if owner._on_tensor_side(name):
                raise SchemaError(
                    f"tensor columns must be in all Messages that are joined, but {name!r} is in one only. "
                    "Set it in the others, delete it, or make it an array column with `to_dataframe`."
                )
    return list(names)


def _aligned(tables: Sequence["Table"], name: str) -> list[Any]:
    """The column of each table: on the side, and if possible of the dtype, of the first one; missing ones filled."""
    first = next(table for table in tables if name in table._columns)
    head = first._column(name)
    return [
        fit(table._column(name), head, name) if name in table._columns else missing(head, len(table))
        for table in tables
    ]


def merge_two(left: M, right: "Message") -> M:
    """Both sets of columns; see `Message.merge`."""
    if len(left) and len(right) and len(left) != len(right):
        raise SchemaError(
            f"Messages to merge must be equally long, but got left={len(left)}, right={len(right)}. Align their rows."
        )
    if len(left) != len(right):
        filled = left if len(left) else right
        return filled._share(dict(filled._columns), len(filled), type(left))
    merged = left.__copy__()
    for name in right._names():
        merged._put(name, merged._coerce(name, right._column(name)))
    merged._length = len(right)
    return merged


def merge(messages: "Iterable[Message]") -> "Message":
    """All columns side by side; where names clash the later one wins; ``[]`` gives an empty Message."""
    from .message import Message

    merged = Message()
    for message in messages:
        merged = merged.merge(message)
    return merged
