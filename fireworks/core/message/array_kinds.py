"""numpy and pandas columns of fixed width in a file: numbers, booleans, nullable ones, times.

Comes in: numpy arrays, masked and zoned pandas arrays. Goes out: the same, sharing memory where Arrow's form is theirs.
"""

import re
from typing import Any

import numpy as np

from ...errors import FormatError, UnsupportedColumn
from .kind import Decoder, Encoded, Kind, bits_range, expect_bytes, pack_bits, unpack_bits
from .layout import ColumnLayout

__all__ = ["ArrayKind", "BitsKind", "MaskedKind", "ZonedKind"]

_NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"float16", "float32", "float64"}
_TIMES = {f"datetime64[{unit}]" for unit in ("s", "ms", "us", "ns")}
_MASKED = {
    "boolean": "bool",
    **{f"{sign}Int{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "Float32": "float32",
    "Float64": "float64",
}
_ZONED = re.compile(r"datetime64\[(s|ms|us|ns), (.{1,200})\]")
_EMPTY = ("", memoryview(b""))


def _raw(array: Any) -> memoryview:
    return np.ascontiguousarray(array).view(np.uint8).data


def _validity(missing: Any) -> tuple[tuple[str, memoryview], int]:
    """Arrow's first buffer, absent when nothing is missing, and the number of missing rows."""
    nulls = int(np.count_nonzero(missing))
    return (("validity", pack_bits(~missing)) if nulls else _EMPTY), nulls


def _bitmap_bytes(layout: ColumnLayout) -> int:
    return (layout.rows + 7) // 8


class ArrayKind(Kind):
    """Numbers and naive times, as numpy has them."""

    name = "array"

    def accepts(self, column: Any) -> bool:
        return isinstance(column, np.ndarray) and column.dtype.name in _NUMBERS | _TIMES

    def encode(self, name: str, column: Any) -> Encoded:
        import pyarrow as pa

        dtype, times = column.dtype.name, column.dtype.kind == "M"
        validity, nulls = _validity(np.isnat(column)) if times else (_EMPTY, 0)
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": dtype},
            rows=len(column),
            arrow_type=pa.timestamp(dtype[11:-1]) if times else pa.type_for_alias(dtype),
            nodes=[(len(column), nulls)],
            buffers=[validity, ("values", _raw(column))],
            metadata={"pandas": dtype},
        )

    def check(self, layout: ColumnLayout) -> None:
        if layout.dtype not in _NUMBERS | _TIMES:
            raise FormatError(f"column {layout.name!r} must have a dtype of this format, but has {layout.dtype!r}.")
        sizes: dict[str, int | None] = {"values": layout.rows * np.dtype(layout.dtype).itemsize}
        if layout.dtype in _TIMES:
            sizes["validity"] = _bitmap_bytes(layout)
        expect_bytes(layout, sizes, optional=["validity"])

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        dtype = np.dtype(layout.dtype)
        base = layout.buffers["values"][0]
        (data,) = yield [(base + start * dtype.itemsize, base + stop * dtype.itemsize)]
        return np.frombuffer(data, dtype=dtype)


class BitsKind(Kind):
    """numpy booleans, a bit each."""

    name = "bits"

    def accepts(self, column: Any) -> bool:
        return isinstance(column, np.ndarray) and column.dtype == np.bool_

    def encode(self, name: str, column: Any) -> Encoded:
        import pyarrow as pa

        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": "bool"},
            rows=len(column),
            arrow_type=pa.bool_(),
            nodes=[(len(column), 0)],
            buffers=[_EMPTY, ("values", pack_bits(column))],
            metadata={"pandas": "bool"},
        )

    def check(self, layout: ColumnLayout) -> None:
        if layout.dtype != "bool":
            raise FormatError(f"column {layout.name!r} must have dtype bool, but has {layout.dtype!r}.")
        expect_bytes(layout, {"values": _bitmap_bytes(layout)})

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        (data,) = yield [bits_range(layout.buffers["values"][0], start, stop)]
        return unpack_bits(data, start, stop)


class MaskedKind(Kind):
    """pandas' nullable numbers and booleans; what lies under a missing value is written as 0."""

    name = "masked"

    def accepts(self, column: Any) -> bool:
        import pandas as pd

        return isinstance(column, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray))

    def encode(self, name: str, column: Any) -> Encoded:
        import pyarrow as pa

        dtype = column.dtype.name
        plain = np.dtype(_MASKED[dtype])
        missing = column.isna()
        values = column.to_numpy(dtype=plain, na_value=plain.type(0))
        validity, nulls = _validity(missing)
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": dtype},
            rows=len(column),
            arrow_type=pa.type_for_alias(plain.name),
            nodes=[(len(column), nulls)],
            buffers=[validity, ("values", pack_bits(values) if dtype == "boolean" else _raw(values))],
            metadata={"pandas": dtype},
        )

    def check(self, layout: ColumnLayout) -> None:
        if layout.dtype not in _MASKED:
            raise FormatError(f"column {layout.name!r} must have a dtype of this format, but has {layout.dtype!r}.")
        bits = _bitmap_bytes(layout)
        values = bits if layout.dtype == "boolean" else layout.rows * np.dtype(_MASKED[layout.dtype]).itemsize
        expect_bytes(layout, {"validity": bits, "values": values}, optional=["validity"])

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        import pandas as pd

        base, dtype = layout.buffers["values"][0], np.dtype(_MASKED[layout.dtype])
        if layout.dtype == "boolean":
            wanted = [bits_range(base, start, stop)]
        else:
            wanted = [(base + start * dtype.itemsize, base + stop * dtype.itemsize)]
        if "validity" in layout.buffers:
            wanted.append(bits_range(layout.buffers["validity"][0], start, stop))
        data = yield wanted
        missing = ~unpack_bits(data[1], start, stop) if len(data) > 1 else np.zeros(stop - start, dtype=np.bool_)
        if layout.dtype == "boolean":
            return pd.arrays.BooleanArray(unpack_bits(data[0], start, stop), missing)
        make: Any = pd.arrays.FloatingArray if dtype.kind == "f" else pd.arrays.IntegerArray
        return make(np.frombuffer(data[0], dtype=dtype), missing)


class ZonedKind(Kind):
    """Times with a time zone: UTC in the file, the zone's name in the layout."""

    name = "zoned"

    def accepts(self, column: Any) -> bool:
        import pandas as pd

        return isinstance(getattr(column, "dtype", None), pd.DatetimeTZDtype)

    def encode(self, name: str, column: Any) -> Encoded:
        import pandas as pd
        import pyarrow as pa

        dtype = str(column.dtype)
        if _zone(dtype) != column.dtype:
            raise UnsupportedColumn(
                f"a time zone must be known by its name, but column {name!r} has {dtype}. Use `.dt.tz_convert('UTC')`."
            )
        values = pd.DatetimeIndex(column).asi8
        validity, nulls = _validity(np.asarray(column.isna()))
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": dtype},
            rows=len(column),
            arrow_type=pa.timestamp(column.dtype.unit, tz=str(column.dtype.tz)),
            nodes=[(len(column), nulls)],
            buffers=[validity, ("values", _raw(values))],
            metadata={"pandas": dtype},
        )

    def check(self, layout: ColumnLayout) -> None:
        if _zone(layout.dtype) is None:
            raise FormatError(f"column {layout.name!r} must have a known time zone, but has {layout.dtype!r}.")
        sizes: dict[str, int | None] = {"validity": _bitmap_bytes(layout), "values": layout.rows * 8}
        expect_bytes(layout, sizes, optional=["validity"])

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        import pandas as pd

        base, dtype = layout.buffers["values"][0], _zone(layout.dtype)
        (data,) = yield [(base + start * 8, base + stop * 8)]
        values = np.frombuffer(data, dtype=f"datetime64[{dtype.unit}]")
        return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(dtype.tz).array


def _zone(text: str) -> Any:
    """The pandas dtype of ``datetime64[unit, zone]``; None if it is none."""
    import pandas as pd

    found = _ZONED.fullmatch(text)
    if found is None:
        return None
    try:
        return pd.DatetimeTZDtype(unit=found[1], tz=found[2])  # type: ignore[arg-type]
    except Exception:  # zoneinfo and pytz raise their own kinds
        return None
