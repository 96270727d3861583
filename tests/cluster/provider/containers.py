"""Containers beside the pods: the node cluster's containerd as an engine of the container runner.

Comes in: the runner's `Container`s. Goes out: command lines of `ctr`, and of the runc that it is given here.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from uuid import uuid4

from fireworks.errors import ParameterError
from fireworks.workflow.engines import Container, Engine, find_engine

from .cgroups import GROUP
from .commands import run
from .containerd import ctr, image_names, socket
from .interface import ClusterError, Provider
from .node import Node
from .packages import find_program
from .settings import Settings

# `ctr` cannot say who a container runs as, nor drop what a default container may: runc's bundle is told here.
_RUNC = """#!{python} -IS
import json, os, sys
arguments = sys.argv[1:]
if "create" in arguments:
    path = os.path.join(arguments[arguments.index("--bundle") + 1], "config.json")
    with open(path) as file:
        config = json.load(file)
    settled = json.loads(config["annotations"]["fireworks"])
    config["process"] |= {{"user": settled["user"], "capabilities": {{}}}}
    config["hostname"] = settled["hostname"]
    with open(path, "w") as file:
        json.dump(config, file)
os.execv("{runc}", ["{runc}", *arguments])
"""


@dataclass(frozen=True)
class NodeContainers(Engine):
    """Runs containers by `ctr run`, on the node's own network."""

    settings: Settings
    name = "ctr"

    def has(self, image: str) -> bool:
        return image in image_names(self.settings)

    def pull(self, image: str) -> None:
        raise ParameterError(f"an image must be loaded, but {image} is not. Run: make images")

    def command(self, container: Container) -> list[str]:
        user, group = container.user
        settled = {"user": {"uid": user, "gid": group}, "hostname": container.name}
        shm = f"type=tmpfs,src=shm,dst=/dev/shm,options=mode=1777:size={container.memory_bytes}"
        environ = {**container.environ, **{name: os.environ[name] for name in container.passed}}
        return [
            *(*self._ctr(), "run", "--rm", "--read-only", "--net-host"),
            *(f"--runc-binary={self._runc()}", f"--runc-root={self.settings.run / 'runc'}"),
            f"--cgroup=/{GROUP}/containers/{container.name}",
            f"--annotation=fireworks={json.dumps(settled, separators=(',', ':'))}",
            *(f"--memory-limit={container.memory_bytes}", f"--mount={shm}"),
            *(f"--label={name}={value}" for name, value in container.labels.items()),
            *(f"--mount=type=bind,src={h},dst={t},options=rbind:rw" for t, h in container.folders.items()),
            *(f"--env={name}={value}" for name, value in environ.items()),
            *(f"--cwd={container.workdir}", container.image, container.name, "python", *container.arguments),
        ]

    def stop(self, name: str, grace_s: float) -> None:
        # After the grace the runner removes it.
        Thread(target=self._try, args=("tasks", "kill", "--signal=SIGTERM", name), daemon=True).start()

    def remove(self, name: str) -> None:
        self._try("tasks", "delete", "--force", name)
        self._try("containers", "delete", name)

    def _ctr(self) -> tuple[str, ...]:
        return str(find_program("ctr")), f"--address={socket(self.settings)}", "--namespace=k8s.io"

    def _try(self, *arguments: str) -> None:
        try:
            run(*self._ctr(), *arguments, limit_s=60)
        except ClusterError:  # It is gone.
            return

    def _runc(self) -> Path:
        path = self.settings.run / "runc-of-containers"
        text = _RUNC.format(python=sys.executable, runc=find_program("runc"))
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            # Two threads may begin a container at once.
            unfinished = path.with_suffix(f".{uuid4().hex}")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.chmod(0o755)
            unfinished.replace(path)
        return path


def engine_of(provider: Provider) -> Engine:
    """What runs containers beside a cluster of this machine."""
    return NodeContainers(provider.settings) if isinstance(provider, Node) else find_engine()


def names_of(engine: Engine) -> list[str]:
    """The containers that are there, in whatever state."""
    if isinstance(engine, NodeContainers):
        return ctr(engine.settings, "containers", "list", "--quiet").split()
    return run(engine.name, "ps", "--all", "--format={{.Names}}").split()
