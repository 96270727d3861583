"""Workers: processes that make one attempt each, several at once, watched until they end.

Comes in: jobs of `fireworks.workflow.scheduling`. Goes out: the ends of attempts. What a worker is, and how it is
stopped, say `fireworks.workflow.processes` and `fireworks.workflow.containers`.
"""

import math
import os
import selectors
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import IO

from ..errors import ParameterError
from ..records import AttemptEnd, Plan
from ..store import Store
from .history import RunFolder, plan_url, write_attempt_end
from .jobs import Job
from .pipelines import Pipeline
from .progress import Display

__all__ = ["Worker", "Workers", "spawn", "stage_arguments"]

_POLL_S = 0.5
# Of what a worker printed last: it may be all that tells why it ended.
_KEPT_LINES = 20


@dataclass
class Worker:
    """A process that makes an attempt.

    Args:
        process: As `spawn` starts it.
        progress: Where it appends lines ``rows total``, opened for reading.
        printed: The last lines that it printed.
    """

    process: "subprocess.Popen[bytes]"
    progress: IO[bytes]
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    def terminate(self) -> None:
        """Ask it to save what it can and to end. Returns at once."""
        self.process.terminate()

    def kill(self) -> None:
        """End it."""
        self.process.kill()

    def lost(self, code: int) -> tuple[int, str]:
        """Why it ended before it could say so itself, and the exit code that decides what follows."""
        if code - 128 in set(signal.Signals):
            hint = "; out of memory? Use more shards" if code == 137 else ""
            return code, f"the worker was killed by {signal.Signals(code - 128).name}{hint}"
        return code, f"the worker ended with exit code {code} before it could say why; see `fireworks logs`"


class Workers(ABC):
    """A runner whose shards are computed by workers.

    Args:
        workers: How many at once; default: the cores that this process may use.

    Raises:
        PipelineNotFound: If workers could not import the pipeline.
        ParameterError: If they could not reach the store.
    """

    name: str

    def __init__(self, pipeline: Pipeline, store: Store, workers: int | None = None) -> None:
        if store.url.startswith("memory:"):
            raise ParameterError(f"workers share a store by file or S3, but got {store.url}. Pass --store FOLDER.")
        _ = pipeline.ref
        self._project = pipeline.project
        self._pool = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)), thread_name_prefix="worker")
        self._stopped = False

    def prepare(self, plan: Plan, display: Display) -> Plan:
        """Nothing: workers find everything where it is."""
        return plan

    def start(self, job: Job, display: Display) -> "Future[tuple[AttemptEnd, BaseException | None]]":
        """Queue the shard."""
        return self._pool.submit(self._attempt, job, display)

    def stop(self) -> None:
        """Ask what is running to save and stop, then end it."""
        self._stopped = True
        self._pool.shutdown(cancel_futures=True)

    @abstractmethod
    def worker(self, job: Job) -> AbstractContextManager[Worker]:
        """Start a worker for an attempt; clear up behind it when it has ended."""

    def _attempt(self, job: Job, display: Display) -> tuple[AttemptEnd, None]:
        started = time.time()
        with self.worker(job) as worker:
            timed_out = self._watch(worker, job, display)
        code = worker.process.returncode
        code = code if code >= 0 else 128 - code
        end = RunFolder(job.store, job.run_id).attempt_end(job.stage.name, job.shard, job.id)
        if end is None or timed_out:
            code, cause = worker.lost(code)
            if timed_out:
                code, cause = 1, f"took longer than its timeout of {job.stage.timeout_s:g} s; raise Stage(timeout=…)"
            end = AttemptEnd(
                stage=job.stage.name,
                shard=job.shard,
                attempt=job.id,
                fingerprint="",
                ended_at=time.time(),
                exit_code=code,
                cause=cause,
                seconds=round(time.time() - started, 3),
            )
            write_attempt_end(job.store, job.run_id, end)
        return end, None

    def _watch(self, worker: Worker, job: Job, display: Display) -> bool:
        """Pass on what the worker says until it ends; whether it took too long."""
        process, clock = worker.process, _Clock(job)
        assert process.stdout is not None
        printed, progress = _Lines(process.stdout.fileno()), _Lines(worker.progress.fileno())
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while process.poll() is None or (not printed.closed and selector.select(0)):
                if printed.closed:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_S)
                elif selector.select(_POLL_S):
                    for line in printed.read():
                        worker.printed.append(line)
                        display.line(job.stage.name, job.shard, line)
                _report(progress, job, display)
                clock.enforce(worker, stopped=self._stopped)
        _report(progress, job, display)
        process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()
        return clock.passed


def spawn(command: list[str], environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a worker's process.

    Its stdin is a pipe that nobody writes to: it closes when this process dies, however it dies. A session of its own
    keeps Ctrl-C from it.
    """
    return subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def stage_arguments(job: Job, progress: str) -> list[str]:
    """Arguments of `fireworks.workflow.stage`, whose path to the progress file is `progress`."""
    arguments = ["--plan", plan_url(job.store.url, job.run_id), "--stage", job.stage.name, "--shard", str(job.shard)]
    arguments += ["--attempt", job.id, "--progress", progress, "--attached"]
    return [*arguments, "--force"] if job.force else arguments


def _report(progress: "_Lines", job: Job, display: Display) -> None:
    for line in progress.read():
        rows, _, total = line.partition(" ")
        display.rows(job.stage.name, job.shard, int(rows), int(total) if total else None)


class _Lines:
    """Whole lines from a descriptor: of a pipe that has something, of a file that grows.

    `closed` once there is nothing more: for good in a pipe, for now in a file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.closed = False

    def read(self) -> Iterator[str]:
        data = os.read(self._descriptor, 65536)
        self.closed = not data
        if self.closed and self._rest:
            data = b"\n"
        *whole, self._rest = (self._rest + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


class _Clock:
    """SIGTERM when the time is up or everything is to stop, SIGKILL when the grace is over."""

    def __init__(self, job: Job) -> None:
        self._end = time.monotonic() + (job.stage.timeout_s or math.inf)
        self._grace_s = job.stage.grace_s
        self._last = math.inf
        self._asked = False
        self.passed = False

    def enforce(self, worker: Worker, *, stopped: bool) -> None:
        now = time.monotonic()
        if not self._asked and (stopped or now >= self._end):
            self._asked, self.passed, self._last = True, not stopped, now + self._grace_s
            worker.terminate()
        elif now >= self._last:
            self._last = math.inf
            worker.kill()
