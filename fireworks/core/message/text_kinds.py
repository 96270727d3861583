"""Text, bytes and categories in a file: ``large_string``, ``large_binary`` and Arrow dictionaries.

Comes in: pandas string and categorical arrays, object arrays of str or bytes. Goes out: pandas string and categorical
arrays, object arrays of bytes.
"""

from typing import Any

import numpy as np

from ...errors import FormatError, UnsupportedColumn
from .array_kinds import ArrayKind, BitsKind, ZonedKind
from .columns import as_column, cells
from .kind import Decoder, Encoded, Kind, bits_range, expect_bytes, pack_bits, unpack_bits
from .layout import ColumnLayout
from .tensor_kinds import check_offsets, offsets_of

__all__ = ["BytesKind", "CategoryKind", "TextKind", "cell_type"]

_EMPTY = ("", memoryview(b""))
_CODES = {"int8": 1, "int16": 2, "int32": 4, "int64": 8}


def cell_type(column: Any) -> str:
    """Of an object array: ``string``, ``bytes``, ``empty`` (nothing but missing values), or what it is instead."""
    import pandas as pd

    return str(pd.api.types.infer_dtype(column, skipna=True))


def _varying(column: Any, arrow_type: Any, blank: Any) -> tuple[int, list[tuple[str, memoryview]]]:
    """Number of missing rows and Arrow's three buffers, with nothing under missing rows or outside the rows."""
    import pyarrow as pa

    array = pa.array(column, type=arrow_type, from_pandas=True) if isinstance(column, np.ndarray) else pa.array(column)
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], arrow_type)
    array = array.cast(arrow_type)
    nulls = array.null_count
    validity = _EMPTY
    if nulls:
        validity = ("validity", pack_bits(np.asarray(array.is_valid())))
        array = array.fill_null(pa.scalar(blank, arrow_type))
    _, where, data = array.buffers()
    if not len(array):
        return 0, [_EMPTY, ("offsets", memoryview(bytes(8))), ("values", memoryview(b""))]
    offsets = np.frombuffer(where, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    raw = memoryview(data if data is not None else b"")[offsets[0] : offsets[-1]]
    return nulls, [validity, ("offsets", (offsets - offsets[0]).view(np.uint8).data), ("values", raw)]


def _check_varying(layout: ColumnLayout) -> None:
    sizes: dict[str, int | None] = {
        "validity": (layout.rows + 7) // 8,
        "offsets": (layout.rows + 1) * 8,
        "values": None,
    }
    expect_bytes(layout, sizes, optional=["validity"])


def _decode_varying(layout: ColumnLayout, start: int, stop: int) -> Decoder:
    """Offsets from 0, the data, and which rows are missing (None if none can be)."""
    base = layout.buffers["offsets"][0]
    wanted = [(base + start * 8, base + (stop + 1) * 8)]
    if "validity" in layout.buffers:
        wanted.append(bits_range(layout.buffers["validity"][0], start, stop))
    found = yield wanted
    offsets = offsets_of(found[0], stop - start)
    base, total, _ = layout.buffers["values"]
    first, last = check_offsets(layout, offsets, start, stop, total)
    missing = ~unpack_bits(found[1], start, stop) if len(found) > 1 else None
    (data,) = yield [(base + first, base + last)]
    return (offsets - first if first else offsets).numpy(), data, missing


class TextKind(Kind):
    """pandas strings of both kinds; object arrays of str are read back as ``str``."""

    name = "text"

    def accepts(self, column: Any) -> bool:
        import pandas as pd

        if isinstance(column, np.ndarray):
            return column.dtype == object and cell_type(column) == "string"
        return isinstance(column.dtype, pd.StringDtype)

    def encode(self, name: str, column: Any) -> Encoded:
        import pandas as pd
        import pyarrow as pa

        dtype = "str" if isinstance(column, np.ndarray) or column.dtype.na_value is not pd.NA else "string"
        storage = "pyarrow" if isinstance(column, np.ndarray) else column.dtype.storage
        try:
            nulls, buffers = _varying(column, pa.large_string(), "")
        except UnicodeEncodeError as error:
            raise UnsupportedColumn(
                f"text must be valid Unicode, but column {name!r}: {error}. Store it as bytes."
            ) from error
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": dtype, "storage": storage},
            rows=len(column),
            arrow_type=pa.large_string(),
            nodes=[(len(column), nulls)],
            buffers=buffers,
            metadata={"pandas": dtype},
        )

    def check(self, layout: ColumnLayout) -> None:
        if layout.dtype not in ("str", "string") or layout.storage not in ("python", "pyarrow"):
            raise FormatError(f"column {layout.name!r} must have a dtype of this format, but has {layout.dtype!r}.")
        _check_varying(layout)

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        import pandas as pd
        import pyarrow as pa

        offsets, data, missing = yield from _decode_varying(layout, start, stop)
        validity = pa.py_buffer(pack_bits(~missing)) if missing is not None else None
        buffers = [validity, pa.py_buffer(memoryview(offsets)), pa.py_buffer(data)]
        array = pa.Array.from_buffers(pa.large_string(), stop - start, buffers)
        try:
            array.validate(full=True)
        except pa.ArrowInvalid as error:
            raise FormatError(
                f"text of column {layout.name!r} must be UTF-8, but: {error}. Fetch the file again."
            ) from error
        dtype: Any = pd.StringDtype(layout.storage, na_value=np.nan if layout.dtype == "str" else pd.NA)
        return dtype.__from_arrow__(array)


class BytesKind(Kind):
    """Object arrays of bytes, or of nothing at all; missing cells come back as None."""

    name = "bytes"

    def accepts(self, column: Any) -> bool:
        return isinstance(column, np.ndarray) and column.dtype == object and cell_type(column) in ("bytes", "empty")

    def encode(self, name: str, column: Any) -> Encoded:
        import pyarrow as pa

        nulls, buffers = _varying(column, pa.large_binary(), b"")
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": "object"},
            rows=len(column),
            arrow_type=pa.large_binary(),
            nodes=[(len(column), nulls)],
            buffers=buffers,
            metadata={"pandas": "object"},
        )

    def check(self, layout: ColumnLayout) -> None:
        if layout.dtype != "object":
            raise FormatError(f"column {layout.name!r} must have dtype object, but has {layout.dtype!r}.")
        _check_varying(layout)

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        offsets, data, missing = yield from _decode_varying(layout, start, stop)
        bounds = offsets.tolist()
        gone = [False] * (stop - start) if missing is None else missing.tolist()
        return cells([None if no else bytes(data[a:b]) for a, b, no in zip(bounds[:-1], bounds[1:], gone, strict=True)])


class CategoryKind(Kind):
    """Categoricals: codes in the batch, categories (text, numbers, booleans or times) in an Arrow dictionary."""

    name = "category"
    _of: tuple[Kind, ...] = (ArrayKind(), BitsKind(), TextKind(), ZonedKind())

    def accepts(self, column: Any) -> bool:
        import pandas as pd

        return isinstance(column, pd.Categorical)

    def encode(self, name: str, column: Any) -> Encoded:
        import pyarrow as pa

        values = as_column(column.categories, name)
        kind = next((kind for kind in self._of if kind.accepts(values)), None)
        if kind is None:
            raise UnsupportedColumn(
                f"categories must be text, numbers, booleans or times, but those of {name!r} are "
                f"{column.categories.dtype}. Use `.cat.rename_categories(str)`."
            )
        inner = kind.encode(name, values)
        codes = np.asarray(column.codes)
        missing = codes < 0
        nulls = int(np.count_nonzero(missing))
        raw = np.where(missing, codes.dtype.type(0), codes) if nulls else np.ascontiguousarray(codes)
        return Encoded(
            facts={
                "name": name,
                "kind": self.name,
                "dtype": "category",
                "storage": codes.dtype.name,
                "ordered": bool(column.ordered),
            },
            rows=len(column),
            arrow_type=pa.dictionary(pa.type_for_alias(codes.dtype.name), inner.arrow_type, bool(column.ordered)),
            nodes=[(len(column), nulls)],
            buffers=[
                ("validity", pack_bits(~missing)) if nulls else _EMPTY,
                ("values", raw.view(np.uint8).data),
            ],
            categories=inner,
            metadata={"pandas": "category"},
        )

    def check(self, layout: ColumnLayout) -> None:
        inner = layout.categories
        kind = next((kind for kind in self._of if inner is not None and kind.name == inner.kind), None)
        if inner is None or kind is None or layout.storage not in _CODES or inner.categories is not None:
            raise FormatError(f"category column {layout.name!r} must have codes and plain categories. Fetch it again.")
        kind.check(inner)
        sizes: dict[str, int | None] = {
            "validity": (layout.rows + 7) // 8,
            "values": layout.rows * _CODES[layout.storage],
        }
        expect_bytes(layout, sizes, optional=["validity"])

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        import pandas as pd

        inner: Any = layout.categories
        kind = next(kind for kind in self._of if kind.name == inner.kind)
        values = yield from kind.decode(inner, 0, inner.rows)
        base, width = layout.buffers["values"][0], _CODES[layout.storage]
        wanted = [(base + start * width, base + stop * width)]
        if "validity" in layout.buffers:
            wanted.append(bits_range(layout.buffers["validity"][0], start, stop))
        found = yield wanted
        codes = np.frombuffer(found[0], dtype=layout.storage)
        if len(found) > 1:
            codes = np.where(unpack_bits(found[1], start, stop), codes, codes.dtype.type(-1))
        try:
            dtype = pd.CategoricalDtype(pd.Index(values), ordered=layout.ordered)
            return pd.Categorical.from_codes(codes, dtype=dtype)
        except ValueError as error:
            raise FormatError(f"category column {layout.name!r}: {error}. Fetch the file again.") from error
