"""Junctions: components as attributes, required ones checked at construction and assignment."""

import types

import pytest
import torch

from fireworks import Junction, Message, Pipe, PyTorch_Junction
from fireworks.errors import ParameterizationError


class Owner:
    value = 1


class Typed(Junction):
    required_components = {"function": types.FunctionType, "pipe": Pipe, "number": (int, float)}


class Needy(Junction):
    required_components = ["a", "b"]


def typed(**changes):
    return Typed({"function": max, "pipe": Pipe(), "number": 1} | changes)


def test_components_are_attributes():
    junction = Junction({"a": 1})
    junction.b = 2
    junction._private = 3
    assert (junction.a, junction.b, junction.components["b"]) == (1, 2, 2)
    assert list(junction.components) == ["a", "b"]
    assert {"a", "b"} <= set(dir(junction))
    del junction.a
    assert list(junction.components) == ["b"]


def test_a_junction_without_components_is_fine():
    assert len(Junction().components) == 0


def test_properties_and_class_attributes_are_no_components():
    class Switch(Junction):
        mode = "slow"

        @property
        def route(self):
            return self.components[self._route]

        @route.setter
        def route(self, name):
            self._route = name

    switch = Switch({"x": 5})
    switch.route = "x"
    switch.mode = "fast"
    assert (switch.route, switch.mode) == (5, "fast")
    assert list(switch.components) == ["x"]


def test_errors_of_properties_come_through():
    class Wrong(Junction):
        @property
        def broken(self):
            return self.components["a"].no_such_attribute

    with pytest.raises(AttributeError, match="no_such_attribute"):
        Wrong({"a": 1}).broken


def test_a_missing_attribute_is_named_with_a_suggestion():
    with pytest.raises(AttributeError, match="Junction has no attribute 'modle'.*Did you mean 'model'"):
        Junction({"model": 1}).modle


def test_all_missing_components_are_listed():
    with pytest.raises(
        ParameterizationError, match=r"requires the components a, b, but got c; missing: a, b"
    ) as caught:
        Needy({"c": 1})
    assert caught.value.missing == ["a", "b"]
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize("function", [max, lambda x: x, Pipe, torch.nn.Linear(1, 1)])
def test_any_callable_is_a_function(function):
    assert typed(function=function).function is function


@pytest.mark.parametrize(("name", "value"), [("function", 3), ("pipe", Message()), ("number", "x")])
def test_types_are_checked_at_construction_and_assignment(name, value):
    with pytest.raises(ParameterizationError, match=f"component '{name}' of Typed must be a"):
        typed(**{name: value})
    junction = typed()
    with pytest.raises(ParameterizationError, match=f"component '{name}' of Typed must be a"):
        setattr(junction, name, value)
    junction.number = 2.5
    assert junction.number == 2.5


def test_links_and_state():
    owner = Owner()
    junction = Junction({"a": (owner, "value"), "b": 2})
    owner.value = 7
    assert junction.a == 7
    state = junction.get_state()
    assert state == {"internal": {"b": 2}, "external": {"a": (owner, "value")}}
    other = Junction({"c": 3})
    other.load_state_dict(junction.state_dict())
    assert (other.a, other.b, other.c) == (7, 2, 3)


def test_pytorch_junctions_make_parameters():
    junction = PyTorch_Junction({"w": [1.0, 2.0], "name": "x"})
    junction.v = torch.ones(2)
    assert isinstance(junction.w, torch.nn.Parameter)
    assert isinstance(junction.v, torch.nn.Parameter)
    assert junction.name == "x"


def test_save_calls_the_components():
    class Saved:
        def save(self, path):
            calls.append(path)

    calls = []
    Junction({"a": Saved(), "b": 3}).save(path="there")
    assert calls == ["there"]
