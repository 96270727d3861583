"""Checkpoints inside a long stage: written every few minutes and on SIGTERM, so that the next attempt goes on.

Comes in: nodes that can be checkpointed (`fireworks.training.Fit`). Goes out: objects under ``checkpoints/`` of the
store, removed once the shard is committed.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import msgspec
from blake3 import blake3

from ..core.state import pack_state, unpack_state
from ..errors import FormatError, ObjectNotFound, StateError
from ..records import encode
from ..store import Store
from .determinism import generators, set_generators
from .endings import Preempted

__all__ = ["Checkpointable", "Checkpoints"]

_INTERVAL_S = 300.0


@runtime_checkable
class Checkpointable(Protocol):
    """A node that can stop between two iterations and go on in another process."""

    def watch(self, between_iterations: Callable[[], None]) -> None:
        """Call this after every iteration; it may raise."""

    def checkpoint(self) -> Any:
        """Everything that the next iteration depends on, as `pack_state` takes it."""

    def resume(self, state: Any) -> None:
        """Take up a state that `checkpoint` gave."""


class Checkpoints:
    """The checkpoints of one shard: ``checkpoints/<fingerprint>/<shard>/<number>/…``, complete once ``done`` is there.

    Args:
        stopping: Whether to save now and stop.
        interval_s: Seconds between two checkpoints.
    """

    def __init__(
        self,
        store: Store,
        fingerprint: str,
        shard: int,
        stopping: Callable[[], bool] = lambda: False,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._store = store
        self._prefix = f"checkpoints/{fingerprint}/{shard:05d}/"
        self._stopping = stopping
        self._interval_s = interval_s
        self._due = time.monotonic() + interval_s
        self._nodes: list[Checkpointable] = []
        self._number = 0

    def attach(self, nodes: Iterable[Any]) -> None:
        """Watch over these nodes' iterations; take up the newest complete checkpoint first."""
        self._nodes = [node for node in nodes if isinstance(node, Checkpointable)]
        if not self._nodes:
            return
        self._restore()
        for node in self._nodes:
            node.watch(self._between_iterations)

    def clear(self) -> None:
        """Remove them: the shard is committed."""
        self._store.delete_prefix(self._prefix)

    def _between_iterations(self) -> None:
        stopping = self._stopping()
        if stopping or time.monotonic() >= self._due:
            self._save()
            self._due = time.monotonic() + self._interval_s
        if stopping:
            raise Preempted

    def _save(self) -> None:
        files = pack_state({"nodes": [node.checkpoint() for node in self._nodes], "generators": generators()})
        self._number += 1
        folder = f"{self._prefix}{self._number:06d}/"
        written = {name: self._store.put(f"{folder}{name}", data).hash for name, data in files.items()}
        self._store.put(f"{folder}done", encode(written))
        for number in self._numbers():
            if number < self._number - 1:
                self._store.delete_prefix(f"{self._prefix}{number:06d}/")

    def _numbers(self) -> list[int]:
        return sorted(int(folder.rstrip("/").rsplit("/", 1)[-1]) for folder in self._store.list_folders(self._prefix))

    def _restore(self) -> None:
        for number in reversed(self._numbers()):
            self._number = max(self._number, number)
            state = self._read(f"{self._prefix}{number:06d}/")
            if state is not None and len(state["nodes"]) == len(self._nodes):
                for node, saved in zip(self._nodes, state["nodes"], strict=True):
                    node.resume(saved)
                set_generators(state["generators"])
                return

    def _read(self, folder: str) -> Any:
        """The state of one checkpoint, or None if its writer was killed before it was complete."""
        try:
            hashes = msgspec.json.decode(self._store.get(f"{folder}done"), type=dict[str, str])
            files = {name: self._store.get(f"{folder}{name}") for name in hashes}
            if {name: blake3(data).hexdigest() for name, data in files.items()} != hashes:
                return None
            return unpack_state(files)
        except (ObjectNotFound, FormatError, StateError, msgspec.MsgspecError):
            return None
