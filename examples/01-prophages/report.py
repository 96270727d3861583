"""What a person gets: the figure and the table, as files."""

from collections.abc import Iterator
from typing import Any

import torch

from annotation import KnownProphages
from candidates import COLUMNS, likeness, threshold
from figure import Study, draw
from fireworks import Junction, Message
from folds import positions


class Report(Junction):
    """Rows ``name``, ``content`` (bytes): ``prophages.html``, which needs no network, and ``candidates.csv``.

    Args:
        held_out: Rows of `HeldOut`.
        phages: Rows of `HeldOutPhages`.
        candidates: Rows of `Candidates`.
        known: What is known of the genome.
        title: Of the figure; by default made of the sequences' names.
    """

    def __init__(self, held_out: Any, phages: Any, candidates: Any, known: KnownProphages, *, title: str = "") -> None:
        components = {"held_out": held_out, "phages": phages, "candidates": candidates, "known": known}
        super().__init__(components=components)
        self._title = title

    def __iter__(self) -> Iterator[Message]:
        rows, phages, table = (self.components[name][:] for name in ("held_out", "phages", "candidates"))
        score, own = rows["score"], phages["score"]
        windows = positions(rows)
        study = Study(
            title=self._title or _title(windows.names, positions(phages).names),
            windows=windows,
            likeness=likeness(score, score, own).double(),
            phages=likeness(own, score, own).double(),
            level=float(likeness(torch.tensor(threshold(score)), score, own)),
            scores={"this method": score, "baseline": rows["baseline"]},
            candidates=table.to_dataframe().df.to_dict("records"),
            known=self.components["known"].regions,
        )
        yield Message({"name": ["prophages.html", "candidates.csv"], "content": [draw(study).encode(), _csv(table)]})


def _csv(table: Message) -> bytes:
    """Without rows a stage has no columns either: the file still has its header."""
    frame = table.to_dataframe().df.reindex(columns=list(COLUMNS))
    text: str = frame.to_csv(index=False, float_format="%.3f", lineterminator="\n")
    return text.encode()


def _title(host: list[str], phages: list[str]) -> str:
    return f"Regions like {_listed(phages)} in {_listed(host)}"


def _listed(names: list[str]) -> str:
    """Names without the bars of old GenBank headers (gi|…|ref|NC_001416.1|); the first of many stands for all."""
    shown = [part for part in names[0].split("|") if part][-1]
    return shown if len(names) == 1 else f"{shown} and {len(names) - 1} more"
