"""Runs and outputs as the runners record them, made by hand.

Comes in: a store. Goes out: run folders for the tests of history, summary, garbage and the command line.
"""

import os
import socket
import time
from dataclasses import dataclass, field

from fireworks.records import (
    AttemptEnd,
    AttemptStart,
    Manifest,
    PartRecord,
    PipelineRef,
    Plan,
    RunEnd,
    RunRecord,
    ShardRecord,
    StagePlan,
    StageResult,
    StateRecord,
    encode,
)
from fireworks.store import Store
from fireworks.workflow.history import (
    RunFolder,
    write_attempt_end,
    write_attempt_start,
    write_end,
    write_run,
    write_stage_result,
)

START = 1_790_000_000.0


def make_plan(*stages: str, shards: int = 1, recipe: str = "recipe") -> Plan:
    """A chain of stages; the recipe of each is `recipe` and its name."""
    plans = [
        StagePlan(name=name, recipe=f"{recipe}-{name}", ingredients={}, inputs=stages[:i][-1:], shards=shards)
        for i, name in enumerate(stages)
    ]
    ref = PipelineRef(name="phage", module="phage", function="phage")
    return Plan(pipeline=ref, parameters={"window": 4000}, seed=0, stages=tuple(plans))


@dataclass
class Recorder:
    """Writes one run's records in the order a runner does."""

    store: Store
    id: str
    plan: Plan
    started_at: float = START
    results: list[StageResult] = field(default_factory=list)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    runner: str = "processes"

    def begin(self) -> "Recorder":
        record = RunRecord(
            id=self.id,
            pipeline=self.plan.pipeline.name,
            parameters=self.plan.parameters,
            seed=0,
            sample=None,
            runner=self.runner,
            host=self.host,
            started_at=self.started_at,
            stages=tuple(stage.name for stage in self.plan.stages),
        )
        write_run(self.store, record, self.plan)
        return self

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.store, self.id)

    def start(self, stage: str, attempt: str, fingerprint: str, shard: int = 0, after: float = 0) -> None:
        start = AttemptStart(
            stage=stage,
            shard=shard,
            attempt=attempt,
            fingerprint=fingerprint,
            host=self.host,
            pid=self.pid,
            started_at=self.started_at + after,
        )
        assert write_attempt_start(self.store, self.id, start)

    def finish(
        self,
        stage: str,
        attempt: str,
        fingerprint: str,
        shard: int = 0,
        exit_code: int = 0,
        rows: int = 3,
        seconds: float = 2.0,
    ) -> None:
        end = AttemptEnd(
            stage=stage,
            shard=shard,
            attempt=attempt,
            fingerprint=fingerprint,
            ended_at=self.started_at + 5,
            exit_code=exit_code,
            cause=None if exit_code == 0 else f"exit {exit_code}",
            rows=rows,
            size_bytes=10 * rows,
            seconds=seconds,
        )
        assert write_attempt_end(self.store, self.id, end)

    def result(self, stage: str, fingerprint: str, **facts: object) -> None:
        known = {"status": "succeeded", "rows": 3, "size_bytes": 30, "hash": "ab" * 32, "attempts": 1, "seconds": 2.0}
        result = StageResult(name=stage, fingerprint=fingerprint, **(known | facts))
        self.results.append(result)
        assert write_stage_result(self.store, self.id, result)

    def end_record(self, status: str) -> RunEnd:
        done = {result.name for result in self.results}
        rest = [StageResult(name=s.name, status="cancelled") for s in self.plan.stages if s.name not in done]
        ended_at = self.started_at + 7
        return RunEnd(id=self.id, status=status, ended_at=ended_at, seconds=7.0, stages=(*self.results, *rest))

    def end(self, status: str = "succeeded") -> "Recorder":
        assert write_end(self.store, self.end_record(status))
        return self


def commit(
    store: Store, fingerprint: str, attempt: str = "first", shard: int = 0, data: bytes = b"rows"
) -> ShardRecord:
    """One shard's part, a state and the record that names them."""
    prefix = f"outputs/{fingerprint}/{attempt}/"
    part = store.put(f"{prefix}{shard:05d}-00000.arrow", data)
    state = store.put(f"{prefix}states/model/state.json", b"{}")
    record = ShardRecord(
        shard=shard,
        attempt=attempt,
        rows=3,
        size_bytes=part.size_bytes,
        parts=(PartRecord(key=part.key, size_bytes=part.size_bytes, hash=part.hash, rows=3),),
        states={"model": StateRecord(hash=state.hash, objects=(state,))},
        hash=part.hash,
    )
    store.put_if_absent(f"outputs/{fingerprint}/{shard:05d}.json", encode(record))
    return record


def publish(store: Store, fingerprint: str, *shards: ShardRecord) -> Manifest:
    """The manifest of shards."""
    manifest = Manifest(
        rows=sum(shard.rows for shard in shards),
        size_bytes=sum(shard.size_bytes for shard in shards),
        parts=tuple(part for shard in shards for part in shard.parts),
        columns=shards[0].columns,
        states=shards[0].states,
        data_hash="cd" * 32,
    )
    store.put_if_absent(f"outputs/{fingerprint}/manifest.json", encode(manifest))
    return manifest


def make_old(store: Store, prefix: str, age_s: float = 2 * 24 * 3600) -> None:
    """Date everything under a folder of a file store back."""
    then = time.time() - age_s
    for info in list(store.list(prefix)):
        path = store.local_path(info.key)
        assert path is not None
        os.utime(path, (then, then))


__all__ = ["START", "Recorder", "commit", "make_old", "make_plan", "publish"]
