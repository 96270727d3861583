"""Labels: a column that says where rows come from.

Comes in: Messages of one class or file. Goes out: the same with a label column, for a trainer.
"""

from typing import Any

import torch

from ..core.message import Message
from ..core.pipe import HookedPassThroughPipe, has_random_access

__all__ = ["Title2LabelPipe"]


class Title2LabelPipe(HookedPassThroughPipe):
    """Adds a column filled with one value.

    Args:
        title: The value: text, a number, or a tensor that every row gets.
        input: The rows.
        labels_column: Name of the column; an existing one is replaced.
    """

    row_local = True

    def __init__(self, title: Any, input: Any = None, labels_column: str = "labels") -> None:
        super().__init__(input)
        self.title = title
        self.labels_column = labels_column

    @property
    def random_access(self) -> bool:
        """As the input."""
        return has_random_access(self.input)

    def insert_labels(self, message: Any) -> Message:
        """The Message with the label column."""
        labelled = Message(message)
        n = len(labelled)
        if isinstance(self.title, torch.Tensor):
            labelled[self.labels_column] = self.title.expand(n, *self.title.shape).clone()
        else:
            labelled[self.labels_column] = [self.title] * n
        return labelled

    def _getitem_hook(self, message: Message) -> Message:
        return self.insert_labels(message)

    def _next_hook(self, message: Message) -> Message:
        return self.insert_labels(message)

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Message:
        return self.insert_labels(message)
