"""What every pipe and junction was constructed with, and what was set on it since: the recipe of a stage hashes both.

Comes in: the constructor calls of a pipeline function. Goes out: read by `fireworks.workflow` at the cut.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Self

from ..errors import GraphError

__all__ = ["Recorded", "arguments", "set_since"]

# Told apart by value: a copy of an object may hold another one that is equal.
_ATOMS = (str, int, float, bool, bytes, type(None))
# `>>` sets the one, and the map of the others lists them.
_KNOWN_OTHERWISE = {"input", "components"}


class Recorded:
    """Mixin that remembers the arguments of its construction; copies and unpickled objects keep them.

    The arguments themselves are kept, not copies of them: what a list that was passed holds now is what counts.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        instance = super().__new__(cls)
        # Past any __setattr__: a Junction would make it a component, a Module is not initialised yet.
        instance.__dict__["_construction"] = (args, kwargs)
        return instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _noting_its_end(vars(cls)["__init__"])  # type: ignore[method-assign]


def _noting_its_end(construct: Callable[..., None]) -> Any:
    """A constructor that notes what it has set; of several that call each other, the outermost has the last word."""

    @wraps(construct)
    def constructed(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        self.__dict__["_constructed"] = {name: _held(value) for name, value in _public(self).items()}

    return constructed


def _public(obj: object) -> dict[str, Any]:
    return {name: value for name, value in vars(obj).items() if name[0] != "_" and name not in _KNOWN_OTHERWISE}


def _held(value: Any) -> tuple[Any, ...]:
    """A value, and what a container holds: it may be filled later."""
    if isinstance(value, dict):
        return (value, *value.keys(), *value.values())
    return (value, *value) if isinstance(value, list | set) else (value,)


def _equal(left: Any, right: Any) -> bool:
    return left is right or (type(left) is type(right) and type(left) in _ATOMS and left == right)


def set_since(obj: object) -> dict[str, Any]:
    """The public attributes of `obj` that were set, or filled, after it was constructed.

    >>> class Scale(Recorded):
    ...     def __init__(self, factor):
    ...         self.factor, self.columns = factor, []
    >>> scale = Scale(2)
    >>> scale.columns.append("x")
    >>> set_since(scale)
    {'columns': ['x']}
    """
    before = vars(obj).get("_constructed")
    if before is None:
        return {}

    def unchanged(name: str, value: Any) -> bool:
        held, known = _held(value), before.get(name, ())
        return len(held) == len(known) and all(map(_equal, held, known))

    return {name: value for name, value in _public(obj).items() if not unchanged(name, value)}


def arguments(obj: object) -> dict[str, Any]:
    """The arguments `obj` was constructed with, by parameter name.

    Defaults are filled in; ``*args`` is one tuple, ``**kwargs`` one dict.

    >>> class Scale(Recorded):
    ...     def __init__(self, factor, *rest, offset=0):
    ...         pass
    >>> arguments(Scale(2, 3))
    {'factor': 2, 'rest': (3,), 'offset': 0}

    Raises:
        GraphError: If the construction of such objects is not recorded.
    """
    construction = vars(obj).get("_construction") if hasattr(obj, "__dict__") else None
    if construction is None:
        raise GraphError(
            f"only Pipes, Junctions and subclasses of Recorded know their arguments, but got {type(obj).__name__}."
            " Inherit fireworks.core.construction.Recorded."
        )
    args, kwargs = construction
    bound = inspect.signature(type(obj).__init__).bind(obj, *args, **kwargs)
    bound.apply_defaults()
    given = dict(bound.arguments)
    del given[next(iter(given))]
    return given
