"""What a submit runs of a pipeline, and what it leaves alone: changes that end, choices, samples; logs afterwards.

Neighbours: `test_submit.py`, `fireworks.workflow.argo.selecting`.
"""

from itertools import pairwise

import pytest

from cluster.runs import UNRULY, result, stages_of_pods
from fireworks.workflow.argo.resources import PODS
from fireworks.workflow.history import RunFolder

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CHAINED = f"{UNRULY.with_name('chained.py')}:chained"


def test_what_turns_out_equal_stops_the_change(say, project, client):
    """The stages after it take a pod that adopts what is there, and imports no torch."""
    pipeline = project / "tiny.py"
    told = 'name="train", env={"PYTHONPROFILEIMPORTTIME": "1"}'
    pipeline.write_text(pipeline.read_text().replace('name="train"', told))
    arguments = ("submit", "tiny.py:tiny", "--wait", "--json")
    first, code = result(say(*arguments, folder=project)), project / "tiny_scale.py"
    code.write_text(code.read_text().replace("values * factor", "factor * values"))
    again = result(say(*arguments, folder=project))
    for name in ("hash", "rows"):
        assert [stage[name] for stage in first["stages"]] == [stage[name] for stage in again["stages"]]
    cached = {stage["name"]: stage["cached"] for stage in again["stages"]}
    assert {"raw": False, "features": False, "train": True, "score": True, "report": True} == cached
    assert imported(client, first["id"], "train") >= {"obstore", "torch"}
    assert imported(client, again["id"], "train") & {"obstore", "torch"} == {"obstore"}


def imported(client, run_id, stage):
    """The modules that a stage's pod imported."""
    [pod] = client.list(PODS, labels=f"fireworks.io/run={run_id},fireworks.io/stage={stage}")
    lines = [line.text for line in client.logs(pod["metadata"]["name"])]
    return {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}


def test_what_is_chosen_runs_and_nothing_else(say, store, client):
    def submitted(*options):
        return result(say("submit", CHAINED, *options, "--wait", "--json"))

    def outputs():
        return sum(info.key.endswith("/manifest.json") for info in store.list("outputs/"))

    only = submitted("--only", "a")
    assert ({"a"}, 1) == (stages_of_pods(client, only["id"]), outputs())
    assert [1, 0, 0] == [stage["attempts"] for stage in only["stages"]]
    start = submitted("--from", "b")
    assert ({"b", "c"}, 3) == (stages_of_pods(client, start["id"]), outputs())
    assert [True, False, False] == [stage["cached"] for stage in start["stages"]]
    forced = submitted("--force", "b")
    assert [True, False, True] == [stage["cached"] for stage in forced["stages"]]
    assert [stage["hash"] for stage in start["stages"]] == [stage["hash"] for stage in forced["stages"]]


def test_a_sample_one_pod_at_a_time(say, project, store):
    options = ("-p", "shards=2", "--sample", "600", "--parallelism", "1")
    done = result(say("submit", "tiny.py:tiny", *options, "--wait", "--json", folder=project))
    assert (600, 600, 4, 600, 1) == tuple(stage["rows"] for stage in done["stages"])
    tries = sorted(RunFolder(store, done["id"]).attempts(), key=lambda one: one.start.started_at)
    times = [(one.start.started_at, one.end.ended_at) for one in tries if one.end]
    assert 8 == len({(one.start.stage, one.start.shard) for one in tries})
    assert all(ended < started for (_, ended), (started, _) in pairwise(times))


def test_logs_outlive_their_pods(say, client):
    made = result(say("submit", f"{UNRULY}:unruly", "-p", "how=sleep:1", "--wait", "--json"))["id"]
    for pod in client.list(PODS, labels=f"fireworks.io/run={made}"):
        client.delete(PODS, pod["metadata"]["name"], grace_s=0)
    for arguments in (("logs", made, "rows"), ("logs", "--follow", made, "rows")):
        assert "asleep" in say(*arguments).out.splitlines()
