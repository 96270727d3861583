"""The model at each point of the grid, and its loss."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fireworks import Message, PyTorch_Model


class Classifier(PyTorch_Model):
    """Logistic regression on words: ``kmers`` float32 (n, 4**k) becomes ``logit`` float32 (n,).

    It starts at zero, so a point's result does not depend on how many points were made before it.

    Args:
        k: Length of the words.
        input: The rows.
    """

    required_components = ("slopes", "bias")
    row_local = True

    def __init__(self, k: int, input: Any = None) -> None:
        self._k = k
        super().__init__(input=input)

    def init_default_components(self) -> None:
        self.components["slopes"] = torch.zeros(4**self._k)
        self.components["bias"] = torch.zeros(1)

    def forward(self, message: Any) -> Message:
        out = Message(message)
        # The root makes the variance of a count independent of its mean; 1 is what a word of chance has.
        words = (out["kmers"] * 4**self._k).sqrt() - 1
        del out["kmers"]
        out["logit"] = words @ self.slopes + self.bias
        return out


def weighted_loss(message: Message) -> Tensor:
    """Cross entropy, by the rows' weights."""
    return binary_cross_entropy_with_logits(message["logit"], message["label"], message["weight"])
