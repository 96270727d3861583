"""The folder of a run in a store, ``runs/<run id>/``: written once, record by record, and read back.

::

    run.json                                          RunRecord: what was started, where, with which parameters
    workflow.json                                     WorkflowRecord: once a run on a cluster is there
    plan.json                                         Plan: what every attempt rebuilds its stage from
    attempts/<stage>/<shard>/<attempt>.start.json     AttemptStart: before anything is read
    attempts/<stage>/<shard>/<attempt>.end.json       AttemptEnd: absent if the attempt runs or was killed
    stages/<stage>.json                               StageResult: once all shards of the stage are done
    logs/<stage>/<shard>/<attempt>/<number>-<time>.log
                                                      stdout and stderr of the attempt, in chunks of timed lines
    end.json                                          RunEnd: absent if the run goes on or was killed

Shards and log numbers have five digits. Every object is put once and never changes; each record has its own version.

Comes in: records made by the runners and the stage entrypoint. Goes out: `RunFolder` to `fireworks.cli`,
`fireworks.workflow.garbage` and the control service; `fireworks.workflow.summary` sums it up.
"""

import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from ..errors import FireworksError, ObjectNotFound, ParameterError, did_you_mean
from ..records import AttemptEnd, AttemptStart, Plan, RunEnd, RunRecord, StageResult, WorkflowRecord, decode, encode
from ..store import ObjectInfo, Store
from .loglines import Line, LogFile, chunk_name, chunks_of, encode_chunk, interleave

__all__ = [
    "Attempt",
    "LogFile",
    "RunFolder",
    "find_run",
    "is_dead",
    "latest_run",
    "list_runs",
    "new_run_id",
    "plan_url",
    "split_plan_url",
    "write_attempt_end",
    "write_attempt_start",
    "write_end",
    "write_log_chunk",
    "write_run",
    "write_stage_result",
    "write_workflow",
]

T = TypeVar("T")

_STAMP = re.compile(r"-(\d{8}-\d{6})-[0-9a-f]{4}$")
# With date, time and digits, an id has 63 characters, as many as Kubernetes allows a label.
_NAME_LENGTH = 42
# A read from S3 is all waiting; on a file store the threads cost less than a millisecond.
_READERS = 16


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at one shard. `lost` is set if it has no end and will never have one."""

    start: AttemptStart
    end: AttemptEnd | None = None
    lost: bool = False

    @property
    def status(self) -> Literal["running", "lost", "succeeded", "failed"]:
        """What became of it."""
        if self.end is None:
            return "lost" if self.lost else "running"
        return "succeeded" if self.end.exit_code == 0 else "failed"


class RunFolder:
    """Reads one run, and each record once: none changes after it was put.

    Args:
        store: Where the run is recorded.
        run_id: A whole id; `find_run` completes a prefix.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.id = run_id
        self.prefix = _folder(run_id)
        self._read: dict[str, bytes] = {}

    @cached_property
    def record(self) -> RunRecord:
        """What was started; `ObjectNotFound` if this is no run."""
        return decode(RunRecord, self.store.get(f"{self.prefix}run.json"))

    @cached_property
    def plan(self) -> Plan:
        """What was to be done."""
        return decode(Plan, self.store.get(f"{self.prefix}plan.json"))

    @property
    def workflow(self) -> WorkflowRecord | None:
        """Where its Workflow is; None of a run on no cluster, or one that is still being submitted."""
        return self._optional(WorkflowRecord, "workflow.json")

    @property
    def end(self) -> RunEnd | None:
        """How it ended; None while it runs, and if it was killed."""
        return self._optional(RunEnd, "end.json")

    def stage_results(self) -> dict[str, StageResult]:
        """The stages that are over, by name."""
        results = self._all(StageResult, (info.key for info in self.store.list(f"{self.prefix}stages/")))
        return {result.name: result for result in sorted(results, key=lambda result: result.name)}

    def attempts(self) -> list[Attempt]:
        """All attempts, ordered by stage, shard and time of start."""
        keys = [info.key for info in self.store.list(f"{self.prefix}attempts/")]
        starts = self._all(AttemptStart, (key for key in keys if key.endswith(".start.json")))
        ends = self._all(AttemptEnd, (key for key in keys if key.endswith(".end.json")))
        by_id = {(end.stage, end.shard, end.attempt): end for end in ends}
        over = self.end is not None
        starts.sort(key=lambda start: (start.stage, start.shard, start.started_at, start.attempt))
        last = {(start.stage, start.shard): start.attempt for start in starts}
        attempts = []
        for start in starts:
            end = by_id.get((start.stage, start.shard, start.attempt))
            replaced = last[start.stage, start.shard] != start.attempt
            lost = end is None and (over or replaced or is_dead(start))
            attempts.append(Attempt(start=start, end=end, lost=lost))
        return attempts

    def attempt_end(self, stage: str, shard: int, attempt: str) -> AttemptEnd | None:
        """How one attempt ended; None if it has not recorded that."""
        return self._optional(AttemptEnd, f"attempts/{stage}/{shard:05d}/{attempt}.end.json")

    def _optional(self, kind: type[T], name: str) -> T | None:
        key = f"{self.prefix}{name}"
        if key not in self._read:
            try:
                self._read[key] = self.store.get(key)
            except ObjectNotFound:
                return None
        return decode(kind, self._read[key])

    def _all(self, kind: type[T], keys: Iterable[str]) -> list[T]:
        wanted = list(keys)
        missing = [key for key in wanted if key not in self._read]
        with ThreadPoolExecutor(_READERS) as pool:
            self._read.update(zip(missing, pool.map(self.store.get, missing), strict=True))
        return [decode(kind, self._read[key]) for key in wanted]

    def log_files(self, stage: str | None = None, shard: int | None = None) -> list[LogFile]:
        """What was printed, one entry an attempt, in the order of stages of the plan, shards, and first lines."""
        prefix = f"{self.prefix}logs/"
        if stage is not None:
            prefix += f"{stage}/" if shard is None else f"{stage}/{shard:05d}/"
        found: dict[tuple[str, int, str], list[ObjectInfo]] = {}
        for info in self.store.list(prefix):
            name, number, attempt, _ = info.key.removeprefix(f"{self.prefix}logs/").split("/")
            if shard is None or int(number) == shard:
                found.setdefault((name, int(number), attempt), []).append(info)
        if not found:
            return []
        files = [LogFile(stage=s, shard=n, attempt=a, chunks=chunks_of(infos)) for (s, n, a), infos in found.items()]
        rank = {name: index for index, name in enumerate(self.record.stages)}
        return sorted(files, key=lambda f: (rank.get(f.stage, len(rank)), f.shard, f.chunks[0].time, f.attempt))

    def logs(self, stage: str | None = None, shard: int | None = None) -> Iterator[tuple[LogFile, Line]]:
        """The lines of `log_files` by time."""
        return interleave(self.store, self.log_files(stage, shard))


def new_run_id(pipeline: str) -> str:
    """An id such as ``prophages-20261121-104512-3fa9``: pipeline, date and time in UTC, four random hex digits.

    At most 63 lower-case characters, so that a Workflow can have it as its name.
    """
    name = pipeline.lower()[:_NAME_LENGTH].rstrip("-")
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def plan_url(store_url: str, run_id: str) -> str:
    """Where a run's plan lies, as the stage entrypoint takes it."""
    return f"{store_url}/runs/{run_id}/plan.json"


def split_plan_url(url: str) -> tuple[str, str]:
    """The store's URL and the run's id.

    Raises:
        ParameterError: If it is no such URL.
    """
    base, separator, path = url.rpartition("/runs/")
    run_id, _, name = path.partition("/")
    if not separator or name != "plan.json":
        raise ParameterError(
            f"--plan must be <store>/runs/<run id>/plan.json, but got {url}. Take it from `fireworks run`."
        )
    return base, run_id


def list_runs(store: Store) -> list[str]:
    """The ids of all runs of a store, newest first."""
    ids = [folder.rstrip("/").rsplit("/", 1)[-1] for folder in store.list_folders("runs/")]
    stamps: dict[str, list[str]] = {}
    for run_id in ids:
        match = _STAMP.search(run_id)
        stamps.setdefault(match[1] if match else "", []).append(run_id)
    newest_first = []
    for stamp in sorted(stamps, reverse=True):
        same = stamps[stamp]
        # The id counts seconds; what was started within one second is told apart by its record.
        newest_first += same if len(same) == 1 else sorted(same, key=lambda i: (_started_at(store, i), i), reverse=True)
    return newest_first


def latest_run(store: Store) -> str:
    """The id of the run that was started last.

    Raises:
        ObjectNotFound: If the store has no run.
    """
    for run_id in list_runs(store):
        if store.exists(f"{_folder(run_id)}run.json"):
            return run_id
    raise ObjectNotFound(f"there must be a run, but {store.url} has none. Start one, or name another --store.")


def find_run(store: Store, text: str) -> str:
    """The one run whose id starts with `text`.

    Raises:
        ObjectNotFound: If no id starts so, or several do.
    """
    ids = list_runs(store)
    if text in ids:
        return text
    found = [run_id for run_id in ids if run_id.startswith(text)] if text else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ObjectNotFound(f"a run must be named clearly, but {text!r} starts {', '.join(found[:4])}.")
    hint = did_you_mean(text, ids)
    raise ObjectNotFound(f"a run must exist, but {text!r} starts no id in {store.url}.{hint} See `fireworks list`.")


def write_run(store: Store, record: RunRecord, plan: Plan) -> RunFolder:
    """Start a run's folder.

    Raises:
        FireworksError: If the id is taken.
    """
    folder = RunFolder(store, record.id)
    # The plan goes first: a folder that has a run.json has a plan.
    if not store.put_if_absent(f"{folder.prefix}plan.json", encode(plan)):
        raise FireworksError(f"a run's id must be new, but {record.id!r} is taken. Start the run again.")
    store.put_if_absent(f"{folder.prefix}run.json", encode(record))
    return folder


def write_attempt_start(store: Store, run_id: str, start: AttemptStart) -> bool:
    """Record that an attempt begins. Like all that follow: False if the record was there, which is then kept."""
    return store.put_if_absent(f"{_attempt(run_id, start)}.start.json", encode(start))


def write_attempt_end(store: Store, run_id: str, end: AttemptEnd) -> bool:
    """Record how an attempt ended."""
    return store.put_if_absent(f"{_attempt(run_id, end)}.end.json", encode(end))


def write_stage_result(store: Store, run_id: str, result: StageResult) -> bool:
    """Record how a stage ended."""
    return store.put_if_absent(f"{_folder(run_id)}stages/{result.name}.json", encode(result))


def write_workflow(store: Store, run_id: str, record: WorkflowRecord) -> bool:
    """Record that the run's Workflow is there."""
    return store.put_if_absent(f"{_folder(run_id)}workflow.json", encode(record))


def write_end(store: Store, end: RunEnd) -> bool:
    """Record how the run ended: the last record of its folder."""
    return store.put_if_absent(f"{_folder(end.id)}end.json", encode(end))


def write_log_chunk(
    store: Store, run_id: str, stage: str, shard: int, attempt: str, number: int, lines: Sequence[Line]
) -> bool:
    """Keep the `number`-th piece (from 0) of what an attempt printed; at least one line."""
    folder = f"{_folder(run_id)}logs/{stage}/{shard:05d}/{attempt}/"
    return store.put_if_absent(folder + chunk_name(number, lines), encode_chunk(lines))


def _folder(run_id: str) -> str:
    return f"runs/{run_id}/"


def _attempt(run_id: str, record: AttemptStart | AttemptEnd) -> str:
    return f"{_folder(run_id)}attempts/{record.stage}/{record.shard:05d}/{record.attempt}"


def _started_at(store: Store, run_id: str) -> float:
    try:
        return RunFolder(store, run_id).record.started_at
    except ObjectNotFound:
        return 0.0


def is_dead(record: AttemptStart | RunRecord) -> bool:
    """Whether the process is known to be gone: only this machine's can be asked for."""
    if record.pid is None or record.host != socket.gethostname():
        return False
    try:
        os.kill(record.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # It lives, as another user's process.
        return False
    return False
