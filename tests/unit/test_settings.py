"""What a Stage is given besides pipes is checked at the cut, all of it at once, in lines that say what to write."""

import pytest
import torch

from fireworks import Fit, HookedPassThroughPipe, Message, Pipe, PyTorch_Model, Resources, Stage, cut, pipeline
from fireworks.errors import CutError


def table():
    return Message({"x": torch.arange(10.0)})


class Slope(PyTorch_Model):
    def init_default_components(self):
        self.components["slope"] = torch.ones(1)


def mean(message):
    return message["x"].mean()


class Holder(HookedPassThroughPipe):
    def __init__(self, thing, input=None):
        super().__init__(input)


WRONG = {
    "shards": ["4", 0, 2.0, True],
    "image": ["", 5],
    "retries": [-1, 1.5, "2"],
    "timeout": [-5, 0, "60", float("inf")],
    "grace": ["x", -1, None],
    "env": ["A=1", {"A": 1}, [("A", "1")]],
    "secrets": [{"TOKEN": "hub"}, {"TOKEN": 5}, "hub/token"],
    "code": ["*.py", [""], ["../x.py"], ["/x.py"], [3], 5],
    "pod": [[], "priority: 5"],
    "cache": ["no", None],
    "fuse": ["no", 1],
    "expose": ["n_classes", ["_private"], ["not a name"], [3], 5],
    "resources": [None, {"cpu": 1}],
}
WRONG_RESOURCES = {
    "cpu": [-1, 0, "1", float("nan")],
    "memory": ["lots", "2GB", "0Gi", "", "-1Gi", 500],
    "gpu": [-1, "1", 0.5],
    "disk": ["much", 10],
}


def of_stage(options, input=None, name="a"):
    @pipeline
    def one():
        return Stage(table() >> Pipe() if input is None else input, name=name, **options)

    return one


def findings(pipeline):
    with pytest.raises(CutError) as caught:
        cut(pipeline)
    assert all("\n" not in line for line in caught.value.findings)
    return caught.value.findings


@pytest.mark.parametrize(("setting", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_setting_of_a_stage_is_found_at_the_cut(setting, value):
    shown = (value,) if value == 5 and setting in {"code", "expose"} else value
    shown = tuple(value) if setting in {"code", "expose"} and type(value) is list else shown
    [line] = findings(of_stage({setting: value}))
    assert line.startswith(f"stage 'a': {setting} must be ")
    assert f", but got {shown!r}. Write Stage(…, {setting}=" in line


@pytest.mark.parametrize(
    ("setting", "value"), [(name, value) for name, values in WRONG_RESOURCES.items() for value in values]
)
def test_a_wrong_resource_is_found_at_the_cut(setting, value):
    [line] = findings(of_stage({"resources": Resources(**{setting: value})}))
    assert line.startswith(f"stage 'a': {setting} of its resources must be ")
    assert f", but got {value!r}. Write Resources({setting}=" in line


@pytest.mark.parametrize("input", [[], [1, 2, 3], 5, "text", {0: [1.0]}])
def test_a_stage_needs_pipes_or_a_message(input):
    [line] = findings(of_stage({}, input))
    assert f"must come from pipes, a junction or a Message, but got {input!r}. Write Stage(Message" in line


@pipeline
def nothing_inside():
    return Stage(None, name="a")


@pipeline
def bare_state():
    return Stage(Stage(Fit(Slope(), table(), mean), name="fit")["model"], name="a")


@pytest.mark.parametrize(
    ("found", "what"),
    [(nothing_inside, "got None. Write Stage(Message("), (bare_state, "got fit['model']. Write fit['model'](input=…)")],
)
def test_a_stage_of_nothing_is_refused(found, what):
    [line] = findings(found)
    assert what in line


def test_a_list_of_messages_is_a_stage_s_input():
    [stage] = cut(of_stage({}, [table(), table()])).stages
    assert "a" == stage.name


def test_settings_that_are_right_pass():
    options = {
        "resources": Resources(cpu=0.5, memory="1.5Gi", gpu=1, disk="500M"),
        "image": "x:1",
        "retries": 0,
        "timeout": 0.5,
        "grace": 0,
        "env": {"A": ""},
        "secrets": {"T": "hub/token"},
        "pod": {"priority": 5},
        "cache": False,
        "fuse": True,
        "expose": ["shape"],
    }
    [stage] = cut(of_stage(options)).stages
    assert (0.5, ("shape",), {"priority": 5}) == (stage.timeout_s, stage.expose, stage.pod)
    assert ("shape",) == cut(of_stage({"expose": (name for name in ["shape"])})).stages[0].expose


def test_all_that_is_wrong_with_a_stage_is_told_at_once():
    resources = Resources(cpu=-1, memory="lots", gpu=-1)
    given = {"retries": -1, "timeout": -5, "grace": "x", "shards": "4", "expose": "n_classes", "code": "*.py"}
    found = findings(of_stage(given | {"resources": resources}, table() >> Holder(object()), name=7))
    assert 11 == len(found)
    assert [True] * 2 == [any(text in line for line in found) for text in ("but got 7. Rename", "was given a object")]
