"""What the models are trained on: windows of the phages and of the bacterium, with a weight in each fold."""

from typing import Any

import torch
from torch import Tensor

from fireworks import Junction, Message
from fireworks.errors import ParameterError
from folds import Folds, positions


class TrainingRows(Junction):
    """Phage windows (label 1), then every second window of the bacterium (label 0, its prophages among them).

    Rows: ``kmers`` float32 (n, d), ``label`` float32 (n,), ``weight`` float32 (n, folds): 0 where a fold must not see
    the row; elsewhere such that both classes weigh the same and the mean over all rows is 1.

    Args:
        features: Rows of the bacterium.
        phage_features: Rows of the phages.
        folds: Who may see what.
        margin: Bases beside a test block that are left out of training, too.
        hold_out_phages: Whether each fold leaves out a part of each phage.
        every: Take every so-many-th window of the bacterium.
    """

    def __init__(
        self,
        features: Any,
        phage_features: Any,
        folds: Folds,
        *,
        margin: int,
        hold_out_phages: bool = True,
        every: int = 2,
    ) -> None:
        super().__init__(components={"features": features, "phage_features": phage_features})
        self._folds, self._margin, self._hold_out, self._every = folds, margin, hold_out_phages, every
        self._table: Message | None = None

    def __len__(self) -> int:
        return len(self._rows())

    def __getitem__(self, index: Any) -> Any:
        return self._rows()[index]

    def _rows(self) -> Message:
        if self._table is None:
            phage, windows = self.components["phage_features"][:], self.components["features"][:]
            host = windows[:: self._every]
            seen_host = self._folds.seen_windows(positions(windows), self._margin)[:: self._every]
            seen_phage = self._folds.seen_phages(positions(phage))
            if not self._hold_out:
                seen_phage = torch.ones_like(seen_phage)
            label = torch.cat([torch.ones(len(phage)), torch.zeros(len(host))])
            weight = _balanced(torch.cat([seen_phage, seen_host]), label)
            kmers = torch.cat([phage["kmers"], host["kmers"]])
            self._table = Message({"kmers": kmers, "label": label, "weight": weight})
        return self._table


def _balanced(seen: Tensor, label: Tensor) -> Tensor:
    """Weights float32 (n, folds) that give both classes half of each fold's total, n.

    Raises:
        ParameterError: If a fold sees none of a class.
    """
    weight = torch.zeros(seen.shape)
    for value, name in ((1.0, "phages"), (0.0, "bacterium")):
        rows = seen & (label == value)[:, None]
        count = rows.sum(0)
        if not bool(count.all()):
            raise ParameterError(
                f"every fold must have windows of the {name} to train on, but they have {count.tolist()}. "
                "Pass longer sequences, or a smaller window and block."
            )
        weight += rows * (0.5 * len(label) / count)
    return weight
