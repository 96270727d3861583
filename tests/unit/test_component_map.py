"""Component maps: live links, and values that torch can train."""

import numpy as np
import pytest
import torch
from torch.nn import Linear, Module, Parameter

from fireworks.core.component_map import Component_Map, PyTorch_Component_Map
from fireworks.errors import ParameterizationError, StateError


class Owner:
    def __init__(self, value):
        self.value = value


def test_a_pair_with_an_attribute_is_a_live_link():
    owner = Owner(1)
    components = Component_Map({"a": (owner, "value"), "b": (owner, "nothing"), "c": (1, 2, 3)})
    owner.value = 5
    assert components["a"] == 5
    assert dict(components) == {"a": 5, "b": (owner, "nothing"), "c": (1, 2, 3)}
    assert next(iter(components.values())) == 5
    assert dict(components.items())["a"] == 5


def test_assigning_the_other_kind_switches():
    owner = Owner(1)
    components = Component_Map({"a": (owner, "value")})
    components["a"] = 3
    assert components.get_state() == {"internal": {"a": 3}, "external": {}}
    components["a"] = (owner, "value")
    assert components.get_state() == {"internal": {}, "external": {"a": (owner, "value")}}


def test_absent_keys():
    components = Component_Map({"weight": 1})
    with pytest.raises(ParameterizationError, match="'wieght'; there are: weight. Did you mean 'weight'"):
        components["wieght"]
    with pytest.raises(KeyError):
        del components["x"]
    assert components.get("x", 4) == 4
    assert "x" not in components


def test_set_state_removes_nothing():
    components = Component_Map({"a": 1, "b": 2})
    components.set_state({"internal": {"a": 5, "c": 6}, "external": {}})
    assert dict(components) == {"a": 5, "b": 2, "c": 6}


def test_a_hook_can_change_what_is_assigned():
    class Upper(Component_Map):
        def setitem_hook(self, key, value):
            return key.upper(), value + 1

    assert dict(Upper({"a": 1})) == {"A": 2}


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.0, 2.0], torch.float32),
        ([1, 2], torch.float32),
        ((3.0,), torch.float32),
        ([[1.0], [2.0]], torch.float32),
        (np.ones(2), torch.float64),
        (np.ones(2, dtype=np.int32), torch.float32),
        (torch.ones(2, dtype=torch.bfloat16), torch.bfloat16),
        (torch.arange(2), torch.float32),
    ],
    ids=str,
)
def test_numbers_with_a_length_become_parameters(value, dtype):
    held = PyTorch_Component_Map({"a": value})["a"]
    assert isinstance(held, Parameter)
    assert held.dtype == dtype
    assert held.requires_grad


@pytest.mark.parametrize("value", [1.5, "text", None, ["a", "b"], {"a": 1}, torch.tensor(1.0), object()])
def test_everything_else_stays(value):
    assert PyTorch_Component_Map({"a": value})["a"] is value


def test_parameters_and_modules_are_registered_and_unregistered():
    model = Module()
    components = PyTorch_Component_Map({"w": [1.0], "net": Linear(2, 3)}, model=model)
    assert [name for name, _ in model.named_parameters()] == ["w", "net.weight", "net.bias"]
    components["w"] = 3
    del components["net"]
    assert list(model.parameters()) == []


def test_values_follow_the_model():
    model = Module()
    components = PyTorch_Component_Map({"w": [1.0]}, model=model)
    model._parameters["w"] = Parameter(torch.tensor([7.0]))
    assert components["w"].item() == 7


def test_a_dict_is_loaded_into_a_module():
    components = PyTorch_Component_Map({"net": Linear(2, 1)}, model=Module())
    net = components["net"]
    components["net"] = {"weight": np.array([[1.0, 2.0]]), "bias": [3.0]}
    assert components["net"] is net
    assert net.weight.tolist() == [[1, 2]]
    assert net.bias.tolist() == [3]
    with pytest.raises(StateError, match="that of 'net' does not: .*bias"):
        components["net"] = {"weight": np.array([[1.0, 2.0]])}


def test_state_is_a_copy_and_is_set_in_place():
    components = PyTorch_Component_Map({"w": [1.0, 2.0], "net": Linear(1, 1), "n": 3}, model=Module())
    state = components.get_state()
    parameter = components["w"]
    with torch.no_grad():
        parameter.add_(1)
    assert state["internal"]["w"].tolist() == [1, 2]
    components.set_state(state)
    assert components["w"] is parameter
    assert parameter.tolist() == [1, 2]
    assert sorted(state["internal"]["net"]) == ["bias", "weight"]
    components.set_state({"internal": {"w": [1.0, 2.0, 3.0]}})
    assert components["w"].shape == (3,)


def test_types_that_numpy_lacks_stay_tensors():
    state = PyTorch_Component_Map({"w": torch.ones(2, dtype=torch.bfloat16)}).get_state()
    assert state["internal"]["w"].dtype == torch.bfloat16
