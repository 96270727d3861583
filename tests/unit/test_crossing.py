"""What another stage has trained is used by its state edge, whole, or the cut fails."""

import pytest
import torch
from torch import nn

from fireworks import Fit, HookedPassThroughPipe, Message, Model, Pipe, PyTorch_Model, Stage, cut, pipeline, run
from fireworks.errors import CutError


class Net(PyTorch_Model):
    row_local = True

    def init_default_components(self):
        self.components["w"] = torch.zeros(1)

    def forward(self, message):
        return Message({"x": message["x"], "y": self.w * message["x"]})


class Lin(PyTorch_Model):
    row_local = True

    def forward(self, message):
        return Message({"x": message["x"], "y": self.lin(message["x"][:, None])[:, 0]})


class Apply(HookedPassThroughPipe):
    """Passes on, and could read what it was given."""

    def __init__(self, thing, input=None):
        super().__init__(input)


class Linked(Model):
    def forward(self, message):
        return Message({"y": self.w * message["x"]})


def error(message):
    return (message["y"] - 3 * message["x"]).square().mean()


def table():
    return Stage(Message({"x": torch.linspace(0, 1, 20)}) >> Pipe(), name="data")


def fitting(model, data, name="fit-net"):
    return Stage(Fit(model, data, error, epochs=40, lr=0.1, batch_size=20), name=name)


def linked(model, fit, data):
    return Net({"w": (model, "w")}, input=data)


def linked_plain(model, fit, data):
    return Linked({"w": (model, "w")}, input=data)


def its_parameter(model, fit, data):
    return data >> Apply(model.w)


def in_a_list(model, fit, data):
    return data >> Apply([{"a": model}])


def set_later(model, fit, data):
    pipe = data >> Apply(None)
    pipe.thing = model.w
    return pipe


@pytest.mark.parametrize("use", [linked, linked_plain, its_parameter, in_a_list, set_later])
def test_a_part_of_what_another_stage_trains_is_refused(use):
    @pipeline
    def parted():
        data, model = table(), Net()
        fit = fitting(model, data)
        return [fit, Stage(use(model, fit, data), name="score")]

    with pytest.raises(
        CutError, match=r"^stage 'score'.*'model', which stage 'fit-net' trains, or a part.*fit_net\['model'\]\(input=…"
    ) as caught:
        cut(parted)
    assert 1 == len(caught.value.findings)


@pytest.mark.parametrize("make", [Apply, lambda lin: Lin({"lin": lin}), lambda lin: Apply(lin.weight)])
def test_a_module_that_another_stage_trains_is_refused(make):
    @pipeline
    def shared():
        data, lin = table(), nn.Linear(1, 1)
        return [fitting(Lin({"lin": lin}), data), Stage(data >> make(lin), name="score")]

    with pytest.raises(CutError, match=r"stage 'score'.*which stage 'fit-net' trains, or a part of it"):
        cut(shared)


@pytest.mark.parametrize("use", [linked, linked_plain, its_parameter])
def test_a_part_of_what_a_state_edge_gives_is_refused(use):
    """Its state would be set on nothing that this stage has. Nor does the stage that fits lie upstream then."""

    @pipeline
    def parted():
        data = table()
        fit = fitting(Net(), data)
        return Stage(use(fit["model"](input=data), fit, data), name="score")

    with pytest.raises(
        CutError, match=r"stage 'score': a fitted object gets its state where.*of fit-net\['model'\] only"
    ):
        cut(parted)


def test_what_is_frozen_or_has_no_numbers_may_be_shared():
    @pipeline
    def frozen():
        data, lin, relu = table(), nn.Linear(1, 1), nn.ReLU()
        model = Lin({"lin": nn.Sequential(nn.Linear(1, 1), lin, relu)})
        lin.requires_grad_(False)
        return [fitting(model, data), Stage(data >> Apply([lin, relu]), name="score")]

    assert ["data", "fit-net", "score"] == [stage.name for stage in cut(frozen).stages]


def test_a_fitted_model_as_a_component_gets_its_state_and_may_be_linked_to(tmp_path):
    @pipeline
    def whole():
        data = table()
        fitted = fitting(Net(), data)["model"](input=None)
        return Stage(Linked({"net": fitted, "w": (fitted, "w")}, input=data), name="score")

    assert 2.5 < run(whole, store=tmp_path)["score"].read()["y"][-1] < 3.5


@pytest.mark.parametrize("where", ["linked", "upstream"])
def test_a_fitted_state_that_lacks_some_of_what_was_trained_is_refused(where):
    @pipeline
    def lacking(freeze: bool):
        data, other = table(), Net()
        model = Net({"w": (other, "w"), "own": [1.0]}) if where == "linked" else Net(input=other)
        if freeze:
            other.freeze()
        return Stage(fitting(model, data)["model"](input=data), name="score")

    with pytest.raises(
        CutError, match=r"stage 'score': a state edge carries all.*'model' links to or.*upstream of it, too"
    ):
        cut(lacking, {"freeze": False})
    assert 3 == len(cut(lacking, {"freeze": True}).stages)
