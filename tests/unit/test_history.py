"""Run folders: written once, read back in order. Neighbours: `fireworks.workflow.history` and `summary`."""

import re
import subprocess
import sys

import pytest

from fireworks.errors import FireworksError, FormatError, ObjectNotFound
from fireworks.store import Store, open_store
from fireworks.workflow.history import (
    RunFolder,
    find_run,
    latest_run,
    list_runs,
    new_run_id,
    write_end,
    write_log_chunk,
)
from fireworks.workflow.loglines import Line
from fireworks.workflow.summary import is_over, summarize
from recording import START, Recorder, make_old, make_plan


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "store")


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_a_run_id_is_pipeline_time_and_four_digits():
    assert re.fullmatch(r"prophages-20\d{6}-\d{6}-[0-9a-f]{4}", new_run_id("prophages"))


def test_what_was_written_is_read_back(store):
    plan = make_plan("windows", "train")
    run = Recorder(store, "phage-20261121-104512-3fa9", plan).begin()
    assert run.folder.end is None
    run.result("windows", "f1")
    run.end("cancelled")
    folder = RunFolder(store, run.id)
    assert folder.record.stages == ("windows", "train")
    assert folder.record.started_at == START
    assert folder.plan == plan
    assert list(folder.stage_results()) == ["windows"]
    assert folder.end is not None
    assert [stage.status for stage in folder.end.stages] == ["succeeded", "cancelled"]


def test_the_layout_is_the_documented_one(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("train")).begin()
    run.start("train", "a1", "f1", shard=2)
    run.finish("train", "a1", "f1", shard=2)
    write_log_chunk(store, run.id, "train", 2, "a1", 0, [Line(START, b"hello\n")])
    run.result("train", "f1")
    run.end()
    assert [info.key.removeprefix(f"runs/{run.id}/") for info in store.list("runs/")] == [
        "attempts/train/00002/a1.end.json",
        "attempts/train/00002/a1.start.json",
        "end.json",
        "logs/train/00002/a1/00000-20260921T141320.000000Z.log",
        "plan.json",
        "run.json",
        "stages/train.json",
    ]


def test_every_record_is_put_once(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("train")).begin().end("failed")
    kept = run.folder.end
    assert not write_end(store, Recorder(store, run.id, run.plan).end_record("succeeded"))
    assert run.folder.end == kept
    with pytest.raises(FireworksError, match="must be new, but 'phage-20261121-104512-3fa9' is taken"):
        run.begin()


def test_an_unknown_version_is_refused_by_name(store):
    store.put("runs/phage-20261121-104512-3fa9/run.json", b'{"version": 99}')
    with pytest.raises(FormatError, match="RunRecord must have version 1, but got 99"):
        _ = RunFolder(store, "phage-20261121-104512-3fa9").record


def test_runs_are_listed_newest_first_also_within_a_second_and_across_pipelines(store):
    plan = make_plan("train")
    for run_id, after in [
        ("b-20261121-104512-0000", 0.1),
        ("a-20261121-104512-ffff", 0.2),
        ("z-20251121-104512-aaaa", 0),
    ]:
        Recorder(store, run_id, plan, started_at=START + after).begin()
    expected = ["a-20261121-104512-ffff", "b-20261121-104512-0000", "z-20251121-104512-aaaa"]
    assert expected == list_runs(store)
    assert expected[0] == latest_run(store)


def test_a_folder_without_a_record_is_not_the_latest_run(store):
    Recorder(store, "a-20261121-104512-0000", make_plan("train")).begin()
    store.put("runs/b-20261122-104512-0000/plan.json", b"{}")
    assert latest_run(store) == "a-20261121-104512-0000"


def test_no_run_at_all_is_an_error_with_a_remedy(store):
    assert list_runs(store) == []
    with pytest.raises(ObjectNotFound, match=r"there must be a run, but .* has none\. Start one"):
        latest_run(store)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("phage-20261121-104512-3fa9", "phage-20261121-104512-3fa9"), ("phage-20261122", "phage-20261122-000000-0001")],
)
def test_a_run_is_found_by_a_prefix(store, text, expected):
    for run_id in ("phage-20261121-104512-3fa9", "phage-20261122-000000-0001"):
        Recorder(store, run_id, make_plan("train")).begin()
    assert expected == find_run(store, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phage", "must be named clearly, but 'phage' starts phage-20261122-000000-0001, phage-20261121-104512-3fa9"),
        ("phage-20261121-104512-3fa8", "Did you mean 'phage-20261121-104512-3fa9'"),
        ("", "a run must exist, but '' starts no id"),
    ],
)
def test_a_wrong_or_ambiguous_prefix_is_refused(store, text, message):
    for run_id in ("phage-20261121-104512-3fa9", "phage-20261122-000000-0001"):
        Recorder(store, run_id, make_plan("train")).begin()
    with pytest.raises(ObjectNotFound, match=message):
        find_run(store, text)


def test_log_files_are_by_stage_shard_and_first_line_and_their_lines_by_time(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("windows", "train", shards=2)).begin()
    for stage, shard, attempt, number, after in [
        ("train", 1, "x", 0, 2),
        ("train", 0, "a-second", 0, 3),
        ("train", 0, "z-first", 1, 2),
        ("train", 0, "z-first", 0, 1),
        ("windows", 0, "w", 0, 0),
    ]:
        line = Line(START + after, f"{stage}/{shard} {attempt} {number}\n".encode())
        write_log_chunk(store, run.id, stage, shard, attempt, number, [line])
    assert [
        b"windows/0 w 0\n",
        b"train/0 z-first 0\n",
        b"train/0 z-first 1\n",
        b"train/1 x 0\n",
        b"train/0 a-second 0\n",
    ] == [line.text for _, line in run.folder.logs()]
    assert [b"train/1 x 0\n"] == [line.text for _, line in run.folder.logs("train", 1)]
    assert [] == list(run.folder.logs("train", 7))
    assert ["z-first", "a-second", "x"] == [file.attempt for file in run.folder.log_files("train")]


def test_an_attempt_without_an_end_is_running_until_it_cannot_be(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("train", shards=3)).begin()
    run.start("train", "replaced", "f", shard=0, after=0)
    run.start("train", "alive", "f", shard=0, after=1)
    run.start("train", "ended", "f", shard=1)
    run.finish("train", "ended", "f", shard=1, exit_code=75)
    run.pid = dead_pid()
    run.start("train", "dead", "f", shard=2)
    found = {attempt.start.attempt: attempt.status for attempt in run.folder.attempts()}
    assert found == {"replaced": "lost", "alive": "running", "ended": "failed", "dead": "lost"}
    run.end("cancelled")
    assert {a.status for a in run.folder.attempts() if a.start.attempt == "alive"} == {"lost"}


def test_a_process_of_another_machine_is_not_looked_for_here(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("train"), host="elsewhere", pid=dead_pid()).begin()
    run.start("train", "far", "f")
    assert [attempt.status for attempt in run.folder.attempts()] == ["running"]


def test_the_summary_of_a_run_that_goes_on(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("windows", "features", "train", shards=2)).begin()
    run.result("windows", "f1", cached=True, attempts=0)
    for shard, code in enumerate((0, 75)):
        run.start("features", f"a{shard}", "f2", shard=shard)
        run.finish("features", f"a{shard}", "f2", shard=shard, exit_code=code)
    status = summarize(run.folder)
    assert status.status == "running"
    assert [(s.name, s.status, s.shards_done, s.attempts, s.cause) for s in status.stages] == [
        ("windows", "succeeded", 2, 0, None),
        ("features", "running", 1, 2, "exit 75"),
        ("train", "waiting", 0, 0, None),
    ]
    assert (status.stages[1].rows, status.stages[1].size_bytes) == (3, 30)


def test_the_summary_of_a_run_that_has_ended(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("windows", "train")).begin()
    run.result("windows", "f1")
    run.start("train", "a", "f2")
    run.result("train", "f2", status="failed", cause="ValueError: no", rows=0)
    status = summarize(run.end("failed").folder)
    assert (status.status, status.seconds) == ("failed", 7.0)
    assert [(s.status, s.cause, s.attempts_lost) for s in status.stages] == [
        ("succeeded", None, 0),
        ("failed", "ValueError: no", 1),
    ]


def test_a_run_that_fell_silent_is_lost(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("train"), host="elsewhere").begin()
    run.start("train", "a", "f")
    assert not is_over(run.folder)
    make_old(store, "runs/")
    assert is_over(run.folder)
    status = summarize(run.folder)
    assert (status.status, status.stages[0].status) == ("lost", "lost")


def test_a_run_on_a_cluster_may_say_nothing_for_days(store):
    run = Recorder(store, "phage-20261121-104512-3fa9", make_plan("train"), host="elsewhere", runner="argo").begin()
    run.start("train", "a", "f")
    make_old(store, "runs/")
    assert ("running", False) == (summarize(run.folder).status, is_over(run.folder))
    make_old(store, "runs/", age_s=9 * 24 * 3600)
    assert is_over(run.folder)
