"""A store that fails under pods: its server killed or frozen, packets lost, answers spoiled, rights refused, races.

Neighbours: `tests/unit/test_store_faults.py` (every call, every fault, in one process), `cluster/faults.py`.
"""

import threading
import time

import pytest

import proxying
from cluster.faults import (
    STEADY,
    computed,
    dropped_packets,
    frozen,
    hashes,
    healthy,
    outage,
    spoiled,
    the_node,
    whole,
)
from cluster.provider.commands import wait_until
from fireworks import load_pipeline, run
from fireworks.store import open_store
from fireworks.workflow.outputs import Fingerprints
from fireworks.workflow.shipping import code_key

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

BRIEF, SHORT = f"{STEADY}:brief", f"{STEADY}:short"
AWAY_S = 6


@pytest.fixture(scope="module")
def node(cluster):
    provider = the_node(cluster)
    yield provider
    healthy(provider)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The hashes of all stages, computed in this process, by pipeline."""
    return {one: hashes(run(load_pipeline(one), store=tmp_path_factory.mktemp("here"))) for one in (BRIEF, SHORT)}


@pytest.mark.alone
@pytest.mark.invariant
def test_what_was_acknowledged_outlives_the_server(node, store):
    """Killed between put and get, and under a writer that never stops."""
    # The server takes some seconds to come back.
    store = open_store(store.url, patience_s=180)
    large = bytes(range(256)) * 100_000
    acknowledged, over = {}, threading.Event()

    def write():
        while not over.is_set():
            number = len(acknowledged)
            acknowledged[f"steady/{number:05d}"] = store.put(f"steady/{number:05d}", b"%d" % number * 5000).hash

    store.put("large", large)
    assert store.put_if_absent("record", b"first")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: len(acknowledged) > 10, "something must be written before the server dies", 60)
        with outage(node, "s3"):
            before = len(acknowledged)
            time.sleep(3)
        wait_until(lambda: len(acknowledged) > before + 10, "writing must go on", 180)
    finally:
        over.set()
        writer.join(180)
    assert store.get("large") == large
    assert not store.put_if_absent("record", b"second")
    assert b"first" == store.get("record")
    assert {key: b"%d" % int(key[-5:]) * 5000 for key in acknowledged} == {key: store.get(key) for key in acknowledged}
    assert sorted(acknowledged) == [info.key for info in store.list("steady/")]


# Under a stage each.
FAULTS = {
    "ground": lambda node: outage(node, "s3"),
    "left": lambda node: frozen(node, "s3"),
    "mean": dropped_packets,
}


@pytest.mark.alone
def test_a_store_that_is_away_in_mid_run_each_time_in_another_way(node, runs, expected):
    """A stage has begun and cannot write; it waits, and nothing is computed again."""
    # Of each of eight chunks: all rows are there before the store is.
    run_id = runs.start(SHORT, pace=0.5)
    for stage, fault in FAULTS.items():
        runs.running_pod(run_id, stage)
        with fault(node):
            time.sleep(AWAY_S)
    end, folder = runs.wait(run_id), runs.folder(run_id)
    assert ("succeeded", expected[SHORT]) == (end.status, hashes(end))
    assert {(stage, 0): 1 for stage in expected[SHORT]} == computed(folder)
    took_s = {one.start.stage: one.end.seconds for one in folder.attempts() if one.end}
    assert all(took_s[stage] > AWAY_S - 1 for stage in FAULTS), took_s
    assert whole(folder, end)


def test_a_network_that_spoils_what_passes(node, runs, expected, report):
    """Bursts of 503, torn and lost answers; and a body that comes a byte a second, until its time is up."""
    faults = {"503": (0.25, 40), "truncate": (0.15, 20), "lose": (0.1, 10), "stall": (0.2, 1)}
    with spoiled(node.settings.s3_endpoint, 7, faults) as proxy:
        run_id = runs.start(BRIEF, settings=f"AWS_ENDPOINT_URL={proxy.endpoint}")
        end = runs.wait(run_id, 500)
    report(f"{len(proxy.requests)} requests, spoiled: {proxy.given}")
    assert ("succeeded", expected[BRIEF]) == (end.status, hashes(end))
    assert all(proxy.given.values()), proxy.given
    assert any(request.startswith("PUT") for request in proxy.requests)
    assert {("ground", 0): 1, ("last", 0): 1} == computed(runs.folder(run_id))
    assert whole(runs.folder(run_id), end)


def said(client, runs, run_id):
    """Exit code of the stage's pod, and what it says went wrong."""
    (pod,) = runs.pods(run_id, "ground")
    (main,) = [one for one in pod["status"]["containerStatuses"] if one["name"] == "main"]
    (error,) = [line.text for line in client.logs(pod["metadata"]["name"]) if line.text.startswith("error: ")]
    return main["state"]["terminated"]["exitCode"], error


def test_missing_denied_and_badly_signed_are_told_apart(node, runs, store, client, monkeypatch, report):
    """None is tried again, and each says what to do."""
    monkeypatch.setitem(proxying.STATUS, "denied", (403, "AccessDenied"))
    with spoiled(node.settings.s3_endpoint, 1, {"denied": (1.0, 1000)}) as proxy:
        ids = {
            "denied": runs.start(BRIEF, settings=f"AWS_ENDPOINT_URL={proxy.endpoint}"),
            "signature": runs.start(BRIEF, settings="AWS_SECRET_ACCESS_KEY=wrong"),
            "user": runs.start(BRIEF, settings="AWS_ACCESS_KEY_ID=nobody"),
            "missing": runs.start(BRIEF),
        }
        store.delete([code_key(runs.folder(ids["missing"]).plan.code)])
        ends = {what: runs.wait(run_id) for what, run_id in ids.items()}
    stages = {what: end.stages[0] for what, end in ends.items()}
    assert dict.fromkeys(ids, ("failed", "failed")) == {what: (ends[what].status, stages[what].status) for what in ids}
    words = {what: said(client, runs, run_id) for what, run_id in ids.items()}
    for what, word in words.items():
        report(f"{what}: {word}; {stages[what].cause}")
    assert dict.fromkeys(ids, 1) == {what: code for what, (code, _) in words.items()}
    assert "is gone. Submit again." in words["missing"][1]
    assert stages["missing"].cause in words["missing"][1]
    assert "may not access" in words["denied"][1]
    assert "SignatureDoesNotMatch" in words["signature"][1]
    assert "InvalidAccessKeyId" in words["user"][1]
    assert dict.fromkeys(ids, 1) == {what: len(runs.pods(run_id, "ground")) for what, run_id in ids.items()}


@pytest.mark.invariant
@pytest.mark.parametrize("clock", [pytest.param(False, marks=pytest.mark.slow), True], ids=["equal", "different"])
def test_two_pods_race_for_one_record(runs, store, expected, clock):
    """Two runs compute the same shard at once: one wins, the other adopts it, and says so if its bytes are others."""
    # One after the other: at the same time, two submits of the same are one run. Their pods wait for each other.
    ids = [runs.start(BRIEF, clock=clock, meet=f"{store.url}/meeting") for _ in range(2)]
    ends = [runs.wait(run_id) for run_id in ids]
    assert ["succeeded"] * 2 == [end.status for end in ends]
    folders = [runs.folder(run_id) for run_id in ids]
    tries = [one for folder in folders for one in folder.attempts() if one.start.stage == "ground"]
    assert [False, False] == [one.end.cached for one in tries]
    first = min(one.end.ended_at for one in tries)
    assert all(one.start.started_at < first for one in tries)
    fingerprints = Fingerprints(folders[0].plan, store, ids[0])
    record = fingerprints.output("ground").shard(0)
    assert 1 == [one.start.attempt for one in tries].count(record.attempt)
    assert {record.hash} == {one.end.hash for one in tries}
    others = [one.end.nondeterministic for one in tries if one.start.attempt != record.attempt]
    assert [clock] == others
    assert hashes(ends[0]) == hashes(ends[1])
    assert clock == any(stage.nondeterministic for end in ends for stage in end.stages)
    if not clock:
        assert expected[BRIEF] == hashes(ends[0])
    assert all(whole(folder, end) for folder, end in zip(folders, ends, strict=True))
