"""The figure: likeness to the phage along the genome, how well it agrees with what is known, how it is distributed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from annotation import Region, Truth, truth
from candidates import PHAGE_LIKE
from evaluation import auroc, curve
from folds import Positions
from track import CANDIDATE, FAINT, GREY, INK, LAMBDOID, OTHER, along_genome, hexes

# The figure fills its window; in one smaller than this, in pixels, it is scrolled, because labels would overlap.
_LEAST_WIDTH, _LEAST_HEIGHT = 860, 680
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_SHOWN = (-0.9, 2.1)


@dataclass(frozen=True)
class Study:
    """What is drawn.

    Args:
        windows: Of the bacterium.
        likeness: Of each window, 0 the bacterium, 1 the phage; float64 (n,).
        phages: The same of the phages' own windows; float64 (m,).
        level: Likeness from which on a window is unusual; inf if none is.
        scores: Name of each method → its scores; float32 (n,).
        candidates: Rows of `Candidates`.
        known: Known prophages; may be none.
    """

    title: str
    windows: Positions
    likeness: Tensor
    phages: Tensor
    level: float
    scores: dict[str, Tensor]
    candidates: list[dict[str, Any]]
    known: list[Region]


def draw(study: Study) -> str:
    """A page of HTML with everything in it; the same text for the same study."""
    from plotly.subplots import make_subplots

    known = truth(study.windows, study.known)
    # Without a window on each side there is no curve to draw: a genome without annotation, a small sample.
    judged = bool(known.any.any()) and not bool(known.any.all())
    below = [{}, {}] if judged else [{"colspan": 2}, None]
    figure = make_subplots(
        rows=2, cols=2, specs=[[{"colspan": 2}, None], below], row_heights=[0.55, 0.45], column_widths=[0.45, 0.55],
        vertical_spacing=0.2, horizontal_spacing=0.12,
    )  # fmt: skip
    along_genome(figure, study)
    if judged:
        _curves(figure, study, known)
    _densities(figure, study, known.any if judged else None, column=2 if judged else 1)
    _axes(figure)
    _layout(figure, study, judged)
    page: str = figure.to_html(
        include_plotlyjs=True, full_html=True, div_id="prophages", default_height=f"max(100vh, {_LEAST_HEIGHT}px)",
        config={"displayModeBar": False, "responsive": True},
    )  # fmt: skip
    return page.replace("<body>", f"<body style='margin: 0; min-width: {_LEAST_WIDTH}px'>", 1)


def _curves(figure: Any, study: Study, known: Truth) -> None:
    """Receiver operating characteristics: two questions, two methods."""
    everything = torch.ones_like(known.any)
    questions = [("lambda-like", known.lambdoid, known.judged, LAMBDOID), ("all known", known.any, everything, OTHER)]
    for (name, score), dash in zip(study.scores.items(), ("solid", "dot"), strict=True):
        for what, positive, rows, colour in questions:
            if not bool(positive.any()):
                continue
            false, true = (rate.numpy() for rate in curve(score[rows], positive[rows]))
            kept = np.union1d(
                np.linspace(0, len(false) - 1, 600).astype(int), np.flatnonzero(np.diff(true, prepend=-1))
            )
            line = {"color": colour, "width": 2 if dash == "solid" else 1.6, "dash": dash}
            figure.add_scatter(
                x=false[kept], y=true[kept], mode="lines", line=line, row=2, col=1, legend="legend2",
                name=f"{auroc(score[rows], positive[rows]):.3f}  {what}, {name}",
                hovertemplate="%{y:.3f} at %{x:.3f}<extra></extra>",
            )  # fmt: skip
    line = {"color": GREY, "width": 1, "dash": "dot"}
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line=line, layer="below", row=2, col=1)
    figure.update_xaxes(title_text="False positive rate", range=[-0.01, 1.01], dtick=0.2, row=2, col=1)
    figure.update_yaxes(title_text="True positive rate", range=[-0.01, 1.01], dtick=0.2, row=2, col=1)


def _densities(figure: Any, study: Study, inside: Tensor | None, column: int) -> None:
    """How likeness is distributed: over the bacterium, over known prophages, over the phages themselves."""
    groups = [("bacterium", study.likeness, GREY)]
    if inside is not None:
        groups = [
            ("other windows", study.likeness[~inside], GREY),
            ("in known prophages", study.likeness[inside], LAMBDOID),
        ]
    for name, values, colour in [*groups, ("phage, held out", study.phages, CANDIDATE)]:
        grid, density = _density(values.numpy())
        figure.add_scatter(
            x=grid, y=density, mode="lines", line={"color": colour, "width": 1.6}, fill="tozeroy", row=2, col=column,
            fillcolor=hexes(colour, 0.15), name=name, legend="legend3",
            hovertemplate="%{x:.2f}<extra>" + name + "</extra>",
        )  # fmt: skip
    line = {"color": GREY, "width": 1, "dash": "dash"}
    figure.add_vline(x=_candidate_level(study), line=line, row=2, col=column)
    figure.update_xaxes(title_text="Likeness to the phage", dtick=0.5, range=list(_SHOWN), row=2, col=column)
    figure.update_yaxes(title_text="Density", rangemode="tozero", row=2, col=column)


def _density(values: "np.ndarray[Any, Any]") -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Gaussian kernel density with Silverman's width, of at most some 2,000 values."""
    grid = np.linspace(*_SHOWN, 300)
    width = max(1.06 * values.std() * len(values) ** -0.2, 0.04)
    some = values[:: max(len(values) // 2000, 1)]
    kernels = np.exp(-0.5 * ((grid[:, None] - some) / width) ** 2)
    return grid, kernels.mean(1) / (width * np.sqrt(2 * np.pi))


def _candidate_level(study: Study) -> float:
    return max(study.level, PHAGE_LIKE) if np.isfinite(study.level) else PHAGE_LIKE


def _axes(figure: Any) -> None:
    style = {"showgrid": False, "showline": True, "linecolor": INK, "linewidth": 1, "zeroline": False}
    ticks = {"ticks": "outside", "ticklen": 4, "tickcolor": INK, "title_standoff": 6, "title_font_size": 14}
    figure.update_xaxes(**style, **ticks)
    figure.update_yaxes(**style, **ticks)


def _subtitle(study: Study) -> str:
    high = [row for row in study.candidates if row["phage_like"]]
    counted = f"{len(high)} candidate{'' if len(high) == 1 else 's'}"
    unusual = len(study.candidates) - len(high)
    if study.known:
        hit = {name for row in high for name in row["known"].split(", ") if name}
        counted += f", {len(hit)} of {len(study.known)} known prophages hit"
    elif unusual:
        counted += f", {unusual} unusual stretch{'' if unusual == 1 else 'es'} not like the phage"
    return f"{counted}; every window scored by a model that did not see it"


def _layout(figure: Any, study: Study, judged: bool) -> None:
    small = f"<br><span style='font-size:13px;color:{FAINT}'>{_subtitle(study)}</span>"
    clear = {"bgcolor": "rgba(255,255,255,0.7)"}
    figure.update_layout(
        template="simple_white", autosize=True, paper_bgcolor="white", plot_bgcolor="white",
        font={"family": _FONT, "size": 13, "color": INK},
        margin={"l": 70, "r": 104, "t": 138 if study.known else 84, "b": 58},
        title={"text": f"<b>{study.title}</b>{small}", "x": 0, "xref": "paper", "y": 1, "yanchor": "top",
               "pad": {"t": 22}, "font": {"size": 18}},
        legend={"orientation": "h", "x": 0, "y": 0.445, "yanchor": "middle", "xanchor": "left", "font": {"size": 12}},
        legend2={"x": 0.392, "y": 0.015, "xanchor": "right", "yanchor": "bottom", "font": {"size": 11.5},
                 "title": {"text": "AUROC", "font": {"size": 11.5}}, **clear},
        legend3={"x": 1, "y": 0.355, "xanchor": "right", "yanchor": "top", "font": {"size": 12}, **clear},
    )  # fmt: skip
    letters = [("a", 0, 1.0), ("b", 0, 0.37), ("c", 0.516, 0.37)]
    for letter, x, y in letters if judged else letters[:2]:
        figure.add_annotation(
            text=f"<b>{letter}</b>", x=x, y=y, xref="paper", yref="paper", showarrow=False, font={"size": 16},
            xanchor="right", xshift=-38, yanchor="bottom",
        )  # fmt: skip
