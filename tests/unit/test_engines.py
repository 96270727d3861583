"""Docker and podman by their command lines; programs that stand in for them write down how they were called.

Neighbours: `fireworks.workflow.engines`; tests/cluster/test_containers.py runs real containers.
"""

import stat
import time
from pathlib import Path

import pytest

from fireworks.errors import ParameterError
from fireworks.workflow.engines import Container, Docker, Podman, find_engine, telling

CONTAINER = Container(
    name="fireworks-0123456789ab",
    image="stage:1",
    arguments=("-m", "fireworks.workflow.stage"),
    user=(1000, 100),
    environ={"HOME": "/scratch"},
    passed=("AWS_REGION", "TOKEN"),
    folders={"/scratch": Path("/tmp/fireworks-x"), "/data/store": Path("/data/store")},
    workdir="/scratch",
    cpu=0.5,
    memory_bytes=2**31,
    labels={"fireworks.io/run": "tiny-1"},
)
DOCKER = """
docker run --rm --interactive --name=fireworks-0123456789ab --hostname=fireworks-0123456789ab
--read-only --cap-drop=ALL --security-opt=no-new-privileges --security-opt=label=disable
--cpu-shares=512 --memory=2147483648 --memory-swap=2147483648 --shm-size=2147483648 --user=1000:100
--label=fireworks.io/run=tiny-1
--mount=type=bind,source=/tmp/fireworks-x,target=/scratch --mount=type=bind,source=/data/store,target=/data/store
--env=HOME=/scratch --env=AWS_REGION --env=TOKEN --workdir=/scratch
--entrypoint=python stage:1 -m fireworks.workflow.stage
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Makes programs that write down how they were called; they alone are on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}")

    def make(name, answer=""):
        path = tmp_path / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>{tmp_path}/calls\n{answer}\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    make.calls = lambda: (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    return make


def test_docker_runs_a_container_as_a_pod_would_be():
    assert DOCKER.split() == Docker().command(CONTAINER)


def changed(**changes):
    return Container(**{**{name: getattr(CONTAINER, name) for name in CONTAINER.__dataclass_fields__}, **changes})


@pytest.mark.parametrize(
    ("engine", "changes", "expected", "left_out"),
    [
        (Docker(), {"gpu": 2}, {"--gpus=2"}, set()),
        (Docker(), {"host_network": True}, {"--network=host"}, set()),
        (Docker(), {"cpu": 0.0001}, {"--cpu-shares=2"}, set()),
        (Docker(rootless=True), {}, {"--user=0:0"}, {"--user=1000:100"}),
        (Podman(), {"gpu": 2}, {"--device=nvidia.com/gpu=0", "--device=nvidia.com/gpu=1"}, {"--gpus=2"}),
        (Podman(), {}, {"podman", "--user=1000:100"}, {"--userns=keep-id"}),
        (Podman(rootless=True), {}, {"--userns=keep-id", "--user=1000:100"}, set()),
    ],
)
def test_what_differs(engine, changes, expected, left_out):
    command = engine.command(changed(**changes))
    assert expected <= set(command)
    assert set() == left_out & set(command)


def test_values_of_variables_that_are_passed_stand_on_no_command_line(monkeypatch):
    monkeypatch.setenv("TOKEN", "hidden")
    assert not any("hidden" in word for word in Docker().command(CONTAINER))


DEAD = "echo 'Cannot connect to the daemon.' >&2; exit 1"


@pytest.mark.parametrize(
    ("docker", "podman", "expected"),
    [
        ("echo 28.2 [name=seccomp]", None, Docker()),
        ("echo 28.2 [name=seccomp name=rootless]", "echo 4.3", Docker(rootless=True)),
        (DEAD, "echo 4.3", Podman),
        ("exit 0", "echo 4.3", Podman),  # An old client says its lack of a daemon on stderr alone.
        ("echo ' []'", "echo 4.3", Podman),  # So does another, which prints what it has of the template.
        (None, "echo 4.3", Podman),
    ],
)
def test_the_engine_that_answers_is_taken(programs, docker, podman, expected):
    for name, answer in (("docker", docker), ("podman", podman)):
        if answer is not None:
            programs(name, answer)
    found = find_engine()
    assert expected == (found if isinstance(expected, Docker) else type(found))


def test_without_an_engine_both_are_named(programs):
    with pytest.raises(ParameterError, match=r"docker or podman, but neither is installed\. Install one"):
        find_engine()
    programs("docker", DEAD)
    programs("podman", "echo 'no runtime' >&2; exit 125")
    with pytest.raises(
        ParameterError,
        match=r"docker does not \(Cannot connect to the daemon\) and podman does not \(no runtime\)\. Start",
    ):
        find_engine()


def test_a_podman_that_reaches_no_service_is_none(programs):
    programs("podman", "echo; echo 'Error: unable to connect to Podman socket' >&2")
    with pytest.raises(ParameterError, match=r"podman does not \(Error: unable to connect to Podman socket\)"):
        find_engine()


def test_images_are_looked_for_and_fetched(programs):
    programs("docker", 'case "$*" in *there*) ;; *) echo "Error: denied" >&2; exit 1;; esac')
    assert [True, False] == [Docker().has(image) for image in ("there:1", "nowhere:1")]
    Docker().pull("there:2")
    with pytest.raises(
        ParameterError, match=r"docker cannot get nowhere:1: Error: denied\. Check its name, or build it"
    ):
        Docker().pull("nowhere:1")
    assert "docker pull --quiet there:2" in programs.calls()


def test_stopping_returns_at_once_and_removing_takes_whatever_is_left(programs):
    programs("podman", "/bin/sleep 1")
    started = time.monotonic()
    Podman().stop("one", 2.5)
    assert time.monotonic() - started < 1
    Podman().remove("one")
    assert {"podman stop -t=3 one", "podman kill one", "podman rm --force one"} == set(programs.calls())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["docker: no such image.", "", "Run 'docker run --help' for more information"], "docker: no such image"),
        ([], "nothing was printed"),
    ],
)
def test_the_line_that_says_most(lines, expected):
    assert expected == telling(lines)
