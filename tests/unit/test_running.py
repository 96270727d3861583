"""Runs in this process: what is stored, what is computed again, what is recorded."""

import random
import sys
import time

import msgspec
import numpy as np
import pytest
import torch

from fireworks import File, Fit, HookedPassThroughPipe, Message, Pipe, PyTorch_Model, Stage, pipeline, run
from fireworks.core import StoredMessage
from fireworks.errors import ParameterError, RunFailed, SourceChanged, StageBoundaryError, StoreUnavailable
from fireworks.store import open_store
from fireworks.workflow.execution import _read_exposed, _write_exposed
from fireworks.workflow.history import RunFolder
from fireworks.workflow.outputs import Output

CALLS = []


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store")


class Random(Pipe):
    """Numbers from all three generators."""

    random_access = False

    def __len__(self):
        return 3

    def __iter__(self):
        CALLS.append("random")
        for _ in range(3):
            yield Message(
                {"x": torch.tensor([float(torch.rand(1)), np.random.random(), random.random()]).reshape(1, 3)}
            )


class Count(HookedPassThroughPipe):
    random_access = True

    def __init__(self, word="", fail=None, input=None):
        super().__init__(input)
        self.word, self.fail = word, fail

    def _getitem_hook(self, message):
        CALLS.append("count")
        print(f"counted {len(message)}")
        if self.fail == "transient" and CALLS.count("count") < 3:
            raise StoreUnavailable("the store is away. Wait.")
        if self.fail == "user":
            raise ZeroDivisionError("no")
        return Message({"n": torch.full((len(message),), len(self.word))})


@pipeline
def counted(word: str = "abc", fail: str | None = None):
    numbers = Stage(Random(), name="numbers")
    return Stage(numbers >> Count(word, fail), name="count")


def stages(end):
    return {stage.name: stage for stage in end.stages}


def test_second_run_takes_everything_from_the_store(store):
    first, second = (run(counted, store=store) for _ in range(2))
    assert [False, False] == [stage.cached for stage in first.stages]
    assert [True, True] == [stage.cached for stage in second.stages]
    assert [stage.hash for stage in first.stages] == [stage.hash for stage in second.stages]
    assert ["random", "count"] == CALLS


def test_a_changed_argument_reruns_its_stage_only(store):
    run(counted, store=store)
    end = run(counted, {"word": "abcd"}, store=store)
    assert {"numbers": True, "count": False} == {name: stage.cached for name, stage in stages(end).items()}


def test_an_equal_output_stops_the_change(store):
    @pipeline
    def cut_off(word: str = "abc"):
        counts = Stage(Stage(Random(), name="numbers") >> Count(word), name="count")
        return Stage(counts >> Pipe(), name="copy")

    run(cut_off, store=store)
    end = run(cut_off, {"word": "xyz"}, store=store)
    assert {"numbers": True, "count": False, "copy": True} == {
        name: stage.cached for name, stage in stages(end).items()
    }


def test_seed_decides_the_numbers(store, tmp_path):
    one, same, other = (run(counted, store=tmp_path / str(i), seed=seed) for i, seed in enumerate([1, 1, 2]))
    assert one.stages[0].hash == same.stages[0].hash != other.stages[0].hash


def test_force_computes_again_and_finds_the_same(store):
    run(counted, store=store)
    end = run(counted, store=store, force=["count"])
    assert [(True, False), (False, False)] == [(stage.cached, stage.nondeterministic) for stage in end.stages]
    with pytest.raises(ParameterError, match=r"'coutn'\. Did you mean 'count'"):
        run(counted, store=store, force=["coutn"])


def test_force_mends_a_damaged_output(store):
    end = run(counted, store=store)
    output = Output(store, stages(end)["count"].fingerprint)
    (part,) = output.manifest().parts
    store.put(part.key, b"damaged")
    assert output.damaged()
    end = run(counted, store=store, force=["count"])
    assert not output.damaged()
    assert not stages(end)["count"].nondeterministic


class Drifting(Random):
    """Different each time, though nothing says so."""

    def __iter__(self):
        CALLS.append("drift")
        yield Message({"x": torch.tensor([len(CALLS)])})


@pipeline
def drifting():
    return Stage(Drifting(), name="drift")


def test_other_bytes_under_one_fingerprint_are_marked_and_the_first_kept(store):
    first = run(drifting, store=store)
    second = run(drifting, store=store, force=["drift"])
    assert [False, True] == [end.stages[0].nondeterministic for end in (first, second)]
    assert first.stages[0].hash == second.stages[0].hash


def test_cache_false_runs_every_time_and_equal_output_still_stops_there(store):
    @pipeline
    def uncached():
        return Stage(Stage(Random(), name="numbers", cache=False) >> Count(), name="count")

    run(uncached, store=store)
    end = run(uncached, store=store)
    assert {"numbers": False, "count": True} == {name: stage.cached for name, stage in stages(end).items()}


def test_user_errors_are_not_retried_and_are_recorded_with_their_place(store):
    with pytest.raises(
        RunFailed, match=r"stage 'count' failed: ZeroDivisionError: no \(test_running.py:\d+\)"
    ) as caught:
        run(counted, {"fail": "user"}, store=store)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    folder = RunFolder(store, caught.value.end.id)
    assert ["succeeded", "failed"] == [folder.stage_results()[name].status for name in ("numbers", "count")]
    assert "failed" == folder.end.status
    assert b"in _getitem_hook" in b"".join(line.text for _, line in folder.logs("count"))
    assert 1 == CALLS.count("count")


def test_transient_errors_are_retried(store):
    end = run(counted, {"fail": "transient"}, store=store)
    assert 3 == stages(end)["count"].attempts
    attempts = [
        attempt.end.exit_code for attempt in RunFolder(store, end.id).attempts() if attempt.start.stage == "count"
    ]
    assert [75, 75, 0] == attempts


def test_what_a_stage_prints_reaches_the_terminal_and_the_log(store, capsys):
    end = run(counted, store=store)
    assert "counted 3\n" == capsys.readouterr().out
    assert b"counted 3\n" == b"".join(line.text for _, line in RunFolder(store, end.id).logs("count"))


class Ones(PyTorch_Model):
    def init_default_components(self):
        self.components["weight"] = torch.randn(3)

    def forward(self, message):
        return Message({"y": (message["x"].float() * self.weight).sum(1)})


def mean(message):
    return message["y"].square().mean()


@pipeline
def fitted(epochs: int = 2):
    numbers = Stage(Random(), name="numbers", expose=["width"])
    fit = Stage(Fit(Ones(), numbers, mean, lr=0.1, epochs=epochs, batch_size=2), name="train")
    return Stage(fit["model"](input=numbers), name="score")


Random.width = 3


def test_fitted_state_reaches_the_next_stage(store):
    end = run(fitted, store=store)
    manifest = Output(store, stages(end)["train"].fingerprint).manifest()
    scores = StoredMessage(store, Output(store, stages(end)["score"].fingerprint).manifest().parts).read()
    assert ["model"] == list(manifest.states)
    assert {"width": 3} == Output(store, stages(end)["numbers"].fingerprint).manifest().exposed
    assert 3 == len(scores)
    assert stages(end)["score"].hash != stages(run(fitted, {"epochs": 3}, store=store))["score"].hash


class Looker(HookedPassThroughPipe):
    random_access = True

    def _getitem_hook(self, message):
        return Message({"n": torch.full((len(message),), self.input.secret)})


@pipeline
def looking():
    source = Random()
    source.secret = 5
    return Stage(Stage(source, name="numbers") >> Looker(), name="look")


def test_attribute_across_a_stage_fails_in_process_too(store):
    with pytest.raises(RunFailed, match="'secret' was looked up across stage 'numbers'") as caught:
        run(looking, store=store)
    assert isinstance(caught.value.__cause__, StageBoundaryError)


class Lines(Pipe):
    random_access = False

    def __init__(self, file, edit=False, input=None):
        super().__init__(input)
        self.file, self.edit = file, edit

    def __iter__(self):
        if self.edit:
            self.file.paths[0].write_text("edited")
            self.file.pin(self.file._pinned, self.file._folder)
        with self.file.open() as stream:
            yield Message({"n": torch.tensor([len(stream.read())])})


@pipeline
def read_file(file: File, edit: bool = False):
    return Stage(Lines(file, edit), name="lines")


def test_an_edited_source_reruns_and_a_touched_one_does_not(store, tmp_path):
    path = tmp_path / "text"
    cached = []
    for text in ("one", "one", "three"):
        path.write_text(text)
        cached.append(run(read_file, {"file": str(path)}, store=store).stages[0].cached)
    assert [False, True, False] == cached


def test_a_source_that_changes_under_the_run_is_refused(store, tmp_path):
    path = tmp_path / "text"
    path.write_text("one")
    with pytest.raises(RunFailed, match="has changed since the plan was made") as caught:
        run(read_file, {"file": str(path), "edit": True}, store=store)
    assert isinstance(caught.value.__cause__, SourceChanged)


def test_the_callers_generators_are_left_alone(store):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run(counted, store=store)
    assert torch.equal(expected, torch.rand(2))


def test_sample_never_meets_the_full_run(store):
    full = run(counted, store=store)
    sampled = run(counted, store=store, sample=2)
    assert [False, False] == [stage.cached for stage in sampled.stages]
    assert [(3, 3), (2, 2)] == [tuple(stage.rows for stage in end.stages) for end in (full, sampled)]
    assert all(stage.cached for stage in run(counted, store=store).stages)


@pipeline
def nothing():
    empty = Message({"x": torch.zeros(0, 2), "word": []})
    return Stage(Stage(empty >> Pipe(), name="empty", shards=2) >> Pipe(), name="copy")


def test_a_table_without_rows_keeps_its_columns(store):
    results = run(nothing, store=store)
    assert ["word", "x"] == sorted(results["copy"].columns)
    assert (0, 2) == tuple(results["copy"].read()["x"].shape)


def test_results_give_rows_and_states(store):
    results = run(fitted, store=store)
    assert 3 == len(results["score"])
    assert (3,) == results.state("train")["internal"]["weight"].shape
    with pytest.raises(ParameterError, match=r"no stage 'scroe'\. Did you mean 'score'"):
        results["scroe"]
    with pytest.raises(ParameterError, match="'train' fits model, but got 'modle'"):
        results.state("train", "modle")


class Slow(Random):
    def __iter__(self):
        for rows in super().__iter__():
            time.sleep(0.05)
            yield rows


@pipeline
def slow():
    return Stage(Slow(), name="slow", timeout=0.01)


def test_a_timeout_ends_the_stage(store):
    with pytest.raises(RunFailed, match=r"must end within its timeout, but took more than 0\.01 s"):
        run(slow, store=store)


class Seen(Count):
    """Exposes how many rows it has seen, and its columns' type depends on them."""

    random_access = True

    def _getitem_hook(self, message):
        self.seen = len(message)
        dtype = torch.int64 if self.fail == "rows" or int(message["x"][0]) == 0 else torch.float64
        return Message({"n": torch.zeros(len(message), dtype=dtype)})


@pipeline
def seen(what: str = "rows"):
    numbers = Message({"x": torch.arange(300)})
    return Stage(numbers >> Seen(fail=what), name="seen", shards=2, expose=["seen"] if what == "rows" else [])


@pytest.mark.parametrize(("what", "message"), [("rows", "equal exposed values"), ("columns", "equal columns")])
def test_shards_must_agree(store, what, message):
    with pytest.raises(RunFailed, match=f"all shards of a stage must have {message}, but shard 1 has"):
        run(seen, {"what": what}, store=store)


@pytest.mark.parametrize(
    "value", [3, "text", None, [1, {"a": 2.5}], (1, 2), b"bytes", float("nan"), {"packed": {"a": "b"}}, {1: 2}]
)
def test_exposed_values_come_back_as_they_were(store, value):
    source = Pipe([1])
    source.value = value
    through = msgspec.json.decode(msgspec.json.encode(_write_exposed("value", source)))
    carried = _read_exposed(through)
    assert type(value) is type(carried)
    assert repr(value) == repr(carried)


class Quitting(Random):
    def __iter__(self):
        sys.exit(0)


@pipeline
def quitting():
    return Stage(Quitting(), name="quit")


def test_a_pipe_that_exits_has_failed(store):
    with pytest.raises(RunFailed, match="stage 'quit' failed: SystemExit"):
        run(quitting, store=store)


class Offset(Ones):
    required_components = ("table",)

    def forward(self, message):
        return Message({"y": super().forward(message)["y"] + len(self.table)})


@pipeline
def fitted_with_a_table():
    numbers = Stage(Random(), name="numbers")
    fit = Stage(Fit(Offset(components={"table": numbers}), numbers, mean, lr=0.1, epochs=1), name="train")
    return Stage(fit["model"](input=numbers), name="score")


def test_a_fitted_model_may_read_a_stage(store):
    assert 3 == len(run(fitted_with_a_table, store=store)["score"])
