"""Format version 1, as data: what the footer of a Message file says, and the checks it must pass.

Every byte of a file is in one of five places, each of which is checked: column buffers and heads (a hash each, in the
layout), padding (zeros), and the tail, which is the end-of-stream mark, the footer with this layout, its length and
the magic (one hash over all of it, the seal, with the seal itself read as zeros).

Comes in: made by `writing`. Goes out: JSON in the footer; read back, checked, by `reading`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import torch
import xxhash

from ...errors import FormatError

__all__ = [
    "ALIGNMENT",
    "ARROW_MAGIC",
    "LAYOUT_KEY",
    "MAXIMAL_TAIL_BYTES",
    "SEAL_KEY",
    "TORCH_DTYPES",
    "VERSION",
    "ColumnLayout",
    "Extent",
    "FileLayout",
    "check_extents",
    "dump",
    "hash_of",
    "parse",
]

VERSION = 1
ALIGNMENT = 64
ARROW_MAGIC = b"ARROW1"
LAYOUT_KEY = "fireworks.message"
SEAL_KEY = "fireworks.seal"
MAXIMAL_TAIL_BYTES = 1 << 28

_NAMES = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 bfloat16 float32 float64"
TORCH_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in _NAMES.split()}

Extent = tuple[int, int, str]
"""Where bytes of the file are: start, size, xxh3-128 as 32 hex digits."""


@dataclass(frozen=True, kw_only=True)
class ColumnLayout:
    """One column, or the categories of one.

    Args:
        kind: tensor, ragged, array, bits, masked, zoned, text, bytes, category.
        dtype: torch's name for tensors, pandas' for the rest.
        shape: Of one row, for tensors; of one item, for ragged columns.
        rows: Length of the column; of categories, their number.
        buffers: By role: validity, offsets, values. One that is not needed is absent.
        items: Number of items in all rows, for ragged columns.
    """

    name: str
    kind: str
    dtype: str
    rows: int
    buffers: dict[str, Extent]
    shape: tuple[int, ...] = ()
    items: int = 0
    storage: str = ""
    ordered: bool = False
    categories: "ColumnLayout | None" = None


@dataclass(frozen=True, kw_only=True)
class FileLayout:
    """The whole file: rows, columns, and the heads, which are Arrow's messages before each body."""

    version: int = VERSION
    rows: int
    columns: tuple[ColumnLayout, ...]
    heads: tuple[Extent, ...] = field(default=())

    def extents(self) -> list[Extent]:
        """Heads and buffers in the order of the file."""
        found = list(self.heads)
        for column in self.columns:
            found.extend(column.buffers.values())
            if column.categories is not None:
                found.extend(column.categories.buffers.values())
        return sorted(found)


def hash_of(data: Any) -> str:
    """xxh3-128 of bytes, as 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(data)


def dump(layout: FileLayout) -> str:
    """Canonical JSON, ASCII only."""
    return json.dumps(msgspec.to_builtins(layout), sort_keys=True, separators=(",", ":"), allow_nan=False)


def parse(text: bytes) -> FileLayout:
    """Read a layout; what it says of columns and buffers is still to be checked.

    Raises:
        FormatError: If it is no strict JSON of a known version and of this schema.
    """
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"a Message file's layout must be strict JSON, but: {error}. Fetch the file again."
        ) from error
    version = found.get("version") if isinstance(found, dict) else None
    if version != VERSION or isinstance(version, bool):
        raise FormatError(
            f"a Message file must have format version {VERSION}, but got {version!r}. "
            "Read it with the Fireworks that wrote it."
        )
    try:
        return msgspec.convert(found, FileLayout, strict=True)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FormatError(
            f"a Message file's layout must follow its schema, but: {error}. Fetch the file again."
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def check_extents(layout: FileLayout, tail_start: int) -> None:
    """Refuse a layout whose heads and buffers do not fill the file up to its tail, in one row without overlap.

    Raises:
        FormatError: If so, or if columns share a name or differ in length.
    """
    names = [column.name for column in layout.columns]
    if len(set(names)) < len(names):
        raise FormatError(f"column names must be unique, but got {names}. Write the file again.")
    for column in layout.columns:
        if column.rows != layout.rows:
            raise FormatError(f"column {column.name!r} must have {layout.rows} rows, but has {column.rows}.")
    if not layout.columns and layout.rows:
        raise FormatError(f"a file without columns must have no rows, but has {layout.rows}. Write it again.")
    end = 0
    for start, size, _ in layout.extents():
        # Only padding, which is shorter than the alignment, may lie between two extents.
        if size < 0 or not 0 <= start - end < ALIGNMENT:
            raise FormatError(f"buffers must follow each other, but bytes {end} to {start} are a gap or an overlap.")
        end = start + size
    if tail_start != end + -end % ALIGNMENT:
        raise FormatError(f"buffers must end at the footer, byte {tail_start}, but they end at {end}. Fetch it again.")
