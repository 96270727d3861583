"""Models: what passes through, what is a component, what is saved, frozen and shared."""

import copy
import pickle
import types

import numpy as np
import pytest
import torch
from torch import nn

from fireworks import Message, Model, Pipe, PyTorch_Model, model_from_module
from fireworks.core.model import freeze_module, identity, to_parameter, unfreeze_module
from fireworks.errors import ParameterizationError
from fireworks.toolbox import BatchingPipe


class Linear(PyTorch_Model):
    """y = m x + b."""

    required_components = ["m", "b"]

    def init_default_components(self):
        self.components["b"] = [0.0]
        self.note = "plain"

    def forward(self, message, power=1):
        message["y"] = (self.m * message["x"] + self.b) ** power
        return message


class Mean(Model):
    """A running sum, without torch."""

    required_components = ["total"]
    stateful_attributes = ("seen",)
    seen = 0

    def init_default_components(self):
        self.components["total"] = 0.0

    def update(self, message, method="call"):
        self.total = self.total + float(message["x"].sum())
        self.methods = [*getattr(self, "methods", []), method]

    def forward(self, message):
        message["x"] = message["x"] - self.total
        return message


def table(n=4):
    return Message({"x": torch.arange(n, dtype=torch.float32)})


def linear(m=2.0, **rest):
    return Linear({"m": [m]}, **rest)


def test_every_access_is_transformed():
    model = linear(input=Pipe(table()))
    assert model[1:3]["y"].tolist() == [2, 4]
    assert [row["y"].item() for row in model] == [0, 2, 4, 6]
    model.reset()
    assert next(model)["y"].tolist() == [0]
    assert model({"x": torch.ones(1)})["y"].tolist() == [2]
    assert len(model) == 4


def test_a_call_goes_through_upstream_models_and_passes_extra_arguments_on():
    class Double(Model):
        def forward(self, message):
            return {"x": message["x"] * 2}

    assert linear(input=Double())({"x": torch.ones(1)}, power=2)["y"].tolist() == [16]


def test_the_source_is_not_changed():
    source = table()
    linear(input=source)[:]
    assert list(source.columns) == ["x"]


def test_update_runs_before_forward_and_can_be_switched():
    model = Mean(input=BatchingPipe(table(), 2))
    assert [batch["x"].tolist() for batch in model] == [[-1, 0], [-4, -3]]
    assert model[0:1]["x"].tolist() == [-6]
    assert model.methods == ["next", "next", "get"]
    model.disable_updates()
    assert not model._updates_enabled
    model.disable_inference()
    assert model({"x": torch.ones(1)}) == {"x": torch.ones(1)}
    assert model.total == 6
    model.enable_inference()
    model.enable_updates()
    model({"x": torch.ones(1)})
    assert model.total == 7


def test_switches_of_a_whole_chain():
    below, middle = Mean(), Pipe()
    above = below >> middle >> linear()
    above.disable_inference_all()
    above.disable_updates_all()
    flags = [(model._inference_enabled, model._updates_enabled) for model in (above, below)]
    assert flags == [(False, False)] * 2
    above.enable_inference_all()
    above.enable_updates_all()
    assert [(model._inference_enabled, model._updates_enabled) for model in (above, below)] == [(True, True)] * 2


@pytest.mark.parametrize("kind", [Model, PyTorch_Model])
def test_a_model_without_forward_says_so(kind):
    with pytest.raises(NotImplementedError, match="forward"):
        kind()(table())


def test_what_is_a_component():
    model = linear()
    model.column = "x"
    model._local = 1
    model.extra = [1.0]
    model._net = nn.Linear(1, 1)
    assert list(model.components) == ["b", "m", "column", "extra", "_net"]
    assert (model.note, model._local, model.column) == ("plain", 1, "x")
    assert isinstance(model.extra, nn.Parameter)
    model.note = "still plain"
    assert "note" not in model.components
    del model.extra
    assert [name for name, _ in model.named_parameters()] == ["b", "m", "_net.weight", "_net.bias"]


def test_parameters_and_modules_set_in_a_constructor_are_components():
    class Net(PyTorch_Model):
        def __init__(self, width):
            super().__init__()
            self.layer = nn.Linear(1, width)
            self.register_parameter("scale", nn.Parameter(torch.ones(1)))
            self.register_parameter("nothing", None)
            self.add_module("other", nn.Linear(1, 1))
            self.register_buffer("seen", torch.zeros(2))

    net = Net(3)
    assert list(net.components) == ["layer", "scale", "other"]
    assert net.nothing is None
    net.seen = torch.ones(2)
    twin = Net(3)
    twin.set_state(net.get_state())
    assert twin.seen.tolist() == [1, 1]
    assert torch.equal(twin.layer.weight, net.layer.weight)


def test_modules_before_the_base_constructor_are_refused():
    class Net(PyTorch_Model):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) in Net.__init__ before it sets 'layer'"):
        Net()


def test_attributes_come_from_components_then_inputs():
    model = linear(input=linear(3.0, input=table()))
    model.input.gain = 4
    assert model.m.item() == 2
    assert model.gain == 4
    assert list(model.columns) == ["x"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        model.nothing


def test_errors_of_properties_come_through():
    class Wrong(PyTorch_Model):
        @property
        def width(self):
            return self.layer.no_such_attribute

    model = Wrong({"layer": nn.Linear(1, 1)})
    with pytest.raises(AttributeError, match="no_such_attribute"):
        model.width


@pytest.mark.parametrize("required", [["m", "b"], {"m": nn.Parameter, "b": object}])
def test_required_components_are_checked_at_first_use(required):
    class Line(Linear):
        required_components = required

    model = Line()
    with pytest.raises(ParameterizationError, match="missing: m") as caught:
        model(table())
    assert caught.value.missing == ["m"]
    model.set_state({"internal": {"m": np.ones(1, dtype=np.float32)}, "external": {}})
    assert model(table())["y"].tolist() == [0, 1, 2, 3]


def test_types_are_checked_at_once():
    class Applying(Model):
        required_components = {"function": types.FunctionType}

    with pytest.raises(
        ParameterizationError, match="component 'function' of Applying must be a function, but got a int"
    ):
        Applying({"function": 3})


def test_assigning_numbers_over_a_parameter_converts():
    model = linear()
    model.m = [5.0]
    assert isinstance(model.m, nn.Parameter)
    model.m = 3.0
    assert model.m == 3.0
    assert [name for name, _ in model.named_parameters()] == ["b"]


def test_state_goes_round_and_keeps_the_parameters():
    model = linear()
    model.net = nn.Linear(1, 1)
    model.inner = linear(9.0)
    state = model.get_state()
    held = (model.m, model.net, model.net.weight, model.inner, model.inner.m)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    model.added = 1
    model.set_state(state)
    assert (model.m, model.net, model.net.weight, model.inner, model.inner.m) == held
    assert all(
        now is then for now, then in zip((model.m, model.net, model.inner.m), (held[0], held[1], held[4]), strict=True)
    )
    assert (model.m.item(), model.inner.m.item()) == (2, 9)
    assert "added" not in model.components
    model.added = 1
    model.set_state(state, reset=False)
    assert model.added == 1


def test_reset_removes_registered_parameters():
    model = linear()
    state = model.get_state()
    model.extra = [1.0]
    model.set_state(state)
    assert [name for name, _ in model.named_parameters()] == ["b", "m"]


def test_frozen_parameters_stay_frozen():
    model = linear()
    model.freeze("m")
    model.set_state(model.get_state())
    assert (model.m.requires_grad, model.b.requires_grad) == (False, True)


def test_state_of_a_plain_model():
    model = Mean(input=table())
    next(iter(model))
    model.seen = 5
    twin = Mean()
    twin.set_state(model.get_state())
    assert (twin.total, twin.seen) == (model.total, 5)


def test_what_torch_saves_torch_loads(tmp_path):
    model = linear()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    twin = linear(7.0)
    twin.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    assert twin.m.item() == 2


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_their_own_parameters(twin):
    model = linear(input=table())
    other = twin(model)
    with torch.no_grad():
        other.m.add_(1)
    assert (model.m.item(), other.m.item(), other.components["m"].item()) == (2, 3, 3)


def test_links_are_shared_frozen_at_the_owner_and_left_out_of_state_dict():
    owner = linear(3.0)
    model = Linear({"m": (owner, "m")})
    owner.m = [4.0]
    assert model.m.item() == 4
    assert list(model.state_dict()) == ["b"]
    assert model.all_parameters() == [model.b, owner.m]
    model.freeze("m")
    assert not owner.m.requires_grad
    assert model.get_state()["external"] == {"m": (owner, "m")}


def test_all_parameters_lists_each_once_upstream_included():
    below = linear(1.0, input=table())
    shared = nn.Linear(1, 1)
    model = Linear({"m": [2.0], "one": shared, "two": shared, "frozen": linear()}, input=Pipe(below))
    model.frozen.freeze()
    expected = [model.b, model.m, shared.weight, shared.bias, model.frozen.b, model.frozen.m, below.b, below.m]
    found = model.all_parameters()
    assert len(found) == len(expected)
    assert all(left is right for left, right in zip(found, expected, strict=True))


def test_freezing():
    model = linear()
    model.net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)))
    model.inner = linear()
    model.freeze()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    model.unfreeze(["net", "m"])
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad and "net" not in name] == [
        "m"
    ]
    with pytest.raises(ParameterizationError, match="'inne' must be a component of Linear.*Did you mean 'inner'"):
        model.freeze("inne")
    freeze_module(model.net)
    unfreeze_module(model.net, ["0"])
    assert [parameter.requires_grad for parameter in model.net.parameters()] == [True, True, False, False]


def test_training_works():
    model = linear(0.5)
    optimizer = torch.optim.SGD(model.all_parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        ((model(table())["y"] - 3 * torch.arange(4)) ** 2).mean().backward()
        optimizer.step()
    assert model.m.item() == pytest.approx(3, abs=0.01)


def test_devices_return_the_model():
    model = linear(input=linear(input=table()))
    assert model.cpu() is model
    assert model.to(torch.float64).m.dtype == torch.float64
    assert model.components["m"].dtype == torch.float64


def test_random_access_is_claimed_by_row_local_models_only():
    class Scoring(Linear):
        row_local = True

    assert Scoring({"m": [1.0]}, input=table()).random_access
    assert not Scoring({"m": [1.0]}).random_access
    assert not linear(input=table()).random_access


class Net(nn.Module):
    def __init__(self, width, depth=1):
        super().__init__()
        self.width = width
        self.layer = nn.Linear(width, 1)
        self.gain = nn.Parameter(torch.ones(1))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        return self.layer(x) * self.gain + self.width


def test_model_from_module():
    kind = model_from_module(Net)
    model = kind({"gain": [2.0]}, 3, input=None, depth=2)
    assert (kind.__name__, kind.module_class, isinstance(model, Net)) == ("ModelFromModule", Net, True)
    assert list(model.components) == ["gain", "layer"]
    x = torch.ones(2, 3)
    assert torch.equal(model(x), model.layer(x) * 2 + 3)
    assert sorted(model.state_dict()) == ["gain", "layer.bias", "layer.weight", "seen"]
    twin = kind({}, 3)
    twin.set_state(model.get_state())
    assert torch.equal(twin(x), model(x))


def test_errors_of_the_module_come_through():
    class Broken(nn.Module):
        def forward(self, x):
            return self.missing(x)

    with pytest.raises(AttributeError, match="missing"):
        model_from_module(Broken)()(1)


def test_small_functions():
    assert identity(3) == 3
    assert to_parameter([1, 2]).dtype == torch.float32
    assert to_parameter(torch.ones(1, dtype=torch.float64)).dtype == torch.float64
