"""A store behind obstore: S3 and what speaks like it, a web server to read from, this process's memory.

Comes in: keys and data through `fireworks.store.interface`, clients from `fireworks.store.opening`. Goes out:
requests, each limited in size and time, tried again until patience runs out.
"""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from secrets import SystemRandom
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import HTTPStore, MemoryStore, S3Store

from ..errors import FireworksError, StoreDenied, StoreError, StoreUnavailable
from ..records import ObjectRecord
from .blocks import Data, Upload
from .faults import from_remote
from .interface import BLOCK_BYTES, ObjectInfo, Store
from .keys import check_key, check_prefix, check_ranges, plan_requests
from .waiting import concurrently, interruptibly

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

__all__ = ["Client", "RemoteStore"]

Client = S3Store | HTTPStore | MemoryStore

PART_BYTES = 16 * 2**20  # S3 allows 10,000 parts an object: 160 GB.
_UPLOADS = 4
_DOWNLOADS = 8
_GAP_BYTES = 2**20  # What is cheaper to read than another request is to make.
_LONGEST_PAUSE_S = 10.0

T = TypeVar("T")

# Clients must not all come back at once. `random` itself stays the user's: its state is part of their results.
_jitter = SystemRandom()


class RemoteStore(Store):
    """Objects behind an obstore client.

    Args:
        url: Opens this store again.
        client: Makes each request once; trying again is done here, where the clock is watched.
        uploader: The same place, trying each request again by itself: the parts of a streamed upload are known to
            obstore alone.
        place: The server, for error messages.
        reopen: The function and arguments to pickle the store as.
        patience_s: As in `Store`.
    """

    def __init__(
        self,
        url: str,
        client: Client,
        *,
        uploader: Client | None = None,
        place: str,
        reopen: tuple[object, ...],
        patience_s: float = 600.0,
    ) -> None:
        self.url = url
        self.patience_s = patience_s
        self._client = client
        self._uploader = uploader or client
        self._place = place
        self._reopen = reopen

    def put(self, key: str, data: Data) -> ObjectRecord:
        self._check_writable(key)
        upload = Upload(data, PART_BYTES)
        blocks = iter(upload)
        start, second = next(blocks, b""), next(blocks, None)
        if second is None:
            self._patiently(key, lambda: obstore.put(self._client, key, start, use_multipart=False))
        else:
            self._stream(key, upload, chain([start, second], blocks))
        return upload.record(key)

    def _stream(self, key: str, upload: Upload, blocks: Iterable[bytes | memoryview]) -> None:
        """A multipart upload: visible once its last request succeeds."""
        try:
            interruptibly(
                lambda: obstore.put(self._uploader, key, blocks, chunk_size=PART_BYTES, max_concurrency=_UPLOADS)
            )
        except Exception as error:
            if upload.error is not None:
                raise upload.error from None
            raise self._fault(error, key) from error
        except BaseException:
            upload.stop()  # It goes on beside us.
            raise

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._check_writable(key)
        lost_answers = 0

        def create() -> bool:
            nonlocal lost_answers
            try:
                obstore.put(self._client, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if "409 Conflict" in str(error):  # Another creation is under way, and may yet fail.
                    raise
                return False
            except BaseError:
                lost_answers += 1
                raise
            return True

        created = self._patiently(key, create)
        return created or (lost_answers > 0 and self.get(key) == data)

    def get_ranges(self, key: str, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        check_key(key)
        checked = check_ranges(key, ranges)
        requests = plan_requests(checked, _GAP_BYTES, BLOCK_BYTES)
        if not requests:
            self.head(key)
        answers = self._read_all(key, requests)
        return [_assembled(requests, answers, start, end) for start, end in checked]

    def get(self, key: str) -> bytes:
        start, size, tag = self._read(check_key(key), 0, BLOCK_BYTES)
        rest = plan_requests([(len(start), size)], 0, BLOCK_BYTES)
        return b"".join([start, *self._read_all(key, rest, tag)])

    def stream(self, key: str) -> Iterator[bytes]:
        block, size, tag = self._read(check_key(key), 0, BLOCK_BYTES)
        if block:
            yield block
        at = len(block)
        while at < size:
            block, _, _ = self._read(key, at, at + BLOCK_BYTES, tag)
            yield block
            at += len(block)

    def head(self, key: str) -> ObjectInfo:
        check_key(key)
        return self._patiently(key, lambda: _info(self._head(key)))

    def list_folders(self, prefix: str) -> list[str]:
        folder = check_prefix(prefix)
        found = self._patiently(folder, lambda: obstore.list_with_delimiter(self._client, folder or None))
        return sorted(found["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        doomed = [check_key(key) for key in keys]
        if doomed:
            self._check_writable(doomed[0])
            self._patiently(doomed[0], lambda: obstore.delete(self._client, doomed))

    def __reduce__(self) -> tuple[object, ...]:
        return self._reopen

    def _read(self, key: str, start: int, end: int, tag: str | None = None) -> tuple[bytes, int, str | None]:
        """Bytes [start, end) or as many as there are, the object's size, and its version.

        From a web server that knows no ranges, all bytes from `start` on: they are here already.
        """
        options: GetOptions = {"range": (start, end)} if tag is None else {"range": (start, end), "if_match": tag}

        def read() -> tuple[bytes, int, str | None]:
            try:
                answer = obstore.get(self._client, key, options=options)
                return bytes(answer.bytes()), answer.meta["size"], answer.meta["e_tag"]
            except PreconditionError as error:
                raise StoreError(
                    f"an object must stay as it is while it is read, but {key!r} of {self.url} was replaced. Try again."
                ) from error
            except NotSupportedError:
                answer = obstore.get(self._client, key)
                return bytes(answer.bytes())[start:], answer.meta["size"], answer.meta["e_tag"]
            except BaseError as error:
                if not _beyond_end(error):
                    raise
                size = self._head(key)["size"]
                if size > start:
                    raise
                return b"", size, None

        return self._patiently(key, read)

    def _head(self, key: str) -> "ObjectMeta":
        try:
            return obstore.head(self._client, key)
        except (BaseError, FileNotFoundError) as error:
            if isinstance(self._client, MemoryStore):
                raise
            # The answer to HEAD has no body to say why; that to GET has. Its content is not fetched.
            try:
                return obstore.get(self._client, key).meta
            except (BaseError, FileNotFoundError) as reason:
                raise reason from error

    def _read_all(self, key: str, requests: Sequence[tuple[int, int]], tag: str | None = None) -> Sequence[bytes]:
        """What each request brings, several at a time."""
        answers = concurrently(lambda request: self._read(key, *request, tag)[0], requests, _DOWNLOADS)
        return [answer[: end - start] for answer, (start, end) in zip(answers, requests, strict=True)]

    def _patiently(self, key: str, attempt: Callable[[], T]) -> T:
        """Try until it succeeds, fails for good, or patience runs out."""
        deadline = time.monotonic() + self.patience_s
        pause_s = 0.1
        while True:
            try:
                return interruptibly(attempt)
            except (BaseError, OSError, ValueError) as error:
                fault = self._fault(error, key)
                pause = pause_s * _jitter.uniform(0.5, 1.0)
                if not isinstance(fault, StoreUnavailable) or time.monotonic() + pause > deadline:
                    raise fault from error
            time.sleep(pause)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _fault(self, error: Exception, key: str) -> FireworksError:
        if isinstance(error, FireworksError):
            return error
        return from_remote(error, self.url, key, self._place)

    def _check_writable(self, key: str) -> None:
        check_key(key)
        if isinstance(self._client, HTTPStore):
            raise StoreDenied(
                f"a web server can only be read from, but got {key!r} to write to {self.url}. Use s3:// or a folder."
            )

    # The last method: below it, `list` no longer names the type.
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix)
        entries = self._patiently(folder, lambda: obstore.list(self._client, folder or None, chunk_size=1000).collect())
        for entry in sorted(entries, key=lambda entry: entry["path"]):
            yield _info(entry)


def _info(found: "ObjectMeta") -> ObjectInfo:
    modified_at = found["last_modified"].timestamp()
    return ObjectInfo(key=found["path"], size_bytes=found["size"], modified_at=modified_at, etag=found["e_tag"])


def _beyond_end(error: BaseError) -> bool:
    text = str(error)
    return "416 Range Not Satisfiable" in text or "InMemory error: Invalid range" in text


def _assembled(requests: Sequence[tuple[int, int]], answers: Sequence[bytes], start: int, end: int) -> bytes:
    """Bytes [start, end) out of the ascending requests that cover them."""
    first = max(bisect_right(requests, start, key=lambda request: request[0]) - 1, 0)
    last = bisect_left(requests, end, key=lambda request: request[0])
    pieces = [answers[i][max(start - requests[i][0], 0) : end - requests[i][0]] for i in range(first, last)]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
