"""Closing a run whose stages ran elsewhere: how each stage ended, put together from what its attempts recorded.

Comes in: a run's folder, and what the cluster says of pods that died without a word. Goes out: the run's last records;
while it goes on, the stages that are done, to `fireworks.workflow.summary` and the command line.
"""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

from ..records import Plan, RunEnd, StagePlan, StageResult
from ..store import Store
from .history import Attempt, RunFolder, write_end, write_stage_result
from .outputs import Fingerprints, Output

__all__ = ["OUTCOMES", "close_run", "record_cached", "settled", "stage_causes"]

Status = Literal["succeeded", "failed", "cancelled"]
# Of a run, by the phase that Argo gives its Workflow.
OUTCOMES: Mapping[str, Status] = {"Succeeded": "succeeded", "Failed": "failed", "Error": "failed"}

# What Argo says of a node whose children it also lists.
_OF_THE_WHOLE = ("No more retries left", "child ", "retryStrategy.")
_EXIT_CODE = re.compile(r"exit code (\d+)")
# Of a process that could not say it itself; 1 is an error of the user's, which it says.
_MEANINGS = {
    "64": "Argo's executor failed in the pod. See `kubectl logs POD -c wait`; `fireworks doctor` looks at its rights.",
    "65": "Argo's executor could not start the stage. `fireworks doctor` looks at its rights and its image.",
    "75": "the store or a lease was away for longer than ten minutes. Submit again when it is back.",
    "134": "it was aborted, mostly by an assertion in native code. See `fireworks logs`.",
    "137": "it was killed, but not for its memory: by its node, or by hand. Submit again to go on.",
    "139": "a segmentation fault in native code. See `fireworks logs`.",
    "143": "it was terminated, as when its node is drained. Submit again: it goes on from its last checkpoint.",
}


def close_run(store: Store, run_id: str, status: Status, causes: Mapping[str, str] | None = None) -> RunEnd:
    """Record how the stages and the run ended; what is recorded already stays.

    Args:
        status: Of the run.
        causes: By stage, why its pods failed, for those that could not say it themselves.

    Raises:
        ObjectNotFound: If it is no run.
    """
    folder = RunFolder(store, run_id)
    known, attempts = folder.stage_results(), folder.attempts()
    fingerprints = Fingerprints(folder.plan, store, run_id)
    results: dict[str, StageResult] = {}
    for stage in folder.plan.stages:
        tries = [attempt for attempt in attempts if attempt.start.stage == stage.name]
        # What it reads was never there: its pod, if it shared one, ended before its turn.
        idle = not tries and any(results[name].status != "succeeded" for name in folder.plan.upstream(stage.name))
        result = known.get(stage.name) or _result(
            stage, fingerprints.output(stage.name), tries, None if idle else (causes or {}).get(stage.name)
        )
        if stage.name not in known and result.status != "cancelled":
            write_stage_result(store, run_id, result)
        results[stage.name] = result
    now = time.time()
    end = RunEnd(
        id=run_id,
        status=status,
        ended_at=now,
        seconds=round(now - folder.record.started_at, 3),
        stages=tuple(results.values()),
    )
    # Whoever was first is right: two that close a run have seen the same records.
    write_end(store, end)
    return folder.end or end


def settled(folder: RunFolder) -> dict[str, StageResult]:
    """The stages that are over, by name: recorded so, or all of whose shards say so; on a cluster nobody else does."""
    found = dict(folder.stage_results())
    tries: dict[str, list[Attempt]] = {}
    for attempt in folder.attempts():
        tries.setdefault(attempt.start.stage, []).append(attempt)
    for stage in folder.plan.stages:
        own = tries.get(stage.name, [])
        done = {one.start.shard: one.start.fingerprint for one in own if one.end and one.end.exit_code == 0}
        if stage.name not in found and len(done) == stage.shards:
            result = _result(stage, Output(folder.store, done[0]), own, None)
            if result.status == "succeeded":
                found[stage.name] = result
    return found


def record_cached(store: Store, run_id: str, plan: Plan, names: Collection[str]) -> None:
    """Record stages that nobody runs, since their outputs are in the store; those that have none are left out."""
    fingerprints = Fingerprints(plan, store, run_id)
    for stage in plan.stages:
        if stage.name in names and fingerprints.manifest(stage.name) is not None:
            write_stage_result(store, run_id, _result(stage, fingerprints.output(stage.name), [], None))


def stage_causes(plan: Plan, failures: list[dict[str, str]]) -> dict[str, str]:
    """Argo's list of failed nodes as causes, by stage.

    Args:
        failures: As in ``{{workflow.failures}}``: `displayName` is a stage's name, or that of a shard, ``name(3:3)``;
            of several stages in one pod, ``a--b`` or ``a+b``.
    """
    names = {stage.name for stage in plan.stages}
    causes: dict[str, str] = {}
    for node in failures:
        shown, message = str(node.get("displayName", "")), str(node.get("message") or "")
        shown = shown.partition("(")[0]
        for name in [shown] if shown in names else re.split(r"\+|--", shown):
            if name in names and message and not message.startswith(_OF_THE_WHOLE):
                causes.setdefault(name, message)
    return causes


def _result(stage: StagePlan, output: Output | None, tries: list[Attempt], cause: str | None) -> StageResult:
    manifest = output.manifest() if output else None
    ends = [attempt.end for attempt in tries if attempt.end]
    done = {end.shard for end in ends if end.exit_code == 0}
    unfinished = {attempt.start.shard for attempt in tries} - done
    result = StageResult(
        name=stage.name,
        status="succeeded",
        fingerprint=output.fingerprint if output else None,
        shards=stage.shards,
        attempts=len(tries),
        seconds=_duration(tries),
    )
    if manifest is None or unfinished:
        said = [end.cause for end in ends if end.cause and end.shard in unfinished]
        if not tries and not cause:
            return replace(result, status="cancelled")
        return replace(result, status="failed", cause=_cause(stage, said, cause, began=bool(tries)))
    return replace(
        result,
        rows=manifest.rows,
        size_bytes=manifest.size_bytes,
        hash=manifest.data_hash,
        cached=all(end.cached for end in ends),
        nondeterministic=any(end.nondeterministic for end in ends),
    )


def _cause(stage: StagePlan, said: list[str], seen: str | None, *, began: bool) -> str:
    """What the stage said of itself, or else what was seen of its pod."""
    if said:
        return said[-1]
    if seen and "OOMKilled" in seen:
        return (
            f"{seen}: it used all of the {stage.resources.memory} of memory that it asks for. "
            "Raise Resources(memory=…), or use more shards."
        )
    code = _EXIT_CODE.search(seen or "")
    if code and not began and code[1] == "1":
        return (
            f"{seen}, before the stage began: its image may be without Fireworks, or with another version. "
            "`fireworks doctor` looks at it."
        )
    if code and code[1] in _MEANINGS:
        return f"{seen}: {_MEANINGS[code[1]]}"
    return seen or "its pod ended before it could say why; see `fireworks logs`"


def _duration(tries: list[Attempt]) -> float:
    """Seconds from the start of the first attempt to the end of the last that has one."""
    ends = [attempt.end.ended_at for attempt in tries if attempt.end]
    return round(max(ends) - min(attempt.start.started_at for attempt in tries), 3) if ends else 0.0
