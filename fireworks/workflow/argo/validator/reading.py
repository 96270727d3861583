"""Looks into JSON of any shape: what has the wrong type counts as absent, since `fields` reports it.

Comes in: manifests as they were given. Goes out: the mappings, lists and texts in them, to every rule's module.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Json", "entries", "literal", "mapping", "name_of", "number", "tags", "text", "texts"]

Json = dict[str, Any]

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def mapping(value: Any, *path: str) -> Json:
    """The mapping found by following the keys, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def entries(value: Any, *path: str) -> list[Json]:
    """The mappings in the list found by following the keys."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def text(value: Any, *path: str) -> str:
    """The text found by following the keys, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def number(value: Any, *path: str) -> int | None:
    """The integer found by following the keys, also where it is written as text."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def name_of(value: Mapping[str, Any]) -> str:
    """Its name, or an empty text."""
    name = value.get("name")
    return name if isinstance(name, str) else ""


def literal(value: Any, known: Mapping[str, str | None]) -> str | None:
    """A text after its tags are replaced, or None if one of them is only known when the workflow runs."""
    if not isinstance(value, str):
        return None if value is None or isinstance(value, dict | list) else str(value)
    for _ in range(2):
        for tag in _TAG.findall(value):
            content = known.get(tag.strip())
            if content is not None:
                value = value.replace("{{" + tag + "}}", content)
    return None if "{{" in value else value


def texts(value: Any) -> Iterator[str]:
    """All texts in a value, keys included; without recursion, so that no depth is too deep."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def tags(value: Any) -> Iterator[str]:
    """What stands between ``{{`` and ``}}`` in all texts of a value, expressions included."""
    for content in texts(value):
        if "{{" in content:
            yield from _TAG.findall(content)
