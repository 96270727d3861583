"""Rows that join a column: those set in a Message, and those appended to it.

They take the column's side, and its dtype if that can hold them. What a tensor column cannot hold is refused; an array
column is promoted, as by pandas.

Comes in: rows of either side, and the column that they join. Goes out: rows of its type, to `editing` and `joining`.
"""

from typing import Any

import numpy as np

from .columns import as_column, is_tensor
from .converting import as_array, as_tensor, cast, is_numeric, lost
from .ragged import Ragged

__all__ = ["fit", "missing"]

_NUMBERS = ("number", "truth")


def fit(part: Any, column: Any, name: str, rounds: bool = False) -> Any:
    """Bring rows to the side and the dtype of the column that they join.

    Args:
        part: Rows of either side.
        column: What they join.
        name: Its name.
        rounds: Whether the dtype is to stay if at all possible, as when rows are set in place: tensors are converted
            too, and floats may lose digits.

    Returns:
        Rows of the column's dtype. Otherwise, to be promoted: a tensor of another dtype, or an array that the dtype
        cannot hold.

    Raises:
        UnsupportedColumn: If a tensor column cannot hold the values.
    """
    if not is_tensor(column):
        return _fit_array(as_array(part), column, name, rounds)
    kind = column.values.dtype if isinstance(column, Ragged) else column.dtype
    tensor = as_tensor(part, name, kind=kind)
    if not rounds:
        return tensor
    if isinstance(tensor, Ragged):
        return Ragged(cast(tensor.values, kind, name), tensor.offsets)
    return cast(tensor, kind, name)


def missing(like: Any, n: int) -> Any:
    """Missing rows, `n` of them, for an array column: of its dtype, or of one that has missing values."""
    import pandas as pd

    return as_column(pd.Series(like[:0], copy=False).reindex(pd.RangeIndex(n)), "missing")


def _fit_array(part: Any, column: Any, name: str, rounds: bool) -> Any:
    if type(part) is type(column) and part.dtype == column.dtype:
        return part
    if is_numeric(part) and is_numeric(column):
        return part if lost(part, column.dtype, rounds).size else part.astype(column.dtype)
    import pandas as pd

    if part.dtype == object and pd.isna(part).all():
        return missing(column, len(part))
    values = pd.Series(part, copy=False)
    if column.dtype == object:
        return values.astype(object).to_numpy()
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    found = _converted(values.infer_objects(), column.dtype, rounds)
    return part if found is None else as_column(found, name)


def _converted(values: Any, dtype: Any, rounds: bool) -> Any:
    """A Series in another dtype; None if that cannot hold every value."""
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(values, dtype)
    family, its = _family(dtype), _family(values.dtype)
    if family in _NUMBERS and its in _NUMBERS:
        return _numbers(values, dtype, rounds)
    try:
        if family == "M" and (its == "text" or pd.api.types.infer_dtype(values) == "date"):
            values = pd.to_datetime(values, format="ISO8601")
            its = _family(values.dtype)
        if not family or family != its:
            return None
        found = values.astype(dtype)
    except ValueError:  # no date, or one beyond what the unit can tell
        return None
    there = values.notna()
    return found if found.notna().equals(there) and (found[there] == values[there]).all() else None


def _family(dtype: Any) -> str:
    """What converts into one another; nothing for what pandas may convert as it likes."""
    import pandas as pd

    if isinstance(dtype, pd.StringDtype):
        return "text"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "zoned"
    if not (isinstance(dtype, np.dtype) or hasattr(dtype, "numpy_dtype")):
        return ""
    return {"b": "truth", "i": "number", "u": "number", "f": "number", "c": "number", "M": "M", "m": "m"}.get(
        dtype.kind, ""
    )


def _categories(values: Any, dtype: Any) -> Any:
    family = _family(dtype.categories.dtype)
    there = values.dropna()
    alike = family and family == _family(values.dtype) and there.isin(dtype.categories).all()
    return values.astype(dtype) if alike else None


def _numbers(values: Any, dtype: Any, rounds: bool) -> Any:
    there = values.dropna()
    if len(there) < len(values) and isinstance(dtype, np.dtype) and dtype.kind != "f":
        return None
    numbers = there.to_numpy(dtype=getattr(values.dtype, "numpy_dtype", values.dtype))
    gone = lost(numbers, getattr(dtype, "numpy_dtype", dtype), rounds)
    return None if gone.size else values.astype(dtype)
