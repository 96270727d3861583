"""Running one shard of one stage: the same on every runner.

Comes in: a plan, the name of a stage, a shard's number. Goes out: a committed output in the store and the attempt's
records. Called by `fireworks.workflow.stage` in worker processes and pods, and by the in-process runner.
"""

import math
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ..core import PartWriter, Scaffold, StoredMessage
from ..core.state import pack_state, unpack_state
from ..errors import FormatError, ObjectNotFound, StateError
from ..records import (
    AttemptEnd,
    Manifest,
    ObjectRecord,
    ShardRecord,
    StateRecord,
    address,
)
from ..store import Store
from .checkpoints import Checkpoints
from .cutting import rebuild
from .determinism import reproducibly
from .endings import Preempted, exit_code, one_line
from .graph import StageGraph
from .history import write_attempt_end
from .jobs import Job, record_start
from .outputs import Fingerprints, Output, read_state_files, shard_hash
from .pipelines import Pipeline
from .recipes import pull_seed
from .sharding import pull

__all__ = ["attempt"]

Report = Callable[[int, int | None], None]


def attempt(job: Job, pipeline: Callable[[], Pipeline], report: Report) -> tuple[AttemptEnd, BaseException | None]:
    """Compute a shard, whether it is committed or not, and record how it went.

    Args:
        pipeline: Finds the pipeline; called only if there is something to compute.
        report: Gets rows done and rows in total (None if unknown).

    Returns:
        The end of the attempt and, unless it succeeded, what was raised.
    """
    started = time.time()
    fingerprints = Fingerprints(job.plan, job.store, job.run_id)
    ended: dict[str, Any] = {}
    error: BaseException | None = None
    fingerprint = ""
    try:
        upstream = fingerprints.upstream(job.stage)
        fingerprint = fingerprints.of(job.stage.name) or ""
        record_start(job, fingerprint, started)
        ended = _shard(job, Output(job.store, fingerprint), upstream, pipeline, report)
    except BaseException as raised:  # KeyboardInterrupt and Preempted end an attempt too, and are recorded
        error = raised
    end = AttemptEnd(
        stage=job.stage.name,
        shard=job.shard,
        attempt=job.id,
        fingerprint=fingerprint,
        ended_at=time.time(),
        exit_code=0 if error is None else exit_code(error),
        cause=None if error is None else one_line(error),
        seconds=round(time.time() - started, 3),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **ended,
    )
    write_attempt_end(job.store, job.run_id, end)
    return end, error


def _shard(
    job: Job, output: Output, upstream: Mapping[str, Manifest], pipeline: Callable[[], Pipeline], report: Report
) -> dict[str, Any]:
    threads = max(1, math.floor(job.stage.resources.cpu))
    with _environment(job.stage.env):
        graph = rebuild(job.plan, job.stage.name, pipeline(), job.fetch)
        _bind(job.store, graph, upstream)
        with reproducibly(pull_seed(job.stage.ingredients, job.shard), threads), _blamed(job):
            record = _compute(job, graph, output, report)
    winner = output.commit(record)
    output.publish(job.stage.shards)
    Checkpoints(job.store, output.fingerprint, job.shard).clear()
    return {
        "rows": winner.rows,
        "size_bytes": winner.size_bytes,
        "hash": winner.hash,
        "nondeterministic": winner.hash != record.hash,
    }


@contextmanager
def _blamed(job: Job) -> Iterator[None]:
    """If something that is read turns out to be damaged, say which stage makes it again."""
    try:
        yield
    except (FormatError, ObjectNotFound) as error:
        fingerprints = Fingerprints(job.plan, job.store, job.run_id)
        for name in job.plan.upstream(job.stage.name):
            output = fingerprints.output(name)
            if output is not None and output.damaged():
                raise FormatError(
                    f"the output of stage {name!r} is damaged: {error} Make it again: --force {name}."
                ) from error
        raise


def _bind(store: Store, graph: StageGraph, upstream: Mapping[str, Manifest]) -> None:
    """Replace the stages before this one by readers of their outputs, and restore fitted states."""
    for stage in graph.inputs:
        manifest = upstream[stage.name]
        exposed = {name: _read_exposed(value) for name, value in manifest.exposed.items()}
        stage.bind(StoredMessage(store, manifest.parts, dict(manifest.columns)), exposed)
    for edge, node in graph.states:
        state = upstream[edge.stage.name].states[edge.name]
        node.set_state(unpack_state(read_state_files(store, state)))


def _compute(job: Job, graph: StageGraph, output: Output, report: Report) -> ShardRecord:
    prefix = output.attempt_prefix(job.id)
    checkpoints = Checkpoints(job.store, output.fingerprint, job.shard, job.stopping)
    checkpoints.attach(graph.nodes)
    sample = job.plan.sample if not job.plan.upstream(job.stage.name) else None
    pulled = pull(graph, job.shard, job.stage.shards, sample)
    writer = PartWriter(job.store, f"{prefix}{job.shard:05d}-")
    report(0, pulled.total)
    began, limit = time.monotonic(), job.stage.timeout_s or math.inf
    for rows in pulled.rows:
        writer.write(rows)
        report(writer.rows, pulled.total)
        if job.stopping():
            raise Preempted
        if time.monotonic() - began > limit:
            raise TimeoutError(
                f"a stage must end within its timeout, but took more than {limit:g} s. Raise Stage(timeout=…)."
            )
    parts = tuple(writer.close())
    states = _write_states(job.store, prefix, graph)
    exposed = {name: _write_exposed(name, graph.stage.input) for name in job.stage.expose}
    return ShardRecord(
        shard=job.shard,
        attempt=job.id,
        rows=writer.rows,
        size_bytes=writer.size_bytes,
        parts=parts,
        columns=tuple(writer.columns.items()),
        states=states,
        exposed=exposed,
        hash=shard_hash(parts, states, exposed),
    )


def _write_states(store: Store, prefix: str, graph: StageGraph) -> dict[str, StateRecord]:
    written = {}
    for name, files in Scaffold(graph.fits).snapshot().items():
        objects: list[ObjectRecord] = [
            store.put(f"{prefix}states/{name}/{file}", data) for file, data in sorted(files.items())
        ]
        written[name] = StateRecord(
            hash=address({file: item.hash for file, item in zip(sorted(files), objects, strict=True)}),
            objects=tuple(objects),
        )
    return written


def _write_exposed(name: str, top: Any) -> Any:
    value = getattr(top, name)
    try:
        files = pack_state({"value": value})
    except StateError as error:
        raise StateError(
            f"`expose` stores JSON values and tensors, but {name!r} is a {type(value).__name__}. Expose a part of it."
        ) from error
    if _is_json(value):
        return value
    return {"packed": {file: msgspec.to_builtins(data) for file, data in files.items()}}


def _is_json(value: Any) -> bool:
    """Whether JSON gives back the very same value."""
    if type(value) is list:
        return all(_is_json(item) for item in value)
    if type(value) is dict:
        return "packed" not in value and all(type(key) is str and _is_json(item) for key, item in value.items())
    return type(value) in {str, int, bool, type(None)} or (type(value) is float and math.isfinite(value))


def _read_exposed(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"packed"}:
        return unpack_state(msgspec.convert(value["packed"], dict[str, bytes], strict=False))["value"]
    return value


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
