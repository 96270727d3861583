"""Watching a run whose Workflow goes, or whose cluster no longer lets us look. Neighbour: `fireworks.cli.following`."""

import json
import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from answering import Reply, answering, refusal, write_kubeconfig
from fireworks.cli import main
from fireworks.records import Resources, RunRecord, WorkflowRecord
from fireworks.store import open_store
from fireworks.workflow.argo.observing import ClusterView, PodView, waits
from fireworks.workflow.history import RunFolder, write_run, write_workflow
from recording import make_plan

RUN = "phage-20261121-104512-3fa9"
GET = f"GET /apis/argoproj.io/v1alpha1/namespaces/fireworks/workflows/{RUN}"
RUNNING = Reply(body={"kind": "Workflow", "metadata": {"name": RUN}, "status": {"phase": "Running"}})
MISSING = refusal(404, f'workflows.argoproj.io "{RUN}" not found', "NotFound")


@pytest.fixture
def folder(tmp_path):
    """A run in the store that `status` looks into."""
    record = RunRecord(
        id=RUN,
        pipeline="phage",
        parameters={},
        seed=0,
        sample=None,
        runner="argo",
        host="laptop",
        started_at=time.time(),
        stages=("windows",),
        namespace="fireworks",
    )
    return write_run(open_store(tmp_path / "store"), record, replace(make_plan("windows"), parameters={}))


@pytest.fixture
def server(tmp_path, folder, monkeypatch):
    """The API of the cluster that the run was submitted to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIREWORKS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with answering() as running:
        write_kubeconfig(tmp_path / "config", running.url)
        yield running


@pytest.fixture
def made(server, folder):
    """The run's Workflow was made there."""
    write_workflow(folder.store, RUN, WorkflowRecord(server=server.url, namespace="fireworks", uid="7f0c"))


def end(tmp_path):
    found = RunFolder(open_store(tmp_path / "store"), RUN).end
    return found and found.status


@pytest.mark.usefixtures("made")
def test_a_workflow_that_is_deleted_ends_the_run_as_cancelled(server, tmp_path, capsys):
    server.on(GET, RUNNING, MISSING)
    assert 1 == main(["watch", RUN])
    assert f"{RUN} cancelled: 0 of 1 stage" in capsys.readouterr().err
    assert "cancelled" == end(tmp_path)
    # Whoever looks later need not ask the cluster.
    asked = len(server.requests)
    assert 0 == main(["status", RUN])
    assert asked == len(server.requests)


@pytest.mark.parametrize("verb", ["watch", "status", "cancel"])
def test_a_run_that_is_elsewhere_is_not_ended(server, folder, tmp_path, capsys, verb):
    there = WorkflowRecord(server="https://other.example.org:6443", namespace="fireworks", uid="7f0c")
    write_workflow(folder.store, RUN, there)
    server.on(GET, MISSING)
    server.on(GET.replace("GET", "PATCH"), MISSING)
    assert int(verb != "status") == main([verb, RUN])
    said = capsys.readouterr().err
    assert "must be looked for where it is, namespace fireworks of https://other.example.org:6443, but got" in said
    assert end(tmp_path) is None


def test_a_run_that_is_still_being_submitted_is_not_ended(server, tmp_path, capsys):
    server.on(GET, MISSING)
    assert 0 == main(["status", RUN])
    assert "its Workflow is not made yet. If its submit was cut off, submit again." in capsys.readouterr().err
    assert end(tmp_path) is None


@pytest.mark.parametrize(("age_s", "expected"), [(5, None), (500, "failed")])
def test_a_workflow_that_submit_may_take_back_is_not_ended(server, tmp_path, age_s, expected):
    """Argo gives up a Workflow whose template it has not heard of; submit makes it again."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_s))
    metadata = {"name": RUN, "creationTimestamp": created}
    server.on(GET, Reply(body={"metadata": metadata, "status": {"phase": "Error", "message": "not found"}}))
    assert 0 == main(["status", RUN])
    assert expected == end(tmp_path)


@pytest.mark.usefixtures("made")
def test_credentials_that_expire_end_the_watching_and_not_the_run(server, tmp_path, capsys):
    server.on(GET, RUNNING, refusal(401, "Unauthorized"))
    assert 1 == main(["watch", RUN, "--store", str(tmp_path / "store"), "--context", "here"])
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "have expired. Log in again" in line
    assert line.endswith(f"The run goes on; come back with: fireworks watch {RUN} --context here")
    assert end(tmp_path) is None


@pytest.mark.usefixtures("made")
def test_ctrl_c_leaves_the_run_going_on_and_says_how_to_come_back(server, tmp_path, capsys, monkeypatch):
    server.on(GET, RUNNING)
    monkeypatch.delenv("FIREWORKS_STORE")

    # A shell that starts the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press_once_it_is_followed():
        while not server.requests:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press_once_it_is_followed, daemon=True).start()
    try:
        assert 130 == main(["watch", RUN, "--store", "store"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert f"{RUN} goes on. Come back with: fireworks watch {RUN} --store store\n" in capsys.readouterr().err
    assert end(tmp_path) is None


def test_a_cluster_that_never_answers_is_given_up_soon(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fireworks.cli.clusters._FIRST_S", 8.0)
    monkeypatch.setenv("FIREWORKS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")))
    began = time.monotonic()
    assert 75 == main(["cancel", RUN])
    assert 25 > time.monotonic() - began
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("waiting for the cluster: the Kubernetes API must answer, but http://127.0.0.1:9 did not")
    assert said[-1].startswith("error: the Kubernetes API must answer")
    assert end(tmp_path) is None


def test_without_a_kubeconfig_records_are_shown(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FIREWORKS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    assert 0 == main(["status", RUN])
    assert "from the records alone" in capsys.readouterr().err


def test_status_tells_what_stages_wait_for_as_json(server, capsys):
    pod = {
        "type": "Pod",
        "id": "pod-1",
        "phase": "Pending",
        "message": "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: no",
        "inputs": {"parameters": [{"name": "stage", "value": "windows"}, {"name": "shard", "value": "0"}]},
    }
    server.on(GET, Reply(body={"metadata": {"name": RUN}, "status": {"phase": "Running", "nodes": {"pod-1": pod}}}))
    assert 0 == main(["status", RUN, "--json"])
    [stage] = json.loads(capsys.readouterr().out)["stages"]
    assert stage["waits"] == (
        "Pending: Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
        "; its stage asks for 1 CPU, 2Gi memory"
    )


def test_what_was_asked_for_is_named_where_it_is_not_to_be_had():
    plan = make_plan("windows", "train")
    asked = Resources(cpu=4, memory="8Gi", gpu=2, disk="10Gi")
    plan = replace(plan, stages=(plan.stages[0], replace(plan.stages[1], resources=asked)))
    pods = (
        PodView(name="a", stages=("windows",), shard=0, phase="Pending", message="ImagePullBackOff"),
        PodView(name="b", stages=("train",), shard=0, phase="Pending", message="Unschedulable"),
        PodView(name="c", stages=("train",), shard=1, phase="Running", message=""),
    )
    assert {
        ("windows",): {0: "Pending: ImagePullBackOff"},
        ("train",): {0: "Pending: Unschedulable; its stage asks for 4 CPU, 8Gi memory, 2 GPUs, 10Gi disk"},
    } == waits(ClusterView(phase="Running", pods=pods), plan)
