"""Pipelines of many small stages or shards, for `sizes.py`.

Comes in: how many. Goes out: numbers that nobody needs.
"""

from typing import Any

import torch

import fireworks
from fireworks import HookedPassThroughPipe, Junction, Message, Pipe, Resources, Stage

# So that dozens of pods run at once on a small node.
_SMALL: dict[str, Any] = {"resources": Resources(cpu=0.05, memory="600Mi"), "fuse": False}
# Rows that a shard has at least.
_CHUNK = 256


class Numbers(Pipe):
    """``x`` float32 (n,)."""

    random_access = True

    def __init__(self, rows: int, input: Any = None) -> None:
        super().__init__(input)
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: Any) -> Message:
        rows: Message = Message({"x": torch.arange(self.rows, dtype=torch.float32)})[index]
        return rows


class Copy(HookedPassThroughPipe):
    """The same rows."""

    random_access = True

    def _getitem_hook(self, message: Any) -> Any:
        return message


class Both(Junction):
    """The rows of the first of two."""

    random_access = True

    def __init__(self, one: Any, other: Any) -> None:
        super().__init__(components={"one": one, "other": other})

    def __len__(self) -> int:
        return len(self.components["one"])

    def __getitem__(self, index: Any) -> Any:
        return self.components["one"][index]


@fireworks.pipeline
def wide(shards: int = 300) -> Stage:
    """One stage of many shards, and one that reads them."""
    many = Stage(Numbers(_CHUNK * shards), name="many", shards=shards, **_SMALL)
    return Stage(many >> Copy(), name="after", **_SMALL)


@fireworks.pipeline
def deep(stages: int = 200) -> Stage:
    """A graph in which every stage reads the two before it."""
    made = [Stage(Numbers(10), name="stage-0", **_SMALL)]
    made.append(Stage(made[0] >> Copy(), name="stage-1", **_SMALL))
    for number in range(2, stages):
        made.append(Stage(Both(made[-1], made[-2]), name=f"stage-{number}", **_SMALL))
    return made[-1]
