"""Names within a workflow: of templates, tasks, steps, parameters, artifacts.

Source: `workflow/validate` of Argo 3.7.18.

Comes in: manifests. Goes out: findings about illegal, missing and equal names.
"""

import re
from collections.abc import Iterable
from typing import Any

from .findings import Findings, Place
from .manifests import Manifest, steps_of, tasks_of
from .reading import Json, entries, mapping, name_of

__all__ = ["check_names", "is_name"]

_MAX_NAME = 128
_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_PARAMETER = re.compile(r"[-a-zA-Z0-9_]+")
_TAG = re.compile(r"\{\{[-a-zA-Z0-9]+(\.[-a-zA-Z0-9_]+)*\}\}")


def check_names(manifest: Manifest, found: Findings) -> None:
    """Every name in a manifest's specification."""
    place = manifest.place
    _check(manifest.templates, "template-name", "template", place, found)
    _check_arguments(manifest.spec, place, found)
    for template, inner in manifest.all_templates:
        for side in ("inputs", "outputs"):
            _check_values(mapping(template, side), side, inner, found)
        _check(tasks_of(template), "task-name", "task", inner, found)
        _check([step for group in steps_of(template) for step in group], "task-name", "step", inner, found)
        _check(entries(template, "containerSet", "containers"), "container-set", "container", inner, found)
        for holder in (*tasks_of(template), *(step for group in steps_of(template) for step in group)):
            _check_arguments(holder, inner, found)


def is_name(name: str) -> bool:
    """Whether Argo takes this for the name of a template or a task."""
    return len(name) <= _MAX_NAME and _NAME.fullmatch(name) is not None


def _check(named: Iterable[Json], rule: str, word: str, place: Place, found: Findings) -> None:
    seen: dict[str, str] = {}
    for item in named:
        name = name_of(item)
        if not name:
            found.add(rule, place, f"A {word} needs a name")
            continue
        if not is_name(name):
            found.add(rule, place, f"The name of a {word} has at most 128 letters, digits and `-`, no `-` first", name)
        other = seen.get(_folded(name))
        if other == name:
            found.add("duplicate-name", place, f"The name of a {word} must be unique here", name)
        elif other is not None:
            found.add("name-clash", place, f"Names of two {word}s differ by case alone", f"{other} and {name}")
        seen.setdefault(_folded(name), name)


def _check_arguments(holder: Json, place: Place, found: Findings) -> None:
    _check_values(mapping(holder, "arguments"), "arguments", place, found)


def _check_values(values: Json, side: str, place: Place, found: Findings) -> None:
    for kind in ("parameters", "artifacts"):
        seen: set[str] = set()
        for value in entries(values, kind):
            name = name_of(value)
            path = f"{side}.{kind}"
            if not _PARAMETER.fullmatch(name):
                text = f"A name in `{path}` has letters, digits, `-` and `_`"
                found.add("parameter-name", place, text, value.get("name") or "none")
            elif name in seen:
                found.add("duplicate-name", place, f"A name in `{path}` must be unique", name)
            seen.add(name)
            _check_global(value.get("globalName"), path, place, found)


def _check_global(name: Any, path: str, place: Place, found: Findings) -> None:
    if isinstance(name, str) and name and not _TAG.search(name) and not _PARAMETER.fullmatch(name):
        found.add("parameter-name", place, f"`globalName` in `{path}` has letters, digits, `-` and `_`", name)


def _folded(name: str) -> str:
    return name.lower()
