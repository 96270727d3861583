"""Following and stopping runs from outside. Neighbours: `watching` and `cancelling` of `fireworks.workflow`."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from fireworks.errors import ParameterError
from fireworks.records import encode
from fireworks.store import open_store
from fireworks.workflow.cancelling import cancel
from fireworks.workflow.closing import close_run, settled, stage_causes
from fireworks.workflow.progress import Display
from fireworks.workflow.watching import Notice, watch
from recording import Recorder, make_plan

RUN = "phage-20261121-000000-0001"


class Heard(Display):
    """Keeps what it is told."""

    def __init__(self):
        self.events = []

    def stage_started(self, name, shards):
        self.events.append(("started", name, shards))

    def rows(self, name, shard, rows, total):
        self.events.append(("rows", name, shard, rows, total))

    def waiting(self, name, shard, reason):
        self.events.append(("waiting", name, reason))

    def shard_retried(self, name, shard, end):
        self.events.append(("lost", name, end.cause))

    def shard_finished(self, name, shard, end):
        self.events.append(("done", name, shard))

    def stage_finished(self, result):
        self.events.append(("finished", result.name, result.status))


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store")


@pytest.fixture
def run(store):
    return Recorder(store, RUN, make_plan("windows", "score", shards=2)).begin()


def watched(run, look=None, look_s=0):
    heard = Heard()
    end = watch(run.folder, heard, look, poll_s=0.01, look_s=look_s)
    return end, heard.events


def test_a_run_that_has_ended_is_told_at_once(run):
    run.start("windows", "a", "f")
    run.finish("windows", "a", "f", exit_code=137)
    run.start("windows", "b", "f", after=1)
    run.finish("windows", "b", "f")
    run.result("windows", "f")
    run.end("failed")
    end, events = watched(run)
    assert "failed" == end.status
    assert [
        ("started", "windows", 2),
        ("lost", "windows", "exit 137"),
        ("rows", "windows", 0, 3, 3),
        ("done", "windows", 0),
        ("finished", "windows", "succeeded"),
    ] == events


def test_what_happens_meanwhile_is_told_once(run):
    steps = iter(
        [
            lambda: run.start("windows", "a", "f"),
            lambda: run.finish("windows", "a", "f"),
            lambda: run.start("windows", "b", "f", shard=1),
            lambda: run.finish("windows", "b", "f", shard=1),
            lambda: None,
            run.end,
        ]
    )

    def look():
        next(steps)()
        return ()

    end, events = watched(run, look=look)
    assert "succeeded" == end.status
    assert [("started", "windows", 2), ("done", "windows", 0), ("done", "windows", 1)] == [
        event for event in events if event[0] in {"started", "done"}
    ]
    assert [("finished", "windows", "succeeded")] == [event for event in events if event[0] == "finished"]


def test_reasons_to_wait_are_told_as_they_change(run):
    notices = [
        [Notice(stages=("windows",), shard=0, waits="Unschedulable: 2 GPUs asked")],
        [Notice(stages=("windows",), shard=0, waits="Unschedulable: 2 GPUs asked")],
        [Notice(stages=("windows",), shard=0, rows=5, total=10)],
    ]

    def look():
        if len(notices) == 1:
            run.end()
        return notices.pop(0)

    _, events = watched(run, look=look)
    assert [
        ("waiting", "windows", "Unschedulable: 2 GPUs asked"),
        ("started", "windows", 2),
        ("rows", "windows", 0, 5, 10),
        ("waiting", "windows", ""),
    ] == events


def test_the_cluster_is_asked_more_seldom_than_the_store(run):
    looks = []

    def look():
        if not looks:
            threading.Timer(0.3, run.end).start()
        looks.append(len(looks))
        return ()

    end, _ = watched(run, look=look, look_s=60)
    assert ("succeeded", [0]) == (end.status, looks)


def test_a_run_whose_process_is_gone_ends_without_an_end(run):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record = replace(run.folder.record, pid=ended.pid, host=os.uname().nodename)
    run.store.put(f"runs/{RUN}/run.json", encode(record))
    assert (None, []) == watched(run)


def test_cancel_stops_the_process_and_records_it(run):
    sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = replace(run.folder.record, pid=sleeping.pid, host=os.uname().nodename)
    run.store.put(f"runs/{RUN}/run.json", encode(record))
    # Or it stays a zombie, which still has a number.
    threading.Thread(target=sleeping.wait).start()
    end = cancel(run.folder)
    assert (-signal.SIGTERM, "cancelled") == (sleeping.wait(), end.status)
    assert end == cancel(run.folder)


def test_cancel_of_a_run_elsewhere_says_where(run):
    run.store.put(f"runs/{RUN}/run.json", encode(replace(run.folder.record, host="far-away", pid=7)))
    with pytest.raises(ParameterError, match="runs on far-away. Stop process 7 there"):
        cancel(run.folder)


def test_cancel_calls_what_stops_it(run):
    called = []
    assert "cancelled" == cancel(run.folder, lambda: called.append(1)).status
    assert [1] == called


def test_closing_keeps_what_was_recorded(run):
    run.result("windows", "f", rows=7)
    assert {"windows"} == set(settled(run.folder))
    end = close_run(run.store, RUN, "failed", {"score": "main: OOMKilled (exit code 137)"})
    killed = "main: OOMKilled (exit code 137): it used all of the 2Gi of memory that it asks for. Raise"
    assert [("windows", "succeeded", 7, None), ("score", "failed", 0, killed)] == [
        (stage.name, stage.status, stage.rows, stage.cause and stage.cause[: len(killed)]) for stage in end.stages
    ]
    assert end == close_run(run.store, RUN, "succeeded")


def test_what_a_stage_says_of_itself_comes_before_what_was_seen_of_its_pod(run):
    run.start("windows", "a", "f")
    run.finish("windows", "a", "f", exit_code=1)
    run.start("score", "b", "f")
    end = close_run(run.store, RUN, "failed", {"windows": "main: Error (exit code 1)"})
    assert ["exit 1", "its pod ended before it could say why; see `fireworks logs`"] == [
        stage.cause for stage in end.stages
    ]


def test_a_pod_that_fails_before_the_stage_begins_points_at_its_image(run):
    end = close_run(run.store, RUN, "failed", {"windows": "main: Error (exit code 1)"})
    assert end.stages[0].cause.startswith("main: Error (exit code 1), before the stage began: its image may be without")


def test_causes_are_found_for_shards_and_for_stages_that_share_a_pod():
    plan = make_plan("windows", "score", "report")
    failures = [
        {"displayName": "windows(1:1)", "message": "child 'x' failed"},
        {"displayName": "windows(1:1)", "message": "OOMKilled"},
        {"displayName": "score--report(0)", "message": "pod deleted"},
        {"displayName": "windows", "message": "No more retries left"},
        {"message": "no name"},
    ]
    assert {"windows": "OOMKilled", "score": "pod deleted", "report": "pod deleted"} == stage_causes(plan, failures)


def test_a_stage_that_never_had_its_turn_has_no_cause(run):
    """Windows and score share a pod, whose failure Argo reports of both."""
    run.start("windows", "a", "f")
    run.finish("windows", "a", "f", exit_code=1)
    seen = "main: Error (exit code 1)"
    end = close_run(run.store, RUN, "failed", {"windows": seen, "score": seen})
    assert [("windows", "failed", "exit 1"), ("score", "cancelled", None)] == [
        (stage.name, stage.status, stage.cause) for stage in end.stages
    ]
    assert {"windows"} == set(run.folder.stage_results())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("64", "Argo's executor failed in the pod"),
        ("65", "Argo's executor could not start the stage"),
        ("75", "the store or a lease was away"),
        ("134", "it was aborted"),
        ("137", "it was killed, but not for its memory"),
        ("139", "a segmentation fault"),
        ("143", "it was terminated"),
    ],
)
def test_exit_codes_of_a_silent_pod_are_told_apart(run, code, said):
    run.start("windows", "a", "f")
    end = close_run(run.store, RUN, "failed", {"windows": f"main: Error (exit code {code})"})
    assert end.stages[0].cause.startswith(f"main: Error (exit code {code}): {said}")


def test_progress_of_several_stages_in_one_pod_is_that_of_the_first_that_is_not_done(run):
    steps = iter([lambda: run.result("windows", "f"), lambda: None, run.end])

    def look():
        next(steps)()
        return [Notice(stages=("windows", "score"), shard=0, rows=4, total=8)]

    _, events = watched(run, look=look)
    assert [("rows", "windows", 0, 4, 8), ("rows", "score", 0, 4, 8)] == [
        event for event in dict.fromkeys(events) if event[0] == "rows"
    ]
