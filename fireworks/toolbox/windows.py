"""Fixed windows over sequences, and their k-mer frequencies.

Comes in: rows with ``id`` and ``sequence``, of `FastaPipe`. Goes out: tensors for models.
"""

import warnings
from functools import cache
from itertools import product
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from ..core.message import Message, cat
from ..core.message.rows import numbers, resolve
from ..core.pipe import HookedPassThroughPipe, Pipe, has_random_access, is_indexable, recursive
from ..errors import GraphError

__all__ = ["KmerPipe", "WindowPipe", "encode"]

_LETTERS = "ACGT"
_OTHER = 4
# Codes of windows, or bins, that are worked on at once: bounds the memory of the int64 numbers to some 50 MB.
_NUMBERS_AT_ONCE = 2**21


def _code_table() -> np.ndarray[Any, np.dtype[np.uint8]]:
    table = np.full(256, _OTHER, dtype=np.uint8)
    for code, letter in enumerate(_LETTERS):
        table[ord(letter)] = table[ord(letter.lower())] = code
    # U is the T of RNA.
    table[ord("U")] = table[ord("u")] = _LETTERS.index("T")
    return table


_CODES = _code_table()


def encode(sequence: str) -> torch.Tensor:
    """Letters as numbers: A 0, C 1, G 2, T and U 3, anything else 4; uint8 (length,)."""
    return torch.from_numpy(_CODES[np.frombuffer(sequence.encode("ascii", "replace"), dtype=np.uint8)])


class _Genome(NamedTuple):
    """All sequences, end to end.

    Attributes:
        ids: Name of each of the s sequences.
        bases: uint8 (total length,).
        offsets: Where each sequence begins in `bases`; int64 (s,).
        ends: Number of windows up to and including each sequence; int64 (s,).
    """

    ids: list[str]
    bases: torch.Tensor
    offsets: torch.Tensor
    ends: torch.Tensor


class WindowPipe(Pipe):
    """Windows of equal length over every sequence of the input, from its start on.

    Rows: ``sequence_id`` (text), ``start`` and ``end`` (int64, 0-based, end excluded), ``bases`` (uint8 (n, window),
    coded as by `encode`). A sequence shorter than the window gives none, and if all are, there is a warning; bases
    after its last full window are in none. ``next`` yields single rows. Only the rows asked for are cut out.

    Args:
        window: Length in bases.
        step: Bases from one start to the next.
        input: Rows with ``id`` and ``sequence``.

    Raises:
        GraphError: If `window` or `step` is no positive int (a ValueError).
    """

    stateful_attributes: ClassVar[tuple[str, ...]] = ("position",)
    cursor_attributes: ClassVar[tuple[str, ...]] = ("position",)
    row_local = True

    def __init__(self, window: int = 4000, step: int = 500, input: Any = None) -> None:
        super().__init__(input)
        for name, value in (("window", window), ("step", step)):
            if type(value) is not int or value < 1:
                raise GraphError(f"{name} must be a positive int, but got {value!r}. It counts bases.")
        self.window = window
        self.step = step
        self.position = 0
        self._genome: _Genome | None = None

    @property
    def random_access(self) -> bool:
        """As the input."""
        return has_random_access(self.input)

    @recursive()
    def reset(self) -> None:
        """Rewind to the first window; sequences of an input that may change are read again."""
        self.position = 0
        if not has_random_access(self.input):
            self._genome = None

    def __len__(self) -> int:
        ends = self._sequences().ends
        return int(ends[-1]) if len(ends) else 0

    def __getitem__(self, index: Any) -> Message:
        rows = numbers(resolve(index, len(self)))
        genome = self._sequences()
        sequence = torch.searchsorted(genome.ends, rows, right=True)
        before = torch.cat([torch.zeros(1, dtype=torch.int64), genome.ends])[sequence]
        start = (rows - before) * self.step
        ids = [genome.ids[number] for number in sequence.tolist()]
        first = genome.offsets[sequence] + start
        columns = {"start": start, "end": start + self.window, "bases": self._cut(genome.bases, first)}
        return Message({"sequence_id": np.array(ids, dtype=str)} | columns)

    def __next__(self) -> Message:
        if self.position >= len(self):
            raise StopIteration
        self.position += 1
        return self[self.position - 1]

    def _cut(self, bases: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        if len(first) == 0:
            return torch.empty((0, self.window), dtype=torch.uint8)
        # A view of all windows at every base: the gather copies rows straight from the sequence.
        return bases.unfold(0, self.window, 1).index_select(0, first)

    def _sequences(self) -> _Genome:
        if self._genome is None:
            source = self._needed("cut windows of")
            rows = source[0 : len(source)] if is_indexable(source) else cat([Message(row) for row in source])
            table = Message(rows)
            bases = [encode(sequence) for sequence in (table["sequence"] if len(table) else ())]
            lengths = torch.tensor([len(codes) for codes in bases], dtype=torch.int64)
            self._warn_of_short(lengths)
            counts = torch.clamp((lengths - self.window) // self.step + 1, min=0)
            self._genome = _Genome(
                ids=[str(name) for name in (table["id"] if len(table) else ())],
                bases=torch.cat(bases) if bases else torch.empty(0, dtype=torch.uint8),
                offsets=lengths.cumsum(0) - lengths,
                ends=counts.cumsum(0),
            )
        return self._genome

    def _warn_of_short(self, lengths: torch.Tensor) -> None:
        """A table without rows is a result; one that nobody has meant, if there are sequences."""
        if len(lengths) and int(lengths.max()) < self.window:
            warnings.warn(
                f"no sequence holds a window: `window` is {self.window:,}, but the longest of {len(lengths):,} has"
                f" {int(lengths.max()):,} bases, so there are no rows. Pass a smaller window.",
                stacklevel=2,
            )

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_genome": None}


class KmerPipe(HookedPassThroughPipe):
    """Frequencies of k-mers in each window.

    Adds ``kmers``, float32 (n, d): counts divided by the number of k-mers counted, in the order of `names`. K-mers with
    a letter other than A, C, G, T are not counted; a window of nothing else is all zeros.

    Args:
        k: Length of a k-mer, 1 to 12.
        canonical: Count a k-mer and its reverse complement as one, under the name that comes first in the alphabet:
            d = (4**k + palindromes) / 2, else d = 4**k.
        column: Codes of the windows, uint8 (n, window).
        keep: Whether this column stays.
        input: The rows.

    Raises:
        GraphError: If `k` is out of range (a ValueError).
    """

    row_local = True

    def __init__(
        self, k: int = 5, canonical: bool = False, column: str = "bases", keep: bool = False, input: Any = None
    ) -> None:
        super().__init__(input)
        if type(k) is not int or not 1 <= k <= 12:
            raise GraphError(f"k must be an int from 1 to 12, but got {k!r}. There are 4**k columns.")
        self.k = k
        self.canonical = canonical
        self.column = column
        self.keep = keep

    @property
    def random_access(self) -> bool:
        """As the input."""
        return has_random_access(self.input)

    @property
    def names(self) -> list[str]:
        """The k-mer of each column of ``kmers``."""
        kmers = ["".join(letters) for letters in product(_LETTERS, repeat=self.k)]
        if not self.canonical:
            return kmers
        complement = str.maketrans(_LETTERS, _LETTERS[::-1])
        return [kmer for kmer in kmers if kmer <= kmer.translate(complement)[::-1]]

    def count(self, message: Any) -> Message:
        """The Message with ``kmers``."""
        table = Message(message)
        bases = table[self.column]
        at_once = max(1, _NUMBERS_AT_ONCE // max(bases.shape[1], 4**self.k))
        parts = [self._frequencies(bases[start : start + at_once]) for start in range(0, len(bases), at_once)]
        table["kmers"] = torch.cat(parts) if parts else self._frequencies(bases)
        if not self.keep:
            del table[self.column]
        return table

    def _frequencies(self, bases: torch.Tensor) -> torch.Tensor:
        counts = _count(bases, self.k)
        if self.canonical:
            columns = _canonical_columns(self.k).to(counts.device)
            merged = counts.new_zeros(len(counts), int(columns.max()) + 1)
            counts = merged.index_add_(1, columns, counts)
        total = counts.sum(1, keepdim=True).clamp(min=1)
        return counts.to(torch.float32) / total.to(torch.float32)

    def _getitem_hook(self, message: Message) -> Message:
        return self.count(message)

    def _next_hook(self, message: Message) -> Message:
        return self.count(message)

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Message:
        return self.count(message)


def _count(bases: torch.Tensor, k: int) -> torch.Tensor:
    """How often each k-mer occurs in each row of codes (n, window); int64 (n, 4**k)."""
    n, width = bases.shape
    if n == 0 or width < k:
        return torch.zeros((n, 4**k), dtype=torch.int64, device=bases.device)
    codes = torch.zeros((n, width - k + 1), dtype=torch.int32, device=bases.device)
    unknown = torch.zeros_like(codes, dtype=torch.bool)
    for offset in range(k):
        letters = bases[:, offset : offset + width - k + 1]
        codes.mul_(4).add_(letters)
        unknown |= letters >= _OTHER
    # One bin more in each row for the k-mers that do not count.
    codes.masked_fill_(unknown, 4**k)
    bins = codes.to(torch.int64) + torch.arange(n, device=bases.device)[:, None] * (4**k + 1)
    counts = torch.bincount(bins.flatten(), minlength=n * (4**k + 1))
    return counts.view(n, 4**k + 1)[:, : 4**k]


@cache
def _canonical_columns(k: int) -> torch.Tensor:
    """For each k-mer, the column of it or its reverse complement, whichever comes first; int64 (4**k,)."""
    codes = torch.arange(4**k)
    reverse = torch.zeros_like(codes)
    rest = codes.clone()
    for _ in range(k):
        # The complement of code c is 3 - c.
        reverse = reverse * 4 + (3 - rest % 4)
        rest //= 4
    columns: torch.Tensor = torch.unique(torch.minimum(codes, reverse), return_inverse=True)[1]
    return columns
