"""Rows from files that hold a table, and from outputs that a store holds.

Comes in: declared files. Goes out: Messages for any pipe.
"""

import zlib
from collections.abc import Callable
from typing import IO, Any

from ..core.message import Message, StoredMessage
from ..core.source import File
from ..core.source_pipe import SourcePipe
from ..errors import FormatError, SourceError
from ..records import Manifest, decode
from ..store import open_store

__all__ = ["FilePipe", "split_manifest"]

MANIFEST = "manifest.json"


def split_manifest(file: File) -> tuple[str, Manifest]:
    """The store that an output lies in, and the output's manifest.

    Args:
        file: ``<store>/outputs/<fingerprint>/manifest.json``.

    Raises:
        SourceError: If it is called otherwise.
        FormatError: If it is no manifest.
    """
    location = file.location if file.remote else str(file.paths[0])
    store, found, rest = location.rpartition("/outputs/")
    if not found or rest.count("/") != 1 or not rest.endswith(f"/{MANIFEST}"):
        raise SourceError(
            f"an output must be <store>/outputs/<fingerprint>/{MANIFEST}, but got {location}. "
            "Take the URL that the stage before has told."
        )
    with file.open() as stream:
        return store, decode(Manifest, stream.read())


class FilePipe(SourcePipe):
    """The rows of one file: ``.csv`` and ``.csv.gz`` (with a header), ``.parquet``, ``.arrow`` (a Message file).

    Of a stage's output, ``<store>/outputs/<fingerprint>/manifest.json``, rows are read where they are touched. The
    others are held in memory.

    Args:
        source: A `File`, or what one is made of.
        input: Ignored.

    Raises:
        SourceError: At first use, if the ending is none of these.
        FormatError: At first use, if the content is not what the ending says.
    """

    def __init__(self, source: File | str, input: Any = None) -> None:
        super().__init__(input)
        # The cut finds Files that a pipe holds, and pins their content.
        self.file = source if isinstance(source, File) else File(source)

    def _load(self) -> Any:
        name = self.file.location
        if name.endswith(MANIFEST):
            store, manifest = split_manifest(self.file)
            return StoredMessage(open_store(store), manifest.parts, dict(manifest.columns))
        read = next((reader for ending, reader in _READERS.items() if name.endswith(ending)), None)
        if read is None:
            raise SourceError(f"a table's file must end in {', '.join(_READERS)}, but got {name}. Convert it.")
        with self.file.open(decompress=name.endswith(".gz")) as stream:
            try:
                return read(stream)
            except (ValueError, OSError, EOFError, zlib.error) as error:
                what = " ".join(str(error).split()).rstrip(".")
                raise FormatError(f"{name} must hold what its ending says, but: {what}. Is it complete?") from error


def _arrow(stream: IO[bytes]) -> Message:
    return Message.load(stream.read())


def _csv(stream: IO[bytes]) -> Message:
    # Not pandas' own reader, which makes an index of what a row has too much.
    from pyarrow import csv

    return Message(csv.read_csv(stream).to_pandas(date_as_object=False))


def _parquet(stream: IO[bytes]) -> Message:
    import pandas as pd

    return Message(pd.read_parquet(stream))


_READERS: dict[str, Callable[[IO[bytes]], Message]] = {
    ".csv": _csv,
    ".csv.gz": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
