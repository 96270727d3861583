"""Attribute look-up that tells "nobody has it" from "the code behind it failed".

Python asks `__getattr__` in both cases: if a name is missing, and if a property raised an AttributeError of its own.
Only the first may go on to the next object of a chain.

Comes in: names that an object does not have. Goes out: used by `Pipe`, `Junction` and `PyTorch_Model`.
"""

import inspect
from collections.abc import Iterable
from typing import Any, NoReturn

from ..errors import FireworksError, did_you_mean
from .construction import Recorded

__all__ = ["AttributeAbsent", "absent", "ask", "defined_by_class", "raise_from_property"]

_NOTHING = object()


class AttributeAbsent(FireworksError, AttributeError):
    """Neither an object nor what it passes look-ups on to has this attribute."""


def defined_by_class(obj: object, name: str) -> bool:
    """Whether the class of `obj` has this attribute, found without running any of its code."""
    return inspect.getattr_static(type(obj), name, _NOTHING) is not _NOTHING


def raise_from_property(obj: object, name: str) -> None:
    """In `__getattr__`: if the class has this name, its property failed; raise that error again."""
    if defined_by_class(obj, name):
        # Runs the property a second time: Python has dropped the error it raised the first time.
        object.__getattribute__(obj, name)


def absent(obj: object, name: str, choices: Iterable[str] = ()) -> NoReturn:
    """Raise that `obj` lacks `name`, suggesting the nearest of `choices`.

    Raises:
        AttributeAbsent: Always.
    """
    raise AttributeAbsent(
        f"{type(obj).__name__} has no attribute {name!r}, nor has anything it reads from.{did_you_mean(name, choices)}",
        name=name,
        obj=obj,
    )


def ask(obj: object, name: str) -> Any:
    """``getattr(obj, name)``, for any object.

    Raises:
        AttributeAbsent: If it has no such attribute; errors of its own code come through as they are.
    """
    if isinstance(obj, Recorded):
        # Pipes and Junctions say AttributeAbsent themselves: any other error is that of someone's code.
        return getattr(obj, name)
    try:
        return getattr(obj, name)
    except AttributeError:
        if inspect.getattr_static(obj, name, _NOTHING) is not _NOTHING:
            raise
        absent(obj, name)
