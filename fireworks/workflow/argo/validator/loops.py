"""`withItems`, `withParam`, `withSequence`: one of them, with bounds.

Comes in: tasks and steps. Goes out: findings about loops that Argo refuses, or that start no pods.
"""

import json
from typing import Any

from ..limits import MAX_LOOP
from .findings import Findings, Place
from .reading import Json, mapping, number

__all__ = ["check_loop", "loop_size"]

_LOOPS = ("withItems", "withParam", "withSequence")


def check_loop(task: Json, place: Place, found: Findings) -> None:
    """Check the loop of a task or step, if it has one."""
    given = [key for key in _LOOPS if task.get(key) not in (None, "", [])]
    if len(given) > 1:
        found.add("loop-exclusive", place, f"A loop has one of {', '.join(_LOOPS)}", " and ".join(given))
    sequence = task.get("withSequence")
    if isinstance(sequence, dict):
        _check_sequence(sequence, place, found)
    param = task.get("withParam")
    if isinstance(param, str) and param and "{{" not in param and _parsed(param) is None:
        found.add("loop-list", place, "`withParam` must be a JSON list", param)
    size = loop_size(task)
    if size > MAX_LOOP:
        found.add("loop-size", place, f"A loop should have {MAX_LOOP} items at most", size)


def loop_size(task: Json) -> int:
    """How many nodes a task becomes, where that can be told; else 1."""
    items, sequence = task.get("withItems"), mapping(task, "withSequence")
    if isinstance(items, list) and items:
        return len(items)
    if isinstance(task.get("withParam"), str):
        return len(_parsed(task["withParam"]) or [0])
    count = number(sequence, "count")
    if count is not None:
        return max(count, 0)
    start, end = number(sequence, "start"), number(sequence, "end")
    return abs(end - (start or 0)) + 1 if end is not None else 1


def _check_sequence(sequence: Json, place: Place, found: Findings) -> None:
    if (sequence.get("count") is None) == (sequence.get("end") is None):
        got = "none of them" if sequence.get("end") is None else "both"
        found.add("loop-bounds", place, "`withSequence` has one of `count` and `end`", got)
    for name in ("count", "start", "end"):
        value = sequence.get(name)
        if isinstance(value, str) and "{{" not in value and number(sequence, name) is None:
            found.add(
                "loop-number", place, f"`withSequence.{name}` must be an integer or a tag", value or "an empty text"
            )
    if (number(sequence, "count") or 0) < 0:
        found.add("loop-number", place, "`withSequence.count` must not be negative", sequence["count"])


def _parsed(param: str) -> list[Any] | None:
    try:
        value = json.loads(param)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None
