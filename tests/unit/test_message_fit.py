"""What joins a column takes its side and its dtype, or says why not.

Comes in: `fireworks.core.message`. Goes out: nothing.
"""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.core.message import Message, TensorMessage, cat
from fireworks.errors import MessageError, SchemaError, UnsupportedColumn
from messages import jagged, kept, nested

TIMES = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[s]")
ZONED = pd.DatetimeIndex(TIMES).tz_localize("Europe/Berlin")


# Tensor columns


@pytest.mark.parametrize("make", [Message, TensorMessage])
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (torch.int64, [2**25 + 1]),
        (torch.int64, pd.array([2**60 + 1], dtype="Int64")),
        (torch.int64, np.array([2**60 + 1], dtype=object)),
        (torch.int64, [3.0]),
        (torch.uint64, np.array([2**64 - 1], dtype=np.uint64)),
        (torch.float64, [0.1]),
        (torch.bool, [1]),
        (torch.int8, [True]),
    ],
)
def test_numbers_reach_a_tensor_column_unchanged(make, dtype, values):
    column = make({"x": torch.zeros(2).to(dtype)})
    appended = column.append({"x": values})
    column[1] = {"x": values}
    assert [appended["x"].dtype, column["x"].dtype] == [dtype, dtype]
    assert [appended["x"].tolist()[2], column["x"].tolist()[1]] == [values[0], values[0]]
    assert cat([make({"x": torch.zeros(1).to(dtype)}), Message({"x": values})])["x"].tolist()[1] == values[0]


@pytest.mark.parametrize(
    ("dtype", "values", "lost"),
    [
        (torch.int64, [1.0, 1.5], "1.5"),
        (torch.int64, pd.array([1, None], dtype="Int64"), "nan"),
        (torch.int64, [1e30], "1e"),
        (torch.int64, np.array([2**64 - 1], dtype=np.uint64), str(2**64 - 1)),
        (torch.int64, np.array([2.0**63]), "9.22"),
        (torch.int8, [1, 300], "300"),
        (torch.uint8, [-1], "-1"),
        (torch.bool, [2], "2"),
        (torch.float32, [1 + 2j], "1"),
    ],
)
def test_what_a_tensor_column_would_lose_is_refused_by_name(dtype, values, lost):
    m = Message({"x": torch.zeros(3).to(dtype)})
    rows = {"x": values}
    for act in (
        lambda: m.append(rows),
        lambda: m.append(Message(rows)),
        lambda: m.__setitem__([0] * len(values), rows),
    ):
        with pytest.raises(UnsupportedColumn, match=rf"'x' is {dtype}.*but got .*{lost}"):
            act()
    assert m["x"].tolist() == [0] * 3


def test_a_tensor_message_stays_one():
    tm = TensorMessage({"x": torch.zeros(1, dtype=torch.int64)})
    assert isinstance(tm.append(Message({"x": [2**60 + 1]}))["x"], torch.Tensor)
    with pytest.raises(SchemaError, match="'y' is in one only"):
        tm.append(Message({"x": [1], "y": [2]}))
    with pytest.raises(UnsupportedColumn, match="'y' holds str"):
        tm.append({"x": [1], "y": ["a"]})


def test_tensors_are_converted_where_they_are_set_and_promote_where_they_are_appended():
    m = Message({"x": torch.zeros(2, dtype=torch.int64)})
    m[0] = {"x": torch.tensor([2.0])}
    assert kept(m) == {"x": ("int64", [2, 0])}
    with pytest.raises(UnsupportedColumn, match=r"'x' is torch.int64.*but got 1.5.*to\(torch.float64\)"):
        m[0] = {"x": torch.tensor([1.5], dtype=torch.float64)}
    assert m.append({"x": torch.tensor([1.5])})["x"].tolist() == [2.0, 0.0, 1.5]


@pytest.mark.parametrize(
    "dtype", [torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.bfloat16, torch.float8_e5m2], ids=str
)
@pytest.mark.parametrize("index", [[0, 2], torch.tensor([0, 2]), slice(0, 3, 2), [True, False, True]], ids=str)
def test_rows_of_every_dtype_are_set_by_every_index(dtype, index):
    m = Message({"x": torch.zeros(3).to(dtype)})
    m[index] = {"x": torch.ones(2).to(dtype)}
    assert m["x"].dtype == dtype
    assert m["x"].to(torch.int64).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "array", [np.ones((1, 3)), np.ones((1, 3), dtype=">f4"), np.ones((3, 1)).T, np.ones((1, 3), bool)], ids=str
)
def test_arrays_of_two_dimensions_where_tensors_are_asked_for(array):
    expected = Message({"x": torch.ones(1, 3)})
    assert Message({"x": array}, None) == expected
    assert Message(tensors={"x": array}) == expected
    assert TensorMessage({"x": array}) == expected
    m = Message({"x": torch.zeros(2, 3), "k": [1, 2]})
    assert m.append({"x": array, "k": [3]})["x"][2].tolist() == [1.0, 1.0, 1.0]
    m[0] = {"x": array, "k": 3}
    assert m["x"].tolist() == [[1.0] * 3, [0.0] * 3]
    with pytest.raises(SchemaError, match=r"'x' has shape \(1, 3\)"):
        Message({"x": array})


@pytest.mark.parametrize("array", [np.array([["a"]]), np.array([[None]]), np.array([["2020"]], dtype="datetime64[s]")])
def test_arrays_of_two_dimensions_without_numbers_are_refused_by_name(array):
    with pytest.raises((SchemaError, UnsupportedColumn), match="'x'"):
        Message({"x": array}, None)


def test_text_in_lists_is_no_number():
    with pytest.raises(UnsupportedColumn, match="'x'"):
        Message({"x": [["1", "2"]]}, None)


def test_strided_nested_tensors_are_ragged_columns():
    m = Message({"r": nested(torch.ones(2), torch.ones(3)), "k": [1, 2]})
    assert kept(m)["r"] == ("ragged float32", [[1.0, 1.0], [1.0, 1.0, 1.0]])
    m[0] = {"r": jagged(torch.ones(1, dtype=torch.float64)), "k": 3}
    assert kept(m)["r"] == ("ragged float32", [[1.0], [1.0, 1.0, 1.0]])


# Array columns

KEPT = [
    (np.zeros(3, dtype=np.int8), [7], [7]),
    (np.zeros(3, dtype=np.int8), [7.0], [7]),
    (np.zeros(3, dtype=np.uint8), np.array([200]), [200]),
    (np.zeros(3, dtype=np.int64), np.array([2**60 + 1], dtype=object), [2**60 + 1]),
    (np.zeros(3, dtype=np.float32), [0.5], [0.5]),
    (np.zeros(3, dtype=np.float32), [None], [None]),
    (np.zeros(3, dtype=bool), [1], [True]),
    (np.zeros(3), pd.array([1], dtype="Int64"), [1.0]),
    (pd.array([0, 0, 0], dtype="Int8"), [7], [7]),
    (pd.array([0, 0, 0], dtype="Int8"), [None], [None]),
    (pd.array([True, False, None], dtype="boolean"), [False], [False]),
    (pd.Categorical(["a", "b", "a"]), ["b"], ["b"]),
    (pd.Categorical(["a", "b", "a"]), pd.Categorical(["b"]), ["b"]),
    (pd.Categorical(["a", "b", "a"], ordered=True), [None], [None]),
    (pd.Categorical([1, 2, 1]), [2.0], [2]),
    (TIMES, [pd.Timestamp(2021, 1, 1)], [pd.Timestamp(2021, 1, 1)]),
    (TIMES, [dt.date(2021, 1, 1)], [pd.Timestamp(2021, 1, 1)]),
    (TIMES, ["2021-01-01"], [pd.Timestamp(2021, 1, 1)]),
    (TIMES, [None], [None]),
    (ZONED, [pd.Timestamp(2021, 1, 1, tz="UTC")], [pd.Timestamp(2021, 1, 1, tz="UTC")]),
    (pd.array(["a", "b", "c"], dtype="string"), ["d"], ["d"]),
    (pd.array(["a", "b", "c"], dtype="str"), np.array(["d"], dtype=object), ["d"]),
    (np.array([[1], [2], [3]], dtype=object).reshape(3), ["d"], ["d"]),
]


def plain(values):
    return [None if pd.isna(value) else value for value in values]


@pytest.mark.parametrize(("column", "new", "expected"), KEPT, ids=str)
def test_array_columns_keep_their_dtype(column, new, expected):
    m = Message({"x": column})
    held = m._column("x").dtype
    appended, joined = m.append({"x": new}), cat([m, Message({"x": new})])
    m[1] = {"x": new}
    assert [appended._column("x").dtype, joined._column("x").dtype, m._column("x").dtype] == [held] * 3
    assert [plain(appended["x"][3:]), plain(joined["x"][3:]), plain(m["x"][1:2])] == [expected] * 3


@pytest.mark.parametrize("column", [np.zeros(3, dtype=np.int8), np.zeros(3, dtype=bool), TIMES.copy()], ids=str)
@pytest.mark.parametrize("index", [1, [1], slice(1, 2)], ids=str)
def test_rows_that_fit_are_set_in_place(column, index):
    m = Message({"x": column})
    view = m[0:2]
    m[index] = {"x": [None] if column.dtype.kind == "M" else [1]}
    assert np.shares_memory(m._column("x"), column)
    assert plain(view["x"])[1] in (1, None)


PROMOTED = [
    (np.zeros(2, dtype=np.int8), [300], "int64"),
    (np.zeros(2, dtype=np.int64), [1.5], "float64"),
    (np.zeros(2, dtype=np.int64), [None], "float64"),
    (np.zeros(2, dtype=np.int64), np.array([2**64 - 1], dtype=np.uint64), "float64"),
    (np.zeros(2, dtype=np.int64), pd.array([None], dtype="Int64"), "Int64"),
    (np.zeros(2, dtype=bool), [2], "object"),
    (pd.Categorical(["a", "b"]), ["c"], "str"),
    (pd.array(["a", "b"], dtype="str"), [1], "object"),
    (TIMES[:2], ["no time"], "object"),
    (TIMES[:2], [pd.Timestamp(2020, 1, 1, 0, 0, 0, 5)], "datetime64[us]"),
]


@pytest.mark.parametrize(("column", "new", "dtype"), PROMOTED, ids=str)
def test_array_columns_are_promoted_rather_than_lose_a_value(column, new, dtype):
    m = Message({"x": column})
    appended = m.append({"x": new})
    m[0] = {"x": new}
    assert [str(appended._column("x").dtype), str(m._column("x").dtype)] == [dtype] * 2
    assert plain(appended["x"])[2] == plain(m["x"])[0] == plain(new)[0]


def test_floats_keep_the_precision_of_the_column_they_are_set_in_and_lose_nothing_when_appended():
    m = Message({"x": np.zeros(2, dtype=np.float32)})
    assert m.append({"x": [0.1]})["x"].tolist() == [0.0, 0.0, 0.1]
    m[0] = {"x": [0.1]}
    assert (m["x"].dtype, m["x"][0]) == (np.float32, np.float32(0.1))
    m[0] = {"x": [1e300]}
    assert m["x"].tolist() == [1e300, 0.0]


NUMBERS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    st.lists(st.integers(-200, 200), min_size=1, max_size=3),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=1, max_size=3),
)


@settings(deadline=None, max_examples=150)
@given(NUMBERS, st.sampled_from(["bool", "int8", "uint8", "int64", "float32", "float64", "Int16", "Int64"]))
def test_appended_numbers_are_those_that_went_in(values, dtype):
    column = pd.array([0, 1], dtype=dtype)
    appended = Message({"x": column}).append({"x": values})
    # Only float64, which is what pandas promotes to, may round.
    rounded = [float(value) for value in values] if "loat64" in str(appended._column("x").dtype) else values
    assert appended["x"].tolist()[2:] == rounded


# Every type with every other

TYPES = {
    "int8": np.array([1, 2], dtype=np.int8),
    "uint64": np.array([1, 2**50], dtype=np.uint64),
    "float32": np.array([0.5, 2.0], dtype=np.float32),
    "bool": np.array([True, False]),
    "complex": np.array([1 + 1j, 2]),
    "time": TIMES[:2],
    "finer time": np.array([1, 2], dtype="datetime64[ns]"),
    "duration": np.array([1, 2], dtype="timedelta64[s]"),
    "Int64": pd.array([2**20, None], dtype="Int64"),
    "boolean": pd.array([True, None], dtype="boolean"),
    "str": pd.array(["2020-01-01", None], dtype="str"),
    "string": pd.array(["a", None], dtype="string"),
    "category": pd.Categorical(["a", "b"]),
    "category of numbers": pd.Categorical([1, 2]),
    "zoned": ZONED[:2],
    "other zone": ZONED[:2].tz_convert("UTC"),
    "period": pd.period_range("2020", periods=2, freq="D"),
    "sparse": pd.arrays.SparseArray([0, 1]),
    "interval": pd.interval_range(0, 2),
    "arrow": pd.array([1, 2], dtype="int64[pyarrow]"),
    "lists": [[1], [2, 3]],
    "bytes": [b"a", None],
    "nothing": [None, None],
    "tensors": [torch.ones(2), torch.ones(3)],
    "tensor": torch.arange(2),
    "uint16 tensor": torch.arange(2).to(torch.uint16),
    "bfloat16 tensor": torch.tensor([0.5, 3.0], dtype=torch.bfloat16),
    "wide tensor": torch.ones(2, 2),
    "ragged": jagged(torch.ones(1), torch.ones(2)),
}


def alike(left, right):
    if left is None or right is None or left is pd.NA or right is pd.NA:
        return pd.isna(left) and pd.isna(right)
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    parsed = pd.Timestamp(right) if isinstance(left, pd.Timestamp) and isinstance(right, str) else right
    return left == parsed or (pd.isna(left) and pd.isna(right))


def joined(act, old, rows):
    """The new rows after they joined, and the type of their column."""
    m = Message({"x": old})
    if act == "set":
        m[[0, 1]] = rows
    else:
        m = m.append(rows) if act == "append" else cat([m, rows])
    return m.to_dict()["x"][-2:], m.describe_columns()["x"]


@pytest.mark.parametrize("old", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("act", ["append", "cat", "set"])
def test_nothing_is_lost_without_a_word(act, old):
    for name, new in TYPES.items():
        rows = Message({"x": new})
        try:
            actual, kind = joined(act, old, rows)
        except MessageError as error:
            assert "'x'" in str(error)
        else:
            expected = rows.to_dict()["x"]
            assert all(map(alike, actual, expected)), (name, expected, actual, kind)
