"""Columns: what becomes one, and what a table does with it.

Comes in: `fireworks.core.message.columns`, `.ragged`, `.rows`, `.lazy`. Goes out: nothing.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.core.message.columns import as_column, concat, describe, public, same, select, size_bytes
from fireworks.core.message.lazy import Tail, grow
from fireworks.core.message.ragged import Ragged
from fireworks.core.message.rows import complement, count, numbers, resolve
from fireworks.errors import RowNotFound, SchemaError, UnsupportedColumn
from messages import nested


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], "int64"),
        (range(3), "int64"),
        ([1.5, None], "float64"),
        (["a", "b"], "str"),
        (np.array(["a", "b"]), "str"),
        (np.arange(3, dtype=">i4"), "int32"),
        (np.array([True]), "bool"),
        (np.array([b"ab", b"c"]), "object"),
        (np.array(["2020-01"], dtype="datetime64[M]"), "datetime64[s]"),
        (np.array(["2020-01-01"], dtype="datetime64[us]"), "datetime64[us]"),
        (np.array([3], dtype="timedelta64[D]"), "timedelta64[s]"),
        (nested(torch.ones(2), torch.ones(3)), "ragged float32"),
        (np.datetime64("2020-01-01", "s").reshape(1), "datetime64[s]"),
        (pd.Series([1, 2], index=[7, 8], dtype="Int8"), "Int8"),
        (pd.Index(["x"]), "str"),
        (pd.Categorical(["a"]), "category"),
        ([[1], [1, 2]], "object"),
        ([{"a": 1}], "object"),
        (torch.ones(2, 3, 4, dtype=torch.bfloat16), "bfloat16[3, 4]"),
        (torch.tensor(3), "int64"),
        ("word", "str"),
        (7, "int64"),
    ],
)
def test_a_column_is_made_of(value, expected):
    assert describe(as_column(value, "x")) == expected


def test_scalars_are_repeated():
    assert as_column(3, "x", 4).tolist() == [3, 3, 3, 3]
    assert as_column("ab", "x", 2).tolist() == ["ab", "ab"]
    assert as_column(torch.tensor(2.0), "x", 2).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("value", "error", "remedy"),
    [
        (np.ones((2, 2)), SchemaError, "torch.from_numpy"),
        ({"a": 1}, UnsupportedColumn, "from_objects"),
        (torch.eye(2).to_sparse(), UnsupportedColumn, "to_dense"),
        (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), UnsupportedColumn, "pandas.DataFrame"),
        (np.array([0], dtype="datetime64[ps]"), UnsupportedColumn, r"datetime64\[ps\].*astype"),
        (nested(torch.ones(1, 2), torch.ones(1, 3)), UnsupportedColumn, "to_padded_tensor"),
        (nested(torch.tensor(1.0)), UnsupportedColumn, "to_padded_tensor"),
        (pd.MultiIndex.from_tuples([(1, 2)]), UnsupportedColumn, "to_frame"),
    ],
)
def test_no_column_is_made_of(value, error, remedy):
    with pytest.raises(error, match=rf"'x'.*{remedy}"):
        as_column(value, "x")


def test_arrays_and_series_share_memory():
    array = np.arange(3.0)
    column = as_column(array, "x")
    assert np.shares_memory(array, column)
    assert np.shares_memory(array, public(column).to_numpy())


INDICES = st.one_of(
    st.integers(-12, 12),
    st.slices(9),
    st.lists(st.integers(-9, 8)),
    st.lists(st.booleans(), min_size=9, max_size=9),
)


@settings(deadline=None)
@given(INDICES)
def test_rows_are_picked_as_numpy_picks_them(index):
    array = np.arange(9)
    try:
        expected = (
            array[np.array(index, dtype=bool if index and isinstance(index[0], bool) else int)]
            if isinstance(index, list)
            else array[index]
        )
    except IndexError:
        with pytest.raises(RowNotFound, match="row numbers must be in -9…8"):
            resolve(index, 9)
        return
    rows = resolve(index, 9)
    assert numbers(rows).tolist() == np.atleast_1d(expected).tolist()
    assert count(rows) == np.atleast_1d(expected).size


@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([4, 0]),
        torch.tensor([4, 0], dtype=torch.uint8),
        np.array([4, 0], dtype=np.int16),
        pd.Series([4, 0], index=[9, 9]),
        pd.array([4, 0], dtype="Int64"),
        (4, 0),
        [np.int64(4), torch.tensor(0)],
        range(4, -1, -4),
    ],
)
def test_row_numbers_come_in_any_container(index):
    assert numbers(resolve(index, 5)).tolist() == [4, 0]


@pytest.mark.parametrize(
    "index", [1.5, [0.5], "a", None, object(), torch.ones(2, 2, dtype=torch.int64), True, [5], [-6]]
)
def test_other_subscripts_are_refused(index):
    with pytest.raises(RowNotFound, match="but got"):
        resolve(index, 5)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(RowNotFound, match=r"each of the 5 rows, but got \(2,\)"):
        resolve([True, False], 5)


def test_complement():
    assert complement([1, 1, -1], 5) == [0, 2, 3]
    assert complement([], 2) == [0, 1]


LENGTHS = st.lists(st.integers(0, 3), min_size=1, max_size=8)


@settings(deadline=None, max_examples=50)
@given(LENGTHS, st.data())
def test_ragged_rows_are_picked_as_a_list_picks_them(lengths, data):
    rows = [[10 * i + j for j in range(n)] for i, n in enumerate(lengths)]
    column = Ragged.from_rows([torch.tensor(row, dtype=torch.int64) for row in rows])
    index = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    low = data.draw(st.integers(0, len(rows)))
    assert select(column, torch.tensor(index, dtype=torch.int64)).lists() == [rows[i] for i in index]
    assert select(column, slice(low, len(rows), 1)).lists() == rows[low:]
    assert select(column, slice(0, len(rows), 2)).lists() == rows[::2]
    joined = Ragged.concat([column.slice(low, len(rows)), column], "x")
    assert joined.lists() == rows[low:] + rows
    assert Ragged.from_nested(column.nested(), "x").equals(column)


def test_ragged_slices_are_views():
    column = Ragged.from_rows([torch.zeros(2), torch.zeros(3)])
    column.slice(1, 2).compact().values[0] = 5
    assert column.lists() == [[0, 0], [5, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.bfloat16, torch.float16])
def test_every_dtype_is_picked_joined_and_compared(dtype):
    column = torch.tensor([0, 1, 1, 0]).to(dtype)
    picked = select(column, torch.tensor([3, 1]))
    joined = concat([picked, column], "x")
    assert joined.dtype == dtype
    assert joined.to(torch.int64).tolist() == [0, 1, 0, 1, 1, 0]
    assert same(joined, joined.clone())
    assert not same(joined, torch.zeros(6).to(dtype))


def test_large_tensors_are_joined_in_arrows_memory():
    parts = [torch.arange(300_000), torch.arange(300_000)]
    joined = concat(parts, "x")
    assert joined.data_ptr() % 64 == 0
    assert torch.equal(joined, torch.cat(parts))


def test_joining_names_shapes_that_differ():
    with pytest.raises(SchemaError, match=r"'x' must have one shape, but got \[\(2,\), \(3,\)\]"):
        concat([torch.ones(1, 2), torch.ones(1, 3)], "x")
    with pytest.raises(SchemaError, match="'x' must be ragged in all"):
        concat([Ragged.from_rows([torch.ones(1)]), torch.ones(1)], "x")


def test_equality_is_strict_on_dtype_and_side():
    assert not same(torch.ones(2), torch.ones(2, dtype=torch.float64))
    assert not same(torch.ones(2), np.ones(2))
    assert not same(np.ones(2), np.ones(2, dtype=np.float32))
    assert same(np.array([np.nan]), np.array([np.nan]))
    assert not same(torch.tensor([torch.nan]), torch.tensor([torch.nan]))


def test_size_of_a_slice_counts_its_rows_only():
    column = Ragged.from_rows([torch.zeros(10), torch.zeros(1), torch.zeros(2)])
    assert size_bytes(column.slice(1, 3)) == 3 * 4 + 3 * 8
    assert size_bytes(torch.zeros(100)[:2]) == 8


def test_only_one_may_claim_the_tail():
    tail = Tail(torch.zeros(10), 4)
    assert tail.claim(4, 2)
    assert not tail.claim(4, 2)
    assert not tail.claim(6, 5)
    assert tail.used == 6


def test_growth_does_not_disturb_autograd():
    rows, tail = grow(torch.ones(2, 3), None, torch.ones(1, 3))
    weight = torch.ones(3, requires_grad=True)
    loss = (rows * weight).sum()
    grow(rows, tail, torch.zeros(1, 3))
    loss.backward()
    assert weight.grad.tolist() == [3.0, 3.0, 3.0]


def test_a_buffer_made_under_inference_mode_is_left_behind():
    with torch.inference_mode():
        rows, tail = grow(torch.ones(2), None, torch.ones(1))
    grown, other = grow(rows, tail, torch.zeros(1))
    assert grown.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert other is not tail
