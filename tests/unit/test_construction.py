"""Recorded arguments: bound to the signature, kept by copies."""

import copy
import pickle

import pytest
import torch

from fireworks import Junction, Message, Pipe, PyTorch_Model
from fireworks.core.construction import Recorded, arguments, set_since
from fireworks.errors import GraphError


class Scaling(Pipe):
    def __init__(self, input=None, factor=2, *others, offset=0, **more):
        super().__init__(input)


class Net(PyTorch_Model):
    def __init__(self, width, depth=2):
        super().__init__({"w": [1.0] * width})


def test_arguments_are_bound_with_defaults():
    source = Message({"x": torch.ones(2)})
    recorded = arguments(Scaling(source, 3, 4, 5, colour="red"))
    assert recorded == {"input": source, "factor": 3, "others": (4, 5), "offset": 0, "more": {"colour": "red"}}
    assert recorded["input"] is source


def test_models_and_junctions_are_recorded():
    assert arguments(Net(3)) == {"width": 3, "depth": 2}
    assert arguments(Junction({"a": 1})) == {"components": {"a": 1}}


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda obj: pickle.loads(pickle.dumps(obj))])
@pytest.mark.parametrize("make", [lambda: Scaling(None, 7), lambda: Net(3)])
def test_copies_keep_the_record(make, twin):
    original = make()
    assert arguments(twin(original)) == arguments(original)


def test_wrong_arguments_fail_as_ever():
    with pytest.raises(TypeError, match="width"):
        Net()


def test_other_objects_are_refused():
    with pytest.raises(GraphError, match="only Pipes, Junctions and subclasses of Recorded"):
        arguments(3)


def test_any_class_can_record():
    class Plain(Recorded):
        def __init__(self, a, b=1):
            self.a = a

    assert arguments(Plain(5)) == {"a": 5, "b": 1}


class Holder(Pipe):
    size = 3

    def __init__(self, factor=1000, input=None):
        super().__init__(input)
        self.factor, self.names, self.by_name, self.chosen = factor, ["a"], {"a": 1}, {1}
        self.total = 1e300
        self._cache = None


class Lower(Holder):
    def __init__(self, input=None):
        super().__init__(5, input)
        self.later = "set by the outer constructor"


def copied(obj):
    return pickle.loads(pickle.dumps(copy.deepcopy(copy.copy(obj))))


@pytest.mark.parametrize("twin", [lambda obj: obj, copied])
@pytest.mark.parametrize("make", [Holder, Lower, lambda: Net(3), lambda: Junction({"a": 1})])
def test_what_constructors_set_is_not_set_since(make, twin):
    assert set_since(twin(make())) == {}


CHANGES = {
    "new": lambda obj: setattr(obj, "row_local", True),
    "other": lambda obj: setattr(obj, "factor", 7),
    "a module's": lambda obj: setattr(obj, "training", False),
    "over the class's": lambda obj: setattr(obj, "size", 4),
    "in a list": lambda obj: obj.names.append("b"),
    "in a dict": lambda obj: obj.by_name.update(a=2),
    "in a set": lambda obj: obj.chosen.add(2),
}


@pytest.mark.parametrize("make", [Holder, Lower, lambda: copied(Lower())])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_attributes_set_or_filled_later_are_known(make, change):
    obj = make()
    change(obj)
    obj._cache = "private"
    obj.input = Message({"x": [1]})
    [(name, value)] = set_since(obj).items()
    assert value == getattr(obj, name)


def test_a_value_set_again_is_no_change():
    obj = Holder()
    obj.factor = 999 + 1
    assert set_since(obj) == {}
