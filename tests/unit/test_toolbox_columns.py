"""Toolbox pipes that change columns."""

import pytest
import torch

from fireworks import Message
from fireworks.errors import GraphError, UnsupportedColumn
from fireworks.toolbox import FunctionPipe, GradientPipe, TensorPipe, Title2LabelPipe


def table():
    return Message({"x": torch.ones(3), "n": [1, 2, 3], "s": ["a", "b", "c"]})


def answers(pipe):
    """What comes by each way in."""
    return [pipe[:], *list(pipe), pipe(table())]


def test_tensors_are_made_on_each_way_and_other_columns_stay():
    source = table()
    for rows in answers(TensorPipe(source, ["n"], cuda=False)):
        assert rows["n"].dtype == torch.float32
        assert list(rows.df.columns) == ["s"]
    assert not isinstance(source["n"], torch.Tensor)


def test_without_a_gpu_tensors_stay_on_the_cpu():
    assert TensorPipe(table(), ["n"])[:]["n"].device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_all_columns_by_default_so_text_fails():
    with pytest.raises(TypeError, match="'s'|s "):
        TensorPipe(table())[:]
    assert TensorPipe(table()[["x", "n"]])[0]["n"].tolist() == [1]


def test_gradients():
    for rows in answers(GradientPipe(table(), ["x"])):
        assert rows["x"].requires_grad
    assert not table()["x"].requires_grad


def test_gradients_of_a_column_without_floats_are_refused_by_name():
    with pytest.raises(UnsupportedColumn, match=r"column 'n' is int64. Use `m.to_tensors\('n'\)`"):
        GradientPipe(table(), ["x", "n"])[:]


def test_functions():
    def half(message):
        message["x"] = message["x"] / 2
        return message

    for rows in answers(FunctionPipe(table(), half)):
        assert rows["x"][0] == 0.5
    assert FunctionPipe(function=lambda x: x + 1)(1) == 2


@pytest.mark.parametrize(
    ("promises", "random_access"),
    [({}, False), ({"row_local": True}, True), ({"row_local": True, "one_to_one": False}, False)],
)
def test_functions_claim_what_they_promise(promises, random_access):
    pipe = FunctionPipe(table(), len, **promises)
    assert (pipe.row_local, pipe.random_access) == ("row_local" in promises, random_access)


def test_a_function_must_be_one():
    with pytest.raises(GraphError, match="needs a function, but got 3"):
        FunctionPipe(function=3)


@pytest.mark.parametrize(
    ("title", "expected"), [("phage", "phage"), (3, 3), (torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]))]
)
def test_labels(title, expected):
    for rows in answers(Title2LabelPipe(title, table(), labels_column="kind")):
        assert len(rows["kind"]) == len(rows)
        assert torch.equal(torch.as_tensor(rows["kind"][0] == expected).all(), torch.tensor(True))
    assert list(Title2LabelPipe("a", table())[0:2]["labels"]) == ["a", "a"]
