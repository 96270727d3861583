"""StoredMessage: a table that lies in a store as parts, read where and when it is touched.

Comes in: part records of a manifest. Goes out: Messages with just the rows and columns asked for.
"""

import mmap
import tempfile
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import torch

from ...errors import ColumnNotFound, FormatError, did_you_mean
from ...records import PartRecord
from . import rows as row_numbers
from .joining import cat
from .layout import FileLayout
from .message import Message
from .printing import as_html, counted
from .reading import InMemory, chosen, decode_rows, map_file, open_layout, verify_file

if TYPE_CHECKING:
    from pandas import Index

    from ...store import Store

__all__ = ["StoredMessage"]

_MAPPED_PARTS = 64  # Each mapped file holds a descriptor.
_NEAR_ROWS = 16  # Rows so near to each other are fetched together with those between.
_STREAMED_ROWS = 4096
_SHOWN_ROWS = 10
# What asking costs beside the bytes, in bytes that could have come meanwhile.
_REQUEST_BYTES = 1 << 20


class _StoreFile:
    """A part in a store, read by ranges."""

    def __init__(self, store: "Store", part: PartRecord) -> None:
        self.store = store
        self.name = part.key
        self.size = part.size_bytes

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        filled = [extent for extent in ranges if extent[0] < extent[1]]
        found = iter(self.store.get_ranges(self.name, filled) if filled else [])
        answers = [bytearray(next(found) if start < end else b"") for start, end in ranges]
        for (start, end), answer in zip(ranges, answers, strict=True):
            if len(answer) != end - start:
                raise FormatError(
                    f"{self.name} must have {self.size} bytes, but ends before byte {end}. Run its stage again."
                )
        return [memoryview(answer) for answer in answers]


class StoredMessage:
    """A virtual Message: rows 0…n-1 of all parts, in order. Indexed like a Message, never changed.

    On a local disk parts are mapped. Elsewhere a range of rows is fetched as just the bytes of its columns; reading
    on from row to row (iteration, `batches`, `read`) fetches whole parts, one at a time. Rows picked in any order, as
    by a shuffle, are fetched alone as long as that is cheap; a part for which so much was paid as it would have cost
    as a whole is then copied to the disk and mapped. Other methods of a Message work on all rows, read for the purpose.

    Args:
        store: Where the parts are.
        parts: Their records, in order.
        columns: Name → type as in the manifest; read from the first part if empty.
        verify: Check every byte of a part against its hashes when it is first mapped or fetched as a whole. The
            footer is always checked; ranges of a remote part cannot be checked beyond it.
    """

    random_access: ClassVar[bool] = True

    def __init__(
        self, store: "Store", parts: Sequence[PartRecord], columns: Mapping[str, str] | None = None, verify: bool = True
    ) -> None:
        self.store = store
        self.parts = tuple(parts)
        self.verify = verify
        self._types = dict(columns or {})
        self._bounds = [0, *accumulate(part.rows for part in self.parts)]
        self._whole: OrderedDict[int, Message] = OrderedDict()
        self._copied: dict[int, Message] = {}
        self._paid_bytes: Counter[int] = Counter()
        self._layouts: dict[int, FileLayout] = {}
        self._reader: Iterator[Message] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.store, self.parts, self._types, self.verify)

    def __len__(self) -> int:
        return self._bounds[-1]

    def _names(self) -> list[str]:
        if not self.parts:
            return []
        return list(self._types) or [column.name for column in self._layout(0).columns]

    @property
    def columns(self) -> "Index[str]":
        """Names of the columns; none if there are no parts."""
        import pandas as pd

        return pd.Index(self._names(), dtype="str")

    def keys(self) -> "Index[str]":
        """The same as `columns`."""
        return self.columns

    def items(self) -> Iterator[tuple[str, Any]]:
        """Each name with its whole column."""
        return ((name, self[name]) for name in self._names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._names()

    @overload
    def __getitem__(self, index: str) -> Any: ...
    @overload
    def __getitem__(self, index: object) -> Message: ...
    def __getitem__(self, index: Any) -> Any:
        """A whole column by its name, columns by a list of names, rows by anything else, as of a Message.

        Raises:
            ColumnNotFound: If there is no such column.
            RowNotFound: If a row number lies beyond the table.
            FormatError: If a part is torn or altered.
        """
        if isinstance(index, str):
            return self._range(0, len(self), self._known([index]))[index]
        if row_numbers.is_names(index):
            return self._range(0, len(self), self._known(list(index)))
        rows = row_numbers.resolve(index, len(self))
        if isinstance(rows, int):
            return self._range(rows, rows + 1)
        if isinstance(rows, slice) and rows.step is None:
            return self._range(rows.start, rows.stop)
        return self._picked(row_numbers.numbers(rows))

    def _known(self, names: list[str]) -> list[str]:
        known = self._names()
        for name in names:
            if name not in known:
                raise ColumnNotFound(f"a column must be one of {known}, but got {name!r}.{did_you_mean(name, known)}")
        return names

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        if name in self._names():
            return self[name]
        return getattr(self.read() if hasattr(Message, name) else Message(), name)

    def __iter__(self) -> Iterator[Message]:
        for batch in self.batches(_STREAMED_ROWS):
            yield from batch

    def __next__(self) -> Message:
        if self._reader is None:
            self._reader = iter(self)
        return next(self._reader)

    def reset(self) -> Self:
        """Let `next` start from the first row again; returns self."""
        self._reader = None
        return self

    def read(self) -> Message:
        """All rows in one Message."""
        return cat([self._part(i) for i in range(len(self.parts))])

    def batches(self, n: int) -> Iterator[Message]:
        """All rows in order, `n` at a time; the last batch may be shorter. One part is held at a time."""
        for start in range(0, len(self), n):
            stop = min(start + n, len(self))
            yield cat([self._part(i)[low:high] for i, low, high in self._overlaps(start, stop)])

    def __repr__(self) -> str:
        size = f"{counted(len(self), 'row')} × {counted(len(self._names()), 'column')}"
        return f"StoredMessage: {size} in {counted(len(self.parts), 'part')} of {self.store.url}"

    def _repr_html_(self) -> str:
        """The first rows, which are read for it."""
        return as_html(self[:_SHOWN_ROWS], repr(self))

    # Parts

    def _overlaps(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Parts that hold rows start…stop, and which of their rows those are."""
        i = bisect_right(self._bounds, start) - 1
        while start < stop:
            low, end = self._bounds[i], min(self._bounds[i + 1], stop)
            if start < end:
                yield i, start - low, end - low
            start, i = end, i + 1

    def _range(self, start: int, stop: int, names: list[str] | None = None) -> Message:
        if start >= stop:
            return self._empty(names)
        return cat([self._read_part(i, low, high, names) for i, low, high in self._overlaps(start, stop)])

    def _empty(self, names: list[str] | None) -> Message:
        return self._read_part(0, 0, 0, names) if self.parts else Message()

    def _read_part(self, i: int, low: int, high: int, names: list[str] | None) -> Message:
        if self._at_hand(i):
            part = self._part(i)
            return (part if names is None else part[names])[low:high]
        if names is None and high - low == self.parts[i].rows:
            return self._part(i)
        layout = self._layout(i)
        file = _StoreFile(self.store, self.parts[i])
        return decode_rows(file, layout, chosen(layout, names, file.name), low, high)

    def _layout(self, i: int) -> FileLayout:
        if i not in self._layouts:
            path = self.store.local_path(self.parts[i].key)
            file = map_file(path) if path is not None else _StoreFile(self.store, self.parts[i])
            self._layouts[i] = self._checked(i, open_layout(file))
        return self._layouts[i]

    def _checked(self, i: int, layout: FileLayout) -> FileLayout:
        if layout.rows != self.parts[i].rows:
            part = self.parts[i]
            raise FormatError(f"{part.key} must have {part.rows} rows, but has {layout.rows}. Run its stage again.")
        return layout

    def _at_hand(self, i: int) -> bool:
        """Whether a part's rows need not be fetched."""
        return i in self._copied or i in self._whole or self.store.local_path(self.parts[i].key) is not None

    def _part(self, i: int) -> Message:
        """A whole part, kept: many if they are mapped, else the last one."""
        if i in self._copied:
            return self._copied[i]
        if i in self._whole:
            self._whole.move_to_end(i)
            return self._whole[i]
        part = self.parts[i]
        path = self.store.local_path(part.key)
        file = (
            map_file(path) if path is not None else InMemory(memoryview(bytearray(self.store.get(part.key))), part.key)
        )
        while len(self._whole) >= (_MAPPED_PARTS if path is not None else 1):
            self._whole.popitem(last=False)
        self._whole[i] = self._decoded(i, file)
        return self._whole[i]

    def _decoded(self, i: int, file: InMemory) -> Message:
        part = self.parts[i]
        if file.size != part.size_bytes:
            raise FormatError(
                f"{part.key} must have {part.size_bytes} bytes, but has {file.size}. Run its stage again."
            )
        layout = self._checked(i, open_layout(file))
        if self.verify:
            verify_file(file, layout)
        return decode_rows(file, layout, list(layout.columns), 0, layout.rows)

    def _picked(self, rows: torch.Tensor) -> Message:
        """Rows in any order: one selection a part and column."""
        if not len(rows):
            return self._empty(None)
        if len(self.parts) == 1:
            return self._selected(0, rows)
        owners = torch.bucketize(rows, torch.tensor(self._bounds[1:]), right=True)
        pieces, places = [], []
        for i in torch.unique(owners).tolist():
            place = (owners == i).nonzero().squeeze(1)
            pieces.append(self._selected(i, rows[place] - self._bounds[i]))
            places.append(place)
        return cat(pieces)[torch.cat(places).argsort()]

    def _selected(self, i: int, rows: torch.Tensor) -> Message:
        """Rows of one part, in any order: if they have to be fetched, then sorted, each once."""
        if self._at_hand(i):
            return self._part(i)[rows]
        wanted, order = torch.unique(rows, return_inverse=True)
        breaks = ((wanted[1:] - wanted[:-1] > _NEAR_ROWS).nonzero().squeeze(1) + 1).tolist()
        part = self.parts[i]
        self._paid_bytes[i] += part.size_bytes * len(wanted) // part.rows + _REQUEST_BYTES * (len(breaks) + 1)
        # Whoever pays on until a whole part would have been paid for pays at most twice what is best.
        if self._paid_bytes[i] > part.size_bytes:
            self._copied[i] = self._decoded(i, self._copy(part))
            return self._copied[i][rows]
        pieces = []
        for first, last in zip([0, *breaks], [*breaks, len(wanted)], strict=True):
            run = wanted[first:last]
            low = int(run[0])
            pieces.append(self._read_part(i, low, int(run[-1]) + 1, None)[run - low])
        ordered: Message = cat(pieces)[order]
        return ordered

    def _copy(self, part: PartRecord) -> InMemory:
        """A part as a file without a name, which goes with this object."""
        with tempfile.TemporaryFile() as file:
            for block in self.store.stream(part.key):
                file.write(block)
            file.flush()
            if not file.tell():
                return InMemory(memoryview(bytearray()), part.key)
            return InMemory(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)), part.key)
