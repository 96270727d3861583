"""report: columns of a table as a figure, in a page of HTML."""

from collections.abc import Sequence
from typing import Literal

import fireworks
from fireworks import File, Stage
from fireworks.toolbox import PlotPipe
from fireworks.workflow.stored import rows_of


@fireworks.pipeline
def report(
    data: File,
    columns: Sequence[str],
    against: str = "",
    kind: Literal["line", "points", "bar", "histogram"] = "line",
    colour: str = "",
    title: str = "",
    most: int = 5000,
) -> Stage:
    """Draw columns; the page needs no network.

    Args:
        data: A stage's output, or a file: .csv, .csv.gz, .parquet, .arrow.
        columns: What to draw, separated by commas: numbers, one a row.
        against: The column along the other axis; without one, the number of the row.
        kind: line, points, bar or histogram.
        colour: A column whose values tell groups apart.
        title: Above the figure.
        most: Rows drawn at most, evenly spaced; a histogram counts all.
    """
    return Stage(PlotPipe(rows_of(data), tuple(columns), against, kind, colour, title, most), name="report")
