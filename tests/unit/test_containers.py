"""The container runner, with an engine whose containers are processes of this machine.

Neighbours: `fireworks.workflow.containers`; tests/cluster/test_containers.py has real containers.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fireworks import load_pipeline, run
from fireworks.cli import main
from fireworks.errors import ParameterError, RunFailed
from fireworks.records import Resources, StagePlan
from fireworks.store import open_store
from fireworks.testing.runners import output_hashes
from fireworks.workflow import cut
from fireworks.workflow.containers import Containers, _needs_host_network, memory_bytes
from fireworks.workflow.engines import Engine
from fireworks.workflow.history import RunFolder
from fireworks.workflow.jobs import Job
from fireworks.workflow.progress import Display

PIPELINE = '''
"""Counts the lines of a file, one stage after the other."""
import torch

import fireworks
from fireworks import File, HookedPassThroughPipe, Message, Pipe, Resources, Stage


class Lines(Pipe):
    random_access = True

    def __init__(self, file):
        super().__init__(None)
        self.file = file

    def __len__(self):
        with self.file.open() as stream:
            return len(stream.read().split())

    def __getitem__(self, index):
        return Message({"x": torch.arange(len(self))[index]})


@fireworks.pipeline
def lines(
    file: File = File("lines.txt"), memory: str = "1Gi", image: str = "", timeout: float = 0, secret: bool = False
):
    options = {"resources": Resources(memory=memory), "image": image or None, "timeout": timeout or None, "grace": 1}
    options |= {"env": {"WORD": "a b"}, "secrets": {"TOKEN": "hub/token"} if secret else {}}
    rows = Stage(Lines(file), name="rows", shards=2, **options)
    return Stage(rows >> Pipe(), name="copy", **options)
'''


class Processes(Engine):
    """Its containers are processes, which see their scratch folder elsewhere.

    Args:
        command: What runs instead.
    """

    name = "processes"

    def __init__(self, command=None, images=("stage:1",)):
        self.instead, self.images = command, images
        self.containers, self.calls = [], []

    def has(self, image):
        return image in self.images

    def pull(self, image):
        raise ParameterError(f"no {image} here.")

    def command(self, container):
        self.containers.append(container)
        if self.instead:
            return ["sh", "-c", self.instead]
        scratch = str(container.folders["/scratch"])
        arguments = [word.replace("/scratch", scratch) for word in container.arguments]
        environ = {name: value.replace("/scratch", scratch) for name, value in container.environ.items()}
        return [
            "env",
            f"--chdir={scratch}",
            *(f"{name}={value}" for name, value in environ.items()),
            sys.executable,
            *arguments,
        ]

    def stop(self, name, grace_s):
        self.calls.append(("stop", name, grace_s))

    def remove(self, name):
        self.calls.append(("remove", name))


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.fireworks]\n")
    (folder / "counting.py").write_text(PIPELINE)
    (folder / "lines.txt").write_text("a\nb\nc\n")
    for name in ("FIREWORKS_STORE", "FIREWORKS_PROFILE", "FIREWORKS_IMAGE", "TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def pipeline(project):
    return load_pipeline(f"{project}/counting.py:lines")


class Seen(Display):
    def __init__(self):
        self.rows_of, self.notices = {}, []

    def rows(self, name, shard, rows, total):
        self.rows_of.setdefault((name, shard), []).append((rows, total))

    def notice(self, text):
        self.notices.append(text)


def test_outputs_equal_those_of_a_process_and_code_comes_from_the_store(pipeline, project, tmp_path):
    expected = output_hashes(run(pipeline, store=tmp_path / "inprocess"))
    store, engine, seen = open_store(tmp_path / "store"), Processes(), Seen()
    (project / "data.csv").write_text("0" * 2_000_000)
    end = run(pipeline, store=store, runner=Containers(pipeline, store, 2, "stage:1", engine), progress=seen)
    assert expected == output_hashes(end)
    assert "container" == RunFolder(store, end.id).record.runner
    assert RunFolder(store, end.id).plan.code is not None
    assert {(0, 0), (3, 3)} == {seen.rows_of["rows", shard][-1] for shard in range(2)}
    assert ["warning: data.csv is 2.0 MB"] == [text[:27] for text in seen.notices]
    assert not any(str(project) in word for one in engine.containers for word in one.arguments)
    assert not any(one.folders["/scratch"].exists() for one in engine.containers)
    again = Containers(pipeline, store, 2, "elsewhere:1", engine)
    assert all(stage.cached for stage in run(pipeline, store=store, runner=again).stages)


def runner_of(pipeline, store, command="exit 0", **options):
    return Containers(pipeline, open_store(store), 2, **{"image": "stage:1", "engine": Processes(command)} | options)


def job_of(pipeline, store, **parameters):
    plan = cut(pipeline, parameters)
    return Job(plan=plan, stage=plan.stage("rows"), shard=1, store=open_store(store), run_id="lines-1")


def container_of(runner, job):
    with runner.worker(job) as worker:
        worker.process.communicate()
    return runner._engine.containers[-1]


def test_a_container_is_told_what_a_pod_is(pipeline, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "hidden")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("AWSOME", "1")
    (tmp_path / "store").mkdir()
    job = job_of(pipeline, tmp_path / "store", secret=True, memory="1.5Gi")
    made = container_of(runner_of(pipeline, tmp_path / "store"), job)
    assert f"fireworks-{job.id}" == made.name
    assert (os.geteuid(), os.getegid()) == made.user
    assert {"TMPDIR": "/scratch", "HOME": "/scratch", "USER": "fireworks", "WORD": "a b"} == made.environ
    assert {"AWS_SECRET_ACCESS_KEY", "TOKEN", "https_proxy"} <= set(made.passed)
    assert "AWSOME" not in made.passed
    assert tmp_path / "store" == made.folders[str(tmp_path / "store")]
    assert 3 * 2**29 == made.memory_bytes
    assert {"fireworks.io/run": "lines-1", "fireworks.io/stage": "rows", "fireworks.io/shard": "1"} == made.labels
    assert "--attached" in made.arguments


def test_with_a_store_elsewhere_root_is_nobody_in_a_container(pipeline, monkeypatch):
    store = open_store("s3://bucket/x")
    runner = Containers(pipeline, store, 1, "stage:1", Processes("exit 0"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (8737, 8737) == runner._user()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert 1000 == runner._user()[0]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://localhost:9000", True),
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://10.0.0.1:9000", False),
        ("", False),
    ],
)
def test_a_store_on_this_machine_alone_takes_its_network(endpoint, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert expected == _needs_host_network({"AWS_ENDPOINT_URL": endpoint})
    monkeypatch.setattr(sys, "platform", "darwin")
    if expected:
        with pytest.raises(ParameterError, match="is theirs, not this machine's. Set AWS_ENDPOINT_URL"):
            _needs_host_network({"AWS_ENDPOINT_URL": endpoint})


@pytest.mark.parametrize(
    ("options", "parameters", "message"),
    [
        ({"image": None}, {}, r"stage 'rows' has none\. Pass --image, or set `image`"),
        ({}, {"secret": True}, r"must be in the environment, but stage 'rows' finds no TOKEN\. Export"),
        ({}, {"image": "own:1"}, r"no own:1 here"),
    ],
)
def test_what_containers_lack_is_said_before_anything_runs(pipeline, tmp_path, options, parameters, message):
    with pytest.raises(ParameterError, match=message):
        run(pipeline, parameters, store=tmp_path / "x", runner=runner_of(pipeline, tmp_path / "x", **options))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("store", "message"), [("memory://x", "got memory://x"), ("/tmp/a,b", "comma in its path")])
def test_stores_that_containers_cannot_have(pipeline, store, message):
    with pytest.raises(ParameterError, match=message):
        runner_of(pipeline, store)


@pytest.mark.parametrize(
    ("text", "expected"), [("2Gi", 2**31), ("500M", 500_000_000), ("1.5Ki", 1536), ("1e6", 10**6), ("7", 7)]
)
def test_quantities(pipeline, text, expected):
    assert expected == memory_bytes(cut(pipeline, {"memory": text}).stage("rows"))


def test_a_plan_of_no_quantity_is_refused():
    stage = StagePlan(name="rows", recipe="", ingredients={}, resources=Resources(memory="2GB"))
    with pytest.raises(ParameterError, match=r"`memory` must be a quantity such as 2Gi or 500M, but stage 'rows' asks"):
        memory_bytes(stage)


NO_MODULE = "python: Error while finding module specification (ModuleNotFoundError: No module named 'fireworks')"


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("exit 137", r"needs more memory than the 1Gi it asks for\. Raise Resources\(memory=…\), or use more shards"),
        (f'echo "{NO_MODULE}"; exit 1', r"must hold fireworks, but stage:1 does not\. Build it FROM"),
        ("echo 'x: error: unrecognized arguments: --progress'; exit 2", "hold this version of fireworks, but stage:1"),
        (
            "echo 'exec: python: not found'; exit 127",
            "hold a `python` .* but stage:1 does not: exec: python: not found",
        ),
        ("echo 'docker: no room.'; echo \"See 'docker run --help'\"; exit 125", "could not run .*: docker: no room"),
        ("echo 'Error: rlimits: not permitted'; exit 126", "could not run .*: Error: rlimits: not permitted"),
        ("echo oh; exit 3", "ended with exit code 3: oh"),
    ],
)
def test_containers_that_end_without_a_word_are_explained(pipeline, tmp_path, command, cause):
    with pytest.raises(RunFailed, match=cause) as caught:
        run(pipeline, store=tmp_path / "x", runner=runner_of(pipeline, tmp_path / "x", command))
    assert 2 == sum(stage.attempts for stage in caught.value.end.stages)


def test_one_that_takes_too_long_is_asked_then_removed(pipeline, tmp_path):
    engine = Processes("exec sleep 60")
    runner = runner_of(pipeline, tmp_path / "x", engine=engine)
    with pytest.raises(RunFailed, match=r"took longer than its timeout of 0\.5 s; raise Stage"):
        run(pipeline, {"timeout": 0.5}, store=tmp_path / "x", runner=runner)
    names = {container.name for container in engine.containers}
    assert {("stop", name, 1.0) for name in names} <= set(engine.calls)
    assert {("remove", name) for name in names} <= set(engine.calls)


def test_a_container_whose_client_was_killed_is_removed(pipeline, tmp_path):
    engine = Processes("kill -KILL $$")
    runner = runner_of(pipeline, tmp_path / "x", engine=engine)
    (tmp_path / "x").mkdir()
    with runner.worker(job_of(pipeline, tmp_path / "x")) as worker:
        worker.process.communicate()
    assert -signal.SIGKILL == worker.process.returncode
    assert [("remove", engine.containers[0].name)] == engine.calls


def test_the_command_line_takes_runner_and_image(project, monkeypatch, capfd):
    monkeypatch.chdir(project)
    monkeypatch.setenv("PATH", str(project))
    assert 1 == main(["run", "counting.py:lines", "--runner", "container", "--image", "stage:1"])
    assert "containers need docker or podman, but neither is installed" in capfd.readouterr().err
    client = project / "docker"
    client.write_text('#!/bin/sh\necho "$@"\n')
    client.chmod(0o755)
    assert 1 == main(["run", "counting.py:lines", "--runner", "container"])
    assert "stage 'rows' has none. Pass --image" in capfd.readouterr().err


def test_the_end_of_the_runner_is_the_end_of_its_workers(tmp_path):
    # What `--attached` does: no signal, which the first process of a container would not get.
    command = [sys.executable, "-m", "fireworks.workflow.stage", "--plan", f"{tmp_path}/runs/x/plan.json"]
    process = subprocess.Popen(
        [*command, "--stage", "x", "--attached"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert process.wait(60) in {137, 1}


def test_project_files_stay_where_they_are(pipeline, project, tmp_path):
    (project / ".env").write_text("TOKEN=1")
    with pytest.raises(Exception, match="secrets must not travel with code"):
        run(pipeline, store=tmp_path / "x", runner=runner_of(pipeline, tmp_path / "x"))
    assert Path(project / ".env").exists()
