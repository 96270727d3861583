"""The container runner: each shard in a container of its own, as in a pod, on this machine.

Code and source files travel by content, as to a cluster; plan, code and rows are read from the store.
Comes in: jobs of `fireworks.workflow.scheduling`. Goes out: containers of `fireworks.workflow.engines` that run
`fireworks.workflow.stage`, watched by `fireworks.workflow.workers`.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import ParameterError
from ..records import Plan, StagePlan
from ..store import Store
from ..store.files import FileStore
from .engines import Container, Engine, find_engine, telling
from .jobs import Job
from .outputs import Fingerprints
from .pipelines import Pipeline
from .progress import Display
from .shipping import pack_for, ship
from .workers import Worker, Workers, spawn, stage_arguments

__all__ = ["Containers"]

# The user of the images, as in pods.
_USER = (8737, 8737)
_SCRATCH, _PROGRESS = "/scratch", "progress"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# How a store is reached; values stand on no command line.
_SETTINGS = re.compile(r"AWS_\w+|(?:https?|no|all)_proxy", re.IGNORECASE)
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)([kMGTP]|[KMGTP]i)?")


class Containers(Workers):
    """Runs up to `workers` shards at once, each in a container.

    Args:
        image: For stages that name none; default: what FIREWORKS_IMAGE says.
        engine: Default: docker or podman, whichever answers.

    Raises:
        ParameterError: If there is no engine, or containers could not reach the store.
    """

    name = "container"

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        workers: int | None = None,
        image: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        super().__init__(pipeline, store, workers)
        if isinstance(store, FileStore) and "," in str(store.root):
            raise ParameterError(f"containers take no folder with a comma in its path, but got {store.root}.")
        self._store = store
        self._image = image or os.environ.get("FIREWORKS_IMAGE") or None
        self._host_network = _needs_host_network(os.environ)
        self._engine = engine or find_engine()

    def prepare(self, plan: Plan, display: Display) -> Plan:
        """Check what containers need, fetch images of stages that will run, upload code and sources.

        Raises:
            ParameterError: If an image, a secret or a readable quantity is missing.
            PackageError: If the code cannot travel.
        """
        for stage in plan.stages:
            self._image_of(stage)
            memory_bytes(stage)
        _check_secrets(plan)
        found = Fingerprints(plan, self._store, salt="prediction")
        wanted = [stage for stage in plan.stages if not stage.cache or found.manifest(stage.name) is None]
        for image in dict.fromkeys(self._image_of(stage) for stage in wanted):
            if not self._engine.has(image):
                display.notice(f"pulling {image}")
                self._engine.pull(image)
        package = pack_for(plan, self._project)
        for warning in package.warnings:
            display.notice(f"warning: {warning}")
        return ship(plan, package, self._project, self._store)

    @contextmanager
    def worker(self, job: Job) -> Iterator[Worker]:
        """A container, and scratch space that goes with it."""
        user = self._user()
        scratch = Path(tempfile.mkdtemp(prefix="fireworks-"))
        try:
            (scratch / _PROGRESS).touch()
            if os.geteuid() == 0:
                for path in (scratch, scratch / _PROGRESS):
                    os.chown(path, *user)
            container = self._container(job, user, scratch)
            with (scratch / _PROGRESS).open("rb") as progress:
                process = spawn(self._engine.command(container), dict(os.environ))
                worker = _Contained(process, progress, container=container, engine=self._engine, job=job)
                yield worker
            if process.returncode < 0:  # Its client is gone; the container may not be.
                self._engine.remove(container.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _container(self, job: Job, user: tuple[int, int], scratch: Path) -> Container:
        stage, folders = job.stage, {_SCRATCH: scratch}
        if isinstance(self._store, FileStore):
            folders[str(self._store.root)] = self._store.root
        settings = [name for name in os.environ if _SETTINGS.fullmatch(name)]
        arguments = ["-m", "fireworks.workflow.stage", *stage_arguments(job, f"{_SCRATCH}/{_PROGRESS}")]
        return Container(
            name=f"fireworks-{job.id}",
            image=self._image_of(stage),
            arguments=tuple(arguments),
            user=user,
            # Not every image has a name for the user; parts of torch want one.
            environ={"TMPDIR": _SCRATCH, "HOME": _SCRATCH, "USER": "fireworks"} | stage.env,
            passed=tuple(sorted({*settings, *stage.secrets} - set(stage.env))),
            folders=folders,
            workdir=_SCRATCH,
            cpu=stage.resources.cpu,
            memory_bytes=memory_bytes(stage),
            gpu=stage.resources.gpu,
            host_network=self._host_network,
            labels={
                "fireworks.io/run": job.run_id,
                "fireworks.io/stage": stage.name,
                "fireworks.io/shard": str(job.shard),
            },
        )

    def _user(self) -> tuple[int, int]:
        """Who runs this: outputs in a folder are theirs, then. Root's containers are root only if such a folder is."""
        if os.geteuid() or isinstance(self._store, FileStore):
            return os.geteuid(), os.getegid()
        return _USER

    def _image_of(self, stage: StagePlan) -> str:
        image = stage.image or self._image
        if image is None:
            raise ParameterError(
                f"an image must be named for the containers, but stage {stage.name!r} has none. Pass --image, or set"
                " `image` in [tool.fireworks], or FIREWORKS_IMAGE."
            )
        return image


@dataclass(kw_only=True)
class _Contained(Worker):
    """A container in the foreground: ending its client does not end it."""

    container: Container
    engine: Engine
    job: Job
    asked: bool = field(default=False, init=False)

    def terminate(self) -> None:
        self.asked = True
        self.engine.stop(self.container.name, self.job.stage.grace_s)

    def kill(self) -> None:
        self.process.kill()
        self.engine.remove(self.container.name)

    def lost(self, code: int) -> tuple[int, str]:
        image, said = self.container.image, telling(self.printed)
        if code == 137 and not self.asked:
            # By the kernel, in all likelihood. More of the same would not help: 1 is not tried again.
            return 1, (
                "the container was killed (exit code 137): it needs more memory than the"
                f" {self.job.stage.resources.memory} it asks for. Raise Resources(memory=…), or use more shards."
            )
        if code == 1 and "No module named" in said and "fireworks" in said:
            return code, f"the image must hold fireworks, but {image} does not. Build it FROM the stage image."
        if code == 2 and "unrecognized arguments" in said:
            return code, f"the image must hold this version of fireworks, but {image} has another. Build it again."
        if code in {126, 127} and "python" in said:
            return code, f"the image must hold a `python` that can be executed, but {image} does not: {said}"
        if code in {125, 126, 127}:
            return code, f"the engine could not run the container: {said}"
        return super().lost(code) if code > 128 else (code, f"the container ended with exit code {code}: {said}")


def memory_bytes(stage: StagePlan) -> int:
    """The memory that a stage asks for.

    Raises:
        ParameterError: If it is no Kubernetes quantity.
    """
    found = _QUANTITY.fullmatch(stage.resources.memory)
    if found is None:
        raise ParameterError(
            f"`memory` must be a quantity such as 2Gi or 500M, but stage {stage.name!r} asks for"
            f" {stage.resources.memory!r}."
        )
    power = "kmgtp".find((found[2] or " ")[0].lower()) + 1
    return int(float(found[1]) * (1024 if (found[2] or "").endswith("i") else 1000) ** power)


def _check_secrets(plan: Plan) -> None:
    """Kubernetes takes their values from its Secrets; here they are taken from the environment, by the same names."""
    for stage in plan.stages:
        missing = sorted(name for name in stage.secrets if name not in os.environ)
        if missing:
            raise ParameterError(
                f"secrets of containers must be in the environment, but stage {stage.name!r} finds no"
                f" {', '.join(missing)}. Export what it needs."
            )


def _needs_host_network(environ: Mapping[str, str]) -> bool:
    """Whether the S3 server listens on this machine alone: a container's localhost is another."""
    endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
    host = urlsplit(endpoint).hostname or ""
    if not (host in {"localhost", "::1"} or host.startswith("127.")):
        return False
    if sys.platform != "linux":
        raise ParameterError(
            f"containers must reach the store, but {host} is theirs, not this machine's. Set AWS_ENDPOINT_URL to an"
            " address that both know."
        )
    return True
