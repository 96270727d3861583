"""Columns: a tensor, a ragged column, a numpy array or a pandas extension array, and what a table does with each.

Comes in: whatever a user assigns. Goes out: the columns a `Message` holds; `encoding` writes them to a file.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt
import torch

from ...errors import SchemaError, UnsupportedColumn
from .ragged import Ragged
from .rows import Rows

if TYPE_CHECKING:
    from pandas import Categorical, Series

__all__ = [
    "Array",
    "Column",
    "as_column",
    "assign",
    "cells",
    "concat",
    "describe",
    "empty",
    "is_tensor",
    "public",
    "ragged",
    "same",
    "select",
    "size_bytes",
    "to_device",
]

Array = npt.NDArray[Any]
Column = Any
"""A `torch.Tensor` (n, …), a `Ragged`, a numpy array (n,) or a pandas ExtensionArray."""

# Torch has few kernels for these: rows are moved as signed integers of the same width.
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
_LARGE_BYTES = 1 << 20
_FINER_UNITS = ("ps", "fs", "as")
_UNITS = ("s", "ms", "us", "ns")


def is_tensor(column: Any) -> "TypeGuard[torch.Tensor | Ragged]":
    """Whether the column is on the tensor side of a Message."""
    return isinstance(column, (torch.Tensor, Ragged))


def as_column(value: Any, name: str, n: int | None = None) -> Any:
    """Make a column of anything a user may assign.

    Args:
        value: A tensor (n, …), a jagged NestedTensor, a one-dimensional array, Series or list; or one scalar.
        n: Rows that a scalar is repeated for; once if None.

    Raises:
        UnsupportedColumn: If it is a sparse tensor, a mapping, a structured array, or times finer than nanoseconds.
        SchemaError: If it is an array of several dimensions.
    """
    if isinstance(value, torch.Tensor):
        return _tensor(value, name, n)
    if isinstance(value, Ragged):
        return value
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "biufcmMOSV":
        return _array(value, name)
    if hasattr(value, "keys") and not hasattr(value, "array"):
        raise UnsupportedColumn(
            f"a column must be a tensor, array, Series or list, but {name!r} is a {type(value).__name__}. "
            "Store objects in cells with `Message.from_objects`."
        )
    return _pandas(value, name, n)


def _tensor(value: torch.Tensor, name: str, n: int | None) -> Any:
    if value.is_nested:
        return Ragged.from_nested(value, name)
    if value.layout != torch.strided:
        raise UnsupportedColumn(f"a column must be dense, but {name!r} is {value.layout}. Use `.to_dense()`.")
    if value.ndim == 0:
        return value.unsqueeze(0).expand(1 if n is None else n).clone()
    return value


def _array(value: Array, name: str) -> Array:
    if value.ndim > 1:
        raise SchemaError(
            f"an array column must have one dimension, but {name!r} has shape {value.shape}. "
            "Make it a tensor: `torch.from_numpy(array)`."
        )
    kind = value.dtype.kind
    if kind == "V":
        raise UnsupportedColumn(
            f"a column must have one value a row, but {name!r} is a structured array of {value.dtype}. "
            "Make columns of its fields: `pandas.DataFrame(array)`."
        )
    if kind == "S":
        return value.astype(object)
    if kind in "mM":
        return value.astype(f"{kind}8[{_unit(value.dtype, name)}]", copy=False)
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))


def _unit(dtype: "np.dtype[Any]", name: str) -> str:
    """The unit to keep times in: pandas knows none that is coarser than seconds."""
    unit = np.datetime_data(dtype)[0]
    if unit in _FINER_UNITS:
        raise UnsupportedColumn(
            f"times must be kept in s, ms, us or ns, but {name!r} is {dtype}. Round them: `.astype('datetime64[ns]')`."
        )
    return unit if unit in _UNITS else "s"


def _pandas(value: Any, name: str, n: int | None) -> Any:
    import pandas as pd

    if isinstance(value, pd.MultiIndex):
        raise UnsupportedColumn(f"a column must have one level, but {name!r} is a MultiIndex. Use `.to_frame()`.")
    if isinstance(value, (pd.Series, pd.Index)):
        value = value.array
    elif not isinstance(value, pd.api.extensions.ExtensionArray):
        value = _series(value, name, n).array
    if isinstance(value, pd.Categorical) and value.categories.dtype == object:
        return _with_text_categories(value)
    # Sparse, period and interval arrays stay as they are; numpy's own dtypes are unwrapped.
    if type(value) is pd.arrays.NumpyExtensionArray or isinstance(value.dtype, np.dtype):
        return _array(np.asarray(value), name)
    return value


def _with_text_categories(column: "Categorical") -> "Categorical":
    """Categories that are text as ``str``, which is what a file gives back."""
    import pandas as pd

    if pd.api.types.infer_dtype(column.categories) not in ("string", "empty"):
        return column
    dtype = pd.CategoricalDtype(column.categories.astype("str"), ordered=column.ordered)
    return pd.Categorical.from_codes(column.codes, dtype=dtype)


def _series(value: Any, name: str, n: int | None) -> "Series[Any]":
    import pandas as pd

    if isinstance(value, (str, bytes)) or (not hasattr(value, "__iter__") and np.ndim(_probe(value)) == 0):
        return pd.Series([value] * (1 if n is None else n))
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return pd.Series([value.item()] * (1 if n is None else n))
        return pd.Series(value if value.ndim == 1 else _array(value, name))
    items = list(value)
    if items and isinstance(items[0], torch.Tensor) and all(isinstance(item, torch.Tensor) for item in items):
        return pd.Series(cells(items))
    try:
        return pd.Series(items)
    except UnicodeEncodeError:  # pandas keeps text as UTF-8, which has no lone surrogates
        return pd.Series(items, dtype=object)


def _probe(value: Any) -> Any:
    return 0 if not hasattr(value, "__array__") else value


def cells(items: Sequence[Any]) -> Array:
    """An object array (n,) with one item a cell, whatever the items are."""
    array = np.empty(len(items), dtype=object)
    for row, item in enumerate(items):
        array[row] = item
    return array


def select(column: Any, rows: Rows) -> Any:
    """Rows of a column: views for an int or a slice, gathered for row numbers."""
    if isinstance(rows, torch.Tensor):
        return _take(column, rows)
    cut = slice(rows, rows + 1) if isinstance(rows, int) else rows
    if not isinstance(column, Ragged):
        return column[cut]
    if cut.step in (None, 1):
        return column.slice(cut.start, cut.stop)
    return column.take(torch.arange(cut.start, cut.stop, cut.step))


def _take(column: Any, index: torch.Tensor) -> Any:
    if isinstance(column, Ragged):
        return column.take(index)
    if not isinstance(column, torch.Tensor):
        return column.take(index.numpy())
    if column.is_cuda:
        index = index.to(column.device)
    taken = _signed(column).index_select(0, index)
    return taken if taken.dtype == column.dtype else taken.view(column.dtype)


def assign(column: "torch.Tensor | Array", rows: Rows, part: Any) -> None:
    """Set rows of a tensor or numpy array, in place, to a part of the same dtype and row shape."""
    place: Any = slice(rows, rows + 1) if isinstance(rows, int) else rows
    if isinstance(column, torch.Tensor):
        _signed(column)[place] = _signed(part)
    else:
        column[place.numpy() if isinstance(place, torch.Tensor) else place] = part


def _signed(tensor: torch.Tensor) -> torch.Tensor:
    signed = _SIGNED.get(tensor.dtype)
    return tensor if signed is None else tensor.view(signed)


def concat(parts: Sequence[Any], name: str) -> Any:
    """All rows of all parts, in order; the parts are of one side.

    Raises:
        SchemaError: If the trailing shapes of tensors differ, or some are ragged and some are not.
    """
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, torch.Tensor) for part in parts):
        return _concat_tensors(parts, name)
    if any(is_tensor(part) for part in parts):
        return Ragged.concat([ragged(part, name) for part in parts], name)
    if all(isinstance(part, np.ndarray) and part.dtype == parts[0].dtype for part in parts):
        return np.concatenate(parts)
    if all(not isinstance(part, np.ndarray) and part.dtype == parts[0].dtype for part in parts):
        return parts[0]._concat_same_type(parts)  # pandas' own interface for extension arrays
    import pandas as pd

    return as_column(pd.concat([pd.Series(part, copy=False) for part in parts], ignore_index=True), name)


def ragged(column: Any, name: str) -> Ragged:
    """The column, if its rows are ragged as those it is joined with.

    Raises:
        SchemaError: If they are not.
    """
    if not isinstance(column, Ragged):
        raise SchemaError(f"column {name!r} must be ragged in all Messages or in none. Make it a jagged NestedTensor.")
    return column


def _concat_tensors(parts: Sequence[torch.Tensor], name: str) -> torch.Tensor:
    first = parts[0]
    if any(part.shape[1:] != first.shape[1:] for part in parts):
        shapes = sorted({tuple(part.shape[1:]) for part in parts})
        raise SchemaError(f"rows of tensor column {name!r} must have one shape, but got {shapes}. Reshape or pad them.")
    alike = all(part.dtype == first.dtype and part.device == first.device for part in parts)
    if not alike or first.is_cuda or any(part.requires_grad for part in parts):
        _check_promotable({part.dtype for part in parts}, name)
        return torch.cat([part.to(first.device) for part in parts])
    signed = [_signed(part) for part in parts]
    out = empty((sum(part.shape[0] for part in parts), *first.shape[1:]), signed[0].dtype)
    torch.cat(signed, out=out)
    return out if out.dtype == first.dtype else out.view(first.dtype)


def _check_promotable(dtypes: set[torch.dtype], name: str) -> None:
    try:
        reduce(torch.promote_types, dtypes)
    except RuntimeError as error:
        raise SchemaError(
            f"rows of tensor column {name!r} must have one dtype, or those that torch can promote, but got "
            f"{sorted(map(str, dtypes))}. Convert them with `.to`."
        ) from error


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """An uninitialised CPU tensor. A large one comes from Arrow's pool, which keeps its pages instead of faulting."""
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size < _LARGE_BYTES:
        return torch.empty(shape, dtype=dtype)
    import pyarrow as pa

    return torch.frombuffer(pa.allocate_buffer(size), dtype=torch.uint8).view(dtype).view(shape)


def same(left: Any, right: Any) -> bool:
    """Whether two columns have the same side, dtype and values. NaN equals NaN in arrays, not in tensors."""
    if isinstance(left, Ragged) or isinstance(right, Ragged):
        return isinstance(left, Ragged) and isinstance(right, Ragged) and left.equals(right)
    if isinstance(left, torch.Tensor) != isinstance(right, torch.Tensor):
        return False
    if isinstance(left, torch.Tensor):
        if left.dtype != right.dtype or left.shape != right.shape:
            return False
        return torch.equal(_signed(left), _signed(right.to(left.device)))
    import pandas as pd

    return bool(pd.Series(left, copy=False).equals(pd.Series(right, copy=False)))


def public(column: Any, name: str | None = None) -> Any:
    """What ``m[name]`` gives: a tensor, a jagged NestedTensor, or a Series that shares the column's memory."""
    if isinstance(column, torch.Tensor):
        return column
    if isinstance(column, Ragged):
        return column.nested()
    import pandas as pd

    return pd.Series(column, copy=False, name=name)


def to_device(column: Any, device: "torch.device | str | int") -> Any:
    """The column on another device; what is no tensor stays."""
    return column.to(device) if is_tensor(column) else column


def size_bytes(column: Any) -> int:
    """Bytes of the rows; of text and objects what pandas says they occupy, cells not followed."""
    if isinstance(column, Ragged):
        items = int(column.offsets[-1] - column.offsets[0])
        row = column.values[:0].numel() if not items else column.values.numel() // max(column.values.shape[0], 1)
        return items * row * column.values.itemsize + column.offsets.nbytes
    return int(column.nbytes)


def describe(column: Any) -> str:
    """The type of a column in words: ``float32[3, 4]``, ``ragged int64``, ``str``, ``datetime64[us, UTC]``."""
    values = column.values if isinstance(column, Ragged) else column
    name = str(values.dtype).removeprefix("torch.")
    shape = list(values.shape[1:]) if isinstance(values, torch.Tensor) else []
    return ("ragged " if isinstance(column, Ragged) else "") + name + (str(shape) if shape else "")
