"""Every kind of column a file can hold, and the refusal of all others.

Comes in: columns and layouts. Goes out: the kind that stores them, to `writing` and `reading`.
"""

from numbers import Number
from typing import Any

import numpy as np

from ...errors import FormatError, UnsupportedColumn
from .array_kinds import ArrayKind, BitsKind, MaskedKind, ZonedKind
from .columns import describe
from .kind import Decoder, Encoded, Kind
from .layout import ColumnLayout
from .ragged import Ragged
from .tensor_kinds import RaggedKind, TensorKind
from .text_kinds import BytesKind, CategoryKind, TextKind, cell_type

__all__ = ["check_column", "decode", "encode", "typed"]

_ORDER: tuple[Kind, ...] = (
    TensorKind(),
    RaggedKind(),
    ArrayKind(),
    BitsKind(),
    MaskedKind(),
    ZonedKind(),
    BytesKind(),
    TextKind(),
    CategoryKind(),
)
_MADE_BY = {
    "boolean": "m[{name}].astype('boolean')",
    "integer": "m[{name}].astype('Int64')",
    "integer-na": "m[{name}].astype('Int64')",
    "floating": "m[{name}].astype('Float64')",
    "mixed-integer-float": "m[{name}].astype('Float64')",
    "decimal": "m[{name}].astype('float64')",
    "date": "pandas.to_datetime(m[{name}])",
    "datetime": "pandas.to_datetime(m[{name}])",
    "datetime64": "pandas.to_datetime(m[{name}])",
    "timedelta": "pandas.to_timedelta(m[{name}]).dt.total_seconds()",
    "timedelta64": "pandas.to_timedelta(m[{name}]).dt.total_seconds()",
}
"""What an object array may hold, in pandas' words, and what makes a column of it that can be stored."""
_KINDS = {kind.name: kind for kind in _ORDER}


def encode(name: str, column: Any) -> Encoded:
    """The column as buffers.

    Raises:
        UnsupportedColumn: If the format has no place for it, with a remedy.
    """
    for kind in _ORDER:
        if kind.accepts(column):
            return kind.encode(name, column)
    raise _refused(name, column)


def typed(name: str, column: Any) -> tuple[str, Any]:
    """The type that a table gives the column, and the column as that type: text in object arrays becomes ``str``.

    So does an object array of missing cells only: what its neighbours hold can't be known, and is text more often than
    bytes.

    Raises:
        UnsupportedColumn: If the format has no place for it.
    """
    if not isinstance(column, np.ndarray) or column.dtype != object:
        encode(name, column[:0] if not isinstance(column, Ragged) else column.slice(0, 0))
        return describe(column), column
    kind = cell_type(column)
    if kind == "bytes":
        return "bytes", column
    if kind not in ("string", "empty"):
        raise _refused(name, column)
    import pandas as pd

    return "str", pd.array(column, dtype="str")


def _refused(name: str, column: Any) -> UnsupportedColumn:
    return UnsupportedColumn(
        f"a Message file cannot hold column {name!r} of {describe(column)}. {_remedy(repr(name), column)}"
    )


def _remedy(name: str, column: Any) -> str:
    text = str(column.dtype)
    if text == "object":
        return _remedy_of_cells(name, column)
    for mark, remedy in (
        ("timedelta", "Store `.dt.total_seconds()`."),
        ("complex", "Store real and imaginary parts as two columns."),
        ("pyarrow", "Use `.convert_dtypes(dtype_backend='numpy_nullable')`."),
        ("period", "Use `.dt.to_timestamp()`."),
        ("Sparse", "Use `.sparse.to_dense()`."),
    ):
        if mark in text:
            return remedy
    return "Use `.astype('str')`, or a number type."


def _remedy_of_cells(name: str, column: Any) -> str:
    """What to make of an object array, by what it holds."""
    lists = [cell for cell in column if isinstance(cell, list | tuple) or np.ndim(cell)]
    if lists:
        items = [item for cell in lists for item in cell]
        if items and all(isinstance(item, Number) for item in items):
            return (
                f"Its cells are lists of numbers: make them a tensor with `m.to_tensors({name})`, or, if they "
                "differ in length, a jagged NestedTensor."
            )
        return (
            f"Its cells are lists, for which there is no type yet: drop it with `del m[{name}]`, or join each to text "
            f"with `m[{name}] = [' '.join(map(str, cell)) for cell in m[{name}]]`."
        )
    kind = cell_type(column)
    made = _MADE_BY.get(kind, "m[{name}].astype('str')").format(name=name)
    return f"Its cells are {kind}: convert them with `m[{name}] = {made}`, or drop it with `del m[{name}]`."


def check_column(layout: ColumnLayout) -> None:
    """Refuse a column of unknown kind, or whose buffers are not what its type, shape and rows need."""
    kind = _KINDS.get(layout.kind)
    if kind is None:
        raise FormatError(f"a column's kind must be one of {sorted(_KINDS)}, but {layout.name!r} has {layout.kind!r}.")
    kind.check(layout)


def decode(layout: ColumnLayout, start: int, stop: int) -> Decoder:
    """Rows start…stop of a checked layout."""
    return _KINDS[layout.kind].decode(layout, start, stop)
