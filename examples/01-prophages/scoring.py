"""From the scores of all models to one score a window: that of the model which did not see it."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fireworks import Junction, Message, Pipe
from folds import Folds, Positions, positions


class HeldOut(Junction):
    """Held-out scores of the bacterium's windows.

    Rows: ``sequence_id``, ``start``, ``end``, ``fold`` int64 (n,), ``score`` float32 (n,): log-odds of "phage",
    smoothed along the sequence, and ``baseline`` float32 (n,), as it comes.

    Args:
        score: Rows with ``logits`` of the models.
        baseline: The same windows with those of the baseline.
        folds: Which model did not see which window.
        sigma: Width of the smoothing, in bases.
    """

    def __init__(self, score: Any, baseline: Any, folds: Folds, *, sigma: float) -> None:
        super().__init__(components={"score": score, "baseline": baseline})
        self._folds, self._sigma = folds, sigma

    def __iter__(self) -> Iterator[Message]:
        score, baseline = self.components["score"][:], self.components["baseline"][:]
        windows = positions(score)
        fold = self._folds.of_windows(windows)
        # Each model smooths its own scores of all windows: none of another model's enters a mean.
        score["score"] = _own(smooth(windows, score["logits"], self._sigma), fold)
        score["baseline"] = _own(baseline["logits"], fold)
        score["fold"] = fold
        yield score[["sequence_id", "start", "end", "fold", "score", "baseline"]]


class HeldOutPhages(Pipe):
    """Held-out scores of the phages' own windows, not smoothed.

    Rows: ``sequence_id``, ``start``, ``end``, ``fold`` int64 (m,), ``score`` float32 (m,).

    Args:
        folds: Which model did not see which window.
        input: Rows with ``logits``.
    """

    def __init__(self, folds: Folds, input: Any = None) -> None:
        super().__init__(input)
        self._folds = folds

    def __iter__(self) -> Iterator[Message]:
        rows = Message(self.input[0 : len(self.input)])
        rows["fold"] = self._folds.of_phages(positions(rows))
        rows["score"] = _own(rows["logits"], rows["fold"])
        yield rows[["sequence_id", "start", "end", "fold", "score"]]


def _own(logits: Tensor, fold: Tensor) -> Tensor:
    """Of each row the number of its own fold; (n, folds) to float32 (n,)."""
    return logits.gather(1, fold[:, None])[:, 0].float()


def smooth(windows: Positions, score: Tensor, sigma: float) -> Tensor:
    """Gaussian means over neighbours on the same sequence up to 3 sigma away (bases); float64, shaped as `score`."""
    score = score.double()
    out, total = score.clone(), torch.ones(len(score), 1, dtype=torch.float64)
    for offset in range(1, len(score)):
        distance = windows.start[offset:] - windows.start[:-offset]
        near = (windows.sequence[offset:] == windows.sequence[:-offset]) & (distance <= 3 * sigma)
        if not bool(near.any()):
            break
        weight = (torch.exp(-0.5 * (distance / sigma).double().square()) * near)[:, None]
        out[offset:] += weight * score[:-offset]
        out[:-offset] += weight * score[offset:]
        total[offset:] += weight
        total[:-offset] += weight
    return out / total
