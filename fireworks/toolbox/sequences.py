"""Sequences from FASTA files, one row per record.

Comes in: declared files, plain or gzipped. Goes out: text columns for `WindowPipe`, or for anything else.
"""

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..core.message import Message
from ..core.source import File
from ..core.source_pipe import SourcePipe
from ..errors import FormatError, GraphError
from .fasta import ALPHABETS, Record, parse

__all__ = ["BioSeqPipe", "FastaPipe"]

_GZIP = b"\x1f\x8b"
Source = File | str | Path


class _RecordPipe(SourcePipe):
    """A table of the records of FASTA files."""

    def __init__(self, source: Source | Iterable[Source], input: Any = None, alphabet: str = "nucleotide") -> None:
        super().__init__(input)
        if alphabet not in ALPHABETS:
            raise GraphError(f"alphabet must be {' or '.join(ALPHABETS)}, but got {alphabet!r}.")
        given = [source] if isinstance(source, File | str | Path) else list(source)
        # The cut finds Files wherever a pipe holds them, and pins their content.
        self.files = [item if isinstance(item, File) else File(item) for item in given]
        self.alphabet = alphabet

    def _columns(self, records: list[Record]) -> dict[str, list[Any]]:
        raise NotImplementedError(f"{type(self).__name__} must say what columns records become. Define _columns.")

    def _load(self) -> Message:
        records = [record for file in self.files for record in _records(file, self.alphabet)]
        return Message(self._columns(records))


class FastaPipe(_RecordPipe):
    """The records of FASTA files, all text: ``id``, ``description`` (the rest of the header), ``sequence`` (capitals).

    Args:
        source: A `File`, a path, or a list of them; may be a glob. Plain or
            gzipped, told by content.
        input: Ignored.
        alphabet: ``nucleotide`` or ``protein``: the IUPAC letters that may occur.

    Raises:
        FormatError: At first use, if a file is no FASTA; names record and position.
    """

    def _columns(self, records: list[Record]) -> dict[str, list[Any]]:
        return {
            "id": [record.id for record in records],
            "description": [record.header[len(record.id) :].strip() for record in records],
            "sequence": [record.sequence for record in records],
        }


class BioSeqPipe(_RecordPipe):
    """FASTA records under the original library's column names: sequences, ids, names, descriptions, dbxrefs.

    Names equal ids, descriptions are whole headers, dbxrefs are empty lists: as Biopython reads FASTA, without
    Biopython. Files have no type for lists yet: a FunctionPipe must drop that column, ``del m["dbxrefs"]``, before a
    Stage ends.

    Args:
        path: A path or `File`, or a list of them.
        input: Ignored.
        filetype: ``fasta`` only.
        alphabet: ``protein`` (any letter, as in the original) or ``nucleotide``.

    Raises:
        GraphError: If another file type is asked for (a ValueError).
    """

    def __init__(
        self,
        path: Source | Iterable[Source],
        input: Any = None,
        filetype: str = "fasta",
        alphabet: str = "protein",
    ) -> None:
        if filetype != "fasta":
            raise GraphError(f"BioSeqPipe reads 'fasta', but got filetype={filetype!r}. Convert the file to FASTA.")
        super().__init__(path, input, alphabet)

    def _columns(self, records: list[Record]) -> dict[str, list[Any]]:
        ids = [record.id for record in records]
        return {
            "sequences": [record.sequence for record in records],
            "ids": ids,
            "names": list(ids),
            "descriptions": [record.header for record in records],
            "dbxrefs": [[] for _ in records],
        }


def _records(file: File, alphabet: str) -> list[Record]:
    parts = [(file.location, file)] if file.remote else [(str(path), File(path)) for path in file.paths]
    records = []
    for origin, part in parts:
        with part.open() as stream:
            records += parse(_unpacked(stream.read(), origin), origin, alphabet)
    return records


def _unpacked(text: bytes, origin: str) -> bytes:
    if not text.startswith(_GZIP):
        return text
    try:
        return gzip.decompress(text)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{origin} begins as a gzip file, but is torn: {error}. Get it again.") from error
