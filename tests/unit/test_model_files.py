"""Models as files: one for each object, of ours and of the original library."""

import json

import pytest
import torch

from fireworks import Message, Pipe, PyTorch_Model
from fireworks.errors import FormatError, ParameterError, StateError


class Linear(PyTorch_Model):
    required_components = ("m", "b")

    def init_default_components(self):
        self.components["b"] = [0.0]


def table():
    return Message({"x": torch.arange(4.0)})


def linear(m=2.0, **rest):
    return Linear({"m": [m]}, **rest)


@pytest.mark.parametrize("method", ["json", "csv"])
def test_save_and_load(tmp_path, method):
    owner = linear(8.0)
    model = Linear({"m": (owner, "m")}, input=Pipe(linear(3.0, input=table())))
    model.name_of_column, model.scale = "x", 2
    model.save(method=method, path=tmp_path / f"x.{method}")
    names = {f"torch_Linear-x.{method}", f"torch_Linear-m_Linear-x.{method}", f"torch_Linear---Linear-x.{method}"}
    assert {path.name for path in tmp_path.iterdir()} == names
    twin = linear(1.0)
    twin.load_state(path=tmp_path / f"torch_Linear-x.{method}", method=method)
    assert (twin.name_of_column, twin.scale, twin.b.tolist(), twin.m.item()) == ("x", 2, [0], 1)
    twin.load_state(tmp_path / f"torch_Linear---Linear-x.{method}", method)
    assert twin.m.item() == 3


def test_save_without_recursion(tmp_path):
    linear(input=linear()).save(path=tmp_path / "x.json", recursive=False)
    assert [path.name for path in tmp_path.iterdir()] == ["torch_Linear-x.json"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.json", json.dumps({"m": {"0": [6.0]}, "tag": {"0": "old"}})), ("x.csv", ',m,tag\n0,"[6.0]",old\n')],
)
def test_files_of_the_original_can_be_read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    model = linear()
    model.load_state(tmp_path / name, method=name[2:])
    assert (model.m.tolist(), model.tag) == ([6], "old")


def test_refusals_of_files(tmp_path):
    with pytest.raises(ParameterError, match="json or csv, but got 'pickle'. Pickle runs code"):
        linear().save("pickle", tmp_path / "x")
    with pytest.raises(ParameterError, match="save needs a path"):
        linear().save()
    (tmp_path / "torn.json").write_text('{"m": ')
    with pytest.raises(FormatError, match="torn.json must be a json state file"):
        linear().load_state(tmp_path / "torn.json")
    model = linear()
    model.thing = object()
    with pytest.raises(StateError, match="got object at thing"):
        model.save(path=tmp_path / "x.json")
