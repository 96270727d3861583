"""A plan whose code and sources travel through the store, as to a pod. Neighbours: `fireworks.workflow.shipping`."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fireworks import load_pipeline, run
from fireworks.errors import ObjectNotFound, PackageError, RebuildError, SourceChanged
from fireworks.records import RunRecord
from fireworks.store import open_store
from fireworks.testing.runners import output_hashes
from fireworks.workflow import cut
from fireworks.workflow.history import RunFolder, plan_url, write_run
from fireworks.workflow.packing import pack
from fireworks.workflow.shipping import Shipped, code_key, pack_for, ship, source_key

TINY = Path(__file__).parents[1] / "projects" / "tiny"


@pytest.fixture
def project(tmp_path):
    return Path(shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("__pycache__", ".fireworks")))


@pytest.fixture
def pipeline(project):
    return load_pipeline(f"{project}/tiny.py:tiny")


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store")


def shipped(pipeline, store):
    plan = cut(pipeline)
    return ship(plan, pack_for(plan, pipeline.project), pipeline.project, store)


def recorded(plan, store):
    record = RunRecord(
        id="tiny-1",
        pipeline="tiny",
        parameters=plan.parameters,
        seed=0,
        sample=None,
        runner="argo",
        host="here",
        started_at=1.0,
        stages=tuple(stage.name for stage in plan.stages),
    )
    write_run(store, record, plan)
    return plan_url(store.url, record.id)


def stage(url, name, folder, *more):
    """The entrypoint as a pod runs it: in a folder without the project."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "fireworks.workflow.stage", "--plan", url, "--stage", name, *more]
    environ = {**os.environ, "TMPDIR": str(folder), "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_a_plan_runs_where_its_project_is_not(pipeline, store, project, tmp_path):
    expected = output_hashes(run(pipeline, store=tmp_path / "elsewhere"))
    url = recorded(shipped(pipeline, store), store)
    shutil.rmtree(project)
    facts = {}
    for names in ("raw", "features,train", "score", "report"):
        done = stage(url, names, tmp_path / "pod", "--facts", str(tmp_path / "facts" / names))
        assert 0 == done.returncode, done.stderr
        facts[names] = {path.name: path.read_text() for path in (tmp_path / "facts" / names).iterdir()}
    assert [] == list((tmp_path / "pod").iterdir())
    ended = {attempt.start.stage: attempt.end for attempt in RunFolder(store, "tiny-1").attempts()}
    assert set(expected) == set(ended)
    closing = [sys.executable, "-m", "fireworks.workflow.finish", "--plan", url, "--status", "Succeeded"]
    subprocess.run(closing, check=True)
    end = RunFolder(store, "tiny-1").end
    assert expected == output_hashes(end)
    assert "succeeded" == end.status
    score = next(result for result in end.stages if result.name == "score")
    assert {"rows": str(score.rows), "hash": ended["score"].hash} == {
        key: facts["score"][key] for key in ("rows", "hash")
    }
    assert f"{store.url}/outputs/{score.fingerprint}/" == facts["score"]["url"]


def test_a_stage_that_fails_among_several_ends_the_pod(pipeline, store, tmp_path):
    url = recorded(shipped(pipeline, store), store)
    done = stage(url, "features,raw", tmp_path / "pod")
    assert 1 == done.returncode
    assert "stage 'features' reads stage 'raw', which has no output yet" in done.stderr
    assert [] == list(store.list("runs/tiny-1/attempts/raw/"))


def test_what_is_committed_needs_no_torch(pipeline, store, tmp_path, monkeypatch):
    url = recorded(shipped(pipeline, store), store)
    assert 0 == stage(url, "raw", tmp_path / "pod").returncode
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise RuntimeError('torch was imported')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    done = stage(url, "raw", tmp_path / "pod", "--facts", str(tmp_path / "facts"))
    assert 0 == done.returncode, done.stderr
    assert [False, True] == [attempt.end.cached for attempt in RunFolder(store, "tiny-1").attempts()]
    assert "torch was imported" in stage(url, "features", tmp_path / "pod").stderr


LATE = """
import atexit, threading, time
import fireworks
from fireworks import Message, Pipe, Stage

class Kept:
    def __del__(self):
        print("taken apart")

class Rows(Pipe):
    random_access = False

    def __iter__(self):
        global kept
        kept = Kept()
        threading.Thread(target=lambda: (time.sleep(1), print("a thread"))).start()
        atexit.register(print, "at exit")
        yield Message({"x": [1]})

@fireworks.pipeline
def late():
    return Stage(Rows(), name="rows")
"""


def test_a_stage_s_process_ends_after_all_else_and_takes_nothing_apart(store, tmp_path):
    """Which takes longer than a small stage."""
    project = tmp_path / "late"
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "late.py").write_text(LATE)
    url = recorded(shipped(load_pipeline(f"{project}/late.py:late"), store), store)
    done = stage(url, "rows", tmp_path / "pod")
    assert (0, "a thread\nat exit\n", "") == (done.returncode, done.stdout, done.stderr)


def test_everything_is_uploaded_once(pipeline, store):
    first = shipped(pipeline, store)
    before = {info.key: info.modified_at for info in store.list("")}
    assert first == shipped(pipeline, store)
    assert before == {info.key: info.modified_at for info in store.list("")}
    [source] = first.sources
    assert {code_key(first.code), source_key(source.objects[0])} == set(before)


def test_sources_are_not_in_the_package(pipeline, project):
    assert "data/numbers.csv" in pack(project).names
    assert "data/numbers.csv" not in pack_for(cut(pipeline), project).names


def test_code_that_git_ignores_is_missed_before_anything_runs(pipeline, project):
    (project / ".gitignore").write_text("tiny_scale.py\n")
    subprocess.run(["git", "init", str(project)], check=True, capture_output=True)
    with pytest.raises(PackageError, match="all code that stages need must travel, but git ignores tiny_scale"):
        pack_for(cut(pipeline), project)


def test_a_source_that_changes_before_it_is_sent_is_refused(pipeline, store, project):
    plan = cut(pipeline)
    package = pack_for(plan, project)
    (project / "data" / "numbers.csv").write_text("1,2\n")
    with pytest.raises(SourceChanged, match="has changed since the plan was made. Submit again"):
        ship(plan, package, project, store)
    assert [] == list(store.list("sources/"))
    (project / "data" / "numbers.csv").unlink()
    with pytest.raises(SourceChanged, match="has vanished"):
        ship(plan, package, project, store)


def test_what_was_altered_in_the_store_is_not_used(pipeline, store, tmp_path):
    plan = shipped(pipeline, store)
    item = plan.sources[0].objects[0]
    store.put(source_key(item), b"1,2\n")
    store.put(code_key(plan.code), b"evil")
    there = Shipped(store, tmp_path / "scratch")
    with pytest.raises(SourceChanged, match="is damaged. Submit again"):
        there.source(item)
    with pytest.raises(PackageError, match="must have the hash it is named by"):
        there.code(plan.code)
    store.delete([code_key(plan.code)])
    with pytest.raises(ObjectNotFound, match="is gone. Submit again"):
        there.code(plan.code)


def test_other_code_under_the_same_plan_is_refused(pipeline, store, project, tmp_path):
    plan = shipped(pipeline, store)
    (project / "tiny_scale.py").write_text((project / "tiny_scale.py").read_text() + "\nOTHER = 1\n")
    changed = pack(project)
    store.put(code_key(changed.hash), changed.data)
    url = recorded(replace(plan, code=changed.hash), store)
    done = stage(url, "raw", tmp_path / "pod")
    assert 1 == done.returncode
    assert "must be what was planned, but differs in: code tiny_scale" in done.stderr
    assert RebuildError.__name__ not in done.stderr


def test_a_forced_stage_is_computed_again(pipeline, store, tmp_path):
    plan = shipped(pipeline, store)
    url = recorded(replace(plan, force=("raw",)), store)
    for _ in range(2):
        assert 0 == stage(url, "raw", tmp_path / "pod").returncode
    ends = [attempt.end for attempt in RunFolder(store, "tiny-1").attempts()]
    assert [False, False] == [end.cached for end in ends]


def test_finish_names_what_the_cluster_saw(pipeline, store, tmp_path):
    url = recorded(shipped(pipeline, store), store)
    assert 0 == stage(url, "raw", tmp_path / "pod").returncode
    failures = [
        {"displayName": "features(0:0)", "message": "main: OOMKilled (exit code 137)", "phase": "Failed"},
        {"displayName": "dag", "message": "child failed"},
    ]
    command = [sys.executable, "-m", "fireworks.workflow.finish", "--plan", url, "--status", "Failed"]
    done = subprocess.run([*command, "--failures", json.dumps(failures)], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    results = {result.name: result for result in RunFolder(store, "tiny-1").end.stages}
    assert ("succeeded", "failed", "cancelled") == tuple(results[name].status for name in ("raw", "features", "train"))
    killed = "main: OOMKilled (exit code 137): it used all of the 2Gi of memory that it asks for."
    assert f"{killed} Raise Resources(memory=…), or use more shards." == results["features"].cause


def test_finish_needs_a_plan(tmp_path):
    command = [sys.executable, "-m", "fireworks.workflow.finish", "--status", "Failed", "--plan"]
    for url, message in (
        ("nowhere", "--plan must be <store>"),
        (f"{tmp_path}/runs/x/plan.json", "an object must be there to be read"),
    ):
        done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
        assert 1 == done.returncode
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
