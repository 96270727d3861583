"""The model that tells phage from bacterium by k-mer frequencies, and the baseline it is compared with."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fireworks import Message, PyTorch_Model

# A convex problem and all rows in one batch: nothing is left to chance.
TO_THE_OPTIMUM: dict[str, Any] = {
    "optimizer": "LBFGS",
    "epochs": 3,
    "batch_size": 10**9,
    "shuffle": False,
    "max_iter": 100,
    "history_size": 20,
    "tolerance_grad": 1e-7,
    "tolerance_change": 1e-10,
    "line_search_fn": "strong_wolfe",
}
# As that of torch's BatchNorm: a k-mer that hardly varies is not blown up.
_EPSILON = 1e-5


class Heads(PyTorch_Model):
    """Logistic regressions side by side, one a fold: ``kmers`` float32 (n, 4**k) becomes ``logits`` (n, folds).

    In training there is a column ``penalty`` (n, folds) too, the same in each row: half the ridge's strength times the
    squared norm of each head's slopes. The bias is free.

    Args:
        k: Length of the k-mers.
        folds: Number of heads.
        input: The rows.
    """

    required_components = ("slopes", "bias")
    row_local = True

    def __init__(self, k: int = 5, folds: int = 5, input: Any = None) -> None:
        self._k, self._folds = k, folds
        super().__init__(input=input)

    @property
    def columns(self) -> int:
        """Numbers that the regression sees of a window."""
        return int(4**self._k)

    def init_default_components(self) -> None:
        """Zeros: the problem is convex."""
        self.components["slopes"] = torch.zeros(self._folds, self.columns)
        self.components["bias"] = torch.zeros(self._folds)

    def forward(self, message: Any) -> Message:
        """Put logits in the place of k-mers."""
        out = Message(message)
        kmers = out["kmers"]
        del out["kmers"]
        out["logits"] = self.logits(kmers, out)
        if self.training:
            penalty = 0.5 * self.strength(out) * self.slopes.square().sum(1)
            out["penalty"] = penalty.expand(len(kmers), -1)
        return out

    def logits(self, kmers: Tensor, message: Message) -> Tensor:
        """Log-odds of "phage", (n, folds), of frequencies (n, 4**k)."""
        raise NotImplementedError

    def strength(self, message: Message) -> Any:
        """Strength of the ridge: a number, or one for each head."""
        return 1.0


class PhageModel(Heads):
    """Ridge regression on standardised square roots of strand-blind k-mer frequencies.

    A k-mer and its reverse complement count as one. The square root makes the variance of a count independent of its
    mean. Mean and variance are those of the rows that each head was trained on, gathered as they pass.
    """

    @property
    def columns(self) -> int:
        """K-mers that differ on both strands."""
        return int(strand_blind(self._k).max()) + 1

    def init_default_components(self) -> None:
        """Zeros; nothing gathered yet."""
        super().init_default_components()
        shape = (self._folds, self.columns)
        self.register_buffer("count", torch.zeros(self._folds, 1, dtype=torch.float64))
        self.register_buffer("total", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("places", strand_blind(self._k), persistent=False)

    def logits(self, kmers: Tensor, message: Message) -> Tensor:
        """(x - mean) / deviation · slopes + bias, without a copy of x for each head."""
        x = kmers.new_zeros(len(kmers), self.columns).index_add_(1, self.places, kmers).sqrt_()
        if self.training:
            self._gather(x.double(), (message["weight"] > 0).double())
        mean = self.total / self.count.clamp(min=1)
        variance = (self.squares / self.count.clamp(min=1) - mean.square()).clamp(min=0)
        slopes = self.slopes / (variance + _EPSILON).sqrt().float()
        logits: Tensor = x @ slopes.T + (self.bias - (mean.float() * slopes).sum(1))
        return logits

    def _gather(self, x: Tensor, seen: Tensor) -> None:
        self.count += seen.sum(0)[:, None]
        self.total += seen.T @ x
        self.squares += seen.T @ x.square()


class Baseline(Heads):
    """Ridge regression on square roots of k-mer frequencies as they are, fitted to all rows at once."""

    def logits(self, kmers: Tensor, message: Message) -> Tensor:
        """√x · slopes + bias."""
        logits: Tensor = kmers.sqrt() @ self.slopes.T + self.bias
        return logits

    def strength(self, message: Message) -> Any:
        """What is called C = 1: one over the rows that the head sees."""
        return 1 / (message["weight"] > 0).sum(0)


def balanced_loss(message: Message) -> Tensor:
    """Sum over heads of the weighted cross entropy's mean and the penalty; the heads do not influence each other."""
    logits, weight = message["logits"], message["weight"]
    label = message["label"][:, None].expand_as(logits)
    entropy = binary_cross_entropy_with_logits(logits, label, weight, reduction="none").mean(0)
    total: Tensor = (entropy + message["penalty"].mean(0)).sum()
    return total


def strand_blind(k: int) -> Tensor:
    """For each k-mer, in alphabetical order, the number of it and its reverse complement; int64 (4**k,)."""
    code = torch.arange(4**k)
    rest, reverse = code.clone(), torch.zeros_like(code)
    for _ in range(k):
        reverse, rest = reverse * 4 + 3 - rest % 4, rest // 4
    numbers: Tensor = torch.unique(torch.minimum(code, reverse), return_inverse=True)[1]
    return numbers
