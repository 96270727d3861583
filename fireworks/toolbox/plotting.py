"""Columns of a table as a figure.

Comes in: rows of any pipe. Goes out: one row with a page of HTML, for whoever wants to look at a stage's output.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from ..core.message import Message
from ..core.pipe import Pipe
from ..errors import ColumnNotFound, GraphError, SchemaError, did_you_mean

__all__ = ["PlotPipe"]

Kind = Literal["line", "points", "bar", "histogram"]
_KINDS = get_args(Kind)
_NO_NAME = ""


class PlotPipe(Pipe):
    """Reads all rows and gives one: ``name`` (text) and ``content`` (bytes), a page that needs no network.

    Equal rows give equal pages. Rows of more than `most` are drawn evenly spaced, but for a histogram, which counts
    all; the subtitle says so.

    Args:
        input: The rows; anything with `len` and ``[a:b]``.
        y: Columns to draw, one trace each: numbers, one a row.
        x: The column along the other axis; by default the number of the row. Ignored by a histogram.
        kind: ``line``, ``points``, ``bar`` or ``histogram``.
        colour: A column whose values tell groups apart: one trace each.
        title: Above the figure.
        most: Rows drawn at most.

    Raises:
        GraphError: If `kind` is unknown or `y` is empty.
        ColumnNotFound: At first use, if there is no such column.
        SchemaError: At first use, if a column has no single number a row.
    """

    def __init__(
        self,
        input: Any = None,
        y: Sequence[str] = (),
        x: str = "",
        kind: Kind = "line",
        colour: str = "",
        title: str = "",
        most: int = 5000,
    ) -> None:
        super().__init__(input)
        if kind not in _KINDS:
            raise GraphError(f"kind must be one of {', '.join(_KINDS)}, but got {kind!r}.{did_you_mean(kind, _KINDS)}")
        if not y:
            raise GraphError("a figure needs columns to draw, but `y` names none. Name one: y=loss.")
        self.y, self.x, self.kind, self.colour, self.title, self.most = tuple(y), x, kind, colour, title, most

    def __iter__(self) -> Iterator[Message]:
        yield Message({"name": ["report.html"], "content": [self._page().encode()]})

    def _page(self) -> str:
        from plotly.graph_objects import Figure

        table, note = self._columns()
        figure = Figure()
        for group, chosen in _groups(table.get(self.colour)):
            for name in self.y:
                label = " ".join(part for part in (name if len(self.y) > 1 or not group else "", group) if part)
                figure.add_trace(self._trace(table, name, chosen, label))
        across, up = (self.y[0], "rows") if self.kind == "histogram" else (self.x or "row", self.y[0])
        figure.update_layout(
            title={"text": self.title, "subtitle": {"text": note}},
            template="plotly_white",
            barmode="overlay" if self.kind == "histogram" else "group",
            xaxis_title=across if self.kind != "histogram" or len(self.y) == 1 else "value",
            yaxis_title=up if len(self.y) == 1 or self.kind == "histogram" else "value",
            showlegend=len(figure.data) > 1,
        )
        page: str = figure.to_html(include_plotlyjs=True, full_html=True, div_id="report", default_height="100vh")
        return page

    def _columns(self) -> tuple[dict[str, Any], str]:
        """What is drawn, by column, and what has to be said of it."""
        rows = self._needed("draw")
        total = len(rows)
        names = dict.fromkeys(name for name in (*self.y, self.x, self.colour) if name)
        table = Message(rows[0:total])
        known = list(table.columns)
        for name in names:
            if name not in known:
                raise ColumnNotFound(
                    f"a column to draw must be one of {', '.join(known) or 'none'}, but got {name!r}."
                    f"{did_you_mean(name, known)}"
                )
        few = self.kind == "histogram" or total <= self.most
        picked = np.arange(total) if few else np.arange(self.most) * total // self.most
        columns = {name: _values(table, name, numbers=name in self.y)[picked] for name in names}
        if not self.x:
            columns[_NO_NAME] = picked
        return columns, "" if few else f"{self.most:,} of {total:,} rows, evenly spaced"

    def _trace(self, table: Mapping[str, Any], name: str, chosen: Any, label: str) -> Any:
        from plotly import graph_objects as go

        values = table[name][chosen]
        if self.kind == "histogram":
            return go.Histogram(x=values, name=label, opacity=0.7)
        across = table[self.x][chosen]
        if self.kind == "bar":
            return go.Bar(x=across, y=values, name=label)
        return go.Scatter(x=across, y=values, name=label, mode="lines" if self.kind == "line" else "markers")


def _values(table: Message, name: str, *, numbers: bool) -> Any:
    values = np.asarray(table[name])
    if values.ndim != 1 or (numbers and values.dtype.kind not in "biuf"):
        raise SchemaError(
            f"a column to draw must have one {'number' if numbers else 'value'} a row, but {name!r} is {values.dtype} "
            f"of shape {list(values.shape)}. Choose another, or reduce it in a stage before."
        )
    return values


def _groups(labels: Any) -> list[tuple[str, Any]]:
    """Each value of the column that tells groups apart, and its rows."""
    if labels is None:
        return [("", slice(None))]
    texts = np.array([str(label) for label in labels])
    return [(str(group), texts == group) for group in np.unique(texts)]
