"""Durations as Go writes them, and where a manifest may have one.

Comes in: texts. Goes out: whether Argo can read them, to the rules' modules.
"""

import re

from .findings import Findings, Place
from .reading import Json, text

__all__ = ["check_duration", "is_duration"]

_GO = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+|[-+]?0")
_SECONDS = re.compile(r"[-+]?\d+")


def is_duration(value: str, *, seconds: bool) -> bool:
    """Whether Argo reads this as a duration.

    Args:
        value: As ``90s`` or ``1h30m``.
        seconds: Whether a number without a unit is one, too.
    """
    return _GO.fullmatch(value) is not None or (seconds and _SECONDS.fullmatch(value) is not None)


def check_duration(holder: Json, name: str, path: str, place: Place, found: Findings, *, seconds: bool = True) -> None:
    """Check a field that may hold a duration, or a tag that becomes one."""
    value = text(holder, name)
    if value and "{{" not in value and not is_duration(value, seconds=seconds):
        found.add("duration", place, f"`{path}.{name}` must be a duration, as 90s or 1h30m", value)
