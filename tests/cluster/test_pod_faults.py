"""What happens to a run when a stage's process goes wrong: errors, exit codes, signals, memory.

Neighbours: `tests/projects/unruly` and `steady`, `fireworks.workflow.closing`, `test_pods_lost.py`.
"""

import pytest

from cluster.faults import STEADY, hashes
from cluster.provider.commands import wait_until
from cluster.runs import UNRULY, outcome
from fireworks import load_pipeline, run
from fireworks.workflow.argo.resources import PODS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CHAINED, SEVERAL = (UNRULY.with_name(name) for name in ("chained.py", "several.py"))
FITTED, BATCHES, PACE_S = f"{STEADY}:fitted", 60, 0.3


def test_errors_end_the_run_and_are_named(runs):
    """All at once: each waits for the others' pods."""
    cases = {
        "error:a mistake": {},
        "exit:1": {},
        "memory:all": {"memory": "900Mi"},
        "write:/usr/local/x": {},
    }
    ids = {how: runs.start(UNRULY, how=how, **given) for how, given in cases.items()}
    outcomes = {how: outcome(runs.wait(run_id)) for how, run_id in ids.items()}
    status, attempts, cause = outcomes["error:a mistake"]
    assert ("failed", 1, "ValueError: this is a mistake (unruly.py:") == (status, attempts, cause[:41])
    assert ("failed", 1, "main: Error (exit code 1)") == outcomes["exit:1"]
    status, attempts, cause = outcomes["memory:all"]
    assert ("failed", 1) == (status, attempts)
    assert "OOMKilled" in cause
    assert "it used all of the 900Mi of memory that it asks for. Raise Resources(memory=…)" in cause
    status, attempts, cause = outcomes["write:/usr/local/x"]
    assert ("failed", 1) == (status, attempts)
    assert "Read-only file system: '/usr/local/x'" in cause


def test_what_may_pass_is_tried_again(runs, store, fine):
    """Lost once, each in its own way: the next attempt gives the same bytes."""
    kinds = ["exit:64", "exit:75", "exit:137", "signal:SIGKILL", "signal:SIGSEGV", "signal:SIGABRT", "signal:SIGTERM"]
    end = runs.wait(runs.start(SEVERAL, hows=kinds, marks=f"{store.url}/marks"), 600)
    assert ("succeeded", len(kinds)) == (end.status, len(end.stages))
    assert {("succeeded", 2, fine["rows"])} == {(stage.status, stage.attempts, stage.hash) for stage in end.stages}


def test_what_never_passes_is_given_up_with_its_cause(runs):
    """How often each code is tried again, `test_compiled.py` sees; here one is."""
    retries = {64: 1} | dict.fromkeys((65, 75, 137, 134), 0)
    ids = {code: runs.start(UNRULY, how=f"exit:{code}", retries=number) for code, number in retries.items()}
    outcomes = {code: outcome(runs.wait(run_id, 600)) for code, run_id in ids.items()}
    assert {code: ("failed", number + 1) for code, number in retries.items()} == {
        code: found[:2] for code, found in outcomes.items()
    }
    assert {code: f"exit code {code}" in found[2] for code, found in outcomes.items()} == dict.fromkeys(ids, True)


def test_a_fit_that_is_terminated_saves_and_goes_on(runs, store, client, tmp_path):
    """Its pod is deleted with its own grace: no batch is computed twice, none is left out."""
    run_id = runs.start(FITTED, pace=PACE_S)
    pod, folder = runs.running_pod(run_id, "train"), runs.folder(run_id)
    wait_until(lambda: sum(line.text == "a batch" for line in client.logs(pod)) > 10, "batches must be computed", 120)
    client.delete(PODS, pod)

    def ended():
        return [one.end for one in folder.attempts() if one.start.stage == "train" and one.end]

    wait_until(ended, "the attempt must record its end", 60)
    [first] = ended()
    assert (143, "train") == (first.exit_code, first.stage)
    assert 1 == sum(info.key.endswith("/done") for info in store.list(f"checkpoints/{first.fingerprint}/"))
    expected = hashes(run(load_pipeline(FITTED), {"pace": PACE_S}, store=tmp_path / "here"))
    end = runs.wait(run_id)
    assert ("succeeded", expected) == (end.status, hashes(end))
    assert [143, 0] == [one.exit_code for one in sorted(ended(), key=lambda one: one.ended_at)]
    logs = [
        b"".join(store.get(chunk.key) for chunk in file.chunks).count(b"a batch") for file in folder.log_files("train")
    ]
    assert 2 == sum(count > 0 for count in logs)
    assert BATCHES == sum(logs)
    assert [] == list(store.list("checkpoints/"))


def test_of_stages_that_share_a_pod_the_one_that_failed_is_named(runs):
    """Whether it says so itself or ends without a word."""
    causes = {"error:a mistake": "ValueError: this is a mistake (unruly.py:", "exit:1": "main: Error (exit code 1)"}
    ids = {how: runs.start(CHAINED, how=how) for how in causes}
    for how, run_id in ids.items():
        end = runs.wait(run_id)
        assert ("failed", ["succeeded", "failed", "cancelled"]) == (end.status, [one.status for one in end.stages])
        assert end.stages[1].cause.startswith(causes[how])
        assert (0, None) == (end.stages[2].attempts, end.stages[2].cause)
    assert 1 == len(runs.pods(ids["exit:1"], "a--b--c"))
