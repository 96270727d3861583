"""Where windows lie, and which of five models may see them: blocks of the bacterium, fifths of each phage."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fireworks import Message
from fireworks.errors import ParameterError


class Positions(NamedTuple):
    """Where n windows of s sequences lie.

    Attributes:
        sequence: Number of the sequence; int64 (n,).
        start: First base, 0-based; int64 (n,).
        end: The base after the last; int64 (n,).
        names: Of the s sequences.
        lengths: Bases of each sequence up to the end of its last window; int64 (s,).
    """

    sequence: Tensor
    start: Tensor
    end: Tensor
    names: list[str]
    lengths: Tensor

    @property
    def middle(self) -> Tensor:
        """The base in the middle; int64 (n,)."""
        return (self.start + self.end) // 2


def positions(rows: Message) -> Positions:
    """Read them from columns ``sequence_id``, ``start``, ``end``; sequences of several files may share names.

    Raises:
        ParameterError: If there are no rows.
    """
    if not len(rows):
        raise ParameterError("a genome must hold a window, but no sequence is as long as one. Pass a smaller window.")
    ids, start, end = [str(name) for name in rows["sequence_id"]], rows["start"], rows["end"]
    renamed = torch.tensor([False, *(a != b for a, b in pairwise(ids))][: len(ids)])
    renamed[1:] |= start[1:] <= start[:-1]
    sequence = renamed.long().cumsum(0)
    lengths = torch.zeros(int(renamed.sum()) + 1, dtype=torch.int64)
    for number in range(len(lengths)):
        lengths[number] = end[sequence == number].max()
    names = [ids[0], *(name for name, new in zip(ids, renamed.tolist(), strict=True) if new)]
    return Positions(sequence, start, end, names, lengths)


@dataclass(frozen=True)
class Folds:
    """Fold f tests on every `count`-th block of the bacterium, from block f on, and on the f-th part of each phage.

    A sequence's last block takes the remainder, so that every block has at least `block` bases, or is a whole sequence.
    """

    block: int = 100_000
    count: int = 5

    def of_windows(self, windows: Positions) -> Tensor:
        """The fold that tests a window: the one that its middle lies in; int64 (n,)."""
        return self._block(windows, windows.middle) % self.count

    def of_phages(self, windows: Positions) -> Tensor:
        """The same for windows of phages."""
        return self._part(windows, windows.middle)

    def seen_windows(self, windows: Positions, margin: int) -> Tensor:
        """Whether a fold may train on a window: if it and `margin` bases beside it touch no test block.

        Returns:
            bool (n, count).
        """
        low = self._block(windows, windows.start - margin)
        high = self._block(windows, windows.end - 1 + margin)
        fold = torch.arange(int(self._blocks(windows).sum())) % self.count
        seen = torch.empty(len(low), self.count, dtype=torch.bool)
        for number in range(self.count):
            before = torch.cat([torch.zeros(1, dtype=torch.int64), (fold == number).long().cumsum(0)])
            seen[:, number] = before[high + 1] == before[low]
        return seen

    def seen_phages(self, windows: Positions) -> Tensor:
        """Whether a fold may train on a phage's window: if it does not touch the held-out part; bool (n, count)."""
        first, last = self._part(windows, windows.start), self._part(windows, windows.end - 1)
        fold = torch.arange(self.count)
        return (last[:, None] < fold) | (first[:, None] > fold)

    def _blocks(self, windows: Positions) -> Tensor:
        return (windows.lengths // self.block).clamp(min=1)

    def _block(self, windows: Positions, position: Tensor) -> Tensor:
        count = self._blocks(windows)
        inside = torch.minimum(position.clamp(min=0) // self.block, count[windows.sequence] - 1)
        return (count.cumsum(0) - count)[windows.sequence] + inside

    def _part(self, windows: Positions, position: Tensor) -> Tensor:
        return (position * self.count // windows.lengths[windows.sequence]).clamp(0, self.count - 1)
