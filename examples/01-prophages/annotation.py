"""Known prophages: used to say how good the scores are, never to make them."""

import csv
import io
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fireworks import File, Message, Pipe
from fireworks.errors import FormatError
from folds import Positions

_NEEDED = ("name", "start", "end")


class Region(NamedTuple):
    """A known prophage; `start` is 0-based, `end` excluded, `sequence` empty for the genome's first sequence."""

    name: str
    sequence: str
    start: int
    end: int
    lambdoid: bool


class KnownProphages(Pipe):
    """Rows ``name``, ``sequence``, ``start``, ``end``, ``lambdoid`` of a CSV file; none if there is no file.

    Args:
        source: Columns ``name``, ``start``, ``end`` (1-based, end included) and, if they apply, ``lambdoid`` (0 or 1)
            and ``sequence`` (a name of the genome's FASTA; else the first one is meant).
        input: Rows like these, read instead of a file.

    Raises:
        FormatError: At first use, if a column is missing or a number is none.
    """

    random_access = True

    def __init__(self, source: File | None, input: Any = None) -> None:
        super().__init__(input)
        self._source = source
        self._regions: list[Region] | None = None

    @property
    def regions(self) -> list[Region]:
        """All rows, in the order of the file."""
        if self._regions is None:
            if self.input is not None:
                self._regions = _regions(self.input[:])
            else:
                self._regions = [] if self._source is None else _read(self._source)
        return self._regions

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, index: Any) -> Message:
        columns = zip(*self.regions, strict=True) if self.regions else ([] for _ in Region._fields)
        table: Message = Message({name: list(values) for name, values in zip(Region._fields, columns, strict=True)})[
            index
        ]
        return table


def _regions(rows: Message) -> list[Region]:
    found = rows.to_dataframe().df.to_dict("records")
    return [Region(row["name"], row["sequence"], row["start"], row["end"], row["lambdoid"]) for row in found]


def _read(source: File) -> list[Region]:
    with source.open(decompress=True) as stream:
        rows = list(csv.DictReader(io.StringIO(stream.read().decode())))
    try:
        return [
            Region(
                name=row["name"],
                sequence=row.get("sequence") or "",
                start=int(row["start"]) - 1,
                end=int(row["end"]),
                lambdoid=(row.get("lambdoid") or "0").strip() == "1",
            )
            for row in rows
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError(
            f"known prophages need the columns {', '.join(_NEEDED)} with whole numbers of bases, but {source.location} "
            f"says otherwise ({type(error).__name__}: {error}). Correct the file, or pass known=null."
        ) from error


class Truth(NamedTuple):
    """What the annotation says of n windows: at least half of one inside counts; bool (n,) each.

    Attributes:
        any: In a known prophage.
        lambdoid: In a lambda-like one.
        judged: What the lambda-like figure is taken over: those, and windows that touch no known prophage.
    """

    any: Tensor
    lambdoid: Tensor
    judged: Tensor


def truth(windows: Positions, known: list[Region]) -> Truth:
    """Judge every window."""
    half = (windows.end - windows.start) / 2
    inside = covered(windows, known)
    lambdoid = covered(windows, [region for region in known if region.lambdoid]) >= half
    return Truth(inside >= half, lambdoid, lambdoid | (inside == 0))


def covered(windows: Positions, known: list[Region]) -> Tensor:
    """Bases of each window that lie in these regions; int64 (n,)."""
    out = torch.zeros(len(windows.start), dtype=torch.int64)
    for region in known:
        here = torch.tensor([name == (region.sequence or windows.names[0]) for name in windows.names])[windows.sequence]
        out += (windows.end.clamp(max=region.end) - windows.start.clamp(min=region.start)).clamp(min=0) * here
    return out
