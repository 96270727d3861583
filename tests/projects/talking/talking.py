"""Stages that talk, each line with the time at which it was said: what logs are made of."""

import time

import torch

import fireworks
from fireworks import HookedPassThroughPipe, Message, Pipe, Resources, Stage

# Two batches.
ROWS = 512


def say(name, lines, pace):
    """Print so many lines, one every `pace` seconds; into a pipe, where Python would wait for more."""
    for _ in range(lines):
        print(f"{name} {time.time():.6f}")
        time.sleep(pace)


class Rows(Pipe):
    """Rows; each shard talks under its own name."""

    random_access = True

    def __init__(self, lines, pace, input=None):
        super().__init__(input)
        self.lines, self.pace = lines, pace

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        rows = torch.arange(ROWS, dtype=torch.float32)[index]
        say(f"from-{int(rows[0])}", self.lines, self.pace)
        return Message({"x": rows})


class Talk(HookedPassThroughPipe):
    """The same rows."""

    row_local = True
    random_access = True

    def __init__(self, name, lines, pace, input=None):
        super().__init__(input)
        self.name, self.lines, self.pace = name, lines, pace

    def _getitem_hook(self, message):
        say(self.name, self.lines, self.pace)
        return message


@fireworks.pipeline
def talking(lines: int = 10, pace: float = 0.1, shards: int = 2, after: int = 3):
    """Shards that talk at once, then two stages that may share a pod, one after the other."""
    options = {"resources": Resources(cpu=0.1, memory="1Gi"), "grace": 1}
    both = Stage(Rows(lines, pace), name="both", shards=shards, **options)
    first = Stage(both >> Talk("first", after, pace), name="first", **options)
    return Stage(first >> Talk("second", after, pace), name="second", **options)
