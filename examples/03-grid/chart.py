"""The gathering: how well each point does, as a table and as a heat map."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from fireworks import Junction, Message, Pipe

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"


class Scores(Junction):
    """One row a point: ``length``, ``k`` and ``held_out`` (its pieces) int64, ``auroc`` float64.

    Args:
        points: (length, k) → the fitted classifier, reading pieces.
    """

    def __init__(self, points: Mapping[tuple[int, int], Any]) -> None:
        super().__init__(components={f"{length}-{k}": model for (length, k), model in points.items()})
        self._points = list(points)

    def __iter__(self) -> Iterator[Message]:
        for (length, k), model in zip(self._points, self.components.values(), strict=True):
            rows = model[:]
            unseen = rows["weight"] == 0
            area = auroc(rows["logit"][unseen].detach(), rows["label"][unseen] > 0)
            yield Message({"length": [length], "k": [k], "held_out": [int(unseen.sum())], "auroc": [area]})


def auroc(score: Tensor, positive: Tensor) -> float:
    """The share of pairs of a positive and a negative in which the positive scores higher; ties count half."""
    ahead = score[positive][:, None] - score[~positive]
    return float(((ahead.sign() + 1) / 2).double().mean())


class HeatMap(Pipe):
    """One row: ``name`` and ``content`` (bytes) of ``grid.html``, which needs no network."""

    def __iter__(self) -> Iterator[Message]:
        table: list[dict[str, Any]] = self.input[:].to_dataframe().df.to_dict("records")
        yield Message({"name": ["grid.html"], "content": [draw(table).encode()]})


def draw(table: list[dict[str, Any]]) -> str:
    """A page that fills its window, best point framed."""
    from plotly.graph_objects import Figure, Heatmap

    lengths, ks = (list(dict.fromkeys(row[name] for row in table)) for name in ("length", "k"))
    found = {(row["length"], row["k"]): row["auroc"] for row in table}
    best = max(table, key=lambda row: row["auroc"])
    cells = Heatmap(
        x=[f"{k}" for k in ks], y=[f"{length:,}" for length in lengths],
        z=[[found[length, k] for k in ks] for length in lengths], texttemplate="%{z:.2f}", textfont={"size": 15},
        colorscale="Cividis", zmin=0.5, zmax=1, xgap=2, ygap=2, colorbar={"title": {"text": "AUROC"}, "dtick": 0.1},
        hovertemplate="%{y} bases, words of %{x}: %{z:.3f}<extra></extra>",
    )  # fmt: skip
    small = f"best: words of {best['k']} in {best['length']:,} bases, AUROC {best['auroc']:.3f} on held-out blocks"
    figure = Figure(cells)
    x, y = ks.index(best["k"]), lengths.index(best["length"])
    corners = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
    figure.add_shape(**corners, fillcolor="rgba(0,0,0,0)", opacity=1, line={"color": "#d55e00", "width": 3})
    figure.update_layout(
        template="simple_white", font={"family": FONT, "size": 14}, margin={"l": 80, "r": 20, "t": 80, "b": 60},
        title={"text": f"<b>Phage or host?</b><br><span style='font-size:13px'>{small}</span>", "x": 0.02},
    )  # fmt: skip
    figure.update_xaxes(title_text="Length of the words", type="category", showline=False, ticks="")
    figure.update_yaxes(title_text="Bases of a piece", type="category", showline=False, ticks="")
    page: str = figure.to_html(
        include_plotlyjs=True, full_html=True, div_id="grid", default_height="100vh",
        config={"displayModeBar": False, "responsive": True},
    )  # fmt: skip
    return page.replace("<body>", "<body style='margin: 0'>", 1)
