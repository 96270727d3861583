"""The figure's upper panel: the genome from left to right, what is known of it and what was found."""

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from annotation import Region
from candidates import PHAGE_LIKE

if TYPE_CHECKING:
    from figure import Study

INK, GREY, FAINT = "#1f2430", "#8a909c", "#5d6370"
# Of the palette of Okabe and Ito: told apart with any kind of colour vision.
LAMBDOID, OTHER, CANDIDATE = "#0072b2", "#e69f00", "#d55e00"
_AT = {"row": 1, "col": 1}
_MEGA = 1e6


def hexes(colour: str, opacity: float) -> str:
    """``#rrggbb`` with an opacity."""
    return f"rgba({','.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))},{opacity})"


def along_genome(figure: Any, study: "Study") -> None:
    """Sequences stand end to end. Known prophages are bands, what was found is marked below."""
    lengths = study.windows.lengths.tolist()
    offsets = [start / _MEGA for start in accumulate(lengths[:-1], initial=0)]
    span = sum(lengths) / _MEGA
    low, high = min(float(study.likeness.min()), -0.5), max(float(study.likeness.max()), 1.15)
    base, top = low - 0.1 * (high - low), high + 0.04 * (high - low)
    _bands(figure, study, offsets, span, base, top)
    _levels(figure, study, span)
    for number, name in enumerate(study.windows.names):
        _curve(figure, study.likeness, study, number, name, offsets[number])
    names = dict(reversed(list(zip(study.windows.names, offsets, strict=True))))
    for row in study.candidates:
        _mark(figure, row, names[row["sequence"]], span, base, high - low)
    _legend(figure, study)
    figure.update_xaxes(title_text="Position in the genome (Mb)", range=[-0.004 * span, span * 1.002], **_AT)
    figure.update_xaxes(dtick=0.5 if span > 2 else 0.2 if span > 0.8 else None, **_AT)
    figure.update_yaxes(title_text="Likeness to the phage", range=[base - 0.02, top], tick0=0, dtick=0.5, **_AT)


def _curve(figure: Any, likeness: Tensor, study: "Study", number: int, name: str, offset: float) -> None:
    """One sequence: no line is drawn across a border."""
    rows = study.windows.sequence == number
    figure.add_scatter(
        x=(study.windows.middle[rows] / _MEGA + offset).numpy().round(6), y=likeness[rows].numpy().round(4),
        mode="lines", line={"color": INK, "width": 1.1}, showlegend=False, name=name,
        hovertemplate="%{x:.4f} Mb: %{y:.2f}<extra></extra>", **_AT,
    )  # fmt: skip


def _bands(figure: Any, study: "Study", offsets: list[float], span: float, base: float, top: float) -> None:
    names = study.windows.names
    shown = [region for region in study.known if not region.sequence or region.sequence in names]
    places = []
    for region in shown:
        offset = offsets[names.index(region.sequence) if region.sequence else 0]
        x0, x1 = offset + region.start / _MEGA, offset + region.end / _MEGA
        places.append((x0 + x1) / 2)
        figure.add_shape(
            type="rect", x0=x0, x1=x1, y0=base, y1=top, fillcolor=_colour(region), opacity=0.22, line={"width": 0},
            layer="below", **_AT,
        )  # fmt: skip
    order = np.argsort(places, kind="stable").tolist()
    for number, at in zip(order, _apart([places[i] for i in order], span * 0.018), strict=True):
        figure.add_annotation(
            x=at, y=top, text=shown[number].name, showarrow=False, textangle=-60, xanchor="left", yanchor="bottom",
            xshift=-4, font={"size": 12, "color": INK}, **_AT,
        )  # fmt: skip
        line = {"color": _colour(shown[number]), "width": 1}
        figure.add_shape(type="line", x0=places[number], x1=at, y0=top - 0.02 * (top - base), y1=top, line=line, **_AT)


def _colour(region: Region) -> str:
    return LAMBDOID if region.lambdoid else OTHER


def _apart(places: list[float], least: float) -> list[float]:
    """Where labels go so that neighbours stand at least so far apart, moved as little as needed."""
    at = list(places)
    for _ in range(200):
        moved = False
        for i in range(len(at) - 1):
            lack = least - (at[i + 1] - at[i])
            if lack > 1e-9:
                at[i], at[i + 1], moved = at[i] - lack / 2, at[i + 1] + lack / 2, True
        if not moved:
            break
    return at


def _levels(figure: Any, study: "Study", span: float) -> None:
    """Lines across: the phage itself, what makes a candidate, what is unusual."""
    unusual = study.level if np.isfinite(study.level) else None
    lines = [(1.0, "phage itself,<br>held out", "dot"), (max(unusual or 0, PHAGE_LIKE), "candidate", "dash")]
    if unusual is not None and unusual < PHAGE_LIKE:
        lines.append((unusual, "unusual<br>(1% false)", "dot"))
    for at, text, dash in lines:
        line = {"color": GREY, "width": 1, "dash": dash}
        figure.add_shape(type="line", x0=0, x1=span, y0=at, y1=at, line=line, layer="below", **_AT)
        figure.add_annotation(
            x=span, y=at, text=text, showarrow=False, xanchor="left", align="left", xshift=6,
            font={"size": 11.5, "color": FAINT}, **_AT,
        )  # fmt: skip


def _mark(figure: Any, row: dict[str, Any], offset: float, span: float, base: float, height: float) -> None:
    """A box under the curve, as wide as the stretch but wide enough to be seen."""
    x0, x1 = offset + (row["start"] - 1) / _MEGA, offset + row["end"] / _MEGA
    middle, half = (x0 + x1) / 2, max(x1 - x0, span * 0.0022) / 2
    y0, y1 = base + 0.01 * height, base + 0.05 * height
    found = bool(row["phage_like"])
    known = f"<br>{row['known']}" if row["known"] else ""
    figure.add_scatter(
        x=[middle - half, middle + half, middle + half, middle - half, middle - half], y=[y0, y0, y1, y1, y0],
        mode="lines", fill="toself", line={"color": CANDIDATE if found else GREY, "width": 1},
        fillcolor=CANDIDATE if found else "white", showlegend=False, hoveron="fills", name="", hoverinfo="text",
        text=f"{row['sequence']}: {row['start']:,}–{row['end']:,}<br>likeness {row['likeness']:.2f}{known}", **_AT,
    )  # fmt: skip


def _legend(figure: Any, study: "Study") -> None:
    square: dict[str, Any] = {"symbol": "square", "size": 11}
    entries = []
    if study.known:
        entries.append(("known prophage, lambda-like", square | {"color": hexes(LAMBDOID, 0.3)}))
        entries.append(("known prophage, other", square | {"color": hexes(OTHER, 0.35)}))
    entries.append(("candidate", square | {"color": CANDIDATE}))
    if not all(row["phage_like"] for row in study.candidates):
        entries.append(
            ("unusual, not like the phage", square | {"color": "white", "line": {"color": GREY, "width": 1}})
        )
    for name, marker in entries:
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, legend="legend", **_AT)
