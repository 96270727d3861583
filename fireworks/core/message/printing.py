"""A Message for the eye: its first and last rows, with the type of every column.

Comes in: any `Table`. Goes out: text for a terminal, HTML for a notebook.
"""

import html
from typing import Any

import torch

from .columns import describe, is_tensor, select
from .ragged import Ragged
from .table import Table

__all__ = ["as_html", "as_text", "counted"]

_ROWS = 10
_COLUMNS = 12
_WIDTH = 28
_ITEMS = 3


def as_text(table: Table) -> str:
    """A line on the size, then names, types and at most ten rows in columns."""
    cells = _cells(table)
    title = _title(table)
    if not table._columns:
        return title
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join([title, *lines])


def as_html(table: Table, title: str | None = None) -> str:
    """The same as a table, under another title if one is given; everything is escaped."""
    names, types, *body = _cells(table)

    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    caption = html.escape(title or _title(table))
    head = line(names, "th") + line(types, "th")
    rows = "".join(line(cells, "td") for cells in body)
    return f"<table><caption>{caption}</caption><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _title(table: Table) -> str:
    return f"{type(table).__name__}: {counted(len(table), 'row')} × {counted(len(table._columns), 'column')}"


def counted(n: int, noun: str) -> str:
    """``1 row``, ``1,500 rows``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _cells(table: Table) -> list[list[str]]:
    n = len(table)
    shown = list(range(n)) if n <= _ROWS else [*range(_ROWS // 2), *range(n - _ROWS // 2, n)]
    names = table._names()
    hidden = len(names) - _COLUMNS
    columns = [_column(table._column(name), name, shown) for name in names[:_COLUMNS]]
    if hidden > 0:
        columns.append(["…", f"+{hidden}", *["…"] * len(shown)])
    lines = [list(line) for line in zip(["", "", *map(str, shown)], *columns, strict=True)]
    if len(shown) < n:
        lines.insert(2 + _ROWS // 2, ["⋮"] * len(lines[0]))
    return lines


def _column(column: Any, name: str, shown: list[int]) -> list[str]:
    rows = select(column, torch.tensor(shown, dtype=torch.int64))
    if isinstance(rows, Ragged):
        items: list[Any] = rows.lists()
    elif isinstance(rows, torch.Tensor):
        items = [_flat(row) for row in rows.detach().cpu()]
    else:
        items = list(rows)
    return [_cut(name), describe(column), *(_cell(item, is_tensor(column)) for item in items)]


def _flat(row: torch.Tensor) -> Any:
    return row.item() if row.ndim == 0 else row.resolve_conj().resolve_neg().flatten()[: _ITEMS + 1].tolist()


def _cell(item: Any, tensor: bool) -> str:
    if tensor and isinstance(item, list):
        items = [_cell(one, tensor) for one in item[:_ITEMS]]
        return _cut(f"[{' '.join([*items, '…'] if len(item) > _ITEMS else items)}]")
    if isinstance(item, float):
        return f"{item:.5g}"
    return _cut(str(item))


def _cut(text: str) -> str:
    line = " ".join(text.split()) if text.strip() else repr(text) if text else text
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
