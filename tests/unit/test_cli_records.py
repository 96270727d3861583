"""The verbs that look at a store. Neighbours: `fireworks.cli.status`, `list`, `logs`, `get`, `gc`."""

import json
from dataclasses import replace

import pytest

from fireworks.cli import main
from fireworks.cli.drawing import size
from fireworks.core.message import Message, PartWriter, read_message
from fireworks.records import ShardRecord, encode
from fireworks.store import open_store
from fireworks.workflow.history import RunFolder, write_log_chunk
from fireworks.workflow.loglines import Line
from recording import START, Recorder, commit, make_old, make_plan, publish

FIRST, SECOND = "phage-20261120-000000-0001", "phage-20261121-000000-0002"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(place):
    return open_store(place)


@pytest.fixture
def say(place, capfd):
    def call(verb, *arguments):
        code = main([verb, *arguments, "--store", str(place)])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def runs(store):
    """A run that failed, and one after it that goes on."""
    failed = Recorder(store, FIRST, make_plan("windows", "train")).begin()
    failed.result("windows", "f1", cached=True, attempts=0)
    failed.start("train", "a1", "f2")
    failed.finish("train", "a1", "f2", exit_code=1)
    failed.result("train", "f2", status="failed", cause="ValueError: no window is positive", rows=0, hash=None)
    failed.end("failed")
    going_on = Recorder(store, SECOND, make_plan("windows", "train", shards=2)).begin()
    going_on.start("windows", "a2", "f3")
    return failed, going_on


def test_status_shows_the_latest_run(say, runs):
    code, out, _ = say("status")
    assert code == 0
    assert f"{SECOND}: running" in out
    assert "window=4000, seed 0" in out
    assert [line.split()[:3] for line in out.splitlines()[-3:] if line.strip()] == [
        ["windows", "running", "0/2"],
        ["train", "waiting", "0/2"],
    ]


def test_status_of_a_named_run_says_why_it_failed(say, runs):
    _, out, _ = say("status", "phage-20261120")
    assert f"{FIRST}: failed, 7.0 s" in out
    assert "cached" in out
    assert "ValueError: no window is positive" in out


def test_status_as_json(say, runs):
    status = json.loads(say("status", FIRST, "--json")[1].splitlines()[-1])
    assert (FIRST, "failed") == (status["id"], status["status"])
    assert [(s["name"], s["status"], s["cached"], s["attempts"]) for s in status["stages"]] == [
        ("windows", "succeeded", True, 0),
        ("train", "failed", False, 1),
    ]


def test_list_is_newest_first_and_limited(say, runs, store):
    store.put("runs/torn-20261123-000000-0003/plan.json", b"{}")
    _, out, _ = say("list")
    assert out.index(SECOND) < out.index(FIRST)
    assert "torn" not in out
    found = json.loads(say("list", "--json")[1])["runs"]
    assert [(run["run"], run["status"], run["progress"]) for run in found] == [
        (SECOND, "running", "0/2"),
        (FIRST, "failed", "1/2"),
    ]
    assert [run["run"] for run in json.loads(say("list", "-n", "1", "--json")[1])["runs"]] == [SECOND]


def test_list_of_an_empty_store(say):
    assert json.loads(say("list", "--json")[1])["runs"] == []
    assert say("list")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "phage"], "a run must be named clearly"),
        (["status", "phagi-20261120-000000-0001"], f"Did you mean '{FIRST}'"),
        (["logs", FIRST, "trian"], "a stage must be one of the run's, but got 'trian'. Did you mean 'train'"),
        (["logs", FIRST, "train/1"], "must be a number from 0 to 0, but got '1'"),
        (["logs", "phage-20261122"], "a run must exist, but 'phage-20261122' starts no id"),
        (["logs", "phage"], "a run must be named clearly, but 'phage' starts"),
        (["logs", "nothing"], f"or be a stage of {SECOND}, but got 'nothing'. Its stages: windows, train."),
        (["logs", "trian/0"], "but got 'trian/0'. Did you mean 'train'? See `fireworks list`."),
        (["get"], "a stage must be named"),
        (["get", FIRST, "train"], "stage 'train' must have succeeded, but in phage-20261120-000000-0001 it is failed"),
        (["get", SECOND, "train"], "it is not done"),
        (["get", FIRST, "windows"], "it was removed. Run it again."),
    ],
)
def test_what_is_not_there_is_an_error_with_a_remedy(say, runs, arguments, message):
    code, out, err = say(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_status_of_an_empty_store_names_the_remedy(say, place):
    code, _, err = say("status")
    assert code == 1
    assert "Start one" in err
    assert not place.exists(), "looking creates nothing"


def test_logs_come_as_they_were_printed(say, runs, store):
    write_log_chunk(store, FIRST, "train", 0, "a1", 0, [Line(START, b"epoch 1\n"), Line(START + 5, b"epo")])
    write_log_chunk(store, FIRST, "train", 0, "a1", 1, [Line(START + 6, "ch 2 \N{CHECK MARK}\n".encode())])
    expected = "epoch 1\nepoch 2 \N{CHECK MARK}\n"
    assert (0, expected, "") == say("logs", FIRST, "train/0")
    assert (0, expected, "") == say("logs", FIRST)
    assert {"stage": "train", "shard": 0, "attempt": "a1", "text": expected} == json.loads(
        say("logs", FIRST, "--json")[1]
    )
    assert (0, "", "nothing was printed\n") == say("logs", FIRST, "windows")
    assert (0, "", "") == say("logs", FIRST, "windows", "--json")


def test_logs_of_several_shards_are_one_by_time_with_headings(say, runs, store):
    for shard, times in ((1, (1, 2, 5)), (0, (3, 4, 6))):
        lines = [Line(START + after, f"second {after}\n".encode()) for after in times]
        write_log_chunk(store, SECOND, "windows", shard, f"a{shard}", 0, lines[:2])
        write_log_chunk(store, SECOND, "windows", shard, f"a{shard}", 1, lines[2:])
    expected = """==> windows/1 attempt a1 <==
second 1
second 2

==> windows/0 attempt a0 <==
second 3
second 4

==> windows/1 attempt a1 <==
second 5

==> windows/0 attempt a0 <==
second 6
"""
    assert (0, expected, "") == say("logs", "windows")
    assert (0, "second 1\nsecond 2\nsecond 5\n", "") == say("logs", "windows/1")
    found = [json.loads(line) for line in say("logs", "windows", "--json")[1].splitlines()]
    assert [(0, "second 3\nsecond 4\nsecond 6\n"), (1, "second 1\nsecond 2\nsecond 5\n")] == [
        (one["shard"], one["text"]) for one in found
    ]


def test_a_heading_begins_a_line_of_its_own(say, runs, store):
    for shard, after in ((0, 1), (1, 2)):
        write_log_chunk(store, SECOND, "windows", shard, f"a{shard}", 0, [Line(START + after, b"no end")])
    expected = "==> windows/0 attempt a0 <==\nno end\n\n==> windows/1 attempt a1 <==\nno end"
    assert (0, expected, "") == say("logs", "windows")


def test_a_stage_named_like_its_pipeline_is_meant_before_the_run(say, store):
    run = Recorder(store, FIRST, make_plan("phage", "train")).begin().end()
    for stage in ("phage", "train"):
        write_log_chunk(run.store, FIRST, stage, 0, "a", 0, [Line(START, f"{stage}\n".encode())])
    assert (0, "phage\n", "") == say("logs", "phage")
    assert say("logs", "phage-")[1].count("==>") == 2


def test_status_tells_of_attempts_only_if_some_were_lost(say, runs):
    going_on = runs[1]
    assert "attempt" not in say("status", FIRST)[1]
    going_on.start("windows", "a3", "f3", after=1)
    assert "1 lost attempt" in say("status")[1]


@pytest.fixture
def table(store):
    """A run whose stage `score` left 25 rows, in two parts, and a state."""
    import torch

    names = [f"w{i}" for i in range(25)]
    message = Message({"x": torch.arange(25), "vector": torch.arange(50).reshape(25, 2) / 4, "name": names})
    leave(store, message, [(0, 15), (15, 25)])
    return message


def leave(store, message, ranges):
    """A run whose stage `score` left these rows, each range a part, and a state."""
    state = commit(store, "f1", "b")
    parts, columns, rows = [], {}, len(message)
    for start, stop in ranges:
        writer = PartWriter(store, f"outputs/f1/a/{start:05d}-")
        writer.write(message[start:stop])
        parts += writer.close()
        columns = tuple(writer.columns.items())
    shard = ShardRecord(
        shard=0,
        attempt="a",
        rows=rows,
        size_bytes=1,
        parts=tuple(parts),
        columns=columns,
        states=state.states,
        hash="x",
    )
    publish(store, "f1", shard)
    run = Recorder(store, FIRST, make_plan("score")).begin()
    run.result("score", "f1", rows=rows)
    run.end()


def test_get_prints_the_head(say, table):
    code, out, err = say("get", "score")
    assert code == 0
    assert len(out.splitlines()) == 13
    assert out.splitlines()[0] == f"score of {FIRST}: first 10 of 25 rows"
    assert out.splitlines()[12].split()[:2] == ["9", "w9"]
    assert "25 rows, 3 columns" in err


@pytest.mark.parametrize(
    ("rows", "heading", "last"),
    [("3", "first 3 of 25 rows", "w2"), ("20", "first 20 of 25 rows", "w19"), ("30", "25 rows", "w24")],
)
def test_get_prints_as_many_rows_as_asked_for(say, table, rows, heading, last):
    _, out, _ = say("get", "score", "-n", rows)
    assert out.splitlines()[0] == f"score of {FIRST}: {heading}"
    assert last in out.splitlines()[-1].split()


def test_get_says_that_the_run_was_a_sample(say, table, store, tmp_path):
    store.put(f"runs/{FIRST}/run.json", encode(replace(RunFolder(store, FIRST).record, sample=10)))
    _, out, err = say("get", "score")
    assert out.splitlines()[0] == f"score of {FIRST}: first 10 of 25 rows (sample 10)"
    assert err.endswith(" (sample 10)\n")
    assert say("get", "score", "-o", str(tmp_path / "score.csv"))[2].endswith(f"{FIRST} (sample 10)\n")
    assert json.loads(say("get", "score", "--json")[1])["sample"] == 10


def test_get_writes_a_message_file(say, table, tmp_path):
    (tmp_path / "new").mkdir()
    code, out, err = say("get", FIRST, "score", "-o", str(tmp_path / "new" / "score.arrow"))
    assert (code, out) == (0, "")
    assert f"25 rows of score, {FIRST}" in err
    found = read_message(tmp_path / "new" / "score.arrow")
    assert table["x"].tolist() == found["x"].tolist()
    assert table["vector"].tolist() == found["vector"].tolist()
    assert table["name"].tolist() == found["name"].tolist()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["score.arrow"]


@pytest.mark.parametrize("batch_rows", [7, 65_536])
def test_get_writes_tables_that_others_read(say, table, tmp_path, monkeypatch, batch_rows):
    import pandas as pd

    monkeypatch.setattr("fireworks.core.message.exporting._BATCH_ROWS", batch_rows)
    assert say("get", "score", "-o", str(tmp_path / "score.csv"))[0] == 0
    assert say("get", "score", "-o", str(tmp_path / "score.parquet"))[0] == 0
    csv, parquet = pd.read_csv(tmp_path / "score.csv"), pd.read_parquet(tmp_path / "score.parquet")
    for frame in (csv, parquet):
        assert list(table.columns) == list(frame.columns)
        assert table["x"].tolist() == frame["x"].tolist()
        assert table["name"].tolist() == frame["name"].tolist()
    assert table["vector"].tolist() == [list(row) for row in parquet["vector"]]


@pytest.fixture
def report(store):
    """A run whose stage `score` left files."""
    names = ["map.html", "points.csv", "../../out.txt"]
    leave(store, Message({"name": names, "content": [b"<html>", b"a\n1\n", b"o"]}), [(0, 3)])


def test_get_writes_files_that_are_rows(say, report, tmp_path):
    assert 0 == say("get", "score", "-o", str(tmp_path / "map.html"))[0]
    assert 0 == say("get", "score", "-o", str(tmp_path / "points.csv"))[0]
    assert {"map.html": b"<html>", "points.csv": b"a\n1\n"} == {f.name: f.read_bytes() for f in tmp_path.glob("*.*")}
    (tmp_path / "all").mkdir()
    assert 0 == say("get", "score", "-o", str(tmp_path / "all"))[0]
    assert {"map.html", "points.csv", "out.txt"} == {path.name for path in (tmp_path / "all").iterdir()}
    # The rows themselves, as ever.
    assert 0 == say("get", "score", "-o", str(tmp_path / "rows.parquet"))[0]


def test_get_says_which_files_there_are(say, report, tmp_path):
    message = "-o must name one of map.html, points.csv, out.txt, or a folder, but got 'maps.html'. Did you mean 'map"
    assert message in say("get", "score", "-o", str(tmp_path / "maps.html"))[2]


def test_get_writes_a_state(say, table, tmp_path):
    _, _, err = say("get", "score", "--state", "model", "-o", str(tmp_path / "model"))
    assert err == f"{tmp_path / 'model'}: state model of score, {FIRST}\n"
    assert (tmp_path / "model" / "state.json").read_bytes() == b"{}"
    facts = json.loads(say("get", "score", "--state", "model", "--json")[1])
    assert facts["files"] == ["state.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "score.cvs"], "-o must end in .arrow, .csv, .parquet, but got 'score.cvs'. Did you mean '.csv'"),
        (["-o", "no/such/score.csv"], "-o must lie in a folder that exists, but no/such is none. Make it first."),
        (["-n", "3", "-o", "score.csv"], "-n must stand without -o"),
        (["--state", "modle"], "a state must be one that stage 'score' fits, but got 'modle'. Did you mean 'model'"),
    ],
)
def test_get_refuses_what_it_cannot_write(say, table, arguments, message):
    code, _, err = say("get", "score", *arguments)
    assert code == 1
    assert message in err


def test_get_as_json_describes_the_output(say, table):
    facts = json.loads(say("get", "score", "--json")[1])
    assert (FIRST, "score", 25) == (facts["run"], facts["stage"], facts["rows"])
    assert {"x", "vector", "name"} == set(facts["columns"])


def test_gc_says_what_it_removed(say, store, place):
    publish(store, "orphan", commit(store, "orphan"))
    doomed = list(store.list("outputs/"))
    total = sum(info.size_bytes for info in doomed)
    assert f"would remove 0 runs, 1 output, {len(doomed)} objects, {size(total)}, in" in say("gc", "--dry-run")[1]
    assert say("gc")[1].startswith(f"removed 0 runs, 1 output, {len(doomed)} objects")
    assert list(store.list("")) == []


def test_gc_keeps_so_many_runs(say, store, runs):
    make_old(store, "runs/")
    found = json.loads(say("gc", "--keep", "1", "--json")[1])
    assert found["runs"] == [FIRST]
    assert [run["run"] for run in json.loads(say("list", "--json")[1])["runs"]] == [SECOND]
