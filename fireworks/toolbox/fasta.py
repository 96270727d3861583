"""FASTA text → records; small and strict.

The format: https://www.ncbi.nlm.nih.gov/genbank/fastaformat/ ; the letters: IUPAC-IUB, Nucl. Acids Res. 13 (1985) 3021.

Comes in: the bytes of a file, unpacked. Goes out: to `FastaPipe` and `BioSeqPipe`.
"""

from typing import NamedTuple

from ..errors import FormatError

__all__ = ["ALPHABETS", "Record", "parse"]

ALPHABETS = {
    "nucleotide": b"ACGTURYSWKMBDHVN-",
    "protein": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ*-",
}
_WHITESPACE = b" \t\r\n\v\f"


class Record(NamedTuple):
    """One sequence: the first word of its header, the whole header without ``>``, and its letters in upper case."""

    id: str
    header: str
    sequence: str


def parse(text: bytes, origin: str, alphabet: str = "nucleotide") -> list[Record]:
    """Read all records.

    Args:
        text: The content of a FASTA file.
        origin: What errors call it.
        alphabet: A key of `ALPHABETS`; letters in either case.

    Raises:
        FormatError: If the text is empty, begins otherwise than with ``>``, or a record lacks a name, has no sequence,
            or holds another letter.
    """
    start = text.lstrip(_WHITESPACE)
    if not start:
        raise FormatError(
            f"a FASTA file must hold a record, but {origin} is empty. Check that its download was complete."
        )
    if not start.startswith(b">"):
        shown = start[:20].decode("latin-1")
        raise FormatError(
            f"a FASTA file must begin with '>', but {origin} begins with {shown!r}. Is it FASTA, gzipped or plain?"
        )
    bodies = (b"\n" + start.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).split(b"\n>")[1:]
    return [_record(body, number, origin, alphabet) for number, body in enumerate(bodies, start=1)]


def _record(body: bytes, number: int, origin: str, alphabet: str) -> Record:
    line, _, letters = body.partition(b"\n")
    try:
        header = line.decode().strip()
    except UnicodeDecodeError as error:
        raise FormatError(
            f"FASTA headers must be UTF-8, but that of record {number} of {origin} is not. Convert it."
        ) from error
    if not header:
        raise FormatError(
            f"a FASTA record must have a name, but record {number} of {origin} has none. Write one after '>'."
        )
    name = header.split(maxsplit=1)[0]
    sequence = letters.translate(None, _WHITESPACE).upper()
    if not sequence:
        raise FormatError(
            f"a FASTA record must have a sequence, but record {name!r} of {origin} has none. Remove its header."
        )
    illegal = sequence.translate(None, ALPHABETS[alphabet])
    if illegal:
        position = sequence.index(illegal[:1]) + 1
        raise FormatError(
            f"a {alphabet} sequence holds IUPAC letters only, but record {name!r} of {origin} has"
            f" {illegal[:1].decode('latin-1')!r} at position {position}. Correct the file, or pass another alphabet."
        )
    return Record(name, header, sequence.decode())
