"""The few FlatBuffers an Arrow file needs beyond its schema: written plainly, read with every offset checked.

Arrow's own writer decides offsets itself; ours must place every buffer at a multiple of 64 and name it beforehand.
Source: FlatBuffers internals, https://flatbuffers.dev/internals ; Arrow's format/Message.fbs and format/File.fbs.
Comes in: numbers and texts of `layout`. Goes out: bytes to `writing`; key-value pairs to `reading`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import FormatError

__all__ = ["Blob", "Structs", "Table", "reference", "root_table", "serialize", "string_pairs"]

_SCALARS = {"i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q"}


@dataclass(frozen=True)
class Table:
    """A table: slot → (kind, value), where kind is i8, i16, i32, i64 or ``ref`` to another object."""

    fields: dict[int, tuple[str, Any]]


@dataclass(frozen=True)
class Structs:
    """A vector of structs: packed with `layout` (a `struct` format without byte order), 8-byte aligned."""

    layout: str
    rows: Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class Blob:
    """A finished FlatBuffer; references to it lead to the table at `position`."""

    data: bytes
    position: int


def serialize(root: Table) -> bytes:
    """The buffer whose root is `root`, padded to a multiple of 8."""
    out = bytearray(4)
    waiting: list[tuple[int, Any]] = [(0, root)]
    while waiting:
        reference, item = waiting.pop(0)
        position = _emit(out, item, waiting)
        struct.pack_into("<I", out, reference, position - reference)
    _pad(out, 8)
    return bytes(out)


def _pad(out: bytearray, size: int, remainder: int = 0) -> None:
    out.extend(bytes((remainder - len(out)) % size))


def _emit(out: bytearray, item: Any, waiting: list[tuple[int, Any]]) -> int:
    """Append one object, queue what it refers to, return where references to it must lead."""
    if isinstance(item, Table):
        return _emit_table(out, item, waiting)
    if isinstance(item, Blob):
        _pad(out, 8)
        start = len(out)
        out.extend(item.data)
        return start + item.position
    if isinstance(item, str):
        _pad(out, 4)
        start, data = len(out), item.encode()
        out.extend(struct.pack("<I", len(data)) + data + b"\0")
        return start
    if isinstance(item, Structs):
        _pad(out, 8, 4)
        start = len(out)
        out.extend(struct.pack("<I", len(item.rows)))
        for row in item.rows:
            out.extend(struct.pack("<" + item.layout, *row))
        return start
    _pad(out, 4)
    start = len(out)
    out.extend(struct.pack("<I", len(item)) + bytes(4 * len(item)))
    waiting.extend((start + 4 + 4 * i, child) for i, child in enumerate(item))
    return start


def _emit_table(out: bytearray, table: Table, waiting: list[tuple[int, Any]]) -> int:
    width = {slot: 4 if kind == "ref" else struct.calcsize(_SCALARS[kind]) for slot, (kind, _) in table.fields.items()}
    places, end = {}, 4
    for slot in sorted(width, key=lambda s: (-width[s], s)):
        places[slot], end = end, end + width[slot]
    slots = max(table.fields) + 1
    size = 4 + 2 * slots
    # The table starts 4 beyond a multiple of 8, so that its 8-byte fields, which come first, are aligned.
    _pad(out, 8, (4 - size) % 8)
    vtable = len(out)
    out.extend(struct.pack(f"<HH{slots}H", size, end, *(places.get(slot, 0) for slot in range(slots))))
    start = len(out)
    out.extend(struct.pack("<i", start - vtable) + bytes(end - 4))
    for slot, (kind, value) in table.fields.items():
        if kind == "ref":
            waiting.append((start + places[slot], value))
        else:
            struct.pack_into(_SCALARS[kind], out, start + places[slot], value)
    return start


def _unpack(data: memoryview, layout: str, position: int) -> int:
    if position < 0 or position + struct.calcsize(layout) > len(data):
        raise FormatError(
            f"offsets must lie inside the footer of {len(data)} bytes, but got {position}. Fetch it again."
        )
    return int(struct.unpack_from(layout, data, position)[0])


def root_table(data: memoryview) -> int:
    """Where the root table starts."""
    return _unpack(data, "<I", 0)


def reference(data: memoryview, table: int, slot: int) -> int | None:
    """Where the object that a reference field leads to starts; None if the field is absent."""
    vtable = table - _unpack(data, "<i", table)
    if 4 + 2 * slot >= _unpack(data, "<H", vtable):
        return None
    place = _unpack(data, "<H", vtable + 4 + 2 * slot)
    return table + place + _unpack(data, "<I", table + place) if place else None


def string_pairs(data: memoryview, table: int, slot: int) -> dict[str, tuple[int, bytes]]:
    """Arrow's ``[KeyValue]``: key → start of the value in `data`, and the value.

    Raises:
        FormatError: If an offset or length leads outside `data`, or a key comes twice.
    """
    vector = reference(data, table, slot)
    pairs: dict[str, tuple[int, bytes]] = {}
    for i in range(_unpack(data, "<I", vector) if vector is not None else 0):
        place = (vector or 0) + 4 + 4 * i
        entry = place + _unpack(data, "<I", place)
        (_, key), value = _text(data, reference(data, entry, 0)), _text(data, reference(data, entry, 1))
        name = key.decode("utf-8", "replace")
        if name in pairs:
            raise FormatError(f"keys of the footer must be unique, but got {name!r} twice. Fetch the file again.")
        pairs[name] = value
    return pairs


def _text(data: memoryview, start: int | None) -> tuple[int, bytes]:
    if start is None:
        return 0, b""
    length = _unpack(data, "<I", start)
    if start + 4 + length > len(data):
        raise FormatError(f"a text of the footer must lie inside it, but has {length} bytes. Fetch the file again.")
    return start + 4, bytes(data[start + 4 : start + 4 + length])
