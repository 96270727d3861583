"""The main job by the commands a user types, in a small project of its own."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from fireworks.store import open_store
from fireworks.workflow.history import RunFolder, latest_run
from forking import fireworks, start

TINY = Path(__file__).parents[1] / "projects" / "tiny"
STAGES = ["raw", "features", "train", "score", "report"]


@pytest.fixture
def project(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks")))


@pytest.fixture
def go(project, tmp_path):
    """Run the tiny pipeline; return the last line's object."""

    def run(*arguments, expect=0, **environ):
        finished = fireworks(["run", "tiny.py:tiny", "--json", *arguments], project, tmp_path, **environ)
        assert expect == finished.code, finished.err
        return json.loads(finished.out.splitlines()[-1]) if expect == 0 else finished

    return run


def computed(result):
    return [stage["name"] for stage in result["stages"] if not stage["cached"]]


def hashes(result):
    return {stage["name"]: stage["hash"] for stage in result["stages"]}


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_json_result(go):
    result = go()
    assert STAGES == [stage["name"] for stage in result["stages"]]
    assert [1000, 1000, 4, 1000, 1] == [stage["rows"] for stage in result["stages"]]
    keys = {"name", "shards", "rows", "bytes", "hash", "cached", "attempts", "seconds"}
    assert all(keys <= set(stage) for stage in result["stages"])
    assert "succeeded" == result["status"]


def test_second_run_computes_nothing(go):
    go()
    assert [] == computed(go())


CHANGES = {
    "training code": (lambda p: edit(p / "tiny_model.py", "mean()", "mean() * 2"), [], ["train", "score", "report"]),
    "helper two imports away": (
        lambda p: edit(p / "tiny_scale.py", "values * factor", "values * factor + 1"),
        [],
        ["raw", "features", "train", "score", "report"],
    ),
    "source": (lambda p: edit(p / "data/numbers.csv", "0.999,", "0.998,"), [], STAGES),
    "seed": (lambda p: None, ["--seed", "7"], ["raw", "features", "train", "score", "report"]),
    "constructor argument": (lambda p: None, ["-p", "epochs=5"], ["train", "score", "report"]),
    "comment in the pipeline's module": (
        lambda p: edit(p / "tiny.py", "import fireworks\n", "import fireworks  # x\n"),
        [],
        [],
    ),
    "touched source": (lambda p: os.utime(p / "data/numbers.csv"), [], []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_exactly_what_depends_on_it(name, go, project):
    change, arguments, expected = CHANGES[name]
    go()
    change(project)
    again = computed(go(*arguments))
    if name == "helper two imports away":
        # `raw` is defined in the module that imports the helper, so it runs; its output is equal and nothing else is
        # due to it. What follows changes because the numbers do.
        assert expected == again
    elif name == "seed":
        # The seed reaches every recipe; equal outputs stop nothing here, since every stage has it.
        assert expected == again
    else:
        assert expected == again


def test_early_cut_off(go, project):
    go()
    edit(project / "tiny_scale.py", "values * factor", "factor * values")
    assert ["raw", "features"] == computed(go())


def test_processes_and_shards_agree_with_in_process(go, tmp_path):
    expected = hashes(go("--store", str(tmp_path / "a"), "-p", "shards=4"))
    processes = go("--store", str(tmp_path / "b"), "-p", "shards=4", "--runner", "processes", "--workers", "2")
    assert expected == hashes(processes)
    assert [4, 4, 1, 4, 1] == [stage["attempts"] for stage in processes["stages"]]


def test_one_and_four_shards_give_equal_values(go, project, tmp_path):
    tables = []
    for shards in ("1", "4"):
        go("-p", f"shards={shards}")
        target = tmp_path / f"{shards}.csv"
        assert 0 == fireworks(["get", "score", "-o", str(target)], project, tmp_path).code
        tables.append(target.read_text())
    assert tables[0] == tables[1]
    assert 1001 == len(tables[0].splitlines())


def test_sample_gives_every_stage_something_and_stays_apart(go):
    full = go()
    sampled = go("--sample", "50")
    assert [50, 50, 4, 50, 1] == [stage["rows"] for stage in sampled["stages"]]
    assert set(hashes(full).values()).isdisjoint(hashes(sampled).values())
    assert [] == computed(go())


def test_killed_at_twenty_moments_it_resumes_and_ends_the_same(go, project, tmp_path):
    took = []
    for number in range(3):
        began = time.monotonic()
        expected = hashes(go("--store", str(tmp_path / f"whole{number}"), "-p", "epochs=50"))
        took.append(time.monotonic() - began)
    # The first also starts the process that the others are forked from; and a machine may be busy for a while.
    duration, lost = min(took), 0
    for moment in range(20):
        store = tmp_path / f"store{moment}"
        arguments = ["run", "tiny.py:tiny", "-p", "epochs=50", "--store", str(store)]
        process = start(arguments, project, tmp_path)
        process.join(duration * (moment + 0.5) / 20)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert expected == hashes(go("--store", str(store), "-p", "epochs=50"))
        lost += lost_attempts(store)
    assert 5 <= lost, f"of runs of {took} s"


def lost_attempts(folder):
    """Attempts in a store that started and never ended."""
    keys = [info.key for info in open_store(folder).list("runs/")] if folder.exists() else []
    started = {key.removesuffix(".start.json") for key in keys if key.endswith(".start.json")}
    return len(started - {key.removesuffix(".end.json") for key in keys if key.endswith(".end.json")})


def test_a_worker_killed_by_the_kernel_is_retried_and_said(go, project, tmp_path):
    edit(
        project / "tiny_scale.py",
        "    return values * factor",
        "    import os, pathlib, signal\n    once = pathlib.Path(os.environ['ONCE'])\n    if not once.exists():\n"
        "        once.touch()\n        os.kill(os.getpid(), signal.SIGKILL)\n    return values * factor",
    )
    result = go("--runner", "processes", ONCE=str(tmp_path / "once"))
    assert {"raw": 1, "features": 2} == {stage["name"]: stage["attempts"] for stage in result["stages"][:2]}
    assert "features/0: lost (the worker was killed by SIGKILL" in (tmp_path / "err").read_text()


def test_a_worker_that_is_always_killed_fails_the_run_with_its_cause(go, project):
    edit(
        project / "tiny_scale.py",
        "    return",
        "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n    return",
    )
    finished = go("--runner", "processes", expect=1)
    assert "error: stage 'features' failed: the worker was killed by SIGKILL; out of memory?" in finished.err


def test_the_run_killed_takes_its_workers_with_it(project, tmp_path):
    edit(project / "tiny_scale.py", "    return", "    import time\n    time.sleep(60)\n    return")
    store = tmp_path / "store"
    process = start(["run", "tiny.py:tiny", "--runner", "processes", "--store", str(store)], project, tmp_path)
    pid = _wait_for_worker(store, "features")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists() or "Z" in _state(pid)


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _wait_for_worker(folder, stage):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any((folder / "runs").glob("*/run.json")):
            store = open_store(folder)
            found = [
                item.start.pid for item in RunFolder(store, latest_run(store)).attempts() if item.start.stage == stage
            ]
            if found:
                return found[0]
        time.sleep(0.1)
    raise AssertionError(f"stage {stage} never started: {(folder.parent / 'err').read_text()}")


def test_logs_status_list_get(go, project, tmp_path):
    run = go()["run"]
    assert "the table has 1000 rows" in fireworks(["logs", run, "report"], project, tmp_path).out
    assert run in fireworks(["list"], project, tmp_path).out
    status = fireworks(["status", "--json"], project, tmp_path)
    assert run in status.out
    head = fireworks(["get", "score"], project, tmp_path)
    assert "score" in head.out


def test_plan_says_what_would_run_and_why(go, project, tmp_path):
    go()
    edit(project / "tiny_model.py", "mean()", "mean() * 3")
    out = fireworks(["plan", "tiny.py:tiny"], project, tmp_path).out
    assert "tiny_model" in out
    assert 2 == out.count("cached")


ERRORS = {
    "misspelt parameter": (["tiny.py:tiny", "-p", "epoch=3"], "no parameter 'epoch'. Did you mean 'epochs'?"),
    "no such pipeline": (["tiny.py:tinny"], "no pipeline 'tinny' in tiny.py. Did you mean 'tiny'?"),
    "no such file": (["tine.py:tiny"], "no file tine.py"),
    "no such module": (["nowhere.pipelines:x"], "there is no module nowhere"),
    "source vanished": (["tiny.py:tiny", "-p", "numbers=gone.csv"], "a source must exist"),
    "forced stage unknown": (["tiny.py:tiny", "--force", "trian"], "Did you mean 'train'?"),
    "store unreachable": (["tiny.py:tiny", "--store", "/proc/nowhere"], "/proc/nowhere"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_one_line_with_a_remedy(name, project, tmp_path):
    arguments, expected = ERRORS[name]
    finished = fireworks(["run", *arguments], project, tmp_path)
    assert 1 == finished.code
    assert expected in finished.err
    assert 1 == len(finished.err.strip().splitlines())


def test_import_error_in_the_pipeline_names_what_is_missing(project, tmp_path):
    edit(project / "tiny_scale.py", '"""Two', 'import not_there\n\n"""Two')
    finished = fireworks(["run", "tiny.py:tiny"], project, tmp_path)
    assert "error: pipeline tiny.py:tiny cannot be imported: it imports not_there" in finished.err


def test_code_edited_while_workers_run_is_refused(go, project):
    edit(
        project / "tiny_scale.py",
        "    return values * factor",
        "    import pathlib\n    path = pathlib.Path(__file__).with_name('tiny_model.py')\n"
        "    path.write_text(path.read_text() + '\\n# edited\\n')\n    return values * factor",
    )
    finished = go("--runner", "processes", expect=1)
    assert "stage 'train' must be what was planned, but differs in: code tiny_model" in finished.err
