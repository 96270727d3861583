"""A store in a folder of a local or shared disk.

Comes in: keys and data through `fireworks.store.interface`. Goes out: one file an object, its key the relative path.

Files are written under a temporary name beside their target, synced, then renamed (or linked, where only one may
win): after a crash each object is whole or absent. obstore's own local store does not sync.
"""

import contextlib
import errno
import os
import re
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import FireworksError, ObjectNotFound, StoreError
from ..records import ObjectRecord
from .blocks import Data, Upload
from .faults import from_os, not_found
from .interface import BLOCK_BYTES, ObjectInfo, Store
from .keys import STAGING, check_key, check_prefix, check_ranges

__all__ = ["FileStore"]

_STALE_S = 3600.0  # An upload whose temporary file has not grown for so long has lost its writer.
_TEMPORARY = re.compile(re.escape(STAGING) + r"[0-9a-f]{32}\.tmp")


class FileStore(Store):
    """One file an object, under a folder that is made by the first put.

    Args:
        root: An absolute path.
        patience_s: Kept for the interface: a disk answers at once.
    """

    def __init__(self, root: Path, *, patience_s: float = 600.0) -> None:
        self.root = root
        self.url = root.as_uri()
        self.patience_s = patience_s

    def put(self, key: str, data: Data) -> ObjectRecord:
        target = self._path(key)
        upload = Upload(data, BLOCK_BYTES)
        with self._translated(key, upload), self._staged(target, upload) as temporary:
            temporary.replace(target)
            _sync_folder(target.parent)
        return upload.record(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        target = self._path(key)
        upload = Upload(data, BLOCK_BYTES)
        with self._translated(key, upload):
            if target.is_file():
                return False
            with self._staged(target, upload) as temporary:
                try:
                    os.link(temporary, target)  # Unlike a rename, fails if the target is there.
                except FileExistsError:
                    if target.is_dir():
                        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
                    return False
                _sync_folder(target.parent)
        return True

    def get_ranges(self, key: str, ranges: Iterable[tuple[int, int]]) -> list[bytes]:
        checked = check_ranges(key, ranges)
        with self._opened(key) as file, self._translated(key):
            return [_read(file, start, end) for start, end in checked]

    def stream(self, key: str) -> Iterator[bytes]:
        # An open file stays the same object, even if its key is put again.
        with self._opened(key) as file:
            at = 0
            while True:
                with self._translated(key):
                    block = _read(file, at, at + BLOCK_BYTES)
                if not block:
                    return
                yield block
                at += len(block)

    def head(self, key: str) -> ObjectInfo:
        with self._translated(key):
            found = self._path(key).stat()
        if not stat.S_ISREG(found.st_mode):
            raise not_found(self.url, key)
        return _info(key, found)

    def list_folders(self, prefix: str) -> list[str]:
        folder = check_prefix(prefix)
        names = sorted(entry.name for entry in self._scan(folder) if entry.is_dir(follow_symlinks=False))
        keys = [f"{folder}/{name}" if folder else name for name in names]
        return [key for key in keys if next(self._walk(key), None) is not None]

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            with self._translated(key), contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
                self._prune(path.parent)

    def delete_prefix(self, prefix: str) -> int:
        count = super().delete_prefix(prefix)
        for folder, _, names in os.walk(self.root / check_prefix(prefix), topdown=False):
            for path in (Path(folder, name) for name in names if _TEMPORARY.fullmatch(name)):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > _STALE_S:
                        path.unlink()
            self._prune(Path(folder))
        return count

    def local_path(self, key: str) -> Path | None:
        self.head(key)
        return self._path(key)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.root, self.patience_s)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    @contextlib.contextmanager
    def _staged(self, target: Path, upload: Upload) -> Iterator[Path]:
        """The data, synced, under a temporary name in the target's folder."""
        temporary = target.with_name(f"{STAGING}{uuid.uuid4().hex}.tmp")
        try:
            with os.fdopen(self._create(temporary), "wb", buffering=0) as file:
                for block in upload:
                    _write(file.fileno(), block)
                os.fsync(file.fileno())
            yield temporary
        finally:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                temporary.unlink()

    def _create(self, path: Path) -> int:
        self._make_root()
        for _ in range(100):
            _make_folder(path.parent)
            # A deletion may prune the folder before there is a file in it.
            with contextlib.suppress(FileNotFoundError):
                return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        raise StoreError(f"a folder must stay while it is written to, but {path.parent} does not. Stop who deletes it.")

    def _make_root(self) -> None:
        """Where nothing can be made, it is not the key's fault, and trying again does not help."""
        _make_folder(self.root)
        if not self.root.is_dir():
            try:
                self.root.mkdir(parents=True)
            except OSError as error:
                raise StoreError(
                    f"a store's folder must be one that can be made, but {self.root} cannot be created there"
                    f" ({error.strerror}). Choose another store."
                ) from error

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        with self._translated(key):
            file = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise not_found(self.url, key)
            yield file
        finally:
            os.close(file)

    def _scan(self, folder: str) -> list[os.DirEntry[str]]:
        entries: list[os.DirEntry[str]] = []
        absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with self._translated(folder), absent, os.scandir(self.root / folder) as found:
            entries.extend(found)
        return entries

    def _walk(self, folder: str) -> Iterator[Path]:
        """Files of objects under a folder, unsorted."""
        for entry in self._scan(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(f"{folder}/{entry.name}" if folder else entry.name)
            elif entry.is_file() and not entry.name.startswith(STAGING):
                yield Path(entry.path)

    def _prune(self, folder: Path) -> None:
        while folder != self.root and folder.is_relative_to(self.root):
            try:
                folder.rmdir()
            except OSError:  # Not empty: the usual end.
                return
            folder = folder.parent

    @contextlib.contextmanager
    def _translated(self, key: str, upload: Upload | None = None) -> Iterator[None]:
        """Errors of the operating system as ours; those of the caller's data unchanged."""
        try:
            yield
        except FireworksError:
            raise
        except OSError as error:
            if upload is not None and error is upload.error:
                raise
            fault = from_os(error, self.url, key)
            if upload is not None and isinstance(fault, ObjectNotFound):
                fault = StoreError(
                    f"a key cannot be a folder or lie under an object, but {key!r} of {self.url} does. Choose another."
                )
            raise fault from error

    # The last method: below it, `list` no longer names the type.
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder = check_prefix(prefix)
        for path in sorted(self._walk(folder), key=self._key):
            try:
                found = path.stat()
            except FileNotFoundError:  # Deleted since it was seen.
                continue
            yield _info(self._key(path), found)


def _reopen(root: Path, patience_s: float) -> FileStore:
    return FileStore(root, patience_s=patience_s)


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    etag = f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
    return ObjectInfo(key=key, size_bytes=found.st_size, modified_at=found.st_mtime, etag=etag)


def _read(file: int, start: int, end: int) -> bytes:
    pieces = []
    while start < end and (piece := os.pread(file, end - start, start)):
        pieces.append(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write(file: int, block: bytes | memoryview) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(file, rest) :]


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry synced to disk."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        folder.mkdir()
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
