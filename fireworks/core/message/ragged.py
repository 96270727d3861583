"""Ragged columns: one row holds any number of items, kept as one tensor of values and one of offsets.

Comes in: jagged NestedTensors, from users and from `decoding`. Goes out: rows of a Message, jagged NestedTensors again.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from ...errors import SchemaError, UnsupportedColumn

__all__ = ["Ragged"]


class Ragged:
    """n rows of differing length.

    Args:
        values: (total, …): the items of all rows, one after the other.
        offsets: int64 (n + 1,) on the CPU, never falling: row i is ``values[offsets[i]:offsets[i + 1]]``. They need
            not start at 0, so that a slice of rows is a view.
    """

    __slots__ = ("offsets", "values")

    def __init__(self, values: torch.Tensor, offsets: torch.Tensor) -> None:
        self.values = values
        self.offsets = offsets

    def __len__(self) -> int:
        return int(self.offsets.shape[0]) - 1

    def __reduce__(self) -> tuple[type["Ragged"], tuple[torch.Tensor, torch.Tensor]]:
        compact = self.compact()
        return Ragged, (compact.values.clone(), compact.offsets.clone())

    @classmethod
    def from_nested(cls, nested: Any, name: str) -> "Ragged":
        """Take a NestedTensor apart; a contiguous jagged one shares its values.

        Raises:
            UnsupportedColumn: If another dimension than the first after the rows is the ragged one, or none is, or the
                tensor is on the device meta.
        """
        if nested.is_meta:
            raise UnsupportedColumn(
                f"a ragged column must have values, but {name!r} is on the device meta. Make it on another."
            )
        if nested.layout == torch.jagged and nested.lengths() is None:
            if nested.shape[1:2] and not isinstance(nested.shape[1], int):
                offsets = nested.offsets().detach().to("cpu", torch.int64)
                return cls(nested.values(), offsets)
            raise UnsupportedColumn(
                f"a ragged column must be ragged in dimension 1, but {name!r} has shape {tuple(nested.shape)}. "
                "Transpose it, or pad it with `torch.nested.to_padded_tensor`."
            )
        rows = list(nested.unbind())
        if any(row.ndim == 0 or row.shape[1:] != rows[0].shape[1:] for row in rows):
            raise UnsupportedColumn(
                f"a ragged column must be ragged in dimension 1, but rows of {name!r} have shapes "
                f"{sorted({tuple(row.shape) for row in rows})}. Pad them with `torch.nested.to_padded_tensor`."
            )
        return cls.from_rows(rows)

    @classmethod
    def from_rows(cls, rows: Sequence[torch.Tensor]) -> "Ragged":
        """Join the rows, each a tensor (length, …) with the same trailing shape and dtype."""
        lengths = torch.tensor([0, *(row.shape[0] for row in rows)], dtype=torch.int64)
        values = torch.cat(list(rows)) if rows else torch.empty(0)
        return cls(values, lengths.cumsum(0))

    def nested(self) -> torch.Tensor:
        """The same rows as a jagged NestedTensor; its values are shared."""
        compact = self.compact()
        offsets = compact.offsets.to(compact.values.device)
        nested: torch.Tensor = torch.nested.nested_tensor_from_jagged(compact.values, offsets)
        return nested

    def compact(self) -> "Ragged":
        """The same rows with offsets that start at 0 and values that hold nothing else."""
        start, stop = int(self.offsets[0]), int(self.offsets[-1])
        if start == 0 and stop == self.values.shape[0]:
            return self
        return Ragged(self.values[start:stop], self.offsets - start)

    def slice(self, start: int, stop: int) -> "Ragged":
        """Rows start…stop, as views."""
        return Ragged(self.values, self.offsets[start : stop + 1])

    def take(self, index: torch.Tensor) -> "Ragged":
        """Rows in the order of `index`, int64 (k,) of non-negative row numbers."""
        starts = self.offsets[:-1].index_select(0, index)
        lengths = self.offsets[1:].index_select(0, index) - starts
        offsets = torch.zeros(index.shape[0] + 1, dtype=torch.int64)
        torch.cumsum(lengths, 0, out=offsets[1:])
        shift = torch.repeat_interleave(starts - offsets[:-1], lengths)
        positions = torch.arange(int(offsets[-1]), dtype=torch.int64) + shift
        return Ragged(self.values.index_select(0, positions.to(self.values.device)), offsets)

    def to(self, device: "torch.device | str | int") -> "Ragged":
        """The same rows with their values on another device."""
        return Ragged(self.values.to(device), self.offsets)

    def lists(self) -> list[list[object]]:
        """Each row as a list, nested if the items are not scalars."""
        compact = self.compact()
        values, bounds = compact.values.detach().cpu().tolist(), compact.offsets.tolist()
        return [values[a:b] for a, b in pairwise(bounds)]

    def equals(self, other: "Ragged") -> bool:
        """Whether rows, dtype and items are equal."""
        mine, its = self.compact(), other.compact()
        if mine.values.dtype != its.values.dtype or not torch.equal(mine.offsets, its.offsets):
            return False
        return torch.equal(mine.values, its.values.to(mine.values.device))

    @staticmethod
    def concat(parts: "Sequence[Ragged]", name: str) -> "Ragged":
        """All rows in order.

        Raises:
            SchemaError: If the items' shapes differ.
        """
        compact = [part.compact() for part in parts]
        if len({part.values.shape[1:] for part in compact}) > 1:
            shapes = sorted({tuple(part.values.shape[1:]) for part in compact})
            raise SchemaError(f"items of ragged column {name!r} must have one shape, but got {shapes}. Reshape them.")
        steps = torch.cat([part.offsets[1:] - part.offsets[:-1] for part in compact])
        offsets = torch.zeros(steps.shape[0] + 1, dtype=torch.int64)
        torch.cumsum(steps, 0, out=offsets[1:])
        return Ragged(torch.cat([part.values for part in compact]), offsets)
