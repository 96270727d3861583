"""Declared sources: the files that a pipeline reads, known by their content.

Comes in: paths, globs and URLs from a pipeline's parameters. Goes out: opened by the source pipes of
`fireworks.toolbox`, pinned by the cut of `fireworks.workflow`.
"""

import glob
import gzip
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from blake3 import blake3

from ..errors import SourceChanged, SourceError, SourceNotFound
from ..records import Source, SourceObject, address

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["File", "hash_file"]

_GZIP = b"\x1f\x8b"


def hash_file(path: Path) -> str:
    """The blake3 hash (64 hex digits) of a file's bytes, read in chunks by several threads."""
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    return str(hasher.hexdigest())


class File:
    """A file, a glob of files, or the URL of an object, that a pipeline reads.

    Constructing it does nothing. The cut resolves it, relative to the project folder, and pins the contents; a stage
    that opens it later checks that they are still the same.

    Args:
        location: Path, glob (``reads/*.fa.gz``) or URL (``s3://bucket/key``, ``https://host/path``).
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)
        self._folder = Path()
        self._pinned: Source | None = None
        self._fetch: Callable[[SourceObject], Path] | None = None
        self._checked: list[Path] | None = None

    def __repr__(self) -> str:
        return f"File({self.location!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self.location == other.location

    def __hash__(self) -> int:
        return hash(self.location)

    @property
    def remote(self) -> bool:
        """Whether the location is a URL."""
        return "://" in self.location

    def resolve(self, folder: Path) -> Source:
        """Find what the location stands for now and hash it.

        Args:
            folder: What a relative location is relative to.

        Raises:
            SourceNotFound: If nothing is there.
        """
        if self.remote:
            # Somebody is waiting for the plan.
            store, key = self._object(patience_s=10)
            info = store.head(key)
            objects: tuple[SourceObject, ...] = (
                SourceObject(location=self.location, size_bytes=info.size_bytes, etag=info.etag),
            )
        else:
            objects = tuple(_pin(path, folder) for path in self._match(folder))
        versions = [item.hash or item.etag for item in objects]
        return Source(location=self.location, objects=objects, hash="" if None in versions else address(versions))

    def matches(self, folder: Path) -> bool:
        """Whether a local file is there, seen from a folder."""
        try:
            return bool(self._match(folder))
        except SourceNotFound:
            return False

    def pin(self, source: Source, folder: Path, fetch: Callable[[SourceObject], Path] | None = None) -> None:
        """Hold this file to the contents of `source` from now on.

        Args:
            folder: What its locations are relative to.
            fetch: Gives a local copy of each file instead, checked already: in a pod, the folder has none of them.
        """
        self._folder, self._pinned, self._fetch, self._checked = folder, source, fetch, None

    @property
    def paths(self) -> list[Path]:
        """The local files, sorted; checked against the pinned contents, once.

        Raises:
            SourceNotFound: If there is none.
            SourceChanged: If the contents are not those of the plan.
        """
        if self.remote:
            raise SourceError(f"only local sources have paths, but got {self.location}. Read it with `open`.")
        if self._checked is None:
            self._checked = self._match(self._folder) if self._pinned is None else self._check(self._pinned)
        return self._checked

    def open(self, *, decompress: bool = False) -> IO[bytes]:
        """Open the one file that this stands for, as a stream of bytes.

        Args:
            decompress: Unpack gzip, told by its first two bytes.

        Raises:
            SourceError: If the location stands for several files.
        """
        stream = self._open_remote() if self.remote else _one(self.paths, self.location).open("rb")
        if decompress:
            return _decompressed(stream)
        return stream

    def _match(self, folder: Path) -> list[Path]:
        pattern = (folder / Path(self.location).expanduser()).absolute()
        anchor = Path(pattern.anchor)
        found = [pattern] if pattern.is_file() else sorted(anchor.glob(str(pattern.relative_to(anchor))))
        files = [path for path in found if path.is_file()]
        if not files:
            raise SourceNotFound(_nothing(pattern, found))
        return files

    def _check(self, pinned: Source) -> list[Path]:
        if self._fetch is not None:
            return [self._fetch(item) for item in pinned.objects]
        paths = []
        for item in pinned.objects:
            path = self._folder / item.location
            if not path.is_file():
                raise SourceNotFound(
                    f"source {path} was there when the plan was made and has vanished. Restore it, or run again."
                )
            if path.stat().st_size != item.size_bytes or hash_file(path) != item.hash:
                raise SourceChanged(
                    f"source {path} has changed since the plan was made. Run again to plan with its new content."
                )
            paths.append(path)
        return paths

    def _object(self, **options: float) -> "tuple[Store, str]":
        from ..store import open_store

        folder, _, key = self.location.rpartition("/")
        return open_store(folder, **options), key

    def _open_remote(self) -> IO[bytes]:
        import tempfile

        store, key = self._object()
        etag = self._pinned.objects[0].etag if self._pinned else None
        if etag is not None and store.head(key).etag != etag:
            raise SourceChanged(
                f"source {self.location} has changed since the plan was made. Run again to plan with its new content."
            )
        spool = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115 (handed to the caller)
        for chunk in store.stream(key):
            spool.write(chunk)
        spool.seek(0)
        return spool


def _nothing(pattern: Path, found: list[Path]) -> str:
    if found or pattern.is_dir():
        return (
            f"a source must be a file, but {pattern} is a folder. Name a file in it, or a glob such as {pattern}/*.fa."
        )
    what = "no file matches" if glob.has_magic(str(pattern)) else "nothing is at"
    return f"a source must exist, but {what} {pattern}. Relative paths start at the pipeline's project folder."


def _pin(path: Path, folder: Path) -> SourceObject:
    location = path
    with suppress(ValueError):
        location = path.relative_to(folder)
    return SourceObject(location=location.as_posix(), size_bytes=path.stat().st_size, hash=hash_file(path))


def _one(paths: list[Path], location: str) -> Path:
    if len(paths) != 1:
        raise SourceError(
            f"`open` needs a source of one file, but {location} stands for {len(paths)}. Go through `paths`."
        )
    return paths[0]


def _decompressed(stream: IO[bytes]) -> IO[bytes]:
    start = stream.read(2)
    stream.seek(0)
    return cast("IO[bytes]", _Unpacked(fileobj=stream)) if start == _GZIP else stream


class _Unpacked(gzip.GzipFile):
    """Closes the stream it reads from, too."""

    def close(self) -> None:
        stream: Any = self.fileobj
        super().close()
        if stream is not None:
            stream.close()
