"""Container engines: docker, podman, and what an engine must be able to do.

Comes in: a `Container`, from `fireworks.workflow.containers`. Goes out: command lines of the engine's client. A runner
may be given another `Engine` than the two.
"""

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from threading import Thread

from ..errors import ParameterError

__all__ = ["Container", "Docker", "Engine", "Podman", "find_engine", "telling"]

_ANSWERS_S, _STOPS_S = 20.0, 60.0


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container that runs Python.

    Args:
        arguments: Of ``python``.
        user: User and group id.
        environ: Variables with values that everybody may see.
        passed: Variables whose values are taken from this process, and stand on no command line.
        folders: Path there → folder here, all writable.
        workdir: Path there.
        cpu: Its weight where processors are short; no limit.
        memory_bytes: A limit, which what is in /dev/shm counts towards.
        host_network: Whether ``localhost`` is this machine.
    """

    name: str
    image: str
    arguments: tuple[str, ...]
    user: tuple[int, int]
    environ: Mapping[str, str] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    workdir: str = "/"
    cpu: float = 1
    memory_bytes: int
    gpu: int = 0
    host_network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


class Engine(ABC):
    """Runs containers on this machine, or where files of this machine are seen under the same paths."""

    name: str

    @abstractmethod
    def has(self, image: str) -> bool:
        """Whether the image is there."""

    @abstractmethod
    def pull(self, image: str) -> None:
        """Fetch it from its registry.

        Raises:
            ParameterError: If it cannot be had.
        """

    @abstractmethod
    def command(self, container: Container) -> list[str]:
        """What runs the container in the foreground.

        It passes on stdin, stdout and stderr, ends with the container's exit code, and leaves nothing behind. stdin of
        the container closes when that of the command does.
        """

    @abstractmethod
    def stop(self, name: str, grace_s: float) -> None:
        """Send a container SIGTERM, and SIGKILL after the grace. Returns at once."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Kill and remove a container, in whatever state it is; it may be gone."""


@dataclass(frozen=True)
class Docker(Engine):
    """Docker, by its client.

    Args:
        rootless: Its daemon is this user's own: root in a container is this user outside.
    """

    rootless: bool = False
    name = "docker"

    def has(self, image: str) -> bool:
        return _ask(self.name, "image", "inspect", "--format={{.Id}}", image).returncode == 0

    def pull(self, image: str) -> None:
        done = _ask(self.name, "pull", "--quiet", image, limit_s=None)
        if done.returncode:
            raise ParameterError(
                f"an image must be on this machine or in a registry, but {self.name} cannot get {image}:"
                f" {_reason(done)}. Check its name, or build it."
            )

    def command(self, container: Container) -> list[str]:
        return [
            *(self.name, "run", "--rm", "--interactive", f"--name={container.name}", f"--hostname={container.name}"),
            *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
            # Where SELinux is: folders of a person are not to be labelled anew.
            "--security-opt=label=disable",
            f"--cpu-shares={max(2, ceil(container.cpu * 1024))}",
            # The same twice: no swap, as in a pod.
            *(f"--memory={container.memory_bytes}", f"--memory-swap={container.memory_bytes}"),
            f"--shm-size={container.memory_bytes}",
            *self._user(*container.user),
            *self._gpus(container.gpu),
            *(["--network=host"] if container.host_network else []),
            *(f"--label={name}={value}" for name, value in container.labels.items()),
            *(f"--mount=type=bind,source={here},target={there}" for there, here in container.folders.items()),
            *(f"--env={name}={value}" for name, value in container.environ.items()),
            *(f"--env={name}" for name in container.passed),
            *(f"--workdir={container.workdir}", "--entrypoint=python", container.image, *container.arguments),
        ]

    def stop(self, name: str, grace_s: float) -> None:
        command = (self.name, "stop", f"-t={ceil(grace_s)}", name)
        Thread(target=_ask, args=command, kwargs={"limit_s": grace_s + _STOPS_S}, daemon=True).start()

    def remove(self, name: str) -> None:
        # podman's `rm --force` alone begins with SIGTERM and ten seconds of waiting.
        for verb in (("kill",), ("rm", "--force")):
            _ask(self.name, *verb, name, limit_s=_STOPS_S)

    def _user(self, user: int, group: int) -> list[str]:
        return ["--user=0:0"] if self.rootless else [f"--user={user}:{group}"]

    def _gpus(self, number: int) -> list[str]:
        return [f"--gpus={number}"] if number else []


@dataclass(frozen=True)
class Podman(Docker):
    """podman. Without root, users in its containers are others outside, but for the one that is kept."""

    name = "podman"

    def _user(self, user: int, group: int) -> list[str]:
        return [*(["--userns=keep-id"] if self.rootless else []), f"--user={user}:{group}"]

    def _gpus(self, number: int) -> list[str]:
        return [f"--device=nvidia.com/gpu={index}" for index in range(number)]


def find_engine() -> Engine:
    """Docker or podman, whichever answers first: the client alone runs no container.

    Raises:
        ParameterError: If none does.
    """
    reasons = []
    if shutil.which("docker"):
        done = _ask("docker", "info", "--format={{.ServerVersion}} {{.SecurityOptions}}")
        # Some clients that reach no daemon complain, print what they have of the template, and call that a success.
        if done.returncode == 0 and done.stdout.partition(b" ")[0].strip():
            return Docker(rootless=b"name=rootless" in done.stdout)
        reasons.append(f"docker does not ({_reason(done)})")
    if shutil.which("podman"):
        done = _ask("podman", "info", "--format={{.Version.Version}}")
        if done.returncode == 0 and done.stdout.strip():
            return Podman(rootless=os.geteuid() != 0)
        reasons.append(f"podman does not ({_reason(done)})")
    if reasons:
        raise ParameterError(
            f"a container engine must answer, but {' and '.join(reasons)}. Start it, or use --runner processes."
        )
    raise ParameterError(
        "containers need docker or podman, but neither is installed. Install one, or use --runner processes."
    )


def _ask(*command: str, limit_s: float | None = _ANSWERS_S) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, start_new_session=True, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, b"", f"no answer within {limit_s:g} s".encode())


def telling(lines: Iterable[str]) -> str:
    """The line that says most: the last one that is not advice; shortened."""
    found = [line.strip() for line in lines if line.strip() and "--help" not in line]
    return found[-1].rstrip(".")[:300] if found else "nothing was printed"


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    return telling(done.stderr.decode(errors="replace").splitlines())
