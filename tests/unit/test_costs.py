"""What stages took, and what follows from it. Neighbours: `fireworks.workflow.costs`, `workflow.argo.suggesting`."""

import json
from dataclasses import replace

import pytest

from fireworks.cli import main
from fireworks.records import Resources
from fireworks.store import open_store
from fireworks.workflow.argo.suggesting import suggestions
from fireworks.workflow.costs import Cost, measured
from recording import Recorder, make_plan

OLD, NEW = "phage-20261121-104512-3fa9", "phage-20261121-104513-0000"


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store")


def recorded(store, run_id, plan, seconds, status="succeeded", cached=()):
    """A run of one attempt a shard; `seconds` by stage."""
    run = Recorder(store, run_id, plan).begin()
    for stage in plan.stages:
        for shard in range(stage.shards) if stage.name in seconds else ():
            run.start(stage.name, f"a{shard}", "f", shard)
            run.finish(stage.name, f"a{shard}", "f", shard, seconds=seconds[stage.name])
        if stage.name in seconds:
            run.result(stage.name, "f", shards=stage.shards)
        elif stage.name in cached:
            run.result(stage.name, "f", attempts=0, cached=True)
    return run.end(status)


def test_costs_are_those_of_the_last_run_that_computed_a_stage(store):
    plan = make_plan("windows", "train", "score")
    recorded(store, OLD, plan, {"windows": 1.0, "train": 5.0})
    recorded(store, NEW, plan, {"train": 7.0}, cached=["windows"])
    expected = {"train": Cost(run=NEW, seconds=(7.0,)), "windows": Cost(run=OLD, seconds=(1.0,))}
    assert expected == measured(plan, store)


def test_of_shards_each_counts(store):
    plan = make_plan("windows", shards=3)
    recorded(store, OLD, plan, {"windows": 2.0})
    [cost] = measured(plan, store).values()
    assert ((2.0, 2.0, 2.0), 6.0, 2.0) == (cost.seconds, cost.total_s, cost.longest_s)


def test_other_pipelines_samples_and_stages_that_were_not_computed_whole_do_not_count(store):
    plan = make_plan("windows", shards=2)
    recorded(store, OLD, plan, {"windows": 2.0})
    run = Recorder(store, NEW, plan).begin()
    run.start("windows", "a", "f")
    run.finish("windows", "a", "f")
    run.result("windows", "f", shards=2)
    run.end("failed")
    assert OLD == measured(plan, store)["windows"].run
    assert {} == measured(replace(plan, sample=10), store)
    assert {} == measured(replace(plan, pipeline=replace(plan.pipeline, name="other")), store)


def test_a_store_without_runs_knows_nothing(store):
    assert {} == measured(make_plan("a"), store)


def pair(one=(), other=()):
    plan = make_plan("raw", "score")
    stages = replace(plan.stages[0], **dict(one)), replace(plan.stages[1], **dict(other))
    return replace(plan, stages=stages)


def took(one, other=(1.0,)):
    return {"raw": Cost(run=OLD, seconds=one), "score": Cost(run=OLD, seconds=other)}


@pytest.mark.parametrize(
    ("one", "other", "change"),
    [
        (
            {"resources": Resources(memory="4Gi", cpu=2)},
            {"resources": Resources(cpu=2)},
            "let both ask for the same memory (4Gi, 2Gi).",
        ),
        ({"image": "a:1"}, {}, "give both the same image."),
        ({"timeout_s": 60.0}, {}, "give both the same timeout (60 s, none)."),
        ({"fuse": False}, {}, "drop fuse=False from raw."),
        (
            {"fuse": False, "env": {"A": "1"}},
            {"fuse": False},
            "drop fuse=False from raw and score and give both the sa",
        ),
        ({}, {"shards": 2}, "give score one shard."),
        ({"shards": 2}, {"shards": 2}, "give raw and score one shard each."),
    ],
)
def test_small_neighbours_that_ask_for_different_things_are_suggested(one, other, change):
    [found] = suggestions(pair(one, other), took((0.4,)))
    assert f"raw and score could share a pod: {change}" in str(found)
    assert "They take 0.4 s and 1.0 s; that would save about 6 s." in str(found)


@pytest.mark.parametrize(
    ("one", "costs"),
    [
        ({}, took((0.4,))),  # They share one.
        ({"image": "a:1"}, {}),  # Nothing is known.
        ({"image": "a:1"}, took((60.0,), (70.0,))),  # Neither is small.
        ({"shards": 9}, took((0.65,) * 9)),  # Side by side they are quicker.
        ({"resources": Resources(gpu=1)}, took((0.4,))),  # A GPU would wait.
    ],
)
def test_others_are_left_alone(one, costs):
    assert [] == suggestions(pair(one), costs)


def test_what_two_read_is_left_alone():
    plan = make_plan("raw", "score")
    branch = replace(plan.stages[1], name="other", image="a:1")
    costs = took((0.4,)) | {"other": Cost(run=OLD, seconds=(0.4,))}
    assert [] == suggestions(replace(plan, stages=(*plan.stages, branch)), costs)


MODULE = """
import fireworks
from fireworks import HookedPassThroughPipe, Message, Pipe, Resources, Stage

class Plus(HookedPassThroughPipe):
    def __init__(self, term, input=None):
        super().__init__(input)
        self.term = term
    def _getitem_hook(self, message):
        return Message({"x": message["x"] + self.term})

@fireworks.pipeline
def chain(k: int = 5, note: str = ""):
    first = Stage(Pipe(Message({"x": [k]})), name="first")
    second = Stage(first >> Plus(1), name="second")
    return Stage(second >> Plus(2), name="third", resources=Resources(memory="4Gi"))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.fireworks]\nimage = 'localhost/stage:1'\n")
    (tmp_path / "chaining.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIREWORKS_STORE", raising=False)


def say(capsys, *arguments):
    assert 0 == main(list(arguments))
    return capsys.readouterr().out


def test_plan_and_budget_learn_from_a_run(project, capsys):
    before = say(capsys, "plan", "chaining.py:chain")
    assert before.endswith("on a cluster these share a pod: first + second\n")
    assert "not known" in say(capsys, "compile", "chaining.py:chain", "--budget")
    say(capsys, "run", "chaining.py:chain")
    after = say(capsys, "plan", "chaining.py:chain", "-p", "k=6")
    assert "suggestion: second and third could share a pod: let both ask for the same memory (2Gi, 4Gi)." in after
    found = json.loads(say(capsys, "plan", "chaining.py:chain", "--json"))
    assert [["first", "second"]] == found["share_pods"]
    [suggestion] = found["suggestions"]
    assert (["second", "third"], 6.0) == (suggestion["stages"], suggestion["saves_s"])
    assert "as all stages took when they last ran" in say(capsys, "compile", "chaining.py:chain", "--budget")
    budget = json.loads(say(capsys, "compile", "chaining.py:chain", "--budget", "--json"))
    assert 3 == budget["measured"]
    assert 0 < budget["work_s"] < 5


def test_a_store_that_does_not_answer_costs_the_budget_its_last_line_only(project, capsys, monkeypatch):
    monkeypatch.setattr("fireworks.cli.options._PATIENCE_S", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert 0 == main(["compile", "chaining.py:chain", "--budget", "--store", "s3://none/none"])
    out, err = capsys.readouterr()
    assert "not known" in out
    assert err.startswith("warning: what stages took is not known: ")


def test_a_long_value_is_shown_by_its_beginning(project, capsys):
    assert f"note={'1' * 60}…)" in say(capsys, "plan", "chaining.py:chain", "-p", f"note={'1' * 90}")
