"""Pipes of the tiny project."""

import torch
from tiny_scale import scaled

from fireworks import File, HookedPassThroughPipe, Message, Pipe


class NumbersPipe(Pipe):
    """Rows of a file of ``x,y`` lines; float64 columns."""

    random_access = True

    def __init__(self, source: File, input=None):
        super().__init__(input)
        self.source = source
        self._table = None

    def _rows(self):
        if self._table is None:
            with self.source.open() as stream:
                lines = [line.split(",") for line in stream.read().decode().split()]
            self._table = torch.tensor([[float(x), float(y)] for x, y in lines], dtype=torch.float64)
        return self._table

    @property
    def n_lines(self):
        return len(self._rows())

    def __len__(self):
        return len(self._rows())

    def __getitem__(self, index):
        rows = self._rows()[index]
        return Message({"x": rows[:, 0].clone(), "y": rows[:, 1].clone()})


class ScalePipe(HookedPassThroughPipe):
    """Multiplies x."""

    row_local = True

    def __init__(self, factor: float, input=None):
        super().__init__(input)
        self.factor = factor

    @property
    def random_access(self):
        return True

    def _getitem_hook(self, message):
        return Message({"x": scaled(message["x"], self.factor).float(), "y": message["y"].float()})

    _next_hook = _getitem_hook
