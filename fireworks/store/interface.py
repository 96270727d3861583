"""What every store can do, whatever it lies on.

Comes in: keys and bytes from `fireworks.core` and `fireworks.workflow`. Goes out: implemented by
`fireworks.store.files` and `fireworks.store.remote`, opened by `fireworks.store.opening`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ObjectNotFound, StoreError
from ..records import ObjectRecord
from .blocks import Data
from .keys import check_key, check_prefix

__all__ = ["BLOCK_BYTES", "ObjectInfo", "Store"]

BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """What is known of an object without reading it.

    Args:
        modified_at: Seconds since the epoch, UTC.
        etag: Changes whenever the object does; None if the server gives none.
    """

    key: str
    size_bytes: int
    modified_at: float
    etag: str | None = None


class Store(ABC):
    """Objects by key under one URL. Safe to use from many threads; pickles as its URL.

    An object appears whole or not at all. Keys are relative names joined by ``/``. Prefixes are folders:
    ``runs/1`` holds ``runs/1/plan.json``, not ``runs/10/plan.json``.

    All methods raise `StoreUnavailable` when the server gave no proper answer for `patience_s` seconds,
    `StoreDenied` or `BadSignature` when it refuses the caller, `StoreError` for a key that no store would hold.

    Attributes:
        url: Opens the same store again. Never holds a secret.
        patience_s: How long server errors, stalls and lost connections are tried again, in seconds.
    """

    url: str
    patience_s: float

    @abstractmethod
    def put(self, key: str, data: Data) -> ObjectRecord:
        """Write an object, replacing any of this key. Streams: memory stays bounded whatever the size.

        Args:
            key: Where to.
            data: Bytes, the path of a file, a binary file from where it stands, or an iterable of bytes. What
                reading it raises comes out unchanged, and no object is left.

        Returns:
            Key, size in bytes and blake3 hash, computed on the way.

        Raises:
            StoreFull: If no space or quota is left.
        """

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a small object unless the key is taken. Of any number of concurrent creators, one gets True.

        When the answer to a creation was lost on the way, the retry finds the key taken: if by these very
        bytes, that counts as ours. Let records that compete differ.

        Returns:
            Whether this call created the object.

        Raises:
            StoreFull: If no space or quota is left.
        """

    @abstractmethod
    def get_ranges(self, key: str, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        """Read several ranges at once; near ones share a request.

        Args:
            key: The object.
            ranges: [start, end) in bytes. What lies beyond the end of the object is left out.

        Raises:
            ObjectNotFound: If there is no such object.
        """

    @abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """Size, age and version of an object.

        Raises:
            ObjectNotFound: If there is no such object.
        """

    @abstractmethod
    def list_folders(self, prefix: str) -> list[str]:
        """Keys of the folders directly under a folder, sorted, without a slash at the end.

        Some servers go on naming a folder for a while after its last object was deleted.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects. Those that are not there are no error."""

    def get(self, key: str) -> bytes:
        """Read a whole object.

        Raises:
            ObjectNotFound: If there is no such object.
        """
        return b"".join(self.stream(key))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end), or as many of them as there are. See `get_ranges`."""
        return self.get_ranges(key, [(start, end)])[0]

    @abstractmethod
    def stream(self, key: str) -> Iterator[bytes]:
        """Read an object block by block.

        Raises:
            ObjectNotFound: If there is no such object.
            StoreError: If it was replaced while being read.
        """

    def size(self, key: str) -> int:
        """Size in bytes. See `head`."""
        return self.head(key).size_bytes

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        try:
            self.head(key)
        except ObjectNotFound:
            return False
        return True

    def delete_prefix(self, prefix: str) -> int:
        """Delete everything under a folder; how many objects that were.

        Raises:
            StoreError: If `prefix` is empty: a whole store is not deleted by accident.
        """
        folder = check_prefix(prefix)
        if not folder:
            raise StoreError(f"delete_prefix must name a folder, but got {prefix!r} in {self.url}. Name one.")
        keys = [info.key for info in self.list(folder)]
        self.delete(keys)
        return len(keys)

    def local_path(self, key: str) -> Path | None:
        """The object's file, for mapping into memory, if the store lies on a local disk; None elsewhere.

        Raises:
            ObjectNotFound: If there is no such object.
        """
        check_key(key)
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    # The last method: below it, `list` no longer names the type.
    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object under a folder, at any depth, sorted by key. An empty prefix lists the whole store."""
