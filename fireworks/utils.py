"""``fireworks.utils`` of the original library: what code written for it imports from there.

Comes in: `fireworks.errors`. Goes out: code written for the original library.
"""

import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import FireworksError, ParameterizationError, SchemaError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "EndHyperparameterOptimization",
    "exceptions",
    "index_to_list",
    "one_hot",
    "slice_length",
    "slice_to_list",
    "subset_dict",
]

K = TypeVar("K")
V = TypeVar("V")


class EndHyperparameterOptimization(FireworksError, RuntimeError):
    """Raised anywhere in a trial, it ends the search."""


def index_to_list(index: Any) -> Any:
    """An int or a bounded slice as a list; anything else stays.

    >>> index_to_list(3), index_to_list(slice(0, 4, 2)), index_to_list([1, 1])
    ([3], [0, 2], [1, 1])
    """
    if isinstance(index, slice):
        return slice_to_list(index)
    return [index] if isinstance(index, int) else index


def slice_to_list(s: slice) -> list[int]:
    """The row numbers of a bounded slice.

    >>> slice_to_list(slice(4, 0, -2))
    [4, 2]

    Raises:
        SchemaError: If it has no stop, or a bound that is negative.
    """
    step = 1 if s.step is None else s.step
    start = 0 if s.start is None and step > 0 else s.start
    if start is None or s.stop is None or start < 0 or (s.stop < 0 and step > 0):
        raise SchemaError(f"a slice becomes a list only with bounds that count from 0, but got {s}. Give both.")
    return list(range(start, s.stop, step))


def slice_length(orange: Any) -> int:
    """How many rows a slice or list names.

    >>> slice_length(slice(0, 4, 2))
    2
    """
    return len(slice_to_list(orange)) if isinstance(orange, slice) else len(orange)


def one_hot(index: int, max: int) -> "npt.NDArray[np.float64]":
    """Zeros (max,) with a one at `index`.

    >>> one_hot(1, 3)
    array([0., 1., 0.])
    """
    import numpy as np

    hot = np.zeros(max)
    hot[index] = 1
    return hot


def subset_dict(dictionary: Mapping[K, V], keys: Iterable[K]) -> dict[K, V]:
    """Those entries of a dict.

    >>> subset_dict({"a": 1, "b": 2}, ["b"])
    {'b': 2}
    """
    return {key: dictionary[key] for key in keys}


exceptions = ModuleType(f"{__name__}.exceptions", "The original library's exceptions.")
vars(exceptions).update(
    ParameterizationError=ParameterizationError, EndHyperparameterOptimization=EndHyperparameterOptimization
)
# `import fireworks.utils.exceptions` finds it there, though this module is no package.
sys.modules[exceptions.__name__] = exceptions
