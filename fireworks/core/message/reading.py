"""Reading Message files: mapped or in memory, whole or by columns; never more than the footer before all is checked.

Comes in: a path, bytes, a buffer. Goes out: a Message that shares the mapped memory, writable, the file untouched.
"""

import mmap
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from ...errors import FormatError, SchemaError, did_you_mean
from . import flatbuffers
from .kind import Decoder
from .kinds import check_column, decode
from .layout import (
    ALIGNMENT,
    ARROW_MAGIC,
    LAYOUT_KEY,
    MAXIMAL_TAIL_BYTES,
    SEAL_KEY,
    ColumnLayout,
    FileLayout,
    check_extents,
    hash_of,
    parse,
)
from .message import Message

__all__ = [
    "ByteRanges",
    "InMemory",
    "chosen",
    "decode_rows",
    "map_file",
    "open_layout",
    "read_message",
    "verify_file",
    "verify_message",
]

_END = struct.Struct(f"<i{len(ARROW_MAGIC)}s")
_SMALLEST = len(ARROW_MAGIC) + 2 + 8 + _END.size
_FIRST_FETCH = 1 << 16


class ByteRanges(Protocol):
    """A file of known size that can be asked for ranges of its bytes."""

    size: int
    name: str

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """The bytes of each range, start…end; writable."""


class InMemory:
    """A file that is mapped, or that has been read."""

    def __init__(self, data: memoryview, name: str) -> None:
        self.data = data
        self.size = len(data)
        self.name = name

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        return [self.data[start:end] for start, end in ranges]


def map_file(path: Path) -> InMemory:
    """Map a file privately: tensors on it can be written to, the file does not change.

    Who truncates a mapped file ends every process that reads on: files are replaced, never rewritten.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _SMALLEST:
            raise FormatError(
                f"a Message file must have at least {_SMALLEST} bytes, but {path} has {size}. Fetch it again."
            )
        return InMemory(memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)), str(path))


def read_message(
    source: "str | Path | bytes | BinaryIO", columns: Iterable[str] | None = None, verify: bool = False
) -> Message:
    """Read one file. A path is mapped: pages are read when touched.

    Args:
        source: A path, the bytes of a file, or a buffer, which is read from its start.
        columns: Only these, in this order.
        verify: Check every byte of the file against its hash before anything is used. Else only the footer is.

    Raises:
        FormatError: If the file is torn, altered, hostile, foreign or of an unknown version; nothing is allocated then.
        SchemaError: If a column is asked for that the file does not have.
    """
    file = _open(source)
    layout = open_layout(file)
    if verify:
        verify_file(file, layout)
    return decode_rows(file, layout, chosen(layout, columns, file.name), 0, layout.rows)


def verify_message(source: "str | Path | bytes | BinaryIO") -> None:
    """Check every byte of a file.

    Raises:
        FormatError: If one is not what was written.
    """
    file = _open(source)
    verify_file(file, open_layout(file))


def _open(source: "str | Path | bytes | BinaryIO") -> InMemory:
    if isinstance(source, str | Path):
        return map_file(Path(source))
    if not isinstance(source, bytes | bytearray | memoryview):
        source.seek(0)
        source = source.read()
    return InMemory(memoryview(bytearray(source)), "the file in memory")


def open_layout(file: ByteRanges) -> FileLayout:
    """Read and check the footer.

    Raises:
        FormatError: If it is not a sealed footer of this format, or does not describe a file of this size.
    """
    if file.size < _SMALLEST:
        raise FormatError(f"a Message file must have at least {_SMALLEST} bytes, but {file.name} has {file.size}.")
    last = file.fetch([(max(0, file.size - _FIRST_FETCH), file.size)])[0]
    length, magic = _END.unpack(last[-_END.size :])
    if magic != ARROW_MAGIC:
        raise FormatError(
            f"a Message file must end with {ARROW_MAGIC!r}, but {file.name} ends with {bytes(magic)!r}. It is torn or "
            "no Message file: fetch it again; other formats go through `Message.read`."
        )
    size = 8 + length + _END.size
    if length < 4 or size > file.size - len(ARROW_MAGIC) - 2 or size > MAXIMAL_TAIL_BYTES:
        raise FormatError(
            f"a footer must lie inside its file, but that of {file.name} has {length} bytes. Fetch it again."
        )
    tail = last[-size:] if size <= len(last) else file.fetch([(file.size - size, file.size)])[0]
    layout = parse(_sealed(tail, file.name))
    for column in layout.columns:
        check_column(column)
    check_extents(layout, file.size - size)
    return layout


def _sealed(tail: memoryview, name: str) -> bytes:
    """The layout's JSON, after the seal over the whole tail was found intact."""
    footer = tail[8 : -_END.size]
    try:
        pairs = flatbuffers.string_pairs(footer, flatbuffers.root_table(footer), 4)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    if LAYOUT_KEY not in pairs or SEAL_KEY not in pairs:
        raise FormatError(
            f"a Message file must carry its layout, but {name} does not: another program wrote it, or it was altered. "
            "Read it with `Message.read('feather', path)`."
        )
    place, seal = pairs[SEAL_KEY]
    open_tail = bytearray(tail)
    open_tail[8 + place : 8 + place + len(seal)] = b"0" * len(seal)
    if hash_of(bytes(open_tail)).encode() != seal:
        raise FormatError(f"a footer must match its seal, but that of {name} does not: it was altered. Fetch it again.")
    return pairs[LAYOUT_KEY][1]


def verify_file(file: InMemory, layout: FileLayout) -> None:
    """Check every byte before the footer: buffers and heads by their hashes, what lies between them to be zero.

    Raises:
        FormatError: If one is not what was written.
    """
    end = 0
    for start, size, expected in [*layout.extents(), (_tail_start(layout), 0, hash_of(b""))]:
        if any(file.data[end:start]):
            raise FormatError(
                f"padding must be zero, but bytes {end} to {start} of {file.name} are not. Fetch it again."
            )
        if hash_of(file.data[start : start + size]) != expected:
            raise FormatError(
                f"bytes {start} to {start + size} of {file.name} ({_owner(layout, start, size)}) must match their "
                "hash, but do not: the file was altered. Fetch it again."
            )
        end = start + size


def _tail_start(layout: FileLayout) -> int:
    # `check_extents` has made sure that the tail begins at this multiple of the alignment.
    end = max((start + size for start, size, _ in layout.extents()), default=0)
    return end + -end % ALIGNMENT


def _owner(layout: FileLayout, start: int, size: int) -> str:
    for column in layout.columns:
        for part in (column, column.categories):
            for role, extent in part.buffers.items() if part is not None else ():
                if extent[:2] == (start, size):
                    return f"{role} of column {column.name!r}"
    return "Arrow's head"


def chosen(layout: FileLayout, columns: Iterable[str] | None, name: str) -> list[ColumnLayout]:
    """The layouts of the columns asked for, in that order."""
    if columns is None:
        return list(layout.columns)
    known = {column.name: column for column in layout.columns}
    wanted = [columns] if isinstance(columns, str) else list(columns)
    for column in wanted:
        if column not in known:
            near = did_you_mean(column, known)
            raise SchemaError(f"columns of {name} are {sorted(known)}, but {column!r} was asked for.{near}")
    return [known[column] for column in wanted]


def decode_rows(file: ByteRanges, layout: FileLayout, columns: list[ColumnLayout], start: int, stop: int) -> Message:
    """Rows start…stop; the ranges of all columns are fetched together, in as many rounds as the slowest needs."""
    decoders: dict[str, Decoder] = {column.name: decode(column, start, stop) for column in columns}
    asked = {name: next(decoder) for name, decoder in decoders.items()}
    done: dict[str, object] = {}
    while asked:
        found = iter(file.fetch([extent for ranges in asked.values() for extent in ranges]))
        answers = {name: [next(found) for _ in ranges] for name, ranges in asked.items()}
        asked = {}
        for name, answer in answers.items():
            try:
                asked[name] = decoders[name].send(answer)
            except StopIteration as stopped:
                done[name] = stopped.value
    return Message._new({column.name: done[column.name] for column in columns}, stop - start if columns else 0)
