"""Keeping what an attempt prints: copied to the store, line by line, while it goes on to where it was going.

Comes in: stdout and stderr of a process, or of one thread. Goes out: lines with their times, kept by
`fireworks.workflow.history` below ``runs/<id>/logs/``, read by `fireworks logs`.
"""

import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, cast

from ..errors import FireworksError
from .loglines import Line

__all__ = ["LogChunks", "captured_descriptors", "captured_streams"]

_INTERVAL_S = 5.0
_CHUNK_BYTES = 1 << 18
# Printing waits for a store that is this far behind.
_BEHIND_BYTES = 1 << 22
# A line of this length is kept in pieces.
_LINE_BYTES = 1 << 16


@dataclass
class _Open:
    """A line that has not ended."""

    since: float
    text: bytearray = field(default_factory=bytearray)


class LogChunks:
    """Puts bytes together to lines, notes when each was complete, and hands them on in chunks.

    A thread hands them on when there are many, and whenever the seconds since the epoch are a multiple of five: all
    attempts at once, so that who follows several has their lines of the same seconds together. If they cannot be kept,
    it says so once; an attempt does not fail by that.

    Args:
        put: Gets the chunk's number, from 0, and its lines.
    """

    def __init__(self, put: Callable[[int, list[Line]], object]) -> None:
        self._put = put
        self._number = 0
        self._lines: deque[Line] = deque()
        self._size_bytes = 0
        self._open: dict[int, _Open] = {}
        self._last = 0.0
        self._closed = self._over = False
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def write(self, data: bytes, stream: int = 1) -> None:
        """Add bytes of one of several streams, whose lines are not mixed."""
        # In a fork there is no thread to hand them on.
        if os.getpid() != self._process:
            return
        *ends, rest = data.split(b"\n")
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._size_bytes < _BEHIND_BYTES)
            if self._over:
                return
            now = self._now()
            for text in ends:
                begun = self._open.pop(stream, None)
                self._add(Line(now, (bytes(begun.text) if begun else b"") + text + b"\n"))
            if rest:
                begun = self._open.setdefault(stream, _Open(now))
                begun.text += rest
                if len(begun.text) >= _LINE_BYTES:
                    self._add(Line(now, bytes(self._open.pop(stream).text)))
            if self._size_bytes >= _CHUNK_BYTES:
                self._changed.notify_all()

    def close(self) -> None:
        """Hand on the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _now(self) -> float:
        """The time; never back, whoever sets the clock."""
        self._last = max(self._last, time.time())
        return self._last

    def _add(self, line: Line) -> None:
        self._lines.append(line)
        self._size_bytes += len(line.text)

    def _run(self) -> None:
        try:
            while not self._hand_on():
                pass
        except FireworksError as error:
            self._end()
            sys.stderr.write(f"warning: what is printed can no longer be kept: {error}\n")
        finally:
            self._end()

    def _end(self) -> None:
        """Take no more; nobody waits any longer."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _hand_on(self) -> bool:
        """Wait for the time or for many lines, and put them; whether these were the last."""
        with self._changed:
            full = self._changed.wait_for(
                lambda: self._closed or self._size_bytes >= _CHUNK_BYTES, _INTERVAL_S - time.time() % _INTERVAL_S
            )
            closed = self._closed
            if closed or not full:
                self._break_off(0.0 if closed else _INTERVAL_S)
        while chunk := self._take():
            self._put(self._number, chunk)
            self._number += 1
        return closed

    def _break_off(self, age_s: float) -> None:
        """Hand on lines as they are that have been open for so long."""
        now = self._now()
        for stream in [stream for stream, begun in self._open.items() if now - begun.since >= age_s]:
            self._add(Line(now, bytes(self._open.pop(stream).text)))

    def _take(self) -> list[Line]:
        chunk, size_bytes = [], 0
        with self._changed:
            while self._lines and size_bytes < _CHUNK_BYTES:
                chunk.append(self._lines.popleft())
                size_bytes += len(chunk[-1].text)
            self._size_bytes -= size_bytes
            self._changed.notify_all()
        return chunk


@contextmanager
def captured_descriptors(chunks: LogChunks) -> Iterator[None]:
    """Copy everything that this process, native libraries included, writes to descriptors 1 and 2."""
    # Into a pipe Python writes by the block: lines would come late, and with the time at which the block was full.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    threads = []
    for descriptor, original in saved.items():
        reader, writer = os.pipe()
        os.dup2(writer, descriptor)
        os.close(writer)
        threads.append(threading.Thread(target=_copy, args=(reader, descriptor, original, chunks), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in saved.items():
            os.dup2(original, descriptor)
        # A child that outlives the stage may still hold the pipe: don't wait for it for ever.
        for thread in threads:
            thread.join(timeout=2)
        chunks.close()


def _copy(reader: int, descriptor: int, original: int, chunks: LogChunks) -> None:
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while data := stream.read(65536):
            # First, so that our time of a line is not after that of whoever reads the original.
            chunks.write(data, descriptor)
            os.write(original, data)


class _Tee:
    """A text stream that also keeps what is written to it; in all else the stream that it stands for."""

    def __init__(self, stream: IO[str], descriptor: int, chunks: LogChunks) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._chunks = chunks

    def write(self, text: str) -> int:
        self._chunks.write(text.encode(errors="replace"), self._descriptor)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def captured_streams(chunks: LogChunks) -> Iterator[None]:
    """Copy what Python code prints; descriptors, which a notebook or test runner may own, are left alone."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("IO[str]", _Tee(stream, number, chunks)) for number, stream in enumerate(before, 1))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        chunks.close()
