"""The cut finds everything that is wrong with a graph, all at once, in lines that say what to do."""

import re
from dataclasses import replace

import pytest
import torch

from fireworks import File, Fit, HookedPassThroughPipe, Message, Pipe, PyTorch_Model, Stage, pipeline
from fireworks.errors import CutError, GraphError, ParameterError, RebuildError, StageBoundaryError
from fireworks.toolbox import FunctionPipe
from fireworks.workflow import cut
from fireworks.workflow.cutting import rebuild


def table(n_rows=10):
    return Message({"x": torch.arange(float(n_rows))})


def double(message):
    return Message({"x": message["x"] * 2})


class Slope(PyTorch_Model):
    def init_default_components(self):
        self.components["slope"] = torch.ones(1)

    def forward(self, message):
        return Message({"y": self.slope * message["x"]})


def mean(message):
    return message["y"].mean()


class Neither(HookedPassThroughPipe):
    """Neither random-access nor row-local."""

    def __iter__(self):
        return iter(self.input)


@pipeline
def two_stages(factor: int = 2, name: str = "b"):
    first = Stage(table() >> Pipe(), name="a")
    return Stage(first >> FunctionPipe(function=double), name=name)


def test_plan_lists_stages_in_order_with_their_inputs():
    plan = cut(two_stages)
    assert [("a", ()), ("b", ("a",))] == [(stage.name, stage.inputs) for stage in plan.stages]
    assert {"factor": 2, "name": "b"} == plan.parameters


def test_same_pipeline_gives_same_recipes():
    assert [stage.recipe for stage in cut(two_stages).stages] == [stage.recipe for stage in cut(two_stages).stages]


def test_renaming_a_stage_changes_no_recipe():
    names = {stage.recipe for stage in cut(two_stages).stages}
    assert names == {stage.recipe for stage in cut(two_stages, {"name": "other"}).stages}


@pytest.mark.parametrize("other", [{"seed": 1}, {"sample": 3}])
def test_seed_and_sample_enter_every_recipe(other):
    before, after = cut(two_stages), cut(two_stages, **other)
    assert all(a.recipe != b.recipe for a, b in zip(before.stages, after.stages, strict=True))


@pipeline
def circle():
    first, second = Pipe(), Pipe()
    first.input, second.input = second, first
    return Stage(first, name="a")


def test_cycle_is_shown_as_a_path():
    with pytest.raises(CutError, match=r"no cycle.*Pipe → Pipe → Pipe\. Cut one"):
        cut(circle)


@pipeline
def cycle_of_stages():
    first = Stage(None, name="a")
    second = Stage(first >> Pipe(), name="b")
    first.input = Pipe(second)
    return second


def test_cycle_across_stages():
    with pytest.raises(CutError, match=r"Stage\('b'\) → .*Stage\('a'\) → .*Stage\('b'\)"):
        cut(cycle_of_stages)


@pipeline
def everything_wrong():
    data = Stage(table() >> Pipe(), name="same")
    odd = Stage(data >> FunctionPipe(function=lambda message: message), name="same")
    split = Stage(odd >> Neither(), name="1split", shards=3)
    missing = Stage(FunctionPipe(input=Files(File("nowhere/*.fa")), function=double), name="files")
    return [split, missing]


class Files(Pipe):
    def __init__(self, file, input=None):
        super().__init__(input)
        self.file = file


def test_all_findings_at_once():
    with pytest.raises(CutError) as caught:
        cut(everything_wrong)
    expected = ["not share a name", "begin with a letter", "be importable", "random-access", "no file matches"]
    assert [True] * 5 == [any(text in finding for finding in caught.value.findings) for text in expected]
    assert all("\n" not in finding for finding in caught.value.findings)


@pipeline
def folded():
    first = Stage(table() >> Pipe(), name="Raw")
    return Stage(first >> Pipe(), name="raw")


def test_names_that_differ_by_case_alone_are_refused():
    """Kubernetes would fold one to the other."""
    with pytest.raises(CutError, match="must not share a name, but got 'Raw' and 'raw'. Rename one"):
        cut(folded)


def test_the_pipe_that_cannot_be_sharded_is_named():
    with pytest.raises(CutError, match=r"stage '1split'.*shards=3.*but Neither is neither"):
        cut(everything_wrong)


@pipeline
def sharded_fit():
    data = Stage(table() >> Pipe(), name="data")
    return Stage(Fit(Slope(), data, mean) >> Pipe(), name="fit", shards=2)


class FittingRows(HookedPassThroughPipe):
    """Fits on its way, and gives any range of its rows."""

    fits = ("slope",)
    random_access = True

    def __init__(self, input=None):
        super().__init__(input)
        self.slope = Slope()


@pipeline
def sharded_fit_with_random_access():
    return Stage(table() >> FittingRows(), name="fit", shards=2)


@pytest.mark.parametrize("found", [sharded_fit, sharded_fit_with_random_access])
def test_a_stage_that_fits_is_not_sharded(found):
    with pytest.raises(CutError, match=r"stage 'fit': a stage that fits cannot be sharded, but .*shards=2 and fits"):
        cut(found)


@pipeline
def trained_object_pulled_across():
    data = Stage(table() >> Pipe(), name="data")
    model = Slope()
    Stage(Fit(model, data, mean), name="fit")
    fit = Stage(Fit(model, data, mean), name="train")
    model.input = data
    return [fit, Stage(model, name="score")]


def test_trained_object_crosses_only_by_its_state_edge():
    with pytest.raises(
        CutError, match=r"stage 'score'.*'model', which stage 'train' trains.*train\['model'\]\(input=…\)"
    ):
        cut(trained_object_pulled_across)


@pipeline
def state_edge():
    data = Stage(table() >> Pipe(), name="data")
    fit = Stage(Fit(Slope(), data, mean, epochs=1), name="train")
    return Stage(fit["model"](input=data), name="score")


def test_state_edge_is_planned():
    plan = cut(state_edge)
    assert [("train", "model")] == [(edge.stage, edge.name) for edge in plan.stage("score").states]
    assert ("data",) == plan.stage("score").inputs
    assert ("model",) == plan.stage("train").fits


def test_unknown_state_is_refused_with_what_there_is():
    data = Stage(table() >> Pipe(), name="data")
    fit = Stage(Fit(Slope(), data, mean), name="train")
    with pytest.raises(GraphError, match=r"fits model and not 'modle'. Did you mean 'model'"):
        fit["modle"]


def test_attribute_across_a_stage():
    data = Stage(table() >> Pipe(), name="data")
    with pytest.raises(StageBoundaryError, match=r"'labels' was looked up across stage 'data'.*expose=\['labels'\]"):
        _ = (data >> Pipe()).labels


def test_exposed_attribute_crosses():
    source = Pipe(table())
    source.n_classes = 7
    assert 7 == (Stage(source, name="data", expose=["n_classes"]) >> Pipe()).n_classes


class Counted(Pipe):
    def count(self):
        return 3


def test_a_method_across_a_stage_is_no_value_to_expose():
    data = Stage(table() >> Counted() >> Pipe(), name="data")
    with pytest.raises(StageBoundaryError, match=r"stage 'data'\. Call this method inside the stage\.$"):
        _ = (data >> Pipe()).count


@pytest.mark.parametrize("make", [lambda stage: stage, Pipe, lambda stage: Slope(input=stage)])
def test_methods_of_a_model_that_go_upstream_end_at_a_stage(make):
    beyond = Slope(input=table())
    model = Slope(input=make(Stage(beyond, name="data")))
    upstream = model.input if isinstance(model.input, Slope) else None
    models = [model, upstream] if upstream else [model]
    assert [id(each.slope) for each in models] == [id(parameter) for parameter in model.all_parameters()]
    model.disable_inference_all()
    model.disable_updates_all()
    assert [False] * len(models) == [each._inference_enabled for each in models]
    assert [False] * len(models) == [each._updates_enabled for each in models]
    assert beyond._inference_enabled
    model.enable_inference_all()
    model.enable_updates_all()
    assert all(each._inference_enabled and each._updates_enabled for each in models)


def test_misspelt_parameter_is_suggested():
    with pytest.raises(ParameterError, match=r"no parameter 'facter'. Did you mean 'factor'"):
        cut(two_stages, {"facter": 3})


def test_parameter_of_wrong_type():
    with pytest.raises(ParameterError, match=r"'factor' must be a whole number, but got 'three'"):
        cut(two_stages, {"factor": "three"})


@pipeline
def no_graph():
    return 3


def test_pipeline_must_return_pipes():
    with pytest.raises(GraphError, match="returned a int"):
        cut(no_graph)


class Holder(Pipe):
    def __init__(self, thing, input=None):
        super().__init__(input)


@pipeline
def unknown_argument():
    return Stage(table() >> Holder(object()), name="a")


def test_argument_without_content_is_refused():
    with pytest.raises(CutError, match=r"stage 'a': Holder was given a object"):
        cut(unknown_argument)


@pipeline
def holds(value: float = 1.0):
    return Stage(table() >> Holder([{"k": (value, torch.ones(2) * value)}]), name="a")


def test_constructor_arguments_enter_the_recipe_at_any_depth():
    assert cut(holds).stage("a").recipe != cut(holds, {"value": 2.0}).stage("a").recipe


def test_a_graph_without_stages_is_one_stage():
    @pipeline
    def plain():
        return table() >> Pipe()

    assert ["plain"] == [stage.name for stage in cut(plain).stages]


def test_rebuild_refuses_what_was_not_planned_and_says_what_differs():
    plan = cut(holds)
    other = cut(holds, {"value": 2.0})
    with pytest.raises(RebuildError, match="differs in: object Holder"):
        rebuild(_with_parameters(plan, other.parameters), "a", holds)


def test_rebuild_in_an_image_of_another_version_says_which_was_planned_and_which_is_there():
    plan, label = cut(holds), "version fireworks-ml"
    [stage] = plan.stages
    here = stage.ingredients[label]
    planned = replace(stage, recipe="other", ingredients=stage.ingredients | {label: "9.9"})
    message = rf"'a' must be what was planned, but differs in: {label} \(planned 9.9, here {re.escape(here)}\)"
    with pytest.raises(RebuildError, match=message):
        rebuild(replace(plan, stages=(planned,)), "a", holds)


def test_rebuild_names_a_stage_that_is_gone():
    with pytest.raises(RebuildError, match="has a stage 'c'"):
        rebuild(cut(two_stages), "c", two_stages)


def _with_parameters(plan, parameters):
    return replace(plan, parameters=parameters)
