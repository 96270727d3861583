"""Row numbers: whatever a user may index with, made an int, a slice or a tensor of row numbers.

Comes in: the subscript of a Message. Goes out: what `columns` takes rows by.
"""

import math
import operator
import reprlib
from typing import Any, TypeGuard

import numpy as np
import torch

from ...errors import RowNotFound

__all__ = ["Rows", "complement", "count", "is_names", "numbers", "resolve"]

Rows = int | slice | torch.Tensor


def is_names(index: Any) -> TypeGuard[list[str]]:
    """Whether the subscript is a list (or Index, tuple, array) of column names."""
    if isinstance(index, (str, bytes, torch.Tensor, slice, range)) or not hasattr(index, "__iter__"):
        return False
    if not hasattr(index, "__len__") or len(index) == 0:
        return False
    return all(isinstance(name, str) for name in index)


def resolve(index: Any, n: int) -> Rows:
    """Check a subscript against a table of `n` rows.

    Args:
        index: An int, a slice, or row numbers as list, tuple, range, tensor, array or Series; or a mask of n booleans.

    Returns:
        A row number in 0…n-1; a slice with positive step (None for 1) and bounds in 0…n; or int64 (k,), each in 0…n-1.

    Raises:
        RowNotFound: If a row number lies beyond the table, or the subscript is none of these.
    """
    if isinstance(index, slice):
        return _slice(range(*index.indices(n)))
    if isinstance(index, torch.Tensor) and index.ndim:
        return _many(index, n)
    if isinstance(index, bool | np.bool_):
        raise RowNotFound(f"a row number must be an int, but got {index!r}. A mask has one boolean for each row.")
    try:
        return _one(operator.index(index), n)
    except TypeError:
        return _many(index, n)


def _one(row: int, n: int) -> int:
    if not -n <= row < n:
        raise RowNotFound(f"row numbers must be in {-n}…{n - 1}, but got {row}. The Message has {n} rows.")
    return row % n


def _slice(rows: range) -> Rows:
    if len(rows) == 0:
        return slice(0, 0, None)
    if rows.step == 1:
        return slice(rows.start, rows.stop, None)
    if rows.step > 0:
        return slice(rows.start, rows[-1] + 1, rows.step)
    return torch.arange(rows.start, rows[-1] - 1, rows.step, dtype=torch.int64)


def _many(index: Any, n: int) -> Rows:
    if isinstance(index, range) and (
        len(index) == 0 or (min(index[0], index[-1]) >= 0 and max(index[0], index[-1]) < n)
    ):
        return _slice(index)
    wanted = _as_tensor(index)
    if wanted.dtype == torch.bool:
        if wanted.shape != (n,):
            raise RowNotFound(f"a mask must have one boolean for each of the {n} rows, but got {tuple(wanted.shape)}.")
        return wanted.nonzero().squeeze(1)
    if wanted.numel() == 0:
        return torch.empty(0, dtype=torch.int64)
    if wanted.ndim != 1 or wanted.is_floating_point() or wanted.is_complex():
        raise RowNotFound(_misread(index))
    wanted = wanted.to(torch.int64)
    array = wanted.numpy()
    # Read as unsigned, negative numbers are the largest: one pass tells whether all is well.
    if array.view(np.uint64).max() < n:
        return wanted
    low, high = int(array.min()), int(array.max())
    if low < -n or high >= n:
        raise RowNotFound(
            f"row numbers must be in {-n}…{n - 1}, but got {low if low < -n else high}. The Message has {n} rows."
        )
    return torch.where(wanted < 0, wanted + n, wanted)


def _as_tensor(index: Any) -> torch.Tensor:
    if isinstance(index, torch.Tensor):
        return index.detach() if index.device.type == "cpu" else index.detach().cpu()
    try:
        values = index.to_numpy() if hasattr(index, "to_numpy") else index
        array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
        if array.size == 0 and array.dtype == np.float64:
            array = array.astype(np.int64)
        if array.dtype.kind == "O":
            array = np.array([_plain(item) for item in array])
        # A read-only or reversed array cannot become a tensor without a copy.
        return torch.from_numpy(np.array(array, copy=True))
    except (TypeError, ValueError) as error:
        raise RowNotFound(_misread(index)) from error


def _misread(index: Any) -> str:
    """Why a subscript is none, in the words of who wrote it."""
    items = list(index) if hasattr(index, "__iter__") and not isinstance(index, str | bytes) else []
    names = [item for item in items if isinstance(item, str)]
    if names:
        return (
            f"rows and columns are picked one after the other, but got {reprlib.repr(items)}. "
            f"Use `m[{reprlib.repr(names)}]` for the columns, then pick rows of that."
        )
    missing = sum(_is_missing(item) for item in items)
    if missing:
        return (
            f"a mask or row numbers must have no missing values, but {missing} of {len(items)} are missing. "
            "Fill them, for example with `mask.fillna(False)`."
        )
    return (
        "rows are asked for by int, slice, mask, or integers in one list, tensor, array or Series, but got "
        f"{' '.join(reprlib.repr(index).split())}. Columns are asked for by name, or by a list of names."
    )


def _is_missing(item: Any) -> bool:
    # pandas' NA by its name: a float or None in a list needs no pandas.
    return item is None or type(item).__name__ == "NAType" or (isinstance(item, float) and math.isnan(item))


def _plain(item: Any) -> int | bool:
    return bool(item) if isinstance(item, bool | np.bool_) else operator.index(item)


def count(rows: Rows) -> int:
    """How many rows a resolved subscript stands for."""
    if isinstance(rows, int):
        return 1
    if isinstance(rows, slice):
        return len(range(rows.start, rows.stop, rows.step or 1))
    return int(rows.shape[0])


def numbers(rows: Rows) -> torch.Tensor:
    """The row numbers of a resolved subscript, int64 (k,)."""
    if isinstance(rows, int):
        return torch.tensor([rows], dtype=torch.int64)
    if isinstance(rows, slice):
        return torch.arange(rows.start, rows.stop, rows.step or 1, dtype=torch.int64)
    return rows


def complement(indices: Any, n: int) -> list[int]:
    """The row numbers below `n` that `indices` leaves out, in order.

    >>> complement([0, -1], 4)
    [1, 2]
    """
    keep = torch.ones(n, dtype=torch.bool)
    keep[numbers(resolve(indices, n))] = False
    return [int(row) for row in keep.nonzero().squeeze(1)]
