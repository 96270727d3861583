"""Splitting data sets.

Comes in: one indexable pipe or Message. Goes out: a training and a test part of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..core.pipe import is_indexable
from ..core.shuffle import draw_seed, permutation
from ..errors import GraphError
from .indexing import IndexMapperPipe

__all__ = ["SplitPipe", "train_test_split"]


class SplitPipe(IndexMapperPipe):
    """One part of a shuffled split; the input's length is asked for when rows are.

    Args:
        part: ``train`` or ``test``.
        test: Share of the rows that is the test part, 0 to 1.
        seed: Of the shuffle.
        input: The rows.
    """

    def __init__(self, part: str, test: float, seed: int, input: Any = None) -> None:
        super().__init__((), (), input)
        self.part = part
        self.test = test
        self.seed = seed
        self._indices = None

    def _mapped(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._indices is None:
            n = len(self._needed("split"))
            n_test = int(n * self.test)
            order = permutation(n, self.seed, 0)
            rows = order[:n_test] if self.part == "test" else order[n_test:]
            self._indices = (torch.arange(len(rows)), rows)
        return self._indices


def train_test_split(pipe: Any, test: float = 0.2, seed: int | None = None) -> tuple[SplitPipe, SplitPipe]:
    """Split rows at random into a training and a test part.

    Args:
        pipe: A Message, or a pipe that has ``[]`` and ``len``; n rows.
        test: Share of the test part, which has floor(n * test) rows.
        seed: Of the shuffle; drawn from torch's default generator unless given.

    Returns:
        Train and test pipe: disjoint, together all rows.

    Raises:
        GraphError: If the pipe cannot be indexed or has no rows, or the share is not between 0 and 1 (a ValueError).
    """
    if isinstance(pipe, Sequence | np.ndarray | torch.Tensor):
        raise GraphError(
            f"a split is of rows, but got a {type(pipe).__name__} of values. Name them: `Message({{'x': values}})`."
        )
    if not is_indexable(pipe):
        raise GraphError(
            f"a split needs [] and len, but got a {type(pipe).__name__} without. Put a LoopingPipe after it."
        )
    if not 0 <= test <= 1:
        raise GraphError(
            f"test must be a share between 0 and 1, but got {test}. 0.2 keeps a fifth of the rows for testing."
        )
    seed = draw_seed() if seed is None else seed
    return SplitPipe("train", test, seed, input=pipe), SplitPipe("test", test, seed, input=pipe)
