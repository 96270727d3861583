"""What a stage's output consists of: parts, states, and the two records that make them visible.

Comes in: what `fireworks.core.message` wrote. Goes out: read by `fireworks.core.message` and `fireworks.workflow`.
"""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Manifest", "ObjectRecord", "PartRecord", "ShardRecord", "StateRecord"]


@dataclass(frozen=True, kw_only=True)
class ObjectRecord:
    """One immutable object of the store: its key, size and blake3 hash."""

    key: str
    size_bytes: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class PartRecord(ObjectRecord):
    """One Message file of a table: an `ObjectRecord` with its number of rows."""

    rows: int


@dataclass(frozen=True, kw_only=True)
class StateRecord:
    """The snapshot of one fitted object: its files, and one hash over their contents."""

    hash: str
    objects: tuple[ObjectRecord, ...]


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """The commit of one shard: put once, if absent, after everything it names.

    Args:
        columns: Each column's name, and its type as the Message file's schema prints it; none if the shard has no rows.
        exposed: Name → JSON value, or ``{"tensor": …}`` as packed by the stage.
        hash: Address of rows, states and exposed values; two attempts agree exactly if it is equal.
    """

    version: int = 1
    shard: int
    attempt: str
    rows: int
    size_bytes: int
    parts: tuple[PartRecord, ...]
    columns: tuple[tuple[str, str], ...] = ()
    states: dict[str, StateRecord] = field(default_factory=dict)
    exposed: dict[str, Any] = field(default_factory=dict)
    hash: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A whole output: a pure function of its shard records.

    Args:
        data_hash: Address of the part hashes in order: it identifies bytes.
    """

    version: int = 1
    rows: int
    size_bytes: int
    parts: tuple[PartRecord, ...]
    columns: tuple[tuple[str, str], ...] = ()
    states: dict[str, StateRecord] = field(default_factory=dict)
    exposed: dict[str, Any] = field(default_factory=dict)
    data_hash: str
