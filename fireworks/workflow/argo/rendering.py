"""Manifests as YAML for people: in a stable order, names first, and with comments that say which stage a task is.

The writer is our own: it is short, it writes comments, and it needs no package. Every text that could be taken for
something else stands in double quotes, escaped as in JSON, which YAML reads alike.

Comes in: compiled manifests and the plan. Goes out: text, to `fireworks.cli.compile`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...records import Plan
from .tasks import Task, tasks_of

__all__ = ["render", "to_yaml"]

_FIRST = (
    *("apiVersion", "kind", "name", "metadata", "namespace", "labels"),
    *("template", "depends", "when", "arguments"),
    *("entrypoint", "inputs", "outputs", "container", "image", "command", "args"),
)
_ORDER = {key: place for place, key in enumerate(_FIRST)} | {"templates": 99}
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?: && [A-Za-z][A-Za-z0-9-]*)*|-{1,2}[a-z]+")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
# What JSON leaves as it is, and YAML does not.
_UNPRINTABLE = re.compile(r"[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_INLINE = 100
_NAMES_SHOWN = 6

Note = Callable[[Mapping[str, Any]], str | None]


def render(template: Mapping[str, Any], workflow: Mapping[str, Any], plan: Plan, *, fuse: bool = True) -> str:
    """Both manifests as one YAML stream, with comments.

    Args:
        fuse: As in the `Target` that they were compiled for.
    """
    note = _notes(tasks_of(plan, fuse=fuse), template)
    graph = f"# The graph of pipeline {plan.pipeline.name!a}: the same for all runs that have this shape.\n"
    return f"{graph}{to_yaml(template, note)}---\n# One run of it.\n{to_yaml(workflow)}"


def to_yaml(document: Mapping[str, Any], note: Note = lambda item: None) -> str:
    """A document of JSON's values as YAML.

    Args:
        note: The comment above a mapping in a list, if it has one.
    """
    return "".join(f"{line}\n" for line in _mapping(document, note))


def _notes(tasks: list[Task], template: Mapping[str, Any]) -> Note:
    """What to say of tasks and of container templates."""
    by_name = {task.name: task for task in tasks}
    users: dict[str, list[str]] = {}
    for found in template["spec"]["templates"]:
        for task in found.get("dag", {}).get("tasks", ()):
            values = {value["name"]: value["value"] for value in task.get("arguments", {}).get("parameters", ())}
            if "stage" in values:
                users.setdefault(task["template"], []).append(values["stage"].replace(",", ", "))

    def note(item: Mapping[str, Any]) -> str | None:
        if "container" in item:
            names = list(dict.fromkeys(users.get(item["name"], ())))
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            return f"pods of {', '.join(names[:_NAMES_SHOWN])}{more}" if names else "records how the run ended"
        if "template" in item and item["name"] in by_name:
            return _describe(by_name[item["name"]])
        return None

    return note


def _describe(task: Task) -> str:
    if task.is_chain:
        return f"stages {task.stage_names.replace(',', ', ')}, in one pod"
    fits = f", fits {', '.join(task.stages[0].fits)}" if task.stages[0].fits else ""
    return f"stage {task.stage_names}{f', {task.shards} shards' if task.shards > 1 else ''}{fits}"


def _mapping(mapping: Mapping[str, Any], note: Note) -> Iterator[str]:
    for key in sorted(mapping, key=lambda key: (_ORDER.get(key, len(_FIRST)), key)):
        value, name = mapping[key], _scalar(key)
        if (inline := _inline(value)) is not None:
            yield f"{name}: {inline}"
            continue
        yield f"{name}:"
        for line in _mapping(value, note) if isinstance(value, Mapping) else _items(value, note):
            yield f"  {line}"


def _items(items: list[Any], note: Note) -> Iterator[str]:
    for item in items:
        comment = note(item) if isinstance(item, Mapping) else None
        if comment:
            yield f"# {comment}"
        if (inline := _inline(item)) is not None:
            yield f"- {inline}"
            continue
        lines = _mapping(item, note) if isinstance(item, Mapping) else _items(item, note)
        for number, line in enumerate(lines):
            yield f"  {line}" if number else f"- {line}"


def _inline(value: Any) -> str | None:
    """The value on one line, if it is short and holds nothing that is nested deeper."""
    if not isinstance(value, Mapping | list):
        return _scalar(value)
    inner = list(value.values()) if isinstance(value, Mapping) else value
    if any(isinstance(item, Mapping | list) for item in inner):
        return None
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda key: (_ORDER.get(key, len(_FIRST)), key))
        text = f"{{{', '.join(f'{_scalar(name)}: {_scalar(value[name])}' for name in names)}}}"
    else:
        text = f"[{', '.join(map(_scalar, value))}]"
    return text if len(text) <= _INLINE or not inner else None


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
