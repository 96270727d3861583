"""`fireworks logs` of a run that goes on on a cluster: lines come from its pods, or else from the store.

Neighbours: `fireworks.workflow.runlog`, `fireworks.workflow.argo.tailing`, `answering`.
"""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from answering import Reply, answering, refusal, write_kubeconfig
from fireworks.cli import main
from fireworks.records import RunRecord, ShardRecord, WorkflowRecord
from fireworks.store import open_store
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.tailing import PodLogs, RunPod
from fireworks.workflow.history import RunFolder, write_log_chunk, write_run, write_workflow
from fireworks.workflow.loglines import Line, stamp
from fireworks.workflow.outputs import Fingerprints, Output, shard_hash
from fireworks.workflow.runlog import RunLog
from recording import START, Recorder, make_plan
from waiting import wait_until

RUN = "phage-20261121-104512-3fa9"
PODS = "/api/v1/namespaces/fireworks/pods"
ENDED = {"containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": 0}}}], "phase": "Running"}
FORBIDDEN = 'pods "pod-1" is forbidden: User "ada" cannot get resource "pods/log" in API group "" in the namespace "x"'
EXECUTOR = 'level=info msg="sub-process exited" argo=true error="<nil>"'


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIREWORKS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return open_store(tmp_path / "store")


@pytest.fixture
def run(store):
    """A run of three stages that goes on; the first has two shards."""
    plan = replace(make_plan("windows", "train", "score"), parameters={})
    windows, *others = plan.stages
    plan = replace(plan, stages=(replace(windows, shards=2), *others))
    record = RunRecord(
        id=RUN,
        pipeline="phage",
        parameters={},
        seed=0,
        sample=None,
        runner="argo",
        host="laptop",
        started_at=START,
        stages=("windows", "train", "score"),
        namespace="fireworks",
    )
    write_run(store, record, plan)
    return Recorder(store, RUN, plan)


@pytest.fixture
def server(tmp_path, store):
    with answering() as running:
        write_kubeconfig(tmp_path / "config", running.url)
        yield running


def said(after, text):
    """A line of a pod's log; nodes note times by nanoseconds, a little later than processes."""
    return f"{stamp(START + after + 0.003)[:-1]}007Z {text}\n"


def holds(server, *, phase="Running", **pods):
    """Pods; each by name, with its stages, its shard, and its log."""
    items = []
    for name, (stages, shard, log) in pods.items():
        labels = {"fireworks.io/run": RUN, "fireworks.io/stage": stages.replace(",", "--"), "fireworks.io/shard": shard}
        metadata = {"name": name, "labels": labels, "annotations": {"fireworks.io/stages": stages}, "uid": name}
        pod = {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}, "status": {"phase": phase}}
        items.append(pod)
        server.on(f"GET {PODS}/{name}", Reply(body={**pod, "status": ENDED}))
        server.on(f"GET {PODS}/{name}/log", log if isinstance(log, Reply) else Reply(body=log))
    everything = Reply(body={"items": items, "metadata": {"resourceVersion": "1"}})
    server.on(f"GET {PODS}", everything)


def keep(run, stage, shard, attempt, *lines, number=0):
    lines = [Line(START + after, f"{text}\n".encode()) for after, text in lines]
    write_log_chunk(run.store, RUN, stage, shard, attempt, number, lines)


def begins(run, stage, attempt, pod, *, shard=0, after=0.0):
    run.host = pod
    run.start(stage, attempt, f"f-{stage}", shard=shard, after=after)


@contextmanager
def ending(run, after_s=1.5):
    """The run ends while it is followed."""
    timer = threading.Timer(after_s, run.end)
    timer.start()
    yield
    timer.join()


def test_a_pod_tells_what_the_store_has_not_yet(server, run, capfd):
    """Two shards; each has told the store its first lines; equal lines are lines of their own."""
    for shard in range(2):
        begins(run, "windows", f"a{shard}", f"pod-{shard}", shard=shard)
        keep(run, "windows", shard, f"a{shard}", (1 + shard, "same"), (1.5 + shard, "same"))
    log = [said(1, "same"), said(1.5, "same"), said(3, "same"), said(5, "five")]
    others = [said(2, "same"), said(2.5, "same"), said(4, "four"), f'time="x" {EXECUTOR}\n']
    others[-1] = said(6, f'time="2026-11-21T10:45:14Z" {EXECUTOR}')
    holds(server, **{"pod-0": ("windows", "0", log), "pod-1": ("windows", "1", others)})
    assert 0 == main(["logs", RUN, "windows"])
    heading = "==> windows/{0} attempt a{0} <=="
    lines = [heading.format(0), "same", "same", "", heading.format(1), "same", "same", "", heading.format(0), "same"]
    lines += ["", heading.format(1), "four", "", heading.format(0), "five"]
    out, err = capfd.readouterr()
    assert lines == out.splitlines()
    assert "" == err
    assert 0 == main(["logs", RUN, "windows", "--json"])
    found = [json.loads(line)["text"] for line in capfd.readouterr().out.splitlines()]
    assert ["same\nsame\nsame\nfive\n", "same\nsame\nfour\n"] == found
    query = server.asked(f"GET {PODS}/pod-1/log")[0]["query"]
    assert stamp(START)[:19] + "Z" == query["sinceTime"], "not the whole of it again"


def test_stages_in_one_pod_are_told_apart_by_when_they_ran(server, run, capfd):
    log = [said(0, "before all"), said(2, "fitting"), said(4, "scoring")]
    holds(server, pod=("train,score", "0", log))
    begins(run, "train", "t", "pod", after=1)
    begins(run, "score", "s", "pod", after=3)
    assert 0 == main(["logs", RUN])
    assert [
        *("==> train/0 pod pod <==", "before all", ""),
        *("==> train/0 attempt t <==", "fitting", ""),
        *("==> score/0 attempt s <==", "scoring"),
    ] == capfd.readouterr().out.splitlines()
    assert 0 == main(["logs", RUN, "score"])
    assert "scoring\n" == capfd.readouterr().out
    with ending(run):
        assert 0 == main(["logs", "-f", RUN, "score"])
    assert "scoring\n" == capfd.readouterr().out


def test_lines_of_pods_are_followed_by_time_each_once(server, run, capfd):
    """What the store had at first, then what pods say, then chunks of an attempt whose pod cannot be read."""
    begins(run, "windows", "a0", "pod-0", shard=0)
    begins(run, "windows", "a1", "pod-1", shard=1)
    keep(run, "windows", 0, "a0", (1, "one"))
    keep(run, "windows", 1, "a1", (2, "two"))
    log = [said(1, "one"), said(3, "three"), said(5, "five")]
    holds(
        server,
        **{
            "pod-0": ("windows", "0", log),
            "pod-1": ("windows", "1", refusal(403, FORBIDDEN, "Forbidden")),
        },
    )

    def go_on():
        # The first time it reads what there is, the second time it follows.
        wait_until(lambda: len(server.asked(f"GET {PODS}/pod-0/log")) == 2, "the pod must be followed")
        time.sleep(0.5)
        keep(run, "windows", 1, "a1", (2.5, "2.5"), (4, "four"), number=1)
        time.sleep(2)
        run.end()

    going_on = threading.Thread(target=go_on)
    going_on.start()
    assert 0 == main(["logs", "-f", RUN, "windows"])
    going_on.join()
    out, err = capfd.readouterr()
    assert ["one", "two", "three", "five", "2.5", "four"] == [
        line for line in out.splitlines() if line and not line.startswith("==>")
    ]
    assert 1 == err.count("\n")
    assert err.startswith("note: lines come from the store, some seconds late, because pods cannot be read: ")


def test_a_pod_that_is_lost_in_mid_log_loses_no_line_and_tells_none_twice(server, run, tmp_path):
    """The store takes over; and the lines that come in one round are sorted."""
    begins(run, "windows", "a0", "pod-0")
    holds(server, **{"pod-0": ("windows", "0", [said(10 + number, f"line {number}") for number in range(12)])})
    pods = PodLogs(ClusterClient(namespace="fireworks", patience_s=1, timeout_s=1), RUN)
    log = RunLog(RunFolder(run.store, RUN), pods=pods)
    first = [printed.text for printed in log.lines(log.entries())]
    assert [b"line %d\n" % number for number in range(12)] == first
    server.on(f"GET {PODS}/pod-0", refusal(404, "pods not found", "NotFound"))
    for number, (start, stop) in enumerate([(0, 5), (5, 10), (10, 15)]):
        keep(run, "windows", 0, "a0", *((10 + one, f"line {one}") for one in range(start, stop)), number=number)
    with ending(run, 0.5):
        rest = [printed.text for printed in log.follow(lambda: run.folder.end is not None)]
    assert [b"line %d\n" % number for number in range(12, 15)] == rest
    assert pods.fault is None, "pods that are gone are nothing unusual"


@pytest.mark.parametrize("fault", ["unreachable", "no way"])
def test_without_the_cluster_the_store_tells_what_it_has(server, run, tmp_path, monkeypatch, capfd, fault):
    keep(run, "windows", 0, "a0", (1, "one"))
    if fault == "unreachable":
        write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
        monkeypatch.setattr("fireworks.cli.logs._PATIENCE_S", 0.5)
    else:
        (tmp_path / "config").unlink()
    assert 0 == main(["logs", RUN, "windows"])
    out, err = capfd.readouterr()
    assert "one\n" == out
    assert err.startswith("note: ")
    assert 1 == err.count("\n")


def test_the_last_words_of_a_pod_that_was_killed_are_in_its_log(server, run, capfd):
    begins(run, "windows", "a0", "pod-0")
    keep(run, "windows", 0, "a0", (1, "one"))
    log = [said(1, "one"), said(2, "out of memory")]
    holds(server, phase="Failed", **{"pod-0": ("windows", "0", log)})
    run.started_at = time.time()
    run.end("failed")
    assert 0 == main(["logs", RUN, "windows"])
    assert ("one\nout of memory\n", "") == capfd.readouterr()


def test_a_run_that_has_ended_asks_no_cluster(server, run, capfd):
    keep(run, "windows", 0, "a0", (1, "one"))
    run.end()
    for arguments in ([], ["-f"]):
        assert 0 == main(["logs", *arguments, RUN, "windows"])
        assert ("one\n", "") == capfd.readouterr()
    assert [] == server.requests


def test_a_stage_is_followed_until_its_shards_are_done(server, run, capfd):
    """Nobody records that a stage is over while the run goes on on a cluster: its attempts and its output show it."""
    holds(server)
    fingerprint = Fingerprints(run.plan, run.store, RUN).of("windows")
    for shard in range(2):
        run.start("windows", f"a{shard}", fingerprint, shard=shard)
        keep(run, "windows", shard, f"a{shard}", (1 + shard, f"shard {shard}"))
    run.finish("windows", "a0", fingerprint, shard=0)

    def finish():
        output = Output(run.store, fingerprint)
        for shard in range(2):
            output.commit(
                ShardRecord(
                    shard=shard, attempt=f"a{shard}", rows=0, size_bytes=0, parts=(), hash=shard_hash((), {}, {})
                )
            )
        output.publish(2)
        run.finish("windows", "a1", fingerprint, shard=1)
        keep(run, "windows", 1, "a1", (3, "last words"), number=1)

    timer = threading.Timer(1.5, finish)
    timer.start()
    assert 0 == main(["logs", "-f", RUN, "windows"])
    assert not timer.is_alive()
    assert run.folder.end is None
    assert "last words" == capfd.readouterr().out.splitlines()[-1]


def test_a_workflow_that_is_gone_is_not_waited_for(server, run, monkeypatch, capfd):
    monkeypatch.setattr("fireworks.cli.logs._CLUSTER_LOOK_S", 1.0)
    holds(server)
    write_workflow(run.store, RUN, WorkflowRecord(server=server.url, namespace="fireworks", uid="7f0c"))
    server.on(f"GET /apis/argoproj.io/v1alpha1/namespaces/fireworks/workflows/{RUN}", refusal(404, "x", "NotFound"))
    keep(run, "windows", 0, "a0", (1, "one"))
    assert 0 == main(["logs", "-f", RUN, "windows/0"])
    assert ("one\n", "") == capfd.readouterr()
    assert "cancelled" == run.folder.end.status, "as whoever watches a run records it"


def test_attempt_records_are_read_once(server, run, monkeypatch):
    begins(run, "windows", "a0", "pod-0")
    holds(server, **{"pod-0": ("windows", "0", [said(1, "one")])})
    folder, read = RunFolder(run.store, RUN), []
    original = run.store.get
    monkeypatch.setattr(run.store, "get", lambda key: read.append(key) or original(key))
    log = RunLog(folder, pods=PodLogs(ClusterClient(namespace="fireworks"), RUN))
    list(log.lines(log.entries()))
    with ending(run, 3.5):
        list(log.follow(lambda: folder.end is not None))
    assert not {"pods", "pod-0"} & {thread.name for thread in threading.enumerate()}, "nobody follows them any more"
    assert [f"runs/{RUN}/attempts/windows/00000/a0.start.json"] == [key for key in read if "/attempts/" in key]


def test_who_stops_waits_for_no_pod_that_says_more_than_was_told(server, run, monkeypatch):
    monkeypatch.setattr("fireworks.workflow.argo.tailing._UNTOLD_LINES", 5)
    holds(server, **{"pod-0": ("windows", "0", [said(number, "x") for number in range(20)])})
    pods = PodLogs(ClusterClient(namespace="fireworks"), RUN)
    pods.start()
    wait_until(lambda: len(pods.lines(0.1)) == 5, "the pod must be followed")
    time.sleep(0.5)
    pods.stop()
    assert not {"pods", "pod-0"} & {thread.name for thread in threading.enumerate()}


def test_the_name_of_a_pod_is_its_host_as_far_as_a_host_name_goes():
    assert "pod-1" == RunPod("pod-1", ("train",), 0).host
    assert "x" * 62 == RunPod("x" * 62 + "-1234", ("train",), 0).host
