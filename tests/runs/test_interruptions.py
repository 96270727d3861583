"""Killed at each step of the protocol, and what else goes wrong under a run: named, nothing half-visible, resumable."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fireworks import load_pipeline, run
from fireworks.store import open_store
from fireworks.testing.runners import check_runner, output_hashes, twins
from fireworks.workflow.outputs import Output
from fireworks.workflow.processes import Processes
from forking import fireworks

TINY = Path(__file__).parents[1] / "projects" / "tiny"

DIE = """
import os, signal, sys
import fireworks
from fireworks.core.message.parts import PartWriter
from fireworks.workflow import execution, outputs, scheduling

step, count, spec, store = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
STEPS = {
    "part": (PartWriter, "close"),
    "commit": (outputs.Output, "commit"),
    "manifest": (outputs.Output, "publish"),
    "attempt end": (execution, "write_attempt_end"),
    "stage result": (scheduling, "write_stage_result"),
}
owner, name = STEPS[step]
original = getattr(owner, name)
calls = 0

def dying(*args, **kwargs):
    global calls
    calls += 1
    if calls == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)

setattr(owner, name, dying)
fireworks.run(fireworks.load_pipeline(spec), store=store)
"""


@pytest.fixture
def project(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks")))


def resumed(project, store, scratch):
    finished = fireworks(["run", "tiny.py:tiny", "--json", "--store", str(store)], project, scratch)
    assert 0 == finished.code, finished.err
    return json.loads(finished.out.splitlines()[-1])["stages"]


@pytest.mark.parametrize("step", ["part", "commit", "manifest", "attempt end", "stage result"])
@pytest.mark.parametrize("count", [1, 3])
def test_killed_just_before_a_step_it_resumes_and_ends_the_same(step, count, project, tmp_path):
    expected = [stage["hash"] for stage in resumed(project, tmp_path / "whole", tmp_path)]
    store = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", DIE, step, str(count), f"{project}/tiny.py:tiny", str(store)], cwd=project, check=False
    )
    assert -signal.SIGKILL == done.returncode
    manifests = [info.key for info in open_store(store).list("outputs/") if info.key.endswith("manifest.json")]
    assert len(manifests) <= count
    again = resumed(project, store, tmp_path)
    assert expected == [stage["hash"] for stage in again]
    # What was complete when the process died is not computed again.
    assert len(manifests) == sum(stage["cached"] for stage in again)


def test_processes_pass_the_conformance_suite(project, tmp_path):
    pipeline = load_pipeline(f"{project}/tiny.py:tiny")
    check_runner(lambda pipeline, store: Processes(pipeline, store, 2), pipeline, {"shards": 2}, tmp_path / "stores")


def test_stages_that_differ_by_name_alone_draw_the_same_numbers_on_every_runner(tmp_path):
    check_runner(lambda pipeline, store: Processes(pipeline, store, 2), twins, {}, tmp_path)


def test_a_run_on_s3_equals_one_on_files(project, tmp_path, s3_environment):
    pipeline = load_pipeline(f"{project}/tiny.py:tiny")
    expected = output_hashes(run(pipeline, store=tmp_path / "files"))
    store = open_store(f"s3://{s3_environment.bucket}/{tmp_path.name}")
    assert expected == output_hashes(run(pipeline, store=store, runner="processes", workers=2))
    assert all(stage.cached for stage in run(pipeline, store=store).stages)


def test_a_store_that_is_unreachable_is_said_in_one_line(project, tmp_path):
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    finished = fireworks(["run", "tiny.py:tiny", "--store", "s3://bucket/x"], project, tmp_path, **environ)
    assert 75 == finished.code
    (line,) = finished.err.strip().splitlines()
    assert line.startswith("error: ")
    assert "127.0.0.1:9" in line


FULL = """
import resource, sys
from fireworks.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
sys.exit(main(["run", "tiny.py:tiny", "--store", sys.argv[1]]))
"""


def test_a_full_disk_fails_the_stage_and_leaves_nothing_half_visible(project, tmp_path):
    store = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(store)], cwd=project, capture_output=True, text=True, check=False
    )
    assert 1 == done.returncode
    assert "error: stage 'raw' failed: no space is left for 'outputs/" in done.stderr
    assert [] == [info.key for info in open_store(store).list("outputs/")]
    assert [False] * 5 == [stage["cached"] for stage in resumed(project, store, tmp_path)]


@pytest.mark.parametrize("victim", ["part", "manifest", "commit"])
def test_a_damaged_output_is_named_and_force_mends_it(victim, project, tmp_path):
    store = open_store(tmp_path / "store")
    stages = {stage["name"]: stage for stage in resumed(project, tmp_path / "store", tmp_path)}
    output = Output(store, stages["features"]["fingerprint"])
    key = {
        "part": output.manifest().parts[0].key,
        "manifest": f"{output.prefix}manifest.json",
        "commit": f"{output.prefix}00000.json",
    }[victim]
    damaged = bytearray(store.get(key))
    damaged[len(damaged) // 2] ^= 0x10
    store.put(key, bytes(damaged))
    arguments = ["run", "tiny.py:tiny", "--store", str(tmp_path / "store"), "-p", "epochs=5"]
    finished = fireworks(arguments, project, tmp_path)
    if victim != "commit":
        assert 1 == finished.code
        assert {"part": "--force features", "manifest": "was altered"}[victim] in finished.err
    mended = fireworks([*arguments, "--force", "features", "--json"], project, tmp_path)
    assert 0 == mended.code, mended.err
    again = {stage["name"]: stage for stage in json.loads(mended.out.splitlines()[-1])["stages"]}
    assert stages["features"]["hash"] == again["features"]["hash"]
    assert not again["features"]["nondeterministic"]


def test_sigterm_lets_a_worker_save_and_the_next_attempt_goes_on(project, tmp_path):
    text = (project / "tiny_model.py").read_text()
    once = "        import os, pathlib, signal\n        done = pathlib.Path(os.environ['ONCE'])\n"
    once += "        if not done.exists() and self.training:\n"
    once += "            done.touch()\n            os.kill(os.getpid(), signal.SIGTERM)\n"
    (project / "tiny_model.py").write_text(text.replace("        out = Message", once + "        out = Message"))
    os.environ["ONCE"] = str(tmp_path / "once")
    try:
        calm = tmp_path / "once"
        calm.touch()
        pipeline = load_pipeline(f"{project}/tiny.py:tiny")
        expected = output_hashes(run(pipeline, store=tmp_path / "calm"))
        calm.unlink()
        end = run(pipeline, store=tmp_path / "stopped", runner="processes", workers=1)
    finally:
        del os.environ["ONCE"]
    assert expected == output_hashes(end)
    assert 2 == next(stage for stage in end.stages if stage.name == "train").attempts
