"""One attempt at one shard: what it is about, and whether there is anything to do.

Comes in: a plan, a stage, a shard's number. Goes out: a `Job` for `fireworks.workflow.execution`; or at once the end of
the attempt, if the shard is committed. That takes no torch.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import FireworksError
from ..records import AttemptEnd, AttemptStart, Plan, SourceObject, StagePlan
from ..store import Store
from .endings import exit_code, one_line
from .history import write_attempt_end, write_attempt_start
from .outputs import Fingerprints

__all__ = ["Job", "adopt", "record_start"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One attempt at one shard.

    Args:
        force: Compute it although it is committed already.
        stopping: Answers whether the process was asked to stop.
        fetch: Gives local copies of source files, where the project folder has none.
    """

    plan: Plan
    stage: StagePlan
    shard: int
    store: Store
    run_id: str
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    force: bool = False
    stopping: Callable[[], bool] = lambda: False
    fetch: Callable[[SourceObject], Path] | None = None


def adopt(job: Job) -> tuple[AttemptEnd, BaseException | None] | None:
    """How the attempt ended, recorded, if its shard is committed; None if it has to be computed.

    Returns:
        With what was raised, if the records in the store cannot be read.
    """
    started = time.time()
    ended: dict[str, Any] = {"exit_code": 0, "cached": True}
    error: FireworksError | None = None
    fingerprint = ""
    try:
        fingerprints = Fingerprints(job.plan, job.store, job.run_id)
        output = fingerprints.output(job.stage.name)
        committed = output.shard(job.shard) if output is not None and not job.force else None
        if output is None or committed is None:
            return None
        fingerprint = output.fingerprint
        record_start(job, fingerprint, started)
        output.publish(job.stage.shards)
        ended |= {"rows": committed.rows, "size_bytes": committed.size_bytes, "hash": committed.hash}
    except FireworksError as raised:
        error, ended = raised, {"exit_code": exit_code(raised), "cause": one_line(raised)}
    end = AttemptEnd(
        stage=job.stage.name,
        shard=job.shard,
        attempt=job.id,
        fingerprint=fingerprint,
        ended_at=time.time(),
        seconds=round(time.time() - started, 3),
        **ended,
    )
    write_attempt_end(job.store, job.run_id, end)
    return end, error


def record_start(job: Job, fingerprint: str, started: float) -> None:
    """Record that the attempt begins, before anything is read."""
    start = AttemptStart(
        stage=job.stage.name,
        shard=job.shard,
        attempt=job.id,
        fingerprint=fingerprint,
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=started,
    )
    write_attempt_start(job.store, job.run_id, start)
