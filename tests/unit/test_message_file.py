"""The Message file: what it holds, who can open it, and what it refuses.

Comes in: `fireworks.core.message`, polars, pyarrow, pandas, duckdb. Goes out: nothing.
"""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from fireworks.core.message import Message, read_message
from fireworks.core.message.layout import TORCH_DTYPES
from fireworks.errors import UnsupportedColumn
from messages import jagged, quantized, small, stored


def returned(message: Message) -> Message:
    data = stored(message)
    found = read_message(data, verify=True)
    assert list(found.columns) == list(message.columns)
    assert stored(found) == data
    return found


# Round trips, a dtype at a time


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(sorted(TORCH_DTYPES)),
    st_numpy.array_shapes(max_dims=3, min_side=0, max_side=4),
    st.binary(max_size=600),
)
def test_tensors_of_every_dtype_and_shape(dtype, shape, noise):
    kind = TORCH_DTYPES[dtype]
    size = int(np.prod(shape)) * kind.itemsize
    raw = bytearray((noise + bytes(size))[:size])
    if kind == torch.bool:
        raw = bytearray(byte & 1 for byte in raw)
    tensor = torch.frombuffer(raw, dtype=kind).view(shape) if size else torch.empty(shape, dtype=kind)
    found = returned(Message({"x": tensor}))["x"]
    assert found.dtype == kind
    assert found.shape == tensor.shape
    # Bits, so that NaN is compared too.
    assert found.contiguous().view(torch.uint8).numpy().tobytes() == tensor.view(torch.uint8).numpy().tobytes()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(TORCH_DTYPES)), st.sampled_from([(3, 2), (1, 2), (1, 2, 4), (2, 2, 2)]), st.data())
def test_strided_views_of_any_number_of_rows(dtype, shape, data):
    base = torch.arange(int(np.prod(shape)) * 2).remainder(5).to(TORCH_DTYPES[dtype]).view(*shape, 2)
    view = base[: data.draw(st.integers(0, shape[0])), ..., data.draw(st.integers(0, 1))]
    column = view[:, :: data.draw(st.integers(1, 2))] if data.draw(st.booleans()) else view[:, 0]
    message = Message({"x": column})
    assert returned(message) == message


@pytest.mark.parametrize("part", ["real", "imag"])
def test_one_row_of_a_conjugate_is_written_as_it_looks(part):
    column = getattr(torch.tensor([[1 + 2j, 3 + 4j]])[:, 1].conj(), part)
    assert returned(Message({"x": column}))["x"].tolist() == [{"real": 3.0, "imag": -4.0}[part]]


PLAIN = [
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "bool",
]
TIMES = ["datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]"]


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(PLAIN + TIMES), st.integers(0, 20), st.data())
def test_arrays_of_every_dtype(dtype, n, data):
    array = data.draw(st_numpy.arrays(dtype, n))
    found = returned(Message({"x": array}))
    assert found._column("x").dtype == array.dtype
    np.testing.assert_array_equal(found["x"].to_numpy(), array)


NULLABLE = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean"]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(NULLABLE), st.lists(st.none() | st.integers(0, 1), max_size=20))
def test_nullable_columns(dtype, cells):
    message = Message({"x": pd.array(cells, dtype=dtype)})
    assert returned(message) == message


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.none() | st.text(max_size=5), max_size=12),
    st.sampled_from(["str", "string", "string[python]", "object"]),
)
def test_text(cells, dtype):
    try:
        "".join(cell or "" for cell in cells).encode()
    except UnicodeEncodeError:
        return
    column = pd.Series(cells, dtype=dtype)
    found = returned(Message({"x": column}))["x"]
    assert found.dtype == ("str" if dtype == "object" and any(cell is not None for cell in cells) else column.dtype)
    assert [None if pd.isna(cell) else cell for cell in found] == cells


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.none() | st.binary(max_size=4), min_size=1, max_size=12).filter(
        lambda cells: any(c is not None for c in cells)
    )
)
def test_bytes(cells):
    found = returned(Message({"x": cells}))["x"]
    assert found.dtype == object
    assert found.tolist() == cells


@pytest.mark.parametrize(
    "column",
    [
        np.array([None, None], dtype=object),
        np.array([np.nan], dtype=object),
        np.array([], dtype=object),
        np.array(["a", None], dtype=object),
        pd.Categorical(pd.Series(["a", None], dtype=object)),
        pd.Categorical.from_codes([-1], categories=pd.Index([], dtype=object)),
    ],
    ids=str,
)
def test_object_columns_equal_what_is_read_back(column):
    assert returned(Message({"x": column})) == Message({"x": column})


def test_fixed_bytes_and_coarse_times_go_round():
    message = Message({"b": np.array([b"abc", b""]), "day": np.array(["2020-01-31", "NaT"], dtype="datetime64[D]")})
    assert returned(message) == message
    assert message["b"].tolist() == [b"abc", b""]
    assert message["day"].dtype == "datetime64[s]"
    assert message["day"][0] == pd.Timestamp(2020, 1, 31)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.none() | st.integers(0, 3), max_size=12),
    st.sampled_from([["a", "b", "", "é"], [3, 1, 2, -7], [0.5, 1.5, -1.0, 9.0], list(pd.to_datetime([1, 2, 3, 4]))]),
    st.booleans(),
)
def test_categories(codes, categories, ordered):
    cells = [None if code is None else categories[code] for code in codes]
    message = Message({"x": pd.Categorical(cells, categories=categories, ordered=ordered)})
    assert returned(message) == message


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.none()
        | st.datetimes(
            min_value=pd.Timestamp(1970, 1, 2).to_pydatetime(), max_value=pd.Timestamp(2200, 1, 1).to_pydatetime()
        ),
        max_size=8,
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "UTC+01:00"]),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_times_with_a_zone(cells, zone, unit):
    column = pd.Series(pd.to_datetime(cells)).dt.tz_localize("UTC").dt.tz_convert(zone).dt.as_unit(unit)
    message = Message({"x": column})
    assert returned(message) == message


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=6),
    st.sampled_from([(), (2,), (2, 3)]),
    st.sampled_from(sorted(TORCH_DTYPES)),
)
def test_ragged_columns(lengths, shape, dtype):
    rows = [torch.ones(n, *shape).to(TORCH_DTYPES[dtype]) for n in lengths]
    message = Message({"x": jagged(*rows)})
    assert returned(message) == message
    assert returned(message[1:])._column("x").values.shape == (sum(lengths[1:]), *shape)


def test_views_gathers_and_conjugates_are_written_as_they_look():
    tensor = torch.arange(12.0).view(3, 4)
    for view in (tensor[1:], tensor.T, tensor[:, ::2], torch.view_as_complex(tensor.view(3, 2, 2)).conj().imag):
        assert returned(Message({"x": view})) == Message({"x": view})
    message = small()
    assert len(stored(message[:1])) < len(stored(message)) + 64
    assert returned(message[[1, 0]]) == message[[1, 0]]


def test_empty_messages():
    assert returned(Message()) == Message()
    assert returned(small()[:0]) == small()[:0]


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (torch.ones(1, dtype=torch.complex64), "view_as_real"),
        (torch.ones(1).to(torch.float8_e4m3fn), "bfloat16"),
        ([1, "a"], r"mixed-integer.*astype\('str'\)"),
        ([True, None], r"astype\('boolean'\)"),
        (np.array([1, None], dtype=object), r"astype\('Int64'\)"),
        ([dt.date(2020, 1, 1)], r"pandas.to_datetime\(m\['odd'\]\)"),
        ([[1, 2]], "to_tensors"),
        ([["a", "b"], []], r"del m\['odd'\].*' '.join"),
        ([[]], r"no type yet: drop it with `del m\['odd'\]`"),
        (pd.to_timedelta([1]), "total_seconds"),
        (np.ones(1, dtype=complex), "two columns"),
        (pd.period_range("2020", periods=1), "to_timestamp"),
        (pd.arrays.SparseArray([1]), "to_dense"),
        (pd.array([1], dtype="int64[pyarrow]"), "numpy_nullable"),
        (["\ud800"], "bytes"),
        (torch.ones(1, device="meta"), "device meta"),
        (jagged(torch.ones(1, device="meta")), "device meta"),
        (quantized(), "dequantize"),
        (pd.Categorical([pd.Interval(0, 1)]), "rename_categories"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(value, remedy):
    with pytest.raises(UnsupportedColumn, match=rf"'odd'[\s\S]*{remedy}"):
        stored(Message({"odd": value}))
