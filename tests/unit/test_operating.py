"""How a ready-made stage is begun and ended. Neighbour: `fireworks.workflow.operating`."""

import signal

import pytest

from fireworks.errors import FormatError, PipelineNotFound, StoreUnavailable
from fireworks.store import open_store
from fireworks.workflow import operating
from fireworks.workflow.history import RunFolder, list_runs
from fireworks.workflow.operators import describe, load_operator
from fireworks.workflow.stage import _parse, main


@pytest.fixture
def begun(tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n2\n")
    store = (tmp_path / "store").as_uri()
    words = ["--operator", "message-convert", "--input", (tmp_path / "rows.csv").as_uri(), "--output", store]
    return operating.begin(_parse(words))


def test_a_plan_of_one_stage_is_recorded_as_a_run(begun):
    folder = RunFolder(begun.store, begun.run_id)
    assert [begun.run_id] == list_runs(open_store(begun.store.url))
    assert ("operator", ("message-convert",)) == (folder.record.runner, folder.record.stages)
    assert ["message-convert"] == [stage.name for stage in folder.plan.stages]
    assert begun.plan_url == f"{begun.store.url}/runs/{begun.run_id}/plan.json"


@pytest.mark.parametrize(("code", "status"), [(1, "failed"), (143, "failed"), (75, None)])
def test_how_it_ended_is_recorded_unless_it_is_tried_again(begun, code, status):
    assert code == begun.end(code)
    end = RunFolder(begun.store, begun.run_id).end
    assert status == (end and end.status)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [(StoreUnavailable("away"), 75, None), (FormatError("torn"), 1, "failed"), (RuntimeError("odd"), 1, "failed")],
)
def test_a_file_that_cannot_be_written_fails_or_is_tried_again(begun, error, code, status, monkeypatch, capsys):
    def refuse(*arguments):
        raise error

    monkeypatch.setattr(operating.Operation, "_write", refuse)
    object.__setattr__(begun, "file", "s3://bucket/x.csv")
    assert code == begun.end(0)
    end = RunFolder(begun.store, begun.run_id).end
    assert status == (end and end.status)
    assert capsys.readouterr().err.rstrip().splitlines()[-1].startswith("error: ")


def test_many_begin_in_the_same_second(begun, tmp_path, monkeypatch):
    ids = iter([begun.run_id, begun.run_id, "message-convert-20261121-000000-0000"])
    monkeypatch.setattr(operating, "new_run_id", lambda name: next(ids))
    words = ["--operator", "message-convert", "--input", (tmp_path / "rows.csv").as_uri(), "--output", begun.store.url]
    assert "message-convert-20261121-000000-0000" == operating.begin(_parse(words)).run_id


@pytest.mark.parametrize("words", [[], ["--plan", "x"], ["--plan", "x", "--operator", "report"]])
def test_a_plan_needs_a_stage_and_excludes_an_operator(words, capsys):
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        main(words)
    signal.signal(signal.SIGTERM, handler)
    assert "error:" in capsys.readouterr().err


def test_an_operator_that_is_not_there_is_named():
    with pytest.raises(PipelineNotFound, match="Did you mean 'train-torch'"):
        load_operator("train-troch")


def test_defaults_are_told_as_a_workflow_writes_them():
    told = {one.name: one.default for one in describe("train-torch").parameters}
    expected = {"data": None, "features": None, "hidden": "64", "lr": "0.001", "task": "regression"}
    assert expected == {name: told[name] for name in expected}
    assert "false" == {one.name: one.default for one in describe("fasta-windows").parameters}["canonical"]
    assert "" == {one.name: one.default for one in describe("message-convert").parameters}["data"]
