"""Shuffled rows, another order each epoch.

Comes in: rows with ``[]`` and ``len``. Goes out: the same rows in the epoch's order, for `BatchingPipe` or a trainer.
"""

import reprlib
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from ..core.message import Message
from ..core.message.rows import numbers, resolve
from ..core.pipe import Pipe, recursive
from ..core.shuffle import draw_seed, permutation
from ..errors import GraphError

__all__ = ["ShufflerPipe"]


class ShufflerPipe(Pipe):
    """Permutes its input: in order until the first `reset` or ``iter``, then in a new order after each.

    The order is a pure function of (seed, epoch), unless `shuffle` was given one. State are seed, epoch, position, and
    an order that was given. ``next`` yields single rows, ``[]`` and ``len`` go through the current order. Since a range
    of rows means other rows in each epoch, the pipe claims no random access.

    Args:
        input: Needs ``[]`` and ``len``.
        seed: Drawn from torch's default generator when first needed, unless given.
    """

    stateful_attributes: ClassVar[tuple[str, ...]] = ("seed", "epoch", "position")
    cursor_attributes: ClassVar[tuple[str, ...]] = ("epoch", "position")

    def __init__(self, input: Any = None, seed: int | None = None) -> None:
        super().__init__(input)
        self.seed = seed
        self.epoch = 0
        self.position = 0
        self._order: tuple[tuple[int, int | None, int], torch.Tensor] | None = None
        self._given: tuple[int, torch.Tensor] | None = None

    @property
    def random_access(self) -> bool:
        """No: which rows ``[a:b]`` gives depends on the epoch."""
        return False

    @property
    def order(self) -> torch.Tensor:
        """Row numbers of the input in the order of this epoch: int64 (n,)."""
        if self._given is not None and self._given[0] == self.epoch:
            return self._given[1]
        n = len(self)
        if self.epoch and self.seed is None:
            self.seed = draw_seed()
        key = (n, self.seed, self.epoch)
        if self._order is None or self._order[0] != key:
            order = torch.arange(n) if self.seed is None or not self.epoch else permutation(n, self.seed, self.epoch)
            self._order = (key, order)
        return self._order[1]

    @order.setter
    def order(self, order: Sequence[int]) -> None:
        self._given = (self.epoch, self._checked(order))

    def _checked(self, order: Sequence[int]) -> torch.Tensor:
        given, n = torch.tensor([int(row) for row in order], dtype=torch.int64), len(self)
        if not torch.equal(given.sort().values, torch.arange(n)):
            raise GraphError(f"an order must hold each row from 0 to {n - 1} once, but got {reprlib.repr(order)}.")
        return given

    def shuffle(self, order: Sequence[int] | None = None) -> None:
        """Begin the next epoch here, without rewinding what is upstream.

        Args:
            order: The rows' order in this epoch, a permutation of 0…n-1; drawn by default.

        Raises:
            GraphError: If it is no permutation (a ValueError).
        """
        given = None if order is None else self._checked(order)
        self.epoch += 1
        self.position = 0
        if given is not None:
            self._given = (self.epoch, given)
        elif self.seed is None:
            self.seed = draw_seed()

    def get_state(self) -> dict[str, Any]:
        """Seed, epoch and position; the order too, if this epoch's was given."""
        state = super().get_state()
        if self._given is not None and self._given[0] == self.epoch:
            state["internal"]["order"] = self.order
        return state

    @recursive()
    def reset(self) -> None:
        """Rewind, in a new order."""
        self.shuffle()

    def __getitem__(self, index: Any) -> Any:
        rows = self.order[numbers(resolve(index, len(self)))]
        return Message(self._needed("index")[rows.tolist()])

    def __next__(self) -> Message:
        if self.position >= len(self):
            raise StopIteration
        row = self[self.position]
        self.position += 1
        return Message(row)
