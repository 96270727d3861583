"""A run whose stages run elsewhere, while it goes on. Neighbour: `fireworks.workflow.closing`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fireworks import load_pipeline, run
from fireworks.cli import main
from fireworks.store import open_store
from fireworks.workflow.closing import settled
from fireworks.workflow.history import RunFolder

TINY = Path(__file__).parents[1] / "projects" / "tiny" / "tiny.py"


@pytest.fixture
def going_on(tmp_path, monkeypatch):
    """A run of which raw and features (two shards) are done and train has begun, as pods leave it: no stage's end."""
    monkeypatch.setenv("FIREWORKS_STORE", str(tmp_path / "store"))
    store = open_store(tmp_path / "store")
    done = run(load_pipeline(f"{TINY}:tiny"), {"shards": 2}, store=store)
    folder = f"runs/{done.id}"
    store.delete([f"{folder}/end.json", *(info.key for info in store.list(f"{folder}/stages/"))])
    for name in ("score", "report"):
        store.delete_prefix(f"{folder}/attempts/{name}/")
    store.delete([info.key for info in store.list(f"{folder}/attempts/train/") if info.key.endswith(".end.json")])
    return done, RunFolder(store, done.id)


def test_stages_are_done_once_all_their_shards_are(going_on):
    done, folder = going_on
    expected = {stage.name: stage for stage in done.stages if stage.name in {"raw", "features"}}
    assert expected == {
        name: replace(result, seconds=expected[name].seconds) for name, result in settled(folder).items()
    }


def test_a_shard_that_is_missing_keeps_its_stage_open(going_on):
    _, folder = going_on
    folder.store.delete_prefix(f"{folder.prefix}attempts/features/00001/")
    assert {"raw"} == set(settled(folder))


def test_verbs_know_what_is_done_before_the_run_is(going_on, capsys, tmp_path):
    done, folder = going_on
    assert 0 == main(["status", "--json"])
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert ["succeeded", "succeeded", "running", "waiting", "waiting"] == [stage["status"] for stage in stages]
    assert done.stages[1].hash == stages[1]["hash"]
    assert 0 == main(["list", "--json"])
    assert ["2/5"] == [one["progress"] for one in json.loads(capsys.readouterr().out)["runs"]]
    assert 0 == main(["get", "features", "-o", str(tmp_path / "features.csv")])
    assert (tmp_path / "features.csv").stat().st_size > 0
    capsys.readouterr()
    assert 1 == main(["get", "train"])
    assert f"in {folder.id} it is not done yet. Follow it: fireworks watch {folder.id}" in capsys.readouterr().err
