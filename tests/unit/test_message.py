"""Message and TensorMessage: what users of the original library rely on, and its defects set right.

Comes in: `fireworks.core.message`. Goes out: nothing.
"""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.core.message import Message, TensorMessage, compute_length, extract_tensors
from fireworks.errors import SchemaError, UnsupportedColumn
from messages import jagged


def message() -> Message:
    return Message({"t": torch.arange(10.0).view(5, 2), "name": list("abcde"), "k": np.arange(5)})


def test_construction_parts_the_sides():
    m = message()
    assert list(m.columns) == ["k", "name", "t"]
    assert list(m.df.columns) == ["k", "name"]
    assert list(m.tensor_message.columns) == ["t"]
    assert len(m) == 5


@pytest.mark.parametrize("empty", [Message(), Message(None), Message({}), Message(None, None), TensorMessage()])
def test_an_empty_message(empty):
    assert len(empty) == 0
    assert not empty
    assert list(empty.columns) == []
    assert empty.df.shape == (0, 0)


def test_two_positionals_say_the_side():
    m = Message({"a": [1, 2]}, {"b": torch.ones(2), "c": torch.ones(2, 2)})
    assert m["a"].dtype == torch.float32
    assert m["b"].dtype == np.float32
    assert m["c"].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_keywords_override_the_positionals():
    m = Message(
        {"a": [1]}, {"b": [2]}, tensors={"x": [3, 4]}, df=pd.DataFrame({"y": [5, 6]}), metadata="ignored", length=9
    )
    assert m.to_dict() == {"y": [5, 6], "x": [3.0, 4.0]}


def test_rewrapping_shares_storage_and_is_idempotent():
    m = message()
    again = Message(Message(m))
    assert again == m
    assert again["t"].data_ptr() == m["t"].data_ptr()
    again["new"] = [0] * 5
    assert "new" not in m


def test_a_frame_loses_its_index_and_keeps_its_values():
    m = Message(pd.DataFrame({"b": [1, 2], "a": ["x", "y"]}, index=[7, 7]))
    assert list(m.columns) == ["a", "b"]
    assert m["b"].index.tolist() == [0, 1]


def test_a_side_without_rows_is_left_out():
    assert list(Message({"t": torch.ones(0, 2)}, {"x": [1, 2]}).columns) == ["x"]
    assert list(Message({"t": torch.ones(0, 2)}, {"x": []}).columns) == ["x", "t"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Message({"a": [1], "b": [1, 2]}), "a=1, b=2"),
        (lambda: Message({"a": [1]}, {"a": [1]}), r"\['a'\] are in tensors and df"),
        (lambda: Message({0: [1]}), "column names must be strings, but got 0"),
        (lambda: Message(pd.DataFrame([[1, 2]], columns=["a", "a"])), "must be unique"),
        (lambda: Message([1, 2]), "but got list"),
        (lambda: Message({}, {}, {}), "up to two tables"),
    ],
)
def test_refused_constructions(make, text):
    with pytest.raises(SchemaError, match=text):
        make()


def test_from_objects_makes_one_row():
    state = {"a": [1]}
    row = Message.from_objects({"internal": state, "x": torch.ones(3), "s": "word", "l": [1, 2], "n": 3})
    assert len(row) == 1
    assert row["internal"][0] is state
    assert row["x"].shape == (1, 3)
    assert row["l"][0] == [1, 2]
    assert row["s"].tolist() == ["word"]
    assert row["n"].dtype == np.int64
    assert Message.from_objects({"x": torch.ones(2)}, {"s": [1]})["s"][0] == [1]


def test_from_objects_makes_one_row_of_a_whole_table():
    m = Message({"r": jagged(torch.ones(1), torch.ones(2)), "t": torch.arange(4.0).view(2, 2), "k": [1, 2]})
    row = Message.from_objects(m)
    assert len(row) == 1
    assert row["t"].tolist() == [[[0.0, 1.0], [2.0, 3.0]]]
    assert row["k"][0].tolist() == [1, 2]
    assert [cell.tolist() for cell in row["r"][0].unbind()] == [[1.0], [1.0, 1.0]]
    assert Message.from_objects(pd.DataFrame({"k": [1, 2]}))["k"][0].tolist() == [1, 2]
    assert len(Message.from_objects(tensors=TensorMessage({"a": [1, 2]}))) == 1


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(None, 2), [0, 1]),
        (slice(3, None), [3, 4]),
        (slice(0, 9), [0, 1, 2, 3, 4]),
        (slice(0, 5, 2), [0, 2, 4]),
        (slice(None, None, -2), [4, 2, 0]),
        (slice(4, 1), []),
        (-1, [4]),
        (torch.tensor([1, 1, -5]), [1, 1, 0]),
        (np.int64(2), [2]),
        (range(1, 3), [1, 2]),
        (pd.Series([True, False, False, False, True]), [0, 4]),
        ([], []),
    ],
)
def test_rows_by_index(index, expected):
    rows = message()[index]
    assert rows["k"].tolist() == expected
    assert rows["t"].tolist() == [[2.0 * i, 2.0 * i + 1] for i in expected]
    assert rows["name"].tolist() == ["abcde"[i] for i in expected]
    assert len(rows) == len(expected)
    assert rows.index.tolist() == list(range(len(expected)))


@pytest.mark.parametrize("index", [5, -6, [0, 5], torch.tensor([-6])])
def test_rows_beyond_the_end(index):
    with pytest.raises(IndexError, match="row numbers must be in -5…4"):
        message()[index]


def test_columns_by_name():
    m = message()
    assert m["t"].shape == (5, 2)
    assert m.name.tolist() == list("abcde")
    assert m[["t", "k"]] == Message({"t": m["t"], "k": m["k"]})
    assert "t" in m
    assert 0 not in m
    with pytest.raises(KeyError, match=r"'nam'.*Did you mean 'name'"):
        m["nam"]
    with pytest.raises(AttributeError, match=r"no 'groupby'.*through `\.df`"):
        _ = m.groupby


def test_columns_are_attributes_to_read_but_not_to_set():
    m = message()
    assert {"t", "name", "k", "append"} <= set(dir(m))
    for name in ("k", "new"):
        with pytest.raises(AttributeError, match=rf"attribute '{name}'. Use `m\['{name}'\] = …`"):
            setattr(m, name, [0] * 5)
    with pytest.raises(AttributeError, match="property 'df'"):
        m.df = None
    assert m == message()


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (pd.array([True, None, True, True, True], dtype="boolean"), "1 of 5 are missing.*fillna"),
        (pd.Series([1, None], dtype="Int64"), "1 of 2 are missing"),
        ([0, np.nan], "1 of 2 are missing"),
        (["name", 1], r"but got \['name', 1\]. Use `m\[\['name'\]\]`"),
        ([1.5], r"but got \[1.5\]"),
        (torch.ones(2, 2), r"but got tensor\(\[\[1"),
    ],
)
def test_a_wrong_index_is_answered_in_the_words_of_who_wrote_it(index, text):
    with pytest.raises(IndexError, match=text) as caught:
        message()[index]
    assert "\n" not in str(caught.value)


def test_slices_are_views_and_other_selections_are_not():
    m = message()
    view, copied = m[1:3], m[[1, 2]]
    m["t"][1] = -1
    m[2] = {"t": [[7, 7]], "name": "z", "k": 9}
    assert view["t"].tolist() == [[-1.0, -1.0], [7.0, 7.0]]
    assert view["k"].tolist() == [1, 9]
    assert copied["k"].tolist() == [1, 2]
    assert copied["name"].tolist() == ["b", "c"]


def test_selections_of_selections_gather_once():
    m = message()
    picked = m[[4, 3, 2]][[0, 2]][[1, 0]]
    del m
    assert picked["k"].tolist() == [2, 4]


def test_a_waiting_selection_is_safe_from_row_writes_through_a_rewrap():
    m = message()
    held = Message(m[[0, 1]])
    m[0] = m[4]
    assert held["k"].tolist() == [0, 1]


def test_tensor_message():
    tm = TensorMessage({"a": [1, 2], "b": torch.ones(2, 3, dtype=torch.int8)}, map_dict={"a": torch.LongTensor})
    assert tm["a"].dtype == torch.int64
    row = tm[0]
    assert isinstance(row, TensorMessage)
    assert row["b"].shape == (1, 3)
    assert row["b"].dtype == torch.int8
    assert tm.df.shape == (0, 0)
    assert tm.tensor_message is tm
    assert TensorMessage({"x": 3})["x"].tolist() == [3.0]
    assert [name for name, _ in tm.items()] == ["a", "b"]
    tm["c"] = [1, 2]
    assert tm["c"].dtype == torch.float32
    assert tm.append({"a": [3], "b": torch.ones(1, 3, dtype=torch.int8), "c": [4]})["a"].tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="'s' holds str"):
        TensorMessage({"s": ["a"]})


def test_tensor_message_shares_storage():
    m = message()
    assert TensorMessage(m[["t"]])["t"].data_ptr() == m["t"].data_ptr()


def test_ragged_columns_come_and_go_as_nested_tensors():
    nested = torch.nested.nested_tensor([torch.arange(3), torch.arange(0), torch.arange(2)], layout=torch.jagged)
    m = Message({"r": nested, "k": [0, 1, 2]})
    assert list(m.columns) == ["k", "r"]
    assert [row.tolist() for row in m[[2, 0]]["r"].unbind()] == [[0, 1], [0, 1, 2]]
    assert m.append(m)[3:] == m
    m[1] = {"r": torch.nested.nested_tensor([torch.arange(4)], layout=torch.jagged), "k": 5}
    assert m.to_dict()["r"] == [[0, 1, 2], [0, 1, 2, 3], [0, 1]]
    with pytest.raises(SchemaError, match="must be ragged"):
        m.append({"r": torch.ones(1, 2), "k": [1]})
    assert pickle.loads(pickle.dumps(m)) == m
    assert copy.deepcopy(m) == m


def test_functions_of_the_module():
    assert compute_length({"a": [1, 2], "b": torch.ones(2)}) == 2
    assert compute_length({}) == 0
    with pytest.raises(ValueError, match="a=1, b=2"):
        compute_length({"a": [1], "b": [1, 2]})
    tensors, rest = extract_tensors({"a": 1, "b": torch.ones(1)})
    assert (list(tensors), list(rest)) == (["b"], ["a"])


def test_repr_shows_size_types_and_ends():
    m = Message({"word": [f"w{i}\n<b>" for i in range(1500)], "t": torch.arange(6000.0).view(1500, 4)})
    text = repr(m)
    assert text.splitlines()[0] == "Message: 1,500 rows × 2 columns"
    assert "float32[4]" in text
    assert "[0 1 2 …]" in text
    assert "w1499 <b>" in text
    assert len(text.splitlines()) == 14
    assert "&lt;b&gt;" in m._repr_html_()
    assert "<b>" not in m._repr_html_()
    assert repr(Message()) == "Message: 0 rows × 0 columns"


def test_nbytes():
    assert Message({"t": torch.zeros(5, 2), "k": np.arange(5)})[1:3].nbytes == 2 * 8 + 2 * 8


def test_unsupported_values_name_the_column():
    with pytest.raises(UnsupportedColumn, match="'when' holds datetime64"):
        Message({"when": pd.to_datetime(["2020-01-01"])}).to_tensors()
