"""What changes a stage's recipe, and what does not."""

import datetime as dt
import enum
import functools
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from fireworks import (
    Fit,
    HookedPassThroughPipe,
    Junction,
    Message,
    Model,
    Pipe,
    PyTorch_Model,
    Stage,
    cut,
    model_from_module,
    pipeline,
    run,
)
from fireworks.errors import CutError, GraphError
from fireworks.toolbox import FastaPipe


def table():
    return Message({"x": torch.arange(10.0)})


class Holder(HookedPassThroughPipe):
    def __init__(self, thing, input=None):
        super().__init__(input)
        self.thing = thing


@dataclass
class Options:
    rate: float
    pipe: object = None


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def first(message, power=1):
    return message


def second(message):
    return message


def recipe(thing, **options):
    @pipeline
    def held():
        return Stage(table() >> Holder(thing), name="a", **options)

    return cut(held).stage("a").recipe


DIFFERENT = {
    "numbers": (1, 2),
    "number and text": (1, "1"),
    "int and float": (1, 1.0),
    "bool and int": (True, 1),
    "infinities": (float("inf"), -float("inf")),
    "nan and its text": (float("nan"), "nan"),
    "list and tuple": ([1], (1,)),
    "order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "tensors": (torch.zeros(2), torch.ones(2)),
    "dtypes of tensors": (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
    "arrays": (np.zeros(2), np.ones(2)),
    "numpy scalars": (np.float64(1), np.float32(1)),
    "dates": (dt.date(2026, 1, 1), dt.date(2026, 1, 2)),
    "complex numbers": (1j, 2j),
    "functions": (first, second),
    "ufuncs": (np.log, np.exp),
    "builtins": (len, sum),
    "bound builtins": ({1: 2}.get, {1: 3}.get),
    "partials": (functools.partial(first, power=1), functools.partial(first, power=2)),
    "enums": (Colour.RED, Colour.BLUE),
    "dataclasses": (Options(1.0), Options(2.0)),
    "pipes in dataclasses": (Options(1.0, Pipe([1])), Options(1.0, Pipe([2]))),
    "bound methods": (Holder(1).reset, Holder(2).reset),
    "modules without parameters": (torch.nn.ReLU(), torch.nn.Tanh()),
    "settings of modules": (torch.nn.Dropout(0.1), torch.nn.Dropout(0.5)),
    "messages": (table(), Message({"x": torch.zeros(10)})),
    "torch dtypes": (torch.float16, torch.bfloat16),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_arguments_give_different_recipes(name):
    one, other = DIFFERENT[name]
    assert recipe(one) == recipe(one)
    assert recipe(one) != recipe(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [({1, 2, 3}, {3, 2, 1}), (torch.ones(4), torch.ones(8)[::2]), (Options(1.0), Options(rate=1.0))],
)
def test_equal_arguments_give_equal_recipes(one, other):
    assert recipe(one) == recipe(other)


def test_environment_variables_of_the_stage_count():
    assert recipe(1, env={"M": "1"}) != recipe(1, env={"M": "2"})


@pytest.mark.parametrize("settings", [{"retries": 9}, {"image": "x:1"}, {"grace": 1}, {"secrets": {"A": "b/c"}}])
def test_what_only_the_place_needs_does_not_count(settings):
    assert recipe(1) == recipe(1, **settings)


def timesk(k):
    def decorate(function):
        @functools.wraps(function)
        def timed(message):
            return k * function(message)

        return timed

    return decorate


def test_a_wrapped_function_does_not_pass_for_what_it_wraps():
    with pytest.raises(CutError, match="importable by their name, but got first"):
        recipe(timesk(2)(first))


class Line(PyTorch_Model):
    def init_default_components(self):
        self.components["slope"] = torch.ones(1)

    def forward(self, message):
        return Message({"y": self.slope * message["x"]})


class Plain(Model):
    def forward(self, message):
        return Message({"y": self.slope * message["x"]})


class Rows(Junction):
    def __iter__(self):
        yield table()


class Apply(PyTorch_Model):
    row_local = True
    required_components = ("net",)

    def forward(self, message):
        return Message({"y": self.net(message["x"][:, None])[:, 0]})


def model_recipe(**components):
    @pipeline
    def applied():
        return Stage(Apply(components=components, input=table()), name="a")

    return cut(applied).stage("a").recipe


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.nn.Sequential(torch.nn.ReLU()), torch.nn.Sequential(torch.nn.Tanh())),
        (torch.nn.Dropout(0.1), torch.nn.Dropout(0.5)),
    ],
)
def test_modules_of_a_model_count_though_they_have_no_parameters(one, other):
    assert model_recipe(net=one) != model_recipe(net=other)


def test_initial_parameters_of_a_model_count():
    torch.manual_seed(0)
    first_net, second_net = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    assert model_recipe(net=first_net) != model_recipe(net=second_net)


def lines():
    model = Line(input=table())
    model.components["inner"] = Apply({"net": torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout())})
    return model


SWITCHES = {
    "nothing": lambda model: None,
    "a frozen parameter": lambda model: model.freeze("slope"),
    "a frozen model in it": lambda model: model.inner.freeze(),
    "a frozen parameter of a module": lambda model: model.inner.net[0].bias.requires_grad_(False),
    "inference": lambda model: model.disable_inference(),
    "updates": lambda model: model.disable_updates(),
    "inference of a model in it": lambda model: model.inner.disable_inference(),
    "evaluation": lambda model: model.eval(),
    "evaluation of a module": lambda model: model.inner.net[1].eval(),
    "an attribute": lambda model: setattr(model, "row_local", True),
}


def test_how_a_model_is_switched_counts():
    def switched(switch):
        @pipeline
        def line():
            model = lines()
            switch(model)
            return Stage(model, name="a")

        return cut(line).stage("a").recipe

    assert len(SWITCHES) == len({switched(switch) for switch in SWITCHES.values()})
    assert switched(SWITCHES["nothing"]) == switched(SWITCHES["nothing"])


@pytest.mark.parametrize("plain", [Line, Plain])
def test_numbers_that_a_model_links_to_count(plain):
    def linked(value, freeze=False):
        @pipeline
        def line():
            owner = Line({"slope": torch.tensor([value])})
            if freeze:
                owner.freeze()
            return Stage(plain({"slope": (owner, "slope")}, input=table()), name="a")

        return cut(line).stage("a").recipe

    assert linked(1.0) == linked(1.0)
    assert 3 == len({linked(1.0), linked(2.0), linked(1.0, freeze=True)})


def test_modules_of_a_junction_count_with_their_numbers():
    def held(module):
        @pipeline
        def junction():
            return Stage(Rows({"module": module}), name="a")

        return cut(junction).stage("a").recipe

    one, other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    assert held(one) == held(one)
    assert held(one) != held(other)


ATTRIBUTES = [None, 1, 2, "text", [1], {"a": torch.ones(2)}, {"a": torch.zeros(2)}, first, Pipe([1]), Pipe([2])]


def test_public_attributes_that_are_set_after_construction_count():
    def with_attribute(name, value):
        @pipeline
        def held():
            pipe = table() >> Holder(0)
            setattr(pipe, name, value)
            return Stage(pipe, name="a")

        return cut(held).stage("a").recipe

    untouched = recipe(0)
    found = [with_attribute("more", value) for value in ATTRIBUTES]
    assert len(ATTRIBUTES) + 1 == len({untouched, *found})
    assert found == [with_attribute("more", value) for value in ATTRIBUTES]
    assert untouched == with_attribute("thing", 0)
    assert untouched != with_attribute("thing", 1)
    # A cache, for one, fills as it likes.
    assert untouched == with_attribute("_private", 5)
    with pytest.raises(CutError, match=r"stage 'a': Holder\.more was given a object"):
        with_attribute("more", object())


def test_a_class_made_of_a_module_is_importable():
    @pipeline
    def linear():
        return Stage(model_from_module(torch.nn.Linear)({}, 1, 1, input=table()), name="a")

    assert any("torch" in label for label in cut(linear).stage("a").ingredients)


def test_a_file_behind_a_path_counts_by_content(tmp_path):
    path = tmp_path / "x.fa"

    @pipeline
    def fasta():
        return Stage(FastaPipe(path), name="a")

    path.write_text(">a\nACGT\n")
    before = cut(fasta).stage("a").recipe
    path.write_text(">a\nACGA\n")
    assert before != cut(fasta).stage("a").recipe


def mean(message):
    return message["y"].mean()


def test_a_fitted_state_is_called_not_passed():
    @pipeline
    def forgotten():
        fit = Stage(Fit(Line(), table(), mean), name="fit")
        return Stage(Stage(table() >> Pipe(), name="rows") >> Holder(fit["model"]), name="hold")

    with pytest.raises(
        GraphError, match=r"Holder in stage 'hold' was given fit\['model'\] itself\. Write fit\['model'\]\(in"
    ):
        cut(forgotten)


class Both(HookedPassThroughPipe):
    def __init__(self, one, other, input=None):
        super().__init__(input)


def test_two_states_of_one_name_are_refused():
    @pipeline
    def both():
        return Stage(table() >> Both(Fit(Line(), table(), mean), Fit(Line(), table(), mean)), name="fits")

    with pytest.raises(GraphError, match="'fits' fits two named 'model'"):
        cut(both)


NOTEBOOK = """
import fireworks
from fireworks import HookedPassThroughPipe, Message, Stage, pipeline
class Typed(HookedPassThroughPipe):
    pass
@pipeline
def cell():
    return Stage(Message({"x": [1.0]}) >> Typed(), name="a")
"""


def test_what_was_typed_in_runs_in_its_process(tmp_path):
    space = {"__name__": "typed_in_nowhere"}
    exec(compile(NOTEBOOK, "<ipython-input-1>", "exec"), space)
    with pytest.raises(CutError, match="importable by their name"):
        cut(space["cell"])
    module = types.ModuleType("typed_in_somewhere")
    sys.modules["typed_in_somewhere"] = module
    try:
        exec(compile(NOTEBOOK, "<ipython-input-2>", "exec"), vars(module))
        assert [1] == [stage.rows for stage in run(module.cell, store=tmp_path).stages]
        assert run(module.cell, store=tmp_path).stages[0].cached
    finally:
        del sys.modules["typed_in_somewhere"]
