"""From scores to regions: which stretches of a genome are unusual, and which of those look like the phages."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from annotation import KnownProphages, Region
from fireworks import Junction, Message
from folds import Positions, positions

FALSE_DISCOVERY = 0.01
PHAGE_LIKE = 0.5
COLUMNS = ("sequence", "start", "end", "length", "peak", "likeness", "phage_like", "windows", "known", "known_bp")


def threshold(score: Tensor, rate: float = FALSE_DISCOVERY) -> float:
    """The lowest score from which on at most `rate` of the windows above it are expected to be background.

    The background is taken as symmetric about the genome's median, so its lower half, mirrored, shows how far up it
    reaches: as with decoys in proteomics (Elias and Gygi, Nat. Methods 4 (2007) 207). Uses no annotation; inf where no
    score reaches that rate.
    """
    distance = score.double() - score.double().median()
    level = distance[distance > 0].sort().values
    mirrored = (-distance).sort().values
    expected = len(mirrored) - torch.searchsorted(mirrored, level)
    found = torch.arange(len(level), 0, -1)
    bad = (expected > rate * found).nonzero()
    first = int(bad[-1]) + 1 if len(bad) else 0
    return float(level[first] + score.double().median()) if first < len(level) else float("inf")


def likeness(score: Tensor, host: Tensor, phages: Tensor) -> Tensor:
    """Scores on the way from the bacterium's median (0) to the mean of the phages' own windows, held out (1).

    The log-odds of a strongly penalised model are shrunk by an unknown factor; on this scale it cancels.
    """
    return (score - host.median()) / (phages.mean() - host.median())


class Stretch(NamedTuple):
    """Windows above the threshold, numbers first…last of the rows, at most a window apart."""

    sequence: int
    start: int
    end: int
    peak: float
    windows: int


def stretches(windows: Positions, score: Tensor, cutoff: float, step: int) -> list[Stretch]:
    """Join windows above the cutoff; each stands for the `step` bases about its middle."""
    found: list[Stretch] = []
    for row in (score >= cutoff).nonzero()[:, 0].tolist():
        sequence, middle, value = int(windows.sequence[row]), int(windows.middle[row]), float(score[row])
        start, end, last = middle - step // 2, middle + step // 2, found[-1] if found else None
        gap = int(windows.end[row] - windows.start[row])
        if last and last.sequence == sequence and start - last.end < gap:
            found[-1] = last._replace(end=end, peak=max(last.peak, value), windows=last.windows + 1)
        else:
            found.append(Stretch(sequence, start, end, value, 1))
    return found


class Candidates(Junction):
    """One row a stretch of the genome that scores unusually high.

    Rows: ``sequence``, ``start``, ``end`` (1-based, end included), ``length``, ``peak`` (log-odds), ``likeness`` of the
    peak (0 the bacterium, 1 the phages), ``phage_like`` (nearer to the phages: these are the candidates), ``windows``,
    ``known`` (names of overlapping prophages), ``known_bp``.

    Args:
        held_out: Rows of `HeldOut`.
        phages: Rows of `HeldOutPhages`.
        known: What is known of the genome.
        step: Bases from one window to the next.
    """

    def __init__(self, held_out: Any, phages: Any, known: KnownProphages, *, step: int) -> None:
        super().__init__(components={"held_out": held_out, "phages": phages, "known": known})
        self._step = step

    def __iter__(self) -> Iterator[Message]:
        rows, own = self.components["held_out"][:], self.components["phages"][:]["score"]
        windows, score, known = positions(rows), rows["score"], self.components["known"].regions
        found = stretches(windows, score, threshold(score), self._step)
        overlaps = [_overlaps(windows, stretch, known) for stretch in found]
        peak = torch.tensor([stretch.peak for stretch in found])
        like = likeness(peak, score, own)
        start, end = (torch.tensor([stretch[i] for stretch in found], dtype=torch.int64) for i in (1, 2))
        yield Message(
            {
                "sequence": np.array([windows.names[stretch.sequence] for stretch in found], dtype=str),
                "start": start + 1,
                "end": end,
                "length": end - start,
                "peak": peak,
                "likeness": like,
                "phage_like": like >= PHAGE_LIKE,
                "windows": torch.tensor([stretch.windows for stretch in found], dtype=torch.int64),
                "known": np.array([", ".join(hit) for hit in overlaps], dtype=str),
                "known_bp": torch.tensor([sum(hit.values()) for hit in overlaps], dtype=torch.int64),
            }
        )


def _overlaps(windows: Positions, stretch: Stretch, known: list[Region]) -> dict[str, int]:
    """Bases that a stretch shares with each known prophage it overlaps."""
    here = [region for region in known if (region.sequence or windows.names[0]) == windows.names[stretch.sequence]]
    shared = {region.name: min(stretch.end, region.end) - max(stretch.start, region.start) for region in here}
    return {name: bases for name, bases in shared.items() if bases > 0}
