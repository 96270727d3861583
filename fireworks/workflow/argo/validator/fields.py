"""Every field is one that Argo knows, there if it must be, and of the right type.

The table is made of the full CRDs of Argo 3.7.18 (``tests/argo_corpus/field_tree.py``). The API server checks it only
where those are installed; Argo's own types, which the controller reads, agree with it but for a few additions below.

Comes in: the `spec` of a manifest. Goes out: findings about names and types of fields.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from ....errors import did_you_mean
from .findings import Findings, Place
from .manifests import task_place, template_place
from .reading import Json

__all__ = ["check_fields", "known_fields"]

_RANGES = {"int32": 2**31, "int64": 2**63, "int-or-string": 2**31}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_STEPS = re.compile(r"\.steps\[\d+\]$")
_MAX_DEPTH = 100
NEWER = {"pendingTimeout": "Argo 4.1 and newer know it: pass their version, if it is for them alone."}


@cache
def _table() -> Json:
    return dict(json.loads((files(__package__) / "fields.json").read_text(encoding="utf-8")))


@cache
def known_fields(root: str) -> tuple[str, ...]:
    """Names of the fields of a `workflow` or `cron` spec, or of a `template`."""
    table = _table()
    return tuple(table["nodes"][table["roots"][root]]["fields"])


def check_fields(spec: Any, root: str, place: Place, found: Findings, extra: frozenset[str] = frozenset()) -> None:
    """Compare a spec with the table.

    Args:
        spec: Any JSON.
        root: Which table: `workflow` or `cron`.
        place: Of the spec.
        found: Where findings go.
        extra: Fields that this version of Argo knows in addition, by name.
    """
    _Walk(found, extra).value(spec, _table()["roots"][root], place, "spec", 0)


class _Walk:
    def __init__(self, found: Findings, extra: frozenset[str]) -> None:
        self.found, self.extra = found, extra
        self.nodes: list[Any] = _table()["nodes"]

    def value(self, value: Any, number: int, place: Place, path: str, depth: int) -> None:
        node = self.nodes[number]
        if depth > _MAX_DEPTH:
            self.found.add("too-deep", place, f"`{path[:40]}…` may be nested 100 deep at most")
        elif node == "template":
            self.value(value, _table()["roots"]["template"], place, path, depth)
        elif node in ("any", "open"):
            if node == "open" and not isinstance(value, dict):
                self._wrong(place, path, "a mapping", value)
        elif isinstance(node, str):
            self._scalar(value, node, place, path)
        elif "fields" in node:
            self._mapping(value, node, place, path, depth)
        elif "map" in node:
            for key, item in self._items(value, dict, "a mapping", place, path):
                if item is not None:
                    self.value(item, node["map"], place, f"{path}.{key}", depth + 1)
        elif "of" in node:
            self._list(value, node, place, path, depth)
        else:
            self._limited(value, node, place, path)

    def _items(self, value: Any, kind: type[Any], name: str, place: Place, path: str) -> Iterator[tuple[Any, Any]]:
        if not isinstance(value, kind):
            self._wrong(place, path, name, value)
        elif isinstance(value, dict):
            yield from value.items()
        elif isinstance(value, list):
            yield from enumerate(value)

    def _mapping(self, value: Any, node: Json, place: Place, path: str, depth: int) -> None:
        fields, present = node["fields"], set()
        for name, item in self._items(value, dict, "a mapping", place, path):
            if name not in fields:
                if name not in self.extra:
                    hint = (
                        did_you_mean(name, fields).strip() or "Remove it, or write its name as Argo's reference does."
                    )
                    self.found.add("unknown-field", place, f"`{path}` has no field of this name", name, hint)
            # The API server and Argo both take null for absent, here and as a value of a map.
            elif item is not None:
                present.add(name)
                self.value(item, fields[name], place, f"{path}.{name}", depth + 1)
        if isinstance(value, dict):
            for name in node.get("required", ()):
                if name not in present and name not in node.get("defaults", {}):
                    self.found.add("missing-field", place, f"`{path}` needs `{name}`")

    def _list(self, value: Any, node: Json, place: Place, path: str, depth: int) -> None:
        seen: set[str] = set()
        for index, item in self._items(value, list, "a list", place, path):
            inner = _inner(place, path, item)
            self.value(item, node["of"], inner, f"{path}[{index}]", depth + 1)
            if "keys" in node and isinstance(item, dict):
                defaults = self.nodes[node["of"]].get("defaults", {})
                key = json.dumps([item.get(name, defaults.get(name)) for name in node["keys"]])
                if key in seen:
                    names = " and ".join(node["keys"])
                    self.found.add("duplicate-key", inner, f"`{path}` may have one entry for each {names}", key[1:-1])
                seen.add(key)

    def _scalar(self, value: Any, kind: str, place: Place, path: str) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if kind in _RANGES and whole:
            if not -_RANGES[kind] <= value < _RANGES[kind]:
                self.found.add("bad-value", place, f"`{path}` must fit into an {kind}", value)
        elif kind == "int-or-string":
            if not isinstance(value, str):
                self._wrong(place, path, "an integer or a text", value)
        elif kind in _RANGES:
            # 1.0 is an integer to the API server and to Argo's reader.
            if not (isinstance(value, float) and value.is_integer() and abs(value) < _RANGES[kind]):
                self._wrong(place, path, "an integer", value)
        elif kind == "number":
            if not whole and not isinstance(value, float):
                self._wrong(place, path, "a number", value)
        elif kind == "boolean":
            if not isinstance(value, bool):
                self._wrong(place, path, "true or false", value)
        elif not isinstance(value, str):
            self._wrong(place, path, "a text", value)
        elif (kind == "byte" and not _is_base64(value)) or (kind == "date-time" and not _TIME.fullmatch(value)):
            form = "base64" if kind == "byte" else "a time as 2006-01-02T15:04:05Z"
            self.found.add("bad-value", place, f"`{path}` must be {form}", value)

    def _limited(self, value: Any, node: Json, place: Place, path: str) -> None:
        if "enum" in node:
            if value not in node["enum"]:
                choices = ", ".join(choice for choice in node["enum"] if choice)
                self.found.add("bad-value", place, f"`{path}` must be one of {choices}", value)
        elif isinstance(value, str):
            if not re.fullmatch(node["pattern"], value):
                self.found.add("bad-value", place, f"`{path}` must be a quantity, as 500m or 2Gi", value)
        elif not isinstance(value, int) or isinstance(value, bool):
            self._wrong(place, path, "an integer or a quantity as text", value)

    def _wrong(self, place: Place, path: str, wanted: str, value: Any) -> None:
        quotes = f'Write "{value}", in quotes.' if wanted == "a text" and isinstance(value, int | float) else ""
        self.found.add("wrong-type", place, f"`{path}` must be {wanted}", json.dumps(value, ensure_ascii=False), quotes)


def _inner(place: Place, path: str, item: Any) -> Place:
    """Templates and tasks are told by name: their numbers in a path mean nothing to a reader."""
    if isinstance(item, dict):
        if path.endswith(".templates"):
            return template_place(place, item)
        if path.endswith(".tasks"):
            return task_place(place, item)
        if _STEPS.search(path):
            return task_place(place, item, "step")
    return place


def _is_base64(value: str) -> bool:
    try:
        return bool(base64.b64decode(value, validate=True)) or not value
    except (binascii.Error, ValueError):
        return False
