"""Messages that are changed, copied, joined and converted.

Comes in: `fireworks.core.message`. Goes out: nothing.
"""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.core.message import Message, TensorMessage, cat, merge
from fireworks.errors import ColumnNotFound, RowNotFound, SchemaError, UnsupportedColumn


def message() -> Message:
    return Message({"t": torch.arange(10.0).view(5, 2), "name": list("abcde"), "k": np.arange(5)})


def test_setting_columns_moves_them_between_sides():
    m = message()
    m["t"] = list(range(5))
    m["k"] = torch.zeros(5, 3)
    assert list(m.columns) == ["name", "t", "k"]
    m["one"] = 1
    assert m["one"].tolist() == [1] * 5
    with pytest.raises(ValueError, match="'t' must have the Message's 5 rows, but got 2"):
        m["t"] = torch.ones(2)
    m[["t", "new"]] = {"t": torch.ones(5), "new": list("vwxyz"), "unused": 0}
    assert m["new"].tolist() == list("vwxyz")
    with pytest.raises(SchemaError, match=r"lacks \['q'\]"):
        m[["q"]] = {"t": 1}


def test_an_empty_message_takes_the_length_of_its_first_column():
    m = Message()
    m["x"] = torch.ones(3)
    assert len(m) == 3
    rest = message()[:0]
    rest["x"] = [1, 2]
    assert rest.to_dict() == {"x": [1, 2]}


@pytest.mark.parametrize("index", [1, slice(1, 2), [1], torch.tensor([1]), [False, True, False, False, False]])
def test_setting_rows_converts_to_the_columns_side(index):
    m = message()
    m[index] = {"t": [[8, 9]], "k": torch.tensor([7]), "name": ["new"]}
    assert m["t"][1].tolist() == [8.0, 9.0]
    assert m["k"].tolist() == [0, 7, 2, 3, 4]
    assert m["name"].tolist() == ["a", "new", "c", "d", "e"]


def test_setting_rows_from_the_message_itself():
    m = message()
    m[0:4] = m[1:5]
    assert m["t"][:, 0].tolist() == [2.0, 4.0, 6.0, 8.0, 8.0]
    assert m["name"].tolist() == list("bcdee")


@pytest.mark.parametrize(
    ("index", "rows", "text"),
    [
        ([], {"t": [], "k": [], "name": []}, "at least one"),
        (0, {"t": [[1, 2]], "k": [1]}, "must have the Message's columns"),
        ([0, 1], {"t": [[1, 2]], "k": [1], "name": ["a"]}, "names 2 rows, but got 1"),
        (0, {"t": [[1, 2, 3]], "k": [1], "name": ["a"]}, r"must have shape \(2,\), but got \(3,\)"),
    ],
)
def test_refused_rows_change_nothing(index, rows, text):
    m = message()
    with pytest.raises(ValueError, match=text):
        m[index] = rows
    assert m == message()
    with pytest.raises(IndexError, match="row numbers"):
        m[5] = m[0]


def test_deleting():
    m = message()
    del m[-1]
    del m[0:4:2]
    assert m["k"].tolist() == [1, 3]
    assert m["t"][:, 0].tolist() == [2.0, 6.0]
    assert len(m.df) == 2
    del m[[]]
    del m[["k", "t"]]
    assert list(m.columns) == ["name"]
    with pytest.raises(ColumnNotFound, match="'k'"):
        del m["k"]
    with pytest.raises(RowNotFound, match="row numbers"):
        del m[[2]]
    del m["name"]
    assert len(m) == 0


def test_iteration_is_independent_and_next_has_a_cursor():
    m = message()
    assert [(a["k"][0], b["k"][0]) for a in m[:2] for b in m[:2]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    two = m[:2]
    assert [next(two)["k"][0], next(two)["k"][0]] == [0, 1]
    with pytest.raises(StopIteration):
        next(two)
    assert next(two.reset()) == m[0]


def test_equality():
    m = message()
    assert m == Message({"name": m["name"], "t": m["t"].clone(), "k": m["k"]})
    assert m != 3
    assert m != m[:4]
    assert m != m[["t", "k"]]
    assert Message({"x": [1.0]}) != Message({"x": torch.ones(1)})
    assert Message({"x": [np.nan]}) == Message({"x": [np.nan]})


def test_copies_and_pickles():
    m = Message({"t": torch.arange(1000.0), "s": list(range(1000))})[10:12]
    shallow, deep, pickled = copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m))
    assert shallow == deep == pickled == m
    assert len(pickled) == 2
    assert len(pickle.dumps(m)) < 3000
    shallow["t"][0] = -1
    assert [m["t"][0].item(), deep["t"][0].item(), pickled["t"][0].item()] == [-1.0, 10.0, 10.0]


def test_append_unites_array_columns_and_needs_tensor_columns():
    m = Message({"t": torch.ones(1), "x": [1]})
    longer = m.append({"t": [2], "y": ["a"]})
    assert longer["t"].tolist() == [1.0, 2.0]
    assert longer["x"].tolist()[0] == 1
    assert np.isnan(longer["x"][1])
    assert longer["y"].isna().tolist() == [True, False]
    assert len(m) == 1
    for other in ({"x": [1]}, {"t": [2], "x": [3], "u": torch.ones(1)}):
        with pytest.raises(SchemaError, match="tensor columns must be in all"):
            m.append(other)
    assert Message().append(m) == m.append(Message()) == m


def test_a_message_never_changes_because_its_copy_grew():
    m = message().append(message())
    one, other = m.append(message()[0]), m.append(message()[1])
    assert one["k"].tolist()[10:] == [0]
    assert other["k"].tolist()[10:] == [1]
    assert other["name"].tolist()[10:] == ["b"]
    one[0] = message()[4]
    assert [m["k"][0], other["k"][0]] == [0, 0]
    assert m["t"][0].tolist() == [0.0, 1.0]


def test_appending_row_by_row_copies_seldom():
    row = Message({"t": torch.ones(1, 4), "k": np.arange(1)})
    m, moved, last = row, 0, 0
    for _ in range(2000):
        m = m.append(row)
        moved += m["t"].data_ptr() != last
        last = m["t"].data_ptr()
    assert len(m) == 2001
    assert m["t"].sum() == 8004
    assert moved < 25


def test_cat_and_merge():
    m = message()
    assert cat([m[:2], Message(), m[2:]]) == m
    assert cat([]) == Message()
    assert cat([m[:0], m[:0]]) == m[:0]
    assert isinstance(cat([m.tensors()] * 2), TensorMessage)
    merged = merge([m[["t"]], m[["k"]], Message({"t": list("vwxyz")})])
    assert list(merged.columns) == ["k", "t"]
    assert merged["t"].tolist() == list("vwxyz")
    assert Message().merge(m) == m.merge(Message()) == m
    with pytest.raises(ValueError, match="left=5, right=1"):
        m.merge({"q": [1]})


def test_map():
    m = message()
    doubled = m.map({"t": lambda t: t * 2, "k": lambda s: s + 1, "absent": None})
    assert doubled["t"].sum() == 90
    assert doubled["k"].tolist() == [1, 2, 3, 4, 5]
    assert m.map(lambda column: column[:2])["name"].tolist() == ["a", "b"]
    with pytest.raises(SchemaError, match="equally long"):
        m.map({"k": lambda s: s[:1]})


def test_conversion_between_sides():
    m = message()
    assert m.to_tensors("k") is m
    assert m["k"].dtype == torch.float32
    with pytest.raises(TypeError, match="'name' holds str"):
        m.to_tensors()
    frame = m.to_dataframe()
    assert frame["t"][0] == [0.0, 1.0]
    assert list(m.tensors().columns) == ["t", "k"]
    assert m.to_dataframe(["k"])["t"] is m["t"]
    assert m.dataframe(["t"]).shape == (5, 1)
    assert frame.to_tensors(["t"])["t"].shape == (5, 2)
    assert m.tensors(["k"])["k"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert Message({"x": pd.array([1, None], dtype="Int64")}).to_tensors()["x"].isnan().tolist() == [False, True]


def test_tensors_with_gradients_become_arrays():
    m = message().enable_gradients()
    assert m["t"].requires_grad
    assert m.to_dataframe()["t"][4] == [8.0, 9.0]
    assert m.append(message())["t"].requires_grad


@pytest.mark.parametrize(
    ("name", "remedy"), [("k", r"m.to_tensors\('k'\)"), ("i", r"m\['i'\] = m\['i'\].float\(\)"), ("name", "to_tensors")]
)
def test_gradients_of_what_is_no_float_are_refused_by_name(name, remedy):
    m = message().merge({"i": torch.arange(5)})
    with pytest.raises(UnsupportedColumn, match=f"column '{name}' is .*{remedy}"):
        m.enable_gradients(["t", name])
    assert not m["t"].requires_grad


def test_devices_return_self():
    m = message()
    assert m.cpu() is m
    assert m.cpu(["t"]) is m
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            m.cuda(device_num=0)


def test_permute_is_indexing():
    assert message().permute([1, 0]) == message()[[1, 0]]
