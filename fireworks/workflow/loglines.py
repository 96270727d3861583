"""Lines that attempts printed: how they lie in a store, and several logs as one, by time.

An attempt's log is a folder of chunks, texts that a person can read::

    logs/train/00000/3fa9c1d2e4b5/00000-20261121T104513.120034Z.log

    2026-11-21T10:45:13.120034Z epoch 1
    2026-11-21T10:45:18.000271Z+epoch 2: 40 %
    2026-11-21T10:45:19.310992Z , loss 0.2

The name holds the chunk's number and the time of its first line, so that a listing tells what to read when. A line
begins with the time at which it was complete, by the clock of the machine that it was printed on; within an attempt,
times never go back. A + in place of the blank: it was not complete for seconds, and goes on in the next line.

Chunks of version 1 are named by their number alone, and hold the bytes as they came. All that is known of their time is
when the store took them.

Comes in: lines of `fireworks.workflow.capturing`; names and bytes of `fireworks.workflow.history`. Goes out: bytes to
the one, lines to the other.
"""

import heapq
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import NamedTuple

from ..errors import FormatError
from ..store import ObjectInfo, Store

__all__ = ["Chunk", "Line", "LogFile", "chunk_name", "chunks_of", "decode_chunk", "encode_chunk", "interleave", "stamp"]

# A read from S3 is all waiting.
_READERS = 16
_NAME = re.compile(r"(\d+)(?:-(\d{8}T\d{6}\.\d{6}Z))?\.log")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_STAMP_BYTES = 27


class Line(NamedTuple):
    """One line.

    Args:
        time: When it was complete, in seconds since the epoch.
        text: With its line break; without, it goes on in the next line or the process ended.
    """

    time: float
    text: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """A piece of a log.

    Args:
        number: From 0.
        time: Of its first line; of version 1, when the store took it.
        timed: Whether its lines have times: since version 2.
    """

    key: str
    number: int
    time: float
    timed: bool


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """What one attempt printed; `chunks` are in order."""

    stage: str
    shard: int
    attempt: str
    chunks: tuple[Chunk, ...]


def stamp(time: float) -> str:
    """A time as text that sorts as times do: RFC 3339, UTC, microseconds.

    >>> stamp(1_790_000_000.25)
    '2026-09-21T14:13:20.250000Z'
    """
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def chunk_name(number: int, lines: Sequence[Line]) -> str:
    """The last part of its key."""
    return f"{number:05d}-{re.sub('[-:]', '', stamp(lines[0].time))}.log"


def encode_chunk(lines: Iterable[Line]) -> bytes:
    """Its bytes."""
    parts = []
    for time, text in lines:
        whole = text.endswith(b"\n")
        parts += [stamp(time).encode(), b" " if whole else b"+", text, b"" if whole else b"\n"]
    return b"".join(parts)


def chunks_of(infos: Iterable[ObjectInfo]) -> tuple[Chunk, ...]:
    """The chunks of one attempt, in order.

    Raises:
        FormatError: If one has a name of no known version.
    """
    chunks = sorted(map(_chunk, infos), key=lambda chunk: chunk.number)
    # A store's clock may have been set back; an attempt's log has one order.
    times = accumulate((chunk.time for chunk in chunks), max)
    return tuple(
        Chunk(key=chunk.key, number=chunk.number, time=time, timed=chunk.timed)
        for chunk, time in zip(chunks, times, strict=True)
    )


def decode_chunk(chunk: Chunk, data: bytes) -> Iterator[Line]:
    """Its lines, as far as they were complete.

    Raises:
        FormatError: If one has no time.
    """
    for match in _LINE.finditer(data):
        line = match[0]
        if not chunk.timed:
            yield Line(chunk.time, line)
            continue
        try:
            time = datetime.fromisoformat(line[:_STAMP_BYTES].decode()).timestamp()
        except ValueError:
            shown = line[:40].decode(errors="replace")
            raise FormatError(
                f"a line of a log must begin with a time, but {chunk.key} has {shown!r}. It was changed; remove it."
            ) from None
        text = line[_STAMP_BYTES + 1 :]
        yield Line(time, text.removesuffix(b"\n") if line[_STAMP_BYTES : _STAMP_BYTES + 1] == b"+" else text)


def interleave(store: Store, files: Sequence[LogFile]) -> Iterator[tuple[LogFile, Line]]:
    """The lines of all files by time; of one time, those of the earlier file first. Pieces of a line are joined.

    Holds one chunk of each file whose attempt was running at that time, and a few that come next.
    """
    order = sorted(
        (chunk.time, rank, place) for rank, file in enumerate(files) for place, chunk in enumerate(file.chunks)
    )
    keys = (files[rank].chunks[place].key for _, rank, place in order)
    rests: dict[int, bytes] = {}
    heap: list[tuple[float, int, int, bytes, Iterator[Line]]] = []

    def advance(rank: int, place: int, lines: Iterator[Line]) -> None:
        if (line := next(lines, None)) is not None:
            heapq.heappush(heap, (line.time, rank, place, line.text, lines))

    def take() -> tuple[LogFile, Line]:
        time, rank, place, text, lines = heapq.heappop(heap)
        advance(rank, place, lines)
        return files[rank], Line(time, text)

    for (time, rank, place), data in zip(order, _fetched(store, keys), strict=True):
        while heap and heap[0][:3] < (time, rank, place):
            yield take()
        chunks = files[rank].chunks
        lines = decode_chunk(chunks[place], data)
        advance(rank, place, _joined(lines, rests, rank, last=place == len(chunks) - 1))
    while heap:
        yield take()


def _joined(lines: Iterator[Line], rests: dict[int, bytes], rank: int, *, last: bool) -> Iterator[Line]:
    """Whole lines; a piece at the end waits for the file's next chunk, unless this is the `last`."""
    time = 0.0
    for time, text in lines:
        whole = rests.pop(rank, b"") + text
        if whole.endswith(b"\n"):
            yield Line(time, whole)
        else:
            rests[rank] = whole
    if last and rank in rests:
        yield Line(time, rests.pop(rank))


def _fetched(store: Store, keys: Iterable[str]) -> Iterator[bytes]:
    """The objects in their order, a few read ahead."""
    with ThreadPoolExecutor(_READERS) as pool:
        ahead: deque[Future[bytes]] = deque()
        for key in keys:
            ahead.append(pool.submit(store.get, key))
            if len(ahead) == _READERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _chunk(info: ObjectInfo) -> Chunk:
    found = _NAME.fullmatch(info.key.rpartition("/")[2])
    if found is None:
        raise FormatError(
            f"a chunk of a log must be named as number.log or number-time.log, but got {info.key}. It is of a later"
            " version of Fireworks; use that."
        )
    time = datetime.fromisoformat(found[2]).timestamp() if found[2] else info.modified_at
    return Chunk(key=info.key, number=int(found[1]), time=time, timed=found[2] is not None)
