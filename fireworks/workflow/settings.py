"""What a Stage is given besides pipes, checked at the cut: all that is wrong with it, at once.

Comes in: a Stage. Goes out: findings for `fireworks.workflow.cutting`, and the stage as far as it can be planned.
"""

import copy
import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from ..core import Junction, Message, Pipe
from ..records import Resources
from .staging import FittedState, Stage

__all__ = ["repaired", "setting_problems"]

_QUANTITY = re.compile(r"(?=.*[1-9])\d+(\.\d+)?([kMGTP]|[KMGTP]i|e\d+)?")
_SECRET = re.compile(r"[^/\s]+/[^/\s]+")


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= least


def _number(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value)


def _quantity(value: Any) -> bool:
    return isinstance(value, str) and _QUANTITY.fullmatch(value) is not None


def _texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(type(item) is str for pair in value.items() for item in pair)


def _listed(fits: Callable[[str], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and all(type(item) is str and fits(item) for item in value)


def _glob(value: str) -> bool:
    path = PurePosixPath(value)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


class _Setting(NamedTuple):
    """One setting: what it must be, and how it is written."""

    name: str
    fits: Callable[[Any], bool]
    rule: str
    remedy: str


_POSITIVE, _QUANTITIES = "a positive number", "a quantity such as 500M or 2Gi"
_SETTINGS = (
    _Setting("shards", _whole(1), "a whole number of at least 1", "shards=4"),
    _Setting("image", lambda value: value is None or (type(value) is str and bool(value)), "a name", "image='lab/x:1'"),
    _Setting("retries", _whole(0), "a whole number of at least 0", "retries=2"),
    _Setting(
        "timeout",
        lambda value: value is None or (_number(value) and value > 0),
        f"{_POSITIVE} of seconds",
        "timeout=60",
    ),
    _Setting("grace", lambda value: _number(value) and value >= 0, "a number of seconds, at least 0", "grace=30"),
    _Setting("env", _texts, "texts by name", "env={'LEVEL': '3'}"),
    _Setting(
        "secrets",
        lambda value: _texts(value) and all(_SECRET.fullmatch(item) for item in value.values()),
        "'secret/key' by name",
        "secrets={'TOKEN': 'hub/token'}",
    ),
    _Setting("code", _listed(_glob), "a list of globs below the project folder", "code=['tables/*.csv']"),
    _Setting("pod", lambda value: isinstance(value, Mapping), "a patch of the pod's spec", "pod={'priority': 5}"),
    _Setting("cache", lambda value: type(value) is bool, "True or False", "cache=False"),
    _Setting("fuse", lambda value: value is None or type(value) is bool, "True, False or None", "fuse=False"),
    _Setting(
        "expose",
        _listed(lambda name: name.isidentifier() and name[0] != "_"),
        "a list of names of public attributes",
        "expose=['n_classes']",
    ),
    _Setting("resources", lambda value: isinstance(value, Resources), "Resources", "resources=Resources(cpu=2)"),
)
_RESOURCES = (
    _Setting("cpu", lambda value: _number(value) and value > 0, f"{_POSITIVE} of cores", "Resources(cpu=2)"),
    _Setting("memory", _quantity, _QUANTITIES, "Resources(memory='2Gi')"),
    _Setting("gpu", _whole(0), "a whole number of at least 0", "Resources(gpu=1)"),
    _Setting("disk", lambda value: value is None or _quantity(value), _QUANTITIES, "Resources(disk='10Gi')"),
)


def _wrong(obj: Any, settings: tuple[_Setting, ...]) -> list[_Setting]:
    return [setting for setting in settings if not setting.fits(getattr(obj, setting.name))]


def setting_problems(stage: Stage) -> list[str]:
    """What is wrong with a stage's input and settings; one line each."""
    where = f"stage {stage.name!r}"
    problems = [
        f"{where}: {setting.name} must be {setting.rule}, but got {getattr(stage, setting.name)!r}. "
        f"Write Stage(…, {setting.remedy})."
        for setting in _wrong(stage, _SETTINGS)
    ]
    if isinstance(stage.resources, Resources):
        problems += [
            f"{where}: {setting.name} of its resources must be {setting.rule}, but got "
            f"{getattr(stage.resources, setting.name)!r}. Write {setting.remedy}."
            for setting in _wrong(stage.resources, _RESOURCES)
        ]
    if not _rows(stage.input):
        known = isinstance(stage.input, FittedState)
        remedy = f"{stage.input!r}(input=…)" if known else "Stage(Message({'x': …}) >> …, name=…)"
        problems.append(
            f"{where}: what a stage writes down must come from pipes, a junction or a Message, but got "
            f"{stage.input!r:.60}. Write {remedy}."
        )
    return problems


def _rows(source: Any) -> bool:
    if isinstance(source, list | tuple):
        return bool(source) and all(isinstance(item, Message | Mapping) for item in source)
    return isinstance(source, Pipe | Junction | Message) or hasattr(type(source), "get_state")


def repaired(stage: Stage) -> Stage:
    """The stage, or a copy with defaults in place of what is wrong, so that the cut finds what else is."""
    twin, default = copy.copy(stage), Stage(name=str(stage.name))
    twin.name = default.name
    for setting in _wrong(stage, _SETTINGS):
        setattr(twin, setting.name, getattr(default, setting.name))
    if _wrong(twin.resources, _RESOURCES):
        twin.resources = default.resources
    if not _rows(twin.input):
        twin.input = None
    return twin
