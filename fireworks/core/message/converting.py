"""Between the two sides of a Message: values to tensors, tensors to arrays.

Comes in: columns of either side. Goes out: columns of the side asked for, to `Message`, `TensorMessage` and `fitting`.
"""

from typing import Any

import numpy as np
import torch

from ...errors import UnsupportedColumn
from .columns import Array, as_column, cells, is_tensor
from .ragged import Ragged

__all__ = ["as_array", "as_tensor", "cast", "converted", "extract_tensors", "is_numeric", "lost"]

# numpy has no such floats.
_WIDENED = {torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}
_NUMBERS = "biufc"


def as_tensor(
    value: Any, name: str, n: int | None = None, kind: torch.dtype = torch.float32
) -> "torch.Tensor | Ragged":
    """Make a tensor column; what is one stays as it is.

    Args:
        value: Tensor, number, array of numbers, or list or Series of numbers or of equally long lists of numbers.
        n: Rows that a scalar is repeated for.
        kind: dtype of what is converted. Floats round; integers and booleans hold every number exactly.

    Raises:
        UnsupportedColumn: If values are no numbers, or none that `kind` can hold, naming the column.
    """
    if is_numeric(value) and value.ndim > 1:
        return cast(_copied(value), kind, name)
    column = as_column(value, name, n)
    if is_tensor(column):
        return column
    try:
        tensor = _numbers(column)
    except (TypeError, ValueError) as error:
        raise UnsupportedColumn(
            f"only numbers become tensors, but column {name!r} holds {column.dtype}. Map it to numbers first, "
            "for example with `pandas.factorize`; rows of differing length go through `torch.nested.nested_tensor`."
        ) from error
    return cast(tensor, kind, name)


def _numbers(column: Any) -> torch.Tensor:
    """The numbers of an array column, in their own type, NaN where one is missing."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "O":
            column = np.array(
                [item.detach().cpu().tolist() if isinstance(item, torch.Tensor) else item for item in column]
            )
            # None, and numbers that numpy has no type for.
            column = column.astype(np.float64) if column.dtype.kind == "O" else column
        if column.dtype.kind not in _NUMBERS:
            raise TypeError(column.dtype)
        return _copied(column)
    if getattr(column.dtype, "kind", "O") not in "biuf" or column.dtype.name == "category":
        raise TypeError(column.dtype)
    if column.isna().any():
        return _copied(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return _copied(column.to_numpy(dtype=getattr(column.dtype, "numpy_dtype", np.float64)))


def _copied(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def is_numeric(column: Any) -> bool:
    """Whether it is a numpy array of numbers or booleans."""
    return isinstance(column, np.ndarray) and column.dtype.kind in _NUMBERS


def cast(tensor: torch.Tensor, kind: torch.dtype, name: str) -> torch.Tensor:
    """The tensor in another dtype.

    Raises:
        UnsupportedColumn: If it is a type of integers or booleans and would lose a number, or would lose complex parts.
    """
    if tensor.dtype == kind or kind.is_complex or (kind.is_floating_point and not tensor.is_complex()):
        return tensor.to(kind)
    exact = np.dtype(np.float64 if kind.is_floating_point else str(kind).removeprefix("torch."))
    gone = lost(_plain(tensor), exact)
    if gone.size:
        raise UnsupportedColumn(
            f"column {name!r} is {kind} and must hold each number exactly, but got {gone[0]}. "
            f"Round the numbers, or convert the column first: `m[{name!r}] = m[{name!r}].to({tensor.dtype})`."
        )
    return tensor.to(kind)


def lost(numbers: Any, dtype: "np.dtype[Any]", rounds: bool = False) -> Any:
    """Those of the numbers that `dtype` cannot hold exactly; if it `rounds`, those that are beyond its range."""
    if np.can_cast(numbers.dtype, dtype):
        return numbers.reshape(-1)[:0]
    if numbers.dtype.kind == "c" and dtype.kind != "c":
        return numbers.reshape(-1)
    if dtype.kind in "biu":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if numbers.dtype.kind == "f":
            wide = numbers.astype(np.float64)
            held = (np.trunc(wide) == wide) & (wide >= float(low)) & (wide < float(high) + 1)
        else:
            held = (numbers >= low) & (numbers <= high)
    elif numbers.dtype.kind in "iu" and not rounds:
        limit = 2 ** (np.finfo(dtype).nmant + 1)
        held = (numbers >= -limit) & (numbers <= limit)
    else:
        with np.errstate(over="ignore"):
            found = numbers.astype(dtype)
        held = np.isfinite(found) | ~np.isfinite(numbers)
        held &= rounds | (found == numbers) | np.isnan(numbers)
    return numbers[~held]


def converted(value: Any, name: str, kind: Any) -> Any:
    """Convert by what a ``map_dict`` gives: a dtype, a tensor type such as ``torch.LongTensor``, or a function."""
    dtype = kind if isinstance(kind, torch.dtype) else getattr(kind, "dtype", None)
    if isinstance(dtype, torch.dtype):
        tensor = as_tensor(value, name, kind=dtype)
        return Ragged(tensor.values.to(dtype), tensor.offsets) if isinstance(tensor, Ragged) else tensor.to(dtype)
    if callable(kind):
        return as_tensor(kind(value), name)
    raise UnsupportedColumn(f"`map_dict` must give a dtype, tensor type or function, but {name!r} got {kind!r}.")


def as_array(column: Any) -> Any:
    """Make an array column: a copy on the CPU, without gradients; rows that are tensors become cells with lists."""
    if isinstance(column, Ragged):
        return cells(column.lists())
    if not isinstance(column, torch.Tensor):
        return column
    if column.ndim > 1:
        return cells(column.detach().cpu().resolve_conj().resolve_neg().tolist())
    return _plain(column).copy()


def _plain(tensor: torch.Tensor) -> Array:
    """The tensor's numbers as numpy has them; may share memory."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    array: Array = (plain.to(torch.float32) if plain.dtype in _WIDENED else plain).numpy()
    return array


def extract_tensors(from_this: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a mapping into its tensors and the rest, each in order."""
    tensors = {name: column for name, column in from_this.items() if is_tensor(column)}
    return tensors, {name: column for name, column in from_this.items() if name not in tensors}
