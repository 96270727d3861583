"""Writing a Message as an Arrow IPC file of format version 1.

One record batch; every buffer at a multiple of 64 in the file; the same Message gives the same bytes. Arrow's schema
message comes from pyarrow, everything around it is laid out here, because pyarrow aligns buffers to 8 only.

Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
Comes in: a Message. Goes out: a file, or the pieces of one to `parts`.
"""

import errno
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import ObjectNotFound, StoreFull, UnsupportedColumn
from . import flatbuffers
from .kind import Encoded
from .kinds import encode
from .layout import (
    ALIGNMENT,
    ARROW_MAGIC,
    LAYOUT_KEY,
    SEAL_KEY,
    ColumnLayout,
    Extent,
    FileLayout,
    dump,
    hash_of,
)

if TYPE_CHECKING:
    from .message import Message

__all__ = ["Piece", "pack", "write_message"]

Piece = bytes | memoryview

_V5 = 4  # Arrow's MetadataVersion
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_CONTINUATION = b"\xff\xff\xff\xff"


class _Pieces:
    """The file so far, as pieces that share memory with the columns."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.position = 0

    def add(self, piece: Piece) -> int:
        start = self.position
        if len(piece):
            self.pieces.append(piece)
            self.position += len(piece)
        return start

    def align(self) -> None:
        self.add(bytes(-self.position % ALIGNMENT))


def pack(message: "Message") -> list[Piece]:
    """The file's bytes in order; columns are not copied where their memory already has Arrow's form.

    Raises:
        UnsupportedColumn: If the format has no place for a column; the error names it, and a remedy.
    """
    encoded = [encode(name, message._column(name)) for name in message._names()]
    schema = _schema(encoded)
    out = _Pieces()
    heads: list[Extent] = []
    head = ARROW_MAGIC + b"\0\0" + _framed(schema, len(ARROW_MAGIC) + 2, 8)
    blocks: dict[int, list[tuple[int, ...]]] = {_DICTIONARY_BATCH: [], _RECORD_BATCH: []}
    buffers: dict[int, dict[str, Extent]] = {}
    dictionaries = [column.categories for column in encoded if column.categories is not None]
    bodies = [(_DICTIONARY_BATCH, [column]) for column in dictionaries] + [(_RECORD_BATCH, encoded)]
    for number, (kind, columns) in enumerate(bodies):
        rows = columns[0].rows if columns else 0
        meta, body_bytes = _batch_message(kind, number, rows, columns)
        start = out.position + len(head)
        framed = _framed(meta, start, ALIGNMENT)
        blocks[kind].append((start, len(framed), body_bytes))
        heads.append((out.position, len(head) + len(framed), hash_of(head + framed)))
        out.add(head + framed)
        head = b""
        for column in columns:
            buffers[id(column)] = _add_buffers(out, column)
    layout = FileLayout(
        rows=len(message), columns=tuple(_layout(column, buffers) for column in encoded), heads=tuple(heads)
    )
    out.add(_tail(schema, blocks, dump(layout)))
    return out.pieces


def _schema(encoded: list[Encoded]) -> bytes:
    """Arrow's schema message, a FlatBuffer."""
    import pyarrow as pa

    try:
        fields = [
            pa.field(column.facts["name"], column.arrow_type, metadata=dict(column.metadata)) for column in encoded
        ]
    except UnicodeEncodeError as error:
        raise UnsupportedColumn(f"column names must be valid Unicode, but: {error}. Rename the column.") from error
    framed: bytes = pa.schema(fields).serialize().to_pybytes()
    return framed[8 : 8 + struct.unpack_from("<i", framed, 4)[0]]


def _framed(meta: bytes, start: int, alignment: int) -> bytes:
    """An encapsulated message that starts at `start`, padded so that what follows is aligned."""
    padded = meta + bytes(-(start + 8 + len(meta)) % alignment)
    return _CONTINUATION + struct.pack("<i", len(padded)) + padded


def _batch_message(kind: int, number: int, rows: int, columns: list[Encoded]) -> tuple[bytes, int]:
    """The metadata of one batch, and the bytes of its body."""
    nodes = [node for column in columns for node in column.nodes]
    offset, places = 0, []
    for column in columns:
        for _, data in column.buffers:
            places.append((offset, len(data)))
            offset += len(data) + -len(data) % ALIGNMENT
    batch = flatbuffers.Table(
        {
            0: ("i64", rows),
            1: ("ref", flatbuffers.Structs("qq", nodes)),
            2: ("ref", flatbuffers.Structs("qq", places)),
        }
    )
    if kind == _DICTIONARY_BATCH:
        batch = flatbuffers.Table({0: ("i64", number), 1: ("ref", batch)})
    root = {0: ("i16", _V5), 1: ("i8", kind), 2: ("ref", batch), 3: ("i64", offset)}
    return flatbuffers.serialize(flatbuffers.Table(root)), offset


def _add_buffers(out: _Pieces, column: Encoded) -> dict[str, Extent]:
    extents: dict[str, Extent] = {}
    for role, data in column.buffers:
        start = out.add(data)
        out.align()
        if role:
            extents[role] = (start, len(data), hash_of(data))
    return extents


def _layout(column: Encoded, buffers: dict[int, dict[str, Extent]]) -> ColumnLayout:
    inner = column.categories
    categories = _layout(inner, buffers) if inner is not None else None
    return ColumnLayout(**column.facts, rows=column.rows, buffers=buffers[id(column)], categories=categories)


def _tail(schema: bytes, blocks: dict[int, list[tuple[int, ...]]], layout: str) -> bytes:
    """End-of-stream mark, footer, its length and the magic; sealed by a hash over all of it."""
    blank = "0" * 32
    pairs = [
        flatbuffers.Table({0: ("ref", key), 1: ("ref", text)})
        for key, text in ((LAYOUT_KEY, layout), (SEAL_KEY, blank))
    ]
    header = flatbuffers.reference(memoryview(schema), flatbuffers.root_table(memoryview(schema)), 2)
    fields: dict[int, tuple[str, Any]] = {
        0: ("i16", _V5),
        1: ("ref", flatbuffers.Blob(schema, header or 0)),
        2: ("ref", flatbuffers.Structs("qi4xq", blocks[_DICTIONARY_BATCH])),
        3: ("ref", flatbuffers.Structs("qi4xq", blocks[_RECORD_BATCH])),
        4: ("ref", pairs),
    }
    footer = flatbuffers.serialize(flatbuffers.Table(fields))
    tail = bytearray(_CONTINUATION + bytes(4) + footer + struct.pack("<i", len(footer)) + ARROW_MAGIC)
    view = memoryview(footer)
    place, _ = flatbuffers.string_pairs(view, flatbuffers.root_table(view), 4)[SEAL_KEY]
    tail[8 + place : 8 + place + 32] = hash_of(bytes(tail)).encode()
    return bytes(tail)


def write_message(message: "Message", target: "str | Path | BinaryIO") -> None:
    """Write one file. A path is replaced at once, when everything is on the disk; until then nothing is to be seen.

    Raises:
        UnsupportedColumn: If the format has no place for a column.
        StoreFull: If the disk is.
        ObjectNotFound: (a FileNotFoundError) if there is no such folder.
    """
    pieces = pack(message)
    if not isinstance(target, str | Path):
        for piece in pieces:
            target.write(piece)
        return
    path = Path(target)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_synced(temporary, pieces)
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(f"the disk must hold the whole file, but is full at {path}. Free some space.") from error
        if error.errno == errno.ENOENT:
            raise ObjectNotFound(f"the folder of a file must exist, but {path.parent} does not. Make it.") from error
        # The temporary name means nothing to the caller.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_synced(path: Path, pieces: list[Piece]) -> None:
    with path.open("xb", buffering=0) as file:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
        os.fsync(file.fileno())
