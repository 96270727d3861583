"""Rows under other numbers: subsets, splits, reorderings.

Comes in: rows with ``[]``. Goes out: some of them, renumbered.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..core.message import Message
from ..core.message.rows import numbers, resolve
from ..core.pipe import Pipe, has_random_access, recursive
from ..errors import GraphError, RowNotFound

__all__ = ["IndexMapperPipe", "UnmappedRow"]


class UnmappedRow(RowNotFound, KeyError):
    """A row number that an IndexMapperPipe does not map."""


class IndexMapperPipe(Pipe):
    """``p[in]`` is ``input[out]``; iteration yields single rows in the order of the input indices.

    Where the input indices are 0…n-1 the pipe is a table of n rows: every kind of index works as on a Message, and it
    has random access if its input has. Otherwise they are keys: ints, lists, and slices over existing keys.

    Args:
        input_indices: The numbers to ask for; n ints.
        output_indices: The input's rows they stand for; n ints.
        input: The rows.

    Raises:
        GraphError: If the lengths differ (a ValueError).
    """

    stateful_attributes: ClassVar[tuple[str, ...]] = ("position",)
    cursor_attributes: ClassVar[tuple[str, ...]] = ("position",)

    def __init__(self, input_indices: Sequence[int], output_indices: Sequence[int], input: Any = None) -> None:
        super().__init__(input)
        if len(input_indices) != len(output_indices):
            raise GraphError(
                f"input and output indices must be equally many, but got {len(input_indices)} and"
                f" {len(output_indices)}. Give each input index one row."
            )
        self.position = 0
        self._indices: tuple[torch.Tensor, torch.Tensor] | None = (_as_index(input_indices), _as_index(output_indices))
        self._rows_by_key: dict[int, int] | None = None

    def _mapped(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and rows, each int64 (n,)."""
        if self._indices is None:
            raise GraphError(f"{type(self).__name__} has no indices yet. Set them in _mapped.")
        return self._indices

    @property
    def _numbered(self) -> bool:
        keys, _ = self._mapped()
        return torch.equal(keys, torch.arange(len(keys)))

    @property
    def random_access(self) -> bool:
        """If the input indices are 0…n-1, as the input."""
        return has_random_access(self.input) and self._numbered

    @recursive()
    def reset(self) -> None:
        """Rewind to the first index."""
        self.position = 0

    def __len__(self) -> int:
        return len(self._mapped()[0])

    def __getitem__(self, index: Any) -> Message:
        rows = self._resolve_number(index) if self._numbered else self._resolve_keys(index)
        return Message(self._needed("index")[rows])

    def __next__(self) -> Message:
        _, rows = self._mapped()
        if self.position >= len(rows):
            raise StopIteration
        row = int(rows[self.position])
        self.position += 1
        return Message(self._needed("iterate")[[row]])

    def _resolve_number(self, index: Any) -> list[int]:
        _, rows = self._mapped()
        try:
            return [int(row) for row in rows[numbers(resolve(index, len(rows)))]]
        except RowNotFound as error:
            raise UnmappedRow(*error.args) from error

    def _resolve_keys(self, index: Any) -> list[int]:
        if self._rows_by_key is None:
            keys, rows = self._mapped()
            self._rows_by_key = dict(zip(keys.tolist(), rows.tolist(), strict=True))
        if isinstance(index, slice):
            index = range(*index.indices(max(self._rows_by_key, default=-1) + 1))
        wanted = [index] if isinstance(index, int) else [int(key) for key in index]
        for key in wanted:
            if key not in self._rows_by_key:
                raise UnmappedRow(f"only mapped row numbers can be asked for, but got {key}. Add it to input_indices.")
        return [self._rows_by_key[key] for key in wanted]


def _as_index(numbers: Any) -> torch.Tensor:
    if isinstance(numbers, torch.Tensor):
        return numbers.to(torch.int64).clone()
    return torch.tensor([int(number) for number in numbers], dtype=torch.int64)
