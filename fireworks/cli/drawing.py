"""Tables and units for people, JSON for programs.

Comes in: rows of text from the verbs. Goes out: stdout.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

__all__ = ["brief", "counted", "draw_table", "duration", "local_time", "print_json", "short", "size"]

# Not wrapped where nobody's terminal ends.
_PIPE_WIDTH = 240
# Characters of a parameter's value.
_SHOWN = 60
_COLOURS = {"succeeded": "green", "failed": "red", "running": "yellow", "lost": "magenta", "cancelled": "magenta"}


def print_json(value: Any) -> None:
    """One line of JSON; dataclasses become objects."""
    import msgspec

    click.echo(msgspec.json.encode(value))


def draw_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
    """Draw a table; states in colour, the columns of `right` flush right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    flush = set(right)
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in flush else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def brief(value: Any) -> str:
    """A value in one line of a title."""
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural unless it is one.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(size_bytes: float) -> str:
    """Bytes in a readable unit.

    >>> size(999), size(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds in a readable unit.

    >>> duration(0.25), duration(75), duration(7325)
    ('0.2 s', '1 min 15 s', '2 h 02 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def local_time(timestamp: float) -> str:
    """A time as the user's clock shows it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(timestamp, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def short(hash_: str | None) -> str:
    """The first twelve digits of a hash: enough to compare by eye."""
    return hash_[:12] if hash_ else ""
