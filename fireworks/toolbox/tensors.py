"""Columns as tensors, on the GPU if there is one, with gradients if asked.

Comes in: Messages with numbers in any form. Goes out: Messages that models can compute with.
"""

from collections.abc import Sequence
from typing import Any

import torch

from ..core.message import Message
from ..core.pipe import HookedPassThroughPipe, has_random_access

__all__ = ["GradientPipe", "TensorPipe"]


class TensorPipe(HookedPassThroughPipe):
    """Makes columns tensors on each access; other columns stay.

    Args:
        input: The rows.
        columns: Names; all that are not tensors by default, which fails on text.
        cuda: Move tensors to the GPU if torch finds one; without one nothing happens.
        device: Number of the GPU.
    """

    row_local = True

    def __init__(
        self, input: Any = None, columns: Sequence[str] | None = None, cuda: bool = True, device: int = 0
    ) -> None:
        super().__init__(input)
        self.tensor_columns = columns
        self.use_cuda = cuda
        self.cuda_device = device

    @property
    def random_access(self) -> bool:
        """As the input."""
        return has_random_access(self.input)

    def _convert(self, message: Any) -> Message:
        tensors = Message(message).to_tensors(self.tensor_columns)
        if self.use_cuda and torch.cuda.is_available():
            return tensors.cuda(self.cuda_device, keys=self.tensor_columns)
        return tensors

    def _getitem_hook(self, message: Message) -> Message:
        return self._convert(message)

    def _next_hook(self, message: Message) -> Message:
        return self._convert(message)

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Message:
        return self._convert(message)


class GradientPipe(HookedPassThroughPipe):
    """Switches gradients on for tensor columns on each access.

    Args:
        input: The rows; float columns.
        columns: Names; all tensor columns by default.
    """

    row_local = True

    def __init__(self, input: Any = None, columns: Sequence[str] | None = None) -> None:
        super().__init__(input)
        self.gradient_columns = columns

    @property
    def random_access(self) -> bool:
        """As the input."""
        return has_random_access(self.input)

    def _enable(self, message: Any) -> Message:
        rows = Message(message)
        rows.enable_gradients(self.gradient_columns)
        return rows

    def _getitem_hook(self, message: Message) -> Message:
        return self._enable(message)

    def _next_hook(self, message: Message) -> Message:
        return self._enable(message)

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Message:
        return self._enable(message)
