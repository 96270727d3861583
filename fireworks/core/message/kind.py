"""What every kind of column in a file has: a check of its layout, an encoder, a decoder of any range of rows.

Comes in: columns to `encode`, layouts to `check` and `decode`. Goes out: `tensor_kinds`, `array_kinds` and `text_kinds`
implement it, `kinds` lists them.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FormatError
from .layout import ColumnLayout

__all__ = ["Decoder", "Encoded", "Kind", "bits_range", "expect_bytes", "pack_bits", "unpack_bits"]

Range = tuple[int, int]
Decoder = Generator[Sequence[Range], Sequence[memoryview], Any]
"""Asks for byte ranges of the file, as often as it must, is sent them, and returns the column."""

_LARGEST = 1 << 62


@dataclass(kw_only=True)
class Encoded:
    """A column ready to be laid out.

    Args:
        facts: Fields of `ColumnLayout` but for rows and buffers.
        arrow_type: A `pyarrow.DataType`.
        nodes: Length and null count of the column and of each nested array, as Arrow orders them.
        buffers: Role (empty if Arrow wants a buffer that is not there) and bytes, as Arrow orders them.
    """

    facts: dict[str, Any]
    rows: int
    arrow_type: Any
    nodes: list[tuple[int, int]]
    buffers: list[tuple[str, memoryview]]
    categories: "Encoded | None" = None
    metadata: dict[str, str] = field(default_factory=dict)


class Kind:
    """One way to store a column."""

    name: str

    def accepts(self, column: Any) -> bool:
        """Whether the column is of this kind."""
        raise NotImplementedError

    def encode(self, name: str, column: Any) -> Encoded:
        """Buffers that are a pure function of the column's values."""
        raise NotImplementedError

    def check(self, layout: ColumnLayout) -> None:
        """Refuse a layout whose buffers are not exactly what its type, shape and rows need; nothing is read."""
        raise NotImplementedError

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        """Rows start…stop of a checked layout."""
        raise NotImplementedError


def expect_bytes(layout: ColumnLayout, sizes: dict[str, int | None], optional: Collection[str] = ()) -> None:
    """Check counts, roles and sizes; a size of None is not known beforehand."""
    counts = (layout.rows, layout.items, *layout.shape, prod(layout.shape))
    if any(not 0 <= count < _LARGEST for count in counts):
        raise FormatError(
            f"rows, items and shapes must be in 0…2**62, but column {layout.name!r} has {layout.rows}, {layout.items}, "
            f"{list(layout.shape)}. Fetch the file again."
        )
    if not layout.buffers.keys() <= sizes.keys() or not sizes.keys() - set(optional) <= layout.buffers.keys():
        raise FormatError(
            f"a {layout.kind} column must have buffers {sorted(sizes)}, but {layout.name!r} has "
            f"{sorted(layout.buffers)}. Fetch the file again."
        )
    for role, (_, size, _) in layout.buffers.items():
        if sizes[role] is not None and size != sizes[role]:
            raise FormatError(
                f"buffer {role!r} of column {layout.name!r} must have {sizes[role]} bytes for {layout.rows} rows, "
                f"but has {size}. Fetch the file again."
            )


def pack_bits(flags: npt.NDArray[np.bool_]) -> memoryview:
    """One bit a row, least significant first, as Arrow has them."""
    return np.packbits(flags, bitorder="little").data


def bits_range(base: int, start: int, stop: int) -> Range:
    """The bytes that hold bits start…stop of a buffer at `base`."""
    return (base + start // 8, base + (stop + 7) // 8) if stop > start else (base, base)


def unpack_bits(data: memoryview, start: int, stop: int) -> npt.NDArray[np.bool_]:
    """Bits start…stop from the bytes of `bits_range`."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    return bits[start % 8 : start % 8 + stop - start].view(np.bool_)
