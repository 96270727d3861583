"""Twenty small pipes, a stage each.

Comes in: nothing. Goes out: numbers, one larger at each step; `count.py` does the same as plain scripts.
"""

from typing import Any

import torch

import fireworks
from fireworks import HookedPassThroughPipe, Message, Pipe, Stage

STEPS, ROWS = 20, 1000


class Zeros(Pipe):
    """``x`` float64 (n,)."""

    random_access = True

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, index: Any) -> Message:
        rows: Message = Message({"x": torch.zeros(ROWS, dtype=torch.float64)})[index]
        return rows


class Next(HookedPassThroughPipe):
    """Adds one to ``x``."""

    random_access = True

    def _getitem_hook(self, message: Message) -> Message:
        changed = Message(message)
        changed["x"] = message["x"] + 1
        return changed


@fireworks.pipeline
def chain() -> Stage:
    """One after the other."""
    rows = Stage(Zeros(), name="step-0")
    for number in range(1, STEPS):
        rows = Stage(rows >> Next(), name=f"step-{number}")
    return rows
