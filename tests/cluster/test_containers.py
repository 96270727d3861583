"""The container runner with real containers: equal outputs on all four runners, and nothing left behind.

Neighbours: `fireworks.workflow.containers`; `provider/containers.py` lets the node cluster's containerd run them.
"""

import gzip
import json
import os
import signal
import subprocess
import sys

import pytest

from cluster.provider.containers import engine_of, names_of
from cluster.provider.images import stage_image
from cluster.runs import PROPHAGES, ROOT, UNRULY
from fireworks import load_pipeline, run
from fireworks.errors import RunFailed
from fireworks.store import open_store
from fireworks.testing.runners import output_hashes
from fireworks.workflow.containers import Containers
from fireworks.workflow.history import RunFolder, list_runs
from fireworks.workflow.progress import Display
from waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# A run in a process of its own, which may be killed.
RUN = """
import json, os, signal, sys
import fireworks
from cluster.provider import choose
from cluster.provider.containers import engine_of
from cluster.provider.images import stage_image
from fireworks.store import open_store
from fireworks.workflow.containers import Containers
signal.signal(signal.SIGINT, signal.default_int_handler)
pipeline, store = fireworks.load_pipeline(sys.argv[1]), open_store(sys.argv[2])
runner = Containers(pipeline, store, 2, stage_image(), engine_of(choose(os.environ)))
fireworks.run(pipeline, json.loads(sys.argv[3]), store=store, runner=runner)
"""


# Stages that differ by name alone: one fingerprint, so one set of random numbers.
TWINS = """
import torch
import fireworks
from fireworks import Message, Pipe, Stage

class Noise(Pipe):
    random_access = False
    def __iter__(self):
        yield Message({"x": torch.rand(3)})

@fireworks.pipeline
def twins():
    return [Stage(Noise(), name="a"), Stage(Noise(), name="b")]
"""

TINY = f"{ROOT}/tests/projects/tiny/tiny.py:tiny"
SMALL = {"window": 2000, "block": 40_000, "phage_step": 200, "epochs": 2, "shards": 2}


@pytest.fixture(scope="module")
def engine(cluster):
    return engine_of(cluster)


@pytest.fixture
def contained(engine):
    """Runs a pipeline in containers."""

    def call(pipeline, store, parameters=None, **options):
        loaded = load_pipeline(str(pipeline))
        return run(
            loaded, parameters, store=store, runner=Containers(loaded, store, 2, stage_image(), engine), **options
        )

    return call


def piece(folder, length=200_000):
    """The beginning of the E. coli genome."""
    with gzip.open(PROPHAGES.with_name("data") / "ecoli-k12-mg1655.fa.gz", "rt") as file:
        bases = "".join(line.strip() for line in file if not line.startswith(">"))
    (folder / "piece.fa").write_text(f">piece\n{bases[:length]}\n")
    return str(folder / "piece.fa")


@pytest.mark.slow
def test_four_runners_agree(contained, runs, store, tmp_path, report):
    assert_four_runners_agree(TINY, {"shards": 2}, contained, runs, store, tmp_path, report)


def test_four_runners_agree_on_stages_that_differ_by_name_alone(contained, runs, store, tmp_path, report):
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "twins.py").write_text(TWINS)
    assert_four_runners_agree(f"{project}/twins.py:twins", {}, contained, runs, store, tmp_path, report)


def test_four_runners_agree_on_the_prophages(contained, runs, store, tmp_path, report):
    assert_four_runners_agree(PROPHAGES, {**SMALL, "genome": piece(tmp_path)}, contained, runs, store, tmp_path, report)


def assert_four_runners_agree(path, parameters, contained, runs, store, tmp_path, report):
    """Each runner begins with a store of its own that is empty."""
    pipeline, ends = load_pipeline(str(path)), {}
    for runner in ("inprocess", "processes"):
        ends[runner] = run(pipeline, parameters, store=tmp_path / runner, runner=runner, workers=2)
    elsewhere = open_store(f"{store.url}/containers")
    ends["container"] = contained(path, elsewhere, parameters)
    ends["argo"] = runs.wait(runs.start(path, **parameters))
    found = {runner: output_hashes(end) for runner, end in ends.items()}
    report(" " * 16, *(f"{name:>16}" for name in found))
    for stage in found["inprocess"]:
        report(f"{stage:16}", *(f"{str(hashes.get(stage))[:16]:>16}" for hashes in found.values()))
    assert [found["inprocess"]] * 4 == list(found.values())
    assert not [stage for end in ends.values() for stage in end.stages if stage.nondeterministic]
    assert all(stage.cached for stage in contained(path, elsewhere, parameters).stages)


class Seen(Display):
    def __init__(self):
        self.seen = []

    def rows(self, name, shard, rows, total):
        self.seen.append((name, rows, total))


def test_a_store_in_a_folder_is_shared_with_containers(contained, tmp_path):
    store, seen = open_store(tmp_path / "store"), Seen()
    end = contained(UNRULY, store, progress=seen)
    assert ("after", 10, 10) == seen.seen[-1]
    attempts = RunFolder(store, end.id).attempts()
    assert {f"fireworks-{attempt.start.attempt}" for attempt in attempts} == {one.start.host for one in attempts}
    here = os.getuid(), os.getgid()
    assert {here} == {(info.st_uid, info.st_gid) for info in (path.stat() for path in (tmp_path / "store").rglob("*"))}


def test_what_a_pod_may_not_do_no_container_may(contained, tmp_path):
    with pytest.raises(RunFailed, match=r"stage 'rows' failed: OSError: .*Read-only file system: '/opt/x'"):
        contained(UNRULY, open_store(tmp_path / "store"), {"how": "write:/opt/x"})


def test_a_container_out_of_memory_is_named_and_not_tried_again(contained, tmp_path):
    with pytest.raises(RunFailed, match=r"'rows' failed: .*needs more memory than the 700Mi it asks for") as caught:
        contained(UNRULY, open_store(tmp_path / "store"), {"how": "memory:", "memory": "700Mi"})
    assert 1 == caught.value.end.stages[0].attempts


def start(store, how, marks):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    parameters = json.dumps({"how": how, "times": 1, "marks": marks})
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(UNRULY), str(store), parameters], env=environment, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_when_the_runner_is_gone_so_are_its_containers_and_running_again_goes_on(contained, engine, tmp_path, number):
    store, marks = open_store(tmp_path / "store"), open_store(tmp_path / "store" / "marks")
    process = start(tmp_path / "store", "sleep:300", marks.url)
    try:
        wait_until(lambda: process.poll() is not None or list(marks.list("")), "the stage must be at work", 90)
        assert process.poll() is None, process.stderr.read().decode()
        (attempt,) = RunFolder(store, list_runs(store)[0]).attempts()
        name = f"fireworks-{attempt.start.attempt}"
        assert name in names_of(engine)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    wait_until(lambda: name not in names_of(engine), f"{name} must be gone", 10 if number == signal.SIGKILL else 1)
    end = RunFolder(store, list_runs(store)[0]).end
    assert (None if number == signal.SIGKILL else "cancelled") == (end and end.status)
    again = contained(UNRULY, store, {"how": "sleep:300", "times": 1, "marks": marks.url})
    assert "succeeded" == again.status
