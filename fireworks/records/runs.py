"""What happened: the records under ``runs/<run id>/`` of a store.

Comes in: written by `fireworks.workflow`. Goes out: read by `fireworks.cli` and the control service.
"""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["AttemptEnd", "AttemptStart", "RunEnd", "RunRecord", "StageResult", "WorkflowRecord"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """``runs/<id>/run.json``: written first. Times are seconds since the epoch, UTC.

    Args:
        pid: Of the process that schedules the run on `host`; None where the cluster does.
        namespace: Of Kubernetes, where the run is a Workflow of the same name.
    """

    version: int = 1
    id: str
    pipeline: str
    parameters: dict[str, Any]
    seed: int
    sample: int | None
    runner: str
    host: str
    pid: int | None = None
    started_at: float
    stages: tuple[str, ...]
    namespace: str | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowRecord:
    """``runs/<id>/workflow.json``: the Workflow of a run on a cluster, once it is there.

    Who looks for it elsewhere finds nothing, and must not take the run for ended.

    Args:
        server: URL of the cluster's API, as the submit reached it.
    """

    version: int = 1
    server: str
    namespace: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class AttemptStart:
    """``runs/<id>/attempts/<stage>/<shard>/<attempt>.start.json``: before anything is read."""

    version: int = 1
    stage: str
    shard: int
    attempt: str
    fingerprint: str
    host: str
    pid: int
    started_at: float


@dataclass(frozen=True, kw_only=True)
class AttemptEnd:
    """``runs/<id>/attempts/<stage>/<shard>/<attempt>.end.json``. An attempt without one was killed.

    Args:
        cause: One line; None if it succeeded.
        hash: The committed shard record's hash.
        cached: The shard was there already.
        nondeterministic: Another attempt had committed other bytes, which were kept.
    """

    version: int = 1
    stage: str
    shard: int
    attempt: str
    fingerprint: str
    ended_at: float
    exit_code: int
    cause: str | None = None
    rows: int = 0
    size_bytes: int = 0
    hash: str | None = None
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    cached: bool = False
    nondeterministic: bool = False


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """``runs/<id>/stages/<stage>.json``: how a stage ended in this run.

    Args:
        fingerprint: The output lies under ``outputs/<fingerprint>/``; None if it was never known.
        hash: The output's data hash.
        attempts: Attempts of this run, lost ones included; 0 if it came from the cache.
        seconds: From the first attempt's start to the last one's end.
    """

    version: int = 1
    name: str
    status: Literal["succeeded", "failed", "cancelled"]
    fingerprint: str | None = None
    shards: int = 1
    rows: int = 0
    size_bytes: int = 0
    hash: str | None = None
    cached: bool = False
    attempts: int = 0
    seconds: float = 0.0
    cause: str | None = None
    nondeterministic: bool = False


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """``runs/<id>/end.json``: written last. A run without one is running, or was killed."""

    version: int = 1
    id: str
    status: Literal["succeeded", "failed", "cancelled"]
    ended_at: float
    seconds: float
    stages: tuple[StageResult, ...]
