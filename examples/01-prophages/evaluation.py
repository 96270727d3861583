"""How well held-out scores tell windows of known prophages from all others."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from annotation import KnownProphages, Truth, truth
from fireworks import Junction, Message
from folds import positions


def auroc(score: Tensor, positive: Tensor) -> float:
    """The chance that a positive scores above a negative, ties counting half (Mann and Whitney); nan for one class."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, place, count = torch.unique(score.double(), return_inverse=True, return_counts=True)
    rank = (count.cumsum(0) - (count - 1) / 2)[place].double()
    return (float(rank[positive].sum()) - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def curve(score: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """False and true positive rates from the highest score down, each float64 (n + 1,). Both classes must be there."""
    hit = positive[score.argsort(descending=True, stable=True)].double()
    zero = torch.zeros(1, dtype=torch.float64)
    return torch.cat([zero, (1 - hit).cumsum(0) / (1 - hit).sum()]), torch.cat([zero, hit.cumsum(0) / hit.sum()])


def figures(score: Tensor, known: Truth, rows: Tensor | None = None) -> tuple[float, float]:
    """AUROC over all known prophages, and over the lambda-like ones; of some rows (bool (n,)) only, if given."""
    rows = torch.ones_like(known.any) if rows is None else rows
    judged = rows & known.judged
    return auroc(score[rows], known.any[rows]), auroc(score[judged], known.lambdoid[judged])


def validity(score: Tensor, phages: Tensor) -> float:
    """AUROC of the phages' own held-out windows against the bacterium's: needs no annotation."""
    positive = torch.cat([torch.ones(len(phages)), torch.zeros(len(score))]) > 0
    return auroc(torch.cat([phages, score]), positive)


class Evaluation(Junction):
    """Rows ``metric`` (text), ``value`` (float64, nan where it is not defined).

    ``auroc`` and ``auroc lambda-like`` of the method and, after ``baseline``, of the baseline; the same for each fold.

    Args:
        held_out: Rows of `HeldOut`.
        phages: Rows of `HeldOutPhages`.
        known: What is known of the genome.
    """

    def __init__(self, held_out: Any, phages: Any, known: KnownProphages) -> None:
        super().__init__(components={"held_out": held_out, "phages": phages, "known": known})

    def __iter__(self) -> Iterator[Message]:
        rows, phages = self.components["held_out"][:], self.components["phages"][:]
        known = truth(positions(rows), self.components["known"].regions)
        values: dict[str, float] = {"windows": len(rows), "windows in known prophages": int(known.any.sum())}
        values["auroc of held-out phage"] = validity(rows["score"], phages["score"])
        folds = [None, *range(int(rows["fold"].max()) + 1)]
        for prefix, column in (("", "score"), ("baseline ", "baseline")):
            for fold in folds:
                suffix = "" if fold is None else f", fold {fold}"
                pair = figures(rows[column], known, None if fold is None else rows["fold"] == fold)
                values[f"{prefix}auroc{suffix}"], values[f"{prefix}auroc lambda-like{suffix}"] = pair
        yield Message({"metric": list(values), "value": torch.tensor(list(values.values()), dtype=torch.float64)})
