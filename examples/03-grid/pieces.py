"""What the classifiers are trained on, and what is held out."""

from typing import Any

import torch
from torch import Tensor

from fireworks import Junction, Message, Pipe
from fireworks.toolbox import KmerPipe

BLOCK, EVERY = 4000, 4


class Pieces(Junction):
    """Windows of the phage (label 1), then of the host (label 0).

    Rows: ``bases`` uint8 (n, length), ``label`` and ``weight`` float32 (n,). A genome is cut into blocks of 4,000
    bases, and a window that lies in two of them is dropped. Every fourth block is held out: its windows have weight 0.
    Elsewhere both genomes weigh the same, and the mean over all rows is 1.

    Args:
        phage: Rows of a `WindowPipe`.
        host: The same.
    """

    def __init__(self, phage: Any, host: Any) -> None:
        super().__init__(components={"phage": phage, "host": host})
        self._table: Message | None = None

    def __len__(self) -> int:
        return len(self._rows())

    def __getitem__(self, index: Any) -> Any:
        return self._rows()[index]

    def _rows(self) -> Message:
        if self._table is None:
            phage, host = (self.components[name][:] for name in ("phage", "host"))
            label = torch.cat([torch.ones(len(phage)), torch.zeros(len(host))])
            start, end = (torch.cat([phage[name], host[name]]) for name in ("start", "end"))
            block = start // BLOCK
            whole = block == (end - 1) // BLOCK
            seen = block % EVERY != EVERY - 1
            bases = torch.cat([phage["bases"], host["bases"]])
            weight = _balanced(label[whole], seen[whole])
            self._table = Message({"bases": bases[whole], "label": label[whole], "weight": weight})
        return self._table


class Words(Pipe):
    """Pieces with ``kmers`` float32 (n, 4**k) in the place of ``bases``: read and counted once, not in every epoch.

    Args:
        k: Length of the words.
        input: Rows of `Pieces`.
    """

    random_access = True

    def __init__(self, k: int, input: Any = None) -> None:
        super().__init__(input)
        self._counting = KmerPipe(k)
        self._table: Message | None = None

    def __len__(self) -> int:
        return len(self._rows())

    def __getitem__(self, index: Any) -> Any:
        return self._rows()[index]

    def _rows(self) -> Message:
        if self._table is None:
            self._table = self._counting.count(self.input[:])
        return self._table


def _balanced(label: Tensor, seen: Tensor) -> Tensor:
    """Weights float32 (n,): of each label's rows that are seen, together half of n; 0 elsewhere."""
    weight = torch.zeros(len(label))
    for value in (0, 1):
        rows = seen & (label == value)
        weight[rows] = len(label) / (2 * rows.sum().clamp(min=1))
    return weight
