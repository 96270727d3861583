"""A control plane that dies under runs and submits, and everything that may die, at random (`make soak`).

Neighbours: `cluster/faults.py`, `tests/projects/steady`, `test_store_faults.py`.
"""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import cycle

import pytest

from cluster.faults import (
    CONTROL_PLANE,
    STEADY,
    Hit,
    computed,
    hashes,
    healthy,
    living,
    outage,
    the_node,
    under_way,
    whole,
)
from cluster.provider.commands import wait_until
from cluster.runs import Runs
from fireworks import load_pipeline, run
from fireworks.store import open_store
from fireworks.workflow.argo.resources import PODS, WORKFLOWS

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.invariant, pytest.mark.timeout(900)]

TWELVE, SHORT, BRIEF = f"{STEADY}:steady", f"{STEADY}:short", f"{STEADY}:brief"
# The numbers of the runs. By default three that draw short outages; `make soak` takes the first ones, as many as asked.
ROUNDS, AT_ONCE = int(os.environ.get("FIREWORKS_SOAK_ROUNDS", "0")), 3
NUMBERS = range(ROUNDS) if ROUNDS else range(687, 690)
AWAY_S = (5, 60)
VICTIMS = {
    "workflow-controller": ("workflow-controller",),
    "control plane": CONTROL_PLANE,
    "S3": ("s3",),
    "a stage's process": (),
    "a pod": (),
}


@pytest.fixture(scope="module")
def node(cluster):
    provider = the_node(cluster)
    yield provider
    healthy(provider)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The hashes of all stages, computed in this process, by pipeline."""
    ends = {name: run(load_pipeline(name), store=tmp_path_factory.mktemp("here")) for name in (TWELVE, SHORT, BRIEF)}
    return {name: hashes(end) for name, end in ends.items()}


@pytest.fixture
def patient(store, client, tmp_path):
    """Runs whose store may be away for as long as its server takes to come back."""
    made = Runs(client, open_store(store.url, patience_s=240), tmp_path)
    yield made
    made.remove()


def test_a_controller_killed_in_mid_dag_computes_nothing_twice(node, patient, expected):
    run_id = patient.start(SHORT, pace=0.5)
    folder = patient.folder(run_id)
    for begun in (1, 3):
        wait_until(lambda begun=begun: len(folder.attempts()) >= begun, f"stages must have begun: {begun}", 120)
        running = under_way(folder)
        with outage(node, "workflow-controller"):
            # What runs comes to its end meanwhile, unseen; nothing is started.
            for one in running:
                wait_until(partial(folder.attempt_end, one.start.stage, 0, one.start.attempt), f"{one} must end", 60)
    end = patient.wait(run_id)
    assert ("succeeded", expected[SHORT]) == (end.status, hashes(end))
    assert {(stage.name, 0): 1 for stage in end.stages} == computed(folder)
    assert dict.fromkeys(expected[SHORT], 1) == {stage.name: stage.attempts for stage in end.stages}


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "asked"])
def test_a_control_plane_killed_under_a_run_and_a_submit(node, patient, client, expected, when):
    """The stage under way goes on, and the submit makes one Workflow.

    Dead before it is asked; or after it took the request, so that nobody knows what came of it.
    """
    early, late = patient.start(BRIEF, pace=2.0), []
    submitting = threading.Thread(target=lambda: late.append(patient.start(BRIEF)))
    before = client.get(WORKFLOWS, early)["metadata"]["uid"]
    (running,) = under_way(patient.folder(early))
    if when == "asked":
        os.kill(node.supervisor.pid("etcd"), signal.SIGSTOP)
        submitting.start()
        time.sleep(4)
    died_at = time.time()
    with outage(node, *CONTROL_PLANE):
        if when == "before":
            submitting.start()
        time.sleep(6)
        assert not late
    submitting.join(120)
    assert 1 == len(late)
    assert before == client.get(WORKFLOWS, early)["metadata"]["uid"]
    assert {early, *late} == made_by(client, f"{patient.store.url}/runs/")
    for run_id in (early, *late):
        end = patient.wait(run_id)
        assert ("succeeded", expected[BRIEF]) == (end.status, hashes(end))
        assert whole(patient.folder(run_id), end)
    ended = patient.folder(early).attempt_end("ground", 0, running.start.attempt)
    assert (0, False) == (ended.exit_code, ended.cached)
    assert died_at < ended.ended_at


def made_by(client, plans):
    """The Workflows whose plans are there."""
    found = client.list(WORKFLOWS, labels="fireworks.io/pipeline=brief")
    given = {one["metadata"]["name"]: one["spec"]["arguments"]["parameters"][0]["value"] for one in found}
    return {name for name, plan in given.items() if plan.startswith(plans)}


@pytest.mark.parametrize("first", NUMBERS[::AT_ONCE])
def test_chaos(node, patient, client, expected, report, first):
    """Everything dies once, always under a running stage of each of three runs.

    Each run has a number, which is its seed; in turns they draw what dies next, when, and for how long.
    """
    began = time.monotonic()
    chances = {number: random.Random(number) for number in range(first, min(first + AT_ONCE, NUMBERS.stop))}
    ids = {number: patient.start(TWELVE, pace=0.25) for number in chances}
    folders = [patient.folder(run_id) for run_id in ids.values()]
    hits, left = [], list(VICTIMS)
    for chance in cycle(chances.values()):
        hits.append(strike(node, client, folders, left.pop(chance.randrange(len(left))), chance))
        if not left:
            break
    report("; ".join(str(hit) for hit in hits))
    for number, run_id in ids.items():
        end, folder = patient.wait(run_id, 600), patient.folder(run_id)
        tries = folder.attempts()
        lost = {attempt.start.attempt for attempt in tries if attempt.status == "lost"}
        took = end.ended_at - folder.record.started_at
        report(f"run {number}: {end.status} in {took:.0f} s, {len(tries)} attempts, {len(lost)} lost")
        assert ("succeeded", expected[TWELVE]) == (end.status, hashes(end))
        own = {attempt.start.attempt for attempt in tries}
        assert all(hit.running & own for hit in hits)
        killed = {one for hit in hits if hit.victim in {"a stage's process", "a pod"} for one in hit.running}
        assert killed & lost
        assert whole(folder, end)
    report(f"{len(ids)} runs in {time.monotonic() - began:.0f} s")


def strike(node, client, folders, victim, chance):
    """Wait until a stage of each runs, kill, wait, let it come back."""
    time.sleep(chance.uniform(0, 3))
    with ThreadPoolExecutor() as pool:
        running = set().union(*pool.map(partial(catch, client, victim), folders))
    began = time.time()
    if VICTIMS[victim]:
        with outage(node, *VICTIMS[victim]):
            time.sleep(chance.uniform(*AWAY_S))
    return Hit(victim, began, time.time(), frozenset(running))


def catch(client, victim, folder):
    """The attempts of the run that live, once there is one; the youngest is killed if it is the victim."""
    found = living(client, folder)
    # At once, before it ends by itself.
    pod, process = list(found.values())[-1]
    if victim == "a pod":
        client.delete(PODS, pod, grace_s=0)
    elif victim == "a stage's process":
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return found
