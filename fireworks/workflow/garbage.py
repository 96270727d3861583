"""Removing what no kept run refers to: outputs, runs, and the leftovers of attempts that never committed.

A run that may still be going on is never touched, nor an output it has read or may find in the cache. Outputs are
unlinked before they are emptied: first their manifest and shard records, then the parts, so that nobody finds half an
output. Comes in: a store. Goes out: `Collected` to `fireworks.cli`.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ObjectNotFound
from ..records import ShardRecord, decode
from ..store import ObjectInfo, Store
from .history import RunFolder, list_runs
from .shipping import shipped_keys
from .summary import STALE_S, is_over

__all__ = ["Collected", "collect"]


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was removed, or would be: ids of runs, fingerprints of outputs, and all objects of these and leftovers."""

    runs: tuple[str, ...]
    outputs: tuple[str, ...]
    objects: int
    size_bytes: int


@dataclass(frozen=True)
class _Run:
    """What garbage collection must know of a run."""

    id: str
    live: bool
    fingerprints: frozenset[str]
    recipes: dict[str, str]  # fingerprint → recipe, as far as stages were recorded
    planned: frozenset[str]
    ended: frozenset[str]  # attempts
    started: frozenset[str]
    shipped: frozenset[str]  # keys of code and sources


def collect(store: Store, keep: int | None = None, dry_run: bool = False) -> Collected:
    """Remove outputs that no kept run refers to, and uncommitted leftovers.

    Args:
        store: Where to clean.
        keep: How many of the newest runs to keep, besides those that may be going on; None for all.
        dry_run: Only say what would go.

    Raises:
        StoreError: If something may not be removed.
    """
    # Outputs are listed before runs are read: what is written meanwhile is in no list, so nothing new looks forgotten.
    outputs = _list_outputs(store)
    ids = list_runs(store)
    runs = [run for run in (_read(store, run_id) for run_id in ids) if run is not None]
    newest = {run.id for run in runs[: len(runs) if keep is None else keep]}
    kept = [run for run in runs if run.live or run.id in newest]
    dropped = [run for run in runs if not run.live and run.id not in newest]
    forgotten = _forgotten(outputs, kept, dropped)
    doomed = [info for fingerprint in forgotten for info in _visible_first(fingerprint, outputs[fingerprint])]
    for fingerprint in outputs.keys() - set(forgotten):
        doomed += _leftovers(store, fingerprint, outputs[fingerprint], runs)
    doomed += _unshipped(store, kept)
    for run in dropped:
        doomed += sorted(store.list(f"runs/{run.id}/"), key=lambda info: info.key)
    if not dry_run:
        store.delete([info.key for info in doomed])
    return Collected(
        runs=tuple(run.id for run in dropped),
        outputs=tuple(forgotten),
        objects=len(doomed),
        size_bytes=sum(info.size_bytes for info in doomed),
    )


def _list_outputs(store: Store) -> dict[str, list[ObjectInfo]]:
    """All objects of each fingerprint: the output, and the checkpoints of stages that never got so far."""
    outputs: dict[str, list[ObjectInfo]] = {}
    for folder in ("outputs/", "checkpoints/"):
        for info in store.list(folder):
            outputs.setdefault(info.key.split("/")[1], []).append(info)
    return outputs


def _read(store: Store, run_id: str) -> _Run | None:
    folder = RunFolder(store, run_id)
    try:
        live, plan, attempts = not is_over(folder), folder.plan, folder.attempts()
    except ObjectNotFound:
        return None
    results = [result for result in folder.stage_results().values() if result.fingerprint]
    recipes = {stage.name: stage.recipe for stage in plan.stages}
    named = {attempt.start.fingerprint: recipes.get(attempt.start.stage, "") for attempt in attempts}
    named |= {result.fingerprint: recipes.get(result.name, "") for result in results if result.fingerprint}
    return _Run(
        id=run_id,
        live=live,
        fingerprints=frozenset(named),
        recipes=named,
        planned=frozenset(recipes.values()),
        ended=frozenset(attempt.start.attempt for attempt in attempts if attempt.end or not live),
        started=frozenset(attempt.start.attempt for attempt in attempts),
        shipped=frozenset(shipped_keys(plan)),
    )


def _forgotten(outputs: Iterable[str], kept: list[_Run], dropped: list[_Run]) -> list[str]:
    """The outputs that may go.

    A run that is going on may yet find in the cache what only a dropped run made. Its fingerprint is not known before
    the inputs are, but its recipe is. Of an output that no run names, not even that is known: it waits.
    """
    used = {fingerprint for run in kept for fingerprint in run.fingerprints}
    planned = {recipe for run in kept if run.live for recipe in run.planned}
    recipes = {fingerprint: recipe for run in dropped for fingerprint, recipe in run.recipes.items()}
    going_on = any(run.live for run in kept)
    forgotten = []
    for fingerprint in sorted(outputs):
        recipe = recipes.get(fingerprint)
        wanted = going_on if recipe is None else recipe in planned
        if fingerprint not in used and not wanted:
            forgotten.append(fingerprint)
    return forgotten


def _unshipped(store: Store, kept: list[_Run]) -> list[ObjectInfo]:
    """Code and sources that no kept run needs. What is new may belong to a submit that has not recorded its run yet."""
    needed = {key for run in kept for key in run.shipped}
    found = [info for folder in ("code/", "sources/") for info in store.list(folder)]
    return [info for info in found if info.key not in needed and info.modified_at < time.time() - STALE_S]


def _visible_first(fingerprint: str, infos: list[ObjectInfo]) -> list[ObjectInfo]:
    """An output's objects in the order of removal: manifest, shard records, then all they name."""

    def rank(info: ObjectInfo) -> tuple[int, str]:
        name = info.key.removeprefix(f"outputs/{fingerprint}/")
        return (0 if name == "manifest.json" else 1 if "/" not in name else 2, info.key)

    return sorted(infos, key=rank)


def _leftovers(store: Store, fingerprint: str, infos: list[ObjectInfo], runs: list[_Run]) -> list[ObjectInfo]:
    """Objects of attempts that are over, which no shard record names."""
    prefix = f"outputs/{fingerprint}/"
    candidates = [info for info in infos if info.key.startswith(prefix) and "/" in info.key.removeprefix(prefix)]
    ended = {attempt for run in runs for attempt in run.ended}
    known = {attempt for run in runs for attempt in run.started}
    over = []
    for info in candidates:
        attempt = info.key.removeprefix(prefix).split("/")[0]
        # An attempt that no run tells of may have been started by hand.
        if attempt in ended or (attempt not in known and info.modified_at < time.time() - STALE_S):
            over.append(info)
    if not over:
        return []
    # Read now, not from the first listing: an attempt may have committed since.
    named = _named(store, prefix)
    return [info for info in over if info.key not in named]


def _named(store: Store, prefix: str) -> set[str]:
    """The keys that an output's shard records name."""
    keys: set[str] = set()
    for info in store.list(prefix):
        name = info.key.removeprefix(prefix)
        if name.removesuffix(".json").isdigit():
            shard = decode(ShardRecord, store.get(info.key))
            keys.update(part.key for part in shard.parts)
            keys.update(item.key for state in shard.states.values() for item in state.objects)
    return keys
