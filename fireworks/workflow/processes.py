"""The process runner: each shard in a worker process of its own, several at once.

Comes in: jobs of `fireworks.workflow.scheduling`. Goes out: processes of `fireworks.workflow.stage`, watched by
`fireworks.workflow.workers`.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from .determinism import level_processor
from .jobs import Job
from .workers import Worker, Workers, spawn, stage_arguments

__all__ = ["Processes"]


class Processes(Workers):
    """Runs up to `workers` shards at once, each in a process; they import the project where it is."""

    name = "processes"

    @contextmanager
    def worker(self, job: Job) -> Iterator[Worker]:
        """A process."""
        environ = {**os.environ, **job.stage.env}
        level_processor(environ)
        with tempfile.NamedTemporaryFile(prefix="fireworks-progress-") as progress:
            arguments = [*stage_arguments(job, progress.name), "--project", str(self._project)]
            command = [sys.executable, "-P", "-m", "fireworks.workflow.stage", *arguments]
            yield Worker(spawn(command, environ), progress.file)
