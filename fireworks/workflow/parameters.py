"""Parameters of pipelines: texts from a command line become what the function's annotations say.

Comes in: values or texts by name, and a function's signature. Goes out: typed values to the function, JSON values to
the plan.
"""

import collections.abc
import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ..core.source import File
from ..errors import ParameterError, did_you_mean

__all__ = ["kinds_of", "missing", "to_json", "typed"]

# How "no value" is written on a command line.
_NOTHING = {"", "none", "null"}
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence)
_RULES = {
    int: ("a whole number", "whole numbers", "8"),
    float: ("a number", "numbers", "0.5"),
    bool: ("true or false", "true or false", "true"),
    str: ("a text", "texts", "a"),
    File: ("a path or a URL", "paths or URLs", "data.csv"),
    Path: ("a path", "paths", "data"),
}


def kinds_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The type of each parameter: what is annotated, else that of a plain default, else None."""
    try:
        hints = get_type_hints(function)
    except NameError:
        hints = {}
    kinds = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default = parameter.default
        guessed = type(default) if isinstance(default, bool | int | float | str | File) else None
        kinds[name] = hints.get(name, guessed)
    return kinds


def missing(pipeline: str, names: list[str]) -> ParameterError:
    """The error for parameters that have no default and were not given, all of them."""
    if len(names) == 1:
        return ParameterError(f"pipeline {pipeline!r} needs a value for {names[0]!r}. Give it: -p {names[0]}=VALUE.")
    listed = ", ".join(repr(name) for name in names)
    options = " ".join(f"-p {name}=VALUE" for name in names)
    return ParameterError(f"pipeline {pipeline!r} needs values for {listed}. Give them: {options}.")


def typed(name: str, kind: Any, value: Any) -> Any:
    """A value of the type `kind`; None for a type that is not known takes anything.

    Texts of lists are JSON, or items with commas between them.

    Raises:
        ParameterError: If it is none.
    """
    if kind is None:
        return value
    choices = set(get_args(kind)) if get_origin(kind) in {Union, UnionType} else {kind}
    if NoneType in choices and str not in choices and isinstance(value, str) and value.lower() in _NOTHING:
        return None
    try:
        given = _parsed(value, choices) if isinstance(value, str) and not choices & {str, File, Path} else value
        return msgspec.convert(given, kind, strict=False, dec_hook=_read_file)
    except (msgspec.MsgspecError, TypeError) as error:
        raise ParameterError(_refusal(name, choices, value, error)) from error


def _parsed(text: str, choices: set[Any]) -> Any:
    if text.startswith(("[", "{")):
        return msgspec.json.decode(text)
    if any(_is_list(choice) for choice in choices):
        return [item.strip() for item in text.split(",")] if text.strip() else []
    return text


def _is_list(kind: Any) -> bool:
    return (get_origin(kind) or kind) in _LISTS


def _refusal(name: str, choices: set[Any], value: Any, error: Exception) -> str:
    """Rule, value got, remedy."""
    kinds = choices - {NoneType}
    kind = kinds.pop() if len(kinds) == 1 else None
    start = f"parameter {name!r} must be "
    if get_origin(kind) is Literal:
        allowed = [str(item) for item in get_args(kind)]
        hint = did_you_mean(str(value), allowed) or f" Write: -p {name}={allowed[0]}."
        return f"{start}one of {', '.join(allowed)}, but got {value!r}.{hint}"
    if kind is not None and _is_list(kind):
        inner = next(iter(get_args(kind)), str)
        _, several, example = _RULES.get(inner, ("", "items", "a"))
        other = {"8": "16", "0.5": "1.5"}.get(example, "b")
        return f"{start}a list of {several}, but got {value!r}. Write: -p {name}={example},{other}."
    if kind in _RULES:
        rule, _, example = _RULES[kind]
        if kind in {int, float} and (near := _near(str(value), kind)):
            return f"{start}{rule}, but got {value!r}. Did you mean {near}?"
        return f"{start}{rule}, but got {value!r}. Write it like: -p {name}={example}."
    return f"parameter {name!r} got {value!r}: {error}. Pass a value of its type."


def _near(text: str, kind: type) -> str:
    """The number that was probably meant: with a comma or a space in it, as a power of ten, with a unit's k or M."""
    plain = text.strip().lower().replace(" ", "").replace("_", "")
    plain = plain.replace(",", "" if kind is int else ".")
    factor = {"k": 1e3, "m": 1e6}.get(plain[-1:], 1.0)
    try:
        number = float(plain.rstrip("km") if factor > 1 else plain) * factor
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    if kind is float:
        return f"{number:g}"
    return str(int(number)) if number.is_integer() else ""


def _read_file(kind: type, value: Any) -> Any:
    if kind is File and isinstance(value, str | Path):
        return File(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, kind):
        return value
    raise TypeError(f"expected {kind.__name__}")


def to_json(value: Any) -> Any:
    """A parameter's value as the plan keeps it.

    Raises:
        ParameterError: If it has no JSON form.
    """
    if isinstance(value, File):
        return value.location
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    try:
        return msgspec.to_builtins(value)
    except TypeError as error:
        raise ParameterError(
            f"a pipeline's parameters must be JSON values or Files, but got a {type(value).__name__}. "
            "Build it inside the pipeline."
        ) from error
