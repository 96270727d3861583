"""Cutting a stage's work into shards, and pulling the rows of one.

Comes in: one stage's share of the graph, bound to its inputs. Goes out: rows in chunks, for
`fireworks.workflow.execution`.

Chunks and shard boundaries are multiples of one number of rows, counted from row 0 of the whole, so that a pipe
computes the same rows together however many shards there are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..core import Message, Pipe, cat
from .graph import StageGraph
from .staging import Stage

__all__ = ["Pull", "chunk_rows", "pull", "shard_range", "sharding_mode"]

_CHUNK = 256
# A sample of a stream is picked from so many times as many rows: that bounds how uneven it can be.
_SPARE = 8


def sharding_mode(graph: StageGraph) -> Literal["output", "input"] | str:
    """How the stage can be sharded, or else the name of the pipe that prevents it.

    ``output``: its last pipe is random-access, shards are ranges of output rows. ``input``: every pipe is row-local and
    the chain starts at a stage, shards are ranges of that stage's rows.
    """
    top = graph.stage.input
    if getattr(top, "random_access", False):
        return "output"
    chain = graph.chain()
    for node in chain:
        if not getattr(node, "row_local", False):
            return type(node).__name__
    if not chain or not isinstance(chain[-1].input, Stage):
        return type(chain[-1] if chain else top).__name__
    return "input"


def chunk_rows(graph: StageGraph) -> int:
    """Rows pulled at once: a multiple of every pipe's `batch_rows`, at least 256."""
    asked = [rows for node in graph.nodes if isinstance(node, Pipe) and (rows := node.batch_rows)]
    batch = math.lcm(*asked) if asked else 1
    return batch * math.ceil(_CHUNK / batch)


def shard_range(n_rows: int, shard: int, shards: int, chunk: int) -> tuple[int, int]:
    """First row of a shard, and the row after its last.

    >>> [shard_range(1000, shard, 3, 256) for shard in range(3)]
    [(0, 256), (256, 512), (512, 1000)]
    """
    chunks = math.ceil(n_rows / chunk)
    first, last = chunks * shard // shards, chunks * (shard + 1) // shards
    return min(first * chunk, n_rows), min(last * chunk, n_rows)


@dataclass
class Pull:
    """Rows on their way: `total` of them, if that is known before the last one."""

    total: int | None
    rows: Iterator[Message]


def pull(graph: StageGraph, shard: int, shards: int, sample: int | None = None) -> Pull:
    """The rows of one shard of a stage.

    Args:
        sample: Take this many evenly spaced rows of the whole output instead of all.
    """
    top, chunk = graph.stage.input, chunk_rows(graph)
    mode = sharding_mode(graph)
    if mode == "output":
        return _indexed(top, chunk, shard, shards, sample)
    if mode == "input":
        head = graph.chain()[-1]
        head.input = head.input.narrowed(
            lambda rows: _Range(rows, *shard_range(len(rows), shard, shards, chunk), chunk)
        )
    rows = (Message(item) for item in top)
    return Pull(None if mode == "input" else _length(top), rows) if sample is None else _sampled(rows, sample)


def _indexed(top: Any, chunk: int, shard: int, shards: int, sample: int | None) -> Pull:
    n_rows = len(top)
    if sample is None:
        first, last = shard_range(n_rows, shard, shards, chunk)
        # Without rows there is still one empty slice, which tells the columns.
        starts = range(first, last, chunk) if n_rows or shard else [0]
        spans: Iterator[Any] = (slice(start, min(start + chunk, last)) for start in starts)
        return Pull(last - first, (Message(top[span]) for span in spans))
    wanted = _evenly(n_rows, sample)
    first, last = shard_range(len(wanted), shard, shards, 1)
    picks = (wanted[start : min(start + chunk, last)] for start in range(first, last, chunk))
    return Pull(last - first, (Message(top[pick]) for pick in picks))


def _evenly(n_rows: int, wanted: int) -> list[int]:
    count = min(n_rows, wanted)
    return [number * n_rows // count for number in range(count)]


def _length(top: Any) -> int | None:
    """What `len` says, unless it only passes on the input's although the pipe may give other rows."""
    if isinstance(top, Pipe) and type(top).__len__ is Pipe.__len__ and type(top).__iter__ is not Pipe.__iter__:
        return None
    try:
        return len(top)
    except (TypeError, AttributeError):
        return None


def _sampled(rows: Iterator[Message], wanted: int) -> Pull:
    """Evenly spaced rows of a stream whose length nobody knows: keep every s-th, doubling s when there are too many."""
    kept: list[Message] = []
    number, spacing = 0, 1
    for message in rows:
        for row in range(len(message)):
            if number % spacing == 0:
                kept.append(message[row : row + 1])
            if len(kept) > _SPARE * wanted:
                kept, spacing = kept[::2], spacing * 2
            number += 1
    picked = [kept[index] for index in _evenly(len(kept), wanted)]
    return Pull(len(picked), iter([cat(picked)] if picked else []))


class _Range:
    """Rows first…last-1 of a stage, iterated in chunks: what row-local pipes of one shard see of their input."""

    random_access = True

    def __init__(self, rows: Any, first: int, last: int, chunk: int) -> None:
        self._rows, self._first, self._last, self._chunk = rows, first, last, chunk

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, index: Any) -> Any:
        return self._rows[self._first : self._last][index]

    def __iter__(self) -> Iterator[Message]:
        # Without rows there is still one empty slice, which tells the columns.
        for start in range(self._first, self._last, self._chunk) if len(self._rows) else [0]:
            yield self._rows[start : min(start + self._chunk, self._last)]
