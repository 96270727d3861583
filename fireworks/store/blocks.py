"""Data on its way into a store: cut into blocks, measured and hashed as it passes.

Comes in: bytes, a file or an iterable from the callers of `fireworks.store`. Goes out: equal blocks to each kind of
store, then an `ObjectRecord`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from ..records import ObjectRecord

__all__ = ["Data", "Upload"]

Data = bytes | bytearray | memoryview | Path | BinaryIO | Iterable[bytes]
"""What can be put: bytes, a path to a file, a binary file from where it stands, or an iterable of bytes."""


class Upload:
    """Blocks of one object, and after they have passed: its size and hash.

    Args:
        data: What to cut.
        block_bytes: Size of every block but the last. There is no block if there is no data.

    Attributes:
        error: What reading `data` raised, if it did: the caller's own error, whatever the store made of it.
    """

    def __init__(self, data: Data, block_bytes: int) -> None:
        self._data = data
        self._block_bytes = block_bytes
        self._hash = blake3()
        self._size_bytes = 0
        self._stopped = False
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes | memoryview]:
        try:
            for block in _cut(self._data, self._block_bytes):
                if self._stopped:
                    raise InterruptedError("the upload was given up")
                self._hash.update(block)
                self._size_bytes += len(block)
                yield block
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise

    def stop(self) -> None:
        """Fail at the next block: for an upload that goes on in another thread."""
        self._stopped = True

    def record(self, key: str) -> ObjectRecord:
        """Key, size and blake3 hash of all that has passed."""
        return ObjectRecord(key=key, size_bytes=self._size_bytes, hash=self._hash.hexdigest())


def _cut(data: Data, size: int) -> Iterator[bytes | memoryview]:
    if isinstance(data, Path):
        with data.open("rb") as file:
            yield from _cut(file, size)
    elif isinstance(data, bytes | bytearray | memoryview):
        view = memoryview(data).cast("B")
        yield from (view[at : at + size] for at in range(0, len(view), size))
    elif (read := getattr(data, "read", None)) is not None:
        yield from _joined(iter(lambda: read(size), b""), size)
    else:
        yield from _joined(data, size)


def _joined(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Blocks of `size` from pieces of any length."""
    pending = bytearray()
    for piece in pieces:
        if not pending and len(piece) == size:
            yield piece
            continue
        pending += piece
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    if pending:
        yield bytes(pending)
