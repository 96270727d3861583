"""Outputs in the store: fingerprints, and the commit that makes a shard visible.

Comes in: recipes from the plan, parts and states that an attempt wrote. Goes out: manifests, read by the stages that
follow and by `fireworks get`.

::

    outputs/<fingerprint>/<attempt>/…      written first, seen by nobody
    outputs/<fingerprint>/<shard>.json     put if absent: the commit
    outputs/<fingerprint>/manifest.json    a pure function of all shard records
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from blake3 import blake3

from ..errors import FormatError, ObjectNotFound, SchemaError
from ..records import (
    Manifest,
    ObjectRecord,
    PartRecord,
    Plan,
    ShardRecord,
    StagePlan,
    StateRecord,
    address,
    decode,
    encode,
)
from ..store import Store

T = TypeVar("T")

__all__ = ["Fingerprints", "Output", "read_state_files", "shard_hash"]


class Output:
    """One folder ``outputs/<fingerprint>/`` of a store."""

    def __init__(self, store: Store, fingerprint: str) -> None:
        self.store = store
        self.fingerprint = fingerprint
        self.prefix = f"outputs/{fingerprint}/"

    def attempt_prefix(self, attempt: str) -> str:
        """Where an attempt writes."""
        return f"{self.prefix}{attempt}/"

    def shard(self, number: int) -> ShardRecord | None:
        """The commit of a shard, or None."""
        key = f"{self.prefix}{number:05d}.json"
        try:
            record = _decoded(ShardRecord, key, self.store.get(key))
        except ObjectNotFound:
            return None
        _check(key, record.hash, shard_hash(record.parts, record.states, record.exposed))
        return record

    def manifest(self) -> Manifest | None:
        """The whole output, or None while a shard is missing."""
        key = f"{self.prefix}manifest.json"
        try:
            manifest = _decoded(Manifest, key, self.store.get(key))
        except ObjectNotFound:
            return None
        _check(key, manifest.data_hash, _data_hash(manifest.parts))
        return manifest

    def commit(self, record: ShardRecord) -> ShardRecord:
        """Make a shard visible, unless another attempt has: then its record is adopted."""
        if self.store.put_if_absent(f"{self.prefix}{record.shard:05d}.json", encode(record)):
            return record
        winner = self.shard(record.shard)
        return record if winner is None else winner

    def publish(self, shards: int) -> Manifest | None:
        """Write the manifest if every shard is committed; anybody may, it is always the same."""
        records = [record for number in range(shards) if (record := self.shard(number)) is not None]
        if len(records) < shards:
            return None
        manifest = _merge(records)
        self.store.put_if_absent(f"{self.prefix}manifest.json", encode(manifest))
        return manifest

    def damaged(self) -> bool:
        """Whether a commit, or any object that one names, is gone or altered; reads all of them."""
        try:
            records = [self.shard(int(key[-10:-5])) for key in self._records() if not key.endswith("manifest.json")]
            self.manifest()
        except FormatError:
            return True
        named: list[ObjectRecord] = []
        for record in records:
            if record is not None:
                named += [*record.parts, *(item for state in record.states.values() for item in state.objects)]
        return not all(self._intact(item) for item in named)

    def discard(self) -> None:
        """Take back the commits, so that the next attempt's counts."""
        self.store.delete(self._records())

    def _records(self) -> list[str]:
        keys = [item.key for item in self.store.list(self.prefix)]
        return [key for key in keys if key.count("/") == self.prefix.count("/")]

    def _intact(self, item: ObjectRecord) -> bool:
        digest = blake3()
        try:
            for chunk in self.store.stream(item.key):
                digest.update(chunk)
        except ObjectNotFound:
            return False
        return bool(digest.hexdigest() == item.hash)


def _merge(records: list[ShardRecord]) -> Manifest:
    _check_equal("columns", {record.shard: record.columns for record in records if record.columns})
    _check_equal("exposed values", {record.shard: encode(record.exposed) for record in records})
    parts: tuple[PartRecord, ...] = tuple(part for record in records for part in record.parts)
    return Manifest(
        rows=sum(record.rows for record in records),
        size_bytes=sum(record.size_bytes for record in records),
        parts=parts,
        columns=next((record.columns for record in records if record.columns), ()),
        states=records[0].states,
        exposed=records[0].exposed,
        data_hash=_data_hash(parts),
    )


def _check_equal(what: str, by_shard: Mapping[int, object]) -> None:
    first = next(iter(by_shard.values()), None)
    for shard, value in by_shard.items():
        if value != first:
            raise SchemaError(
                f"all shards of a stage must have equal {what}, but shard {shard} has {value!r}, others {first!r}. "
                "Make them independent of the rows, or use shards=1."
            )


def _data_hash(parts: Iterable[PartRecord]) -> str:
    return address([part.hash for part in parts])


def shard_hash(parts: Iterable[PartRecord], states: Mapping[str, StateRecord], exposed: Mapping[str, Any]) -> str:
    """What identifies the content of a shard: its parts in order, its states, and the values it exposes."""
    return address([[part.hash for part in parts], {name: state.hash for name, state in states.items()}, dict(exposed)])


def _decoded(kind: type[T], key: str, data: bytes) -> T:
    try:
        return decode(kind, data)
    except FormatError as error:
        raise FormatError(f"{key}: {error} Run its stage again with --force.") from error


def _check(key: str, recorded: str, found: str) -> None:
    if recorded != found:
        raise FormatError(
            f"{key} must hold the hash of what it names, but was altered. Run its stage again with --force."
        )


def read_state_files(store: Store, state: StateRecord) -> dict[str, bytes]:
    """The files of a snapshot, by name, checked.

    Raises:
        FormatError: If a file is not what was committed.
    """
    files = {}
    for item in state.objects:
        data = store.get(item.key)
        if blake3(data).hexdigest() != item.hash:
            raise FormatError(f"state {item.key} is not what was committed. Run its stage again: --force STAGE.")
        files[item.key.split("/states/", 1)[1].split("/", 1)[1]] = data
    return files


class Fingerprints:
    """Where the outputs of a plan's stages lie, as far as it can be known yet.

    Args:
        salt: The run's id; enters the fingerprint of stages with ``cache=False``.
    """

    def __init__(self, plan: Plan, store: Store, salt: str) -> None:
        self._plan, self._store, self._salt = plan, store, salt
        self._known: dict[str, str] = {}
        self._manifests: dict[str, Manifest] = {}

    def of(self, name: str) -> str | None:
        """The fingerprint of a stage; None while a stage before it has no output."""
        if name not in self._known:
            stage = self._plan.stage(name)
            inputs = [self._input(other) for other in stage.inputs]
            states = [self._state(edge.stage, edge.name) for edge in stage.states]
            if None in inputs or None in states:
                return None
            self._known[name] = address([stage.recipe, inputs, states, "" if stage.cache else self._salt])
        return self._known[name]

    def output(self, name: str) -> Output | None:
        """The stage's folder, once its fingerprint is known."""
        fingerprint = self.of(name)
        return None if fingerprint is None else Output(self._store, fingerprint)

    def manifest(self, name: str) -> Manifest | None:
        """The stage's output, if it is complete."""
        if name not in self._manifests:
            output = self.output(name)
            found = output.manifest() if output else None
            if found is None:
                return None
            self._manifests[name] = found
        return self._manifests[name]

    def upstream(self, stage: StagePlan) -> dict[str, Manifest]:
        """The outputs of all stages that this one reads.

        Raises:
            ObjectNotFound: If one is missing.
        """
        found = {}
        for name in self._plan.upstream(stage.name):
            manifest = self.manifest(name)
            if manifest is None:
                raise ObjectNotFound(
                    f"stage {stage.name!r} reads stage {name!r}, which has no output yet. Run it first."
                )
            found[name] = manifest
        return found

    def _input(self, name: str) -> str | None:
        manifest = self.manifest(name)
        if manifest is None:
            return None
        return address([manifest.data_hash, manifest.exposed]) if manifest.exposed else manifest.data_hash

    def _state(self, stage: str, name: str) -> str | None:
        manifest = self.manifest(stage)
        return None if manifest is None else manifest.states[name].hash
