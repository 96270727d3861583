"""Junctions: many named inputs, each with its own rule for using them.

Comes in: pipes, models, functions, any objects, as components. Goes out: to whatever the junction computes; trainers,
hubs and factories are junctions.
"""

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..errors import ParameterizationError, did_you_mean
from .component_map import Component_Map, PyTorch_Component_Map
from .construction import Recorded
from .lookup import absent, defined_by_class, raise_from_property

__all__ = ["Junction", "PyTorch_Junction"]

_FUNCTION_TYPES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class Junction(Recorded):
    """Holds components. ``j.x`` reads the component x, ``j.x = v`` sets it.

    Attributes that start with an underscore, that the class defines, or that were set before construction ended its
    base class's part, are ordinary ones.

    Args:
        components: Name → object, or a pair (object, attribute) to link to an attribute of another object.

    Raises:
        ParameterizationError: If a required component is missing or of the wrong type.
    """

    required_components: ClassVar[Sequence[str] | Mapping[str, Any]] = ()
    """Names, or name → type (or tuple of types); any callable satisfies a function type."""
    components: Component_Map

    def __init__(self, components: Mapping[str, Any] | None = None) -> None:
        self.__dict__["components"] = self._make_components(components or {})
        self.check_components()

    def _make_components(self, components: Mapping[str, Any]) -> Component_Map:
        for name, value in components.items():
            self._check_type(name, value)
        return Component_Map(components)

    def check_components(self) -> None:
        """See that all required components are there and of their types.

        Raises:
            ParameterizationError: If not; `missing` lists the absent ones.
        """
        missing = [name for name in self.required_components if name not in self.components]
        if missing:
            raise ParameterizationError(
                f"{type(self).__name__} requires the components {', '.join(self.required_components)}, but got"
                f" {', '.join(self.components) or 'none'}; missing: {', '.join(missing)}. Pass them in `components`.",
                missing=missing,
            )
        if isinstance(self.required_components, Mapping):
            for name in self.required_components:
                self._check_type(name, self.components[name])

    def _check_type(self, name: str, value: Any) -> None:
        required = self.required_components
        wanted = required.get(name) if isinstance(required, Mapping) else None
        if wanted is None or _is_pair(value) or _satisfies(value, wanted):
            return
        raise ParameterizationError(
            f"component {name!r} of {type(self).__name__} must be a {_type_name(wanted)}, but got a"
            f" {type(value).__name__}. Pass an object of that type."
        )

    def __getattr__(self, name: str) -> Any:
        raise_from_property(self, name)
        components = vars(self).get("components")
        if components is not None and name in components:
            return components[name]
        return absent(self, name, components or ())

    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_component(name):
            self._check_type(name, value)
            self.components[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self).get("components", ()):
            del self.components[name]
        else:
            object.__delattr__(self, name)

    def _is_component(self, name: str) -> bool:
        """Whether assigning to this attribute sets a component."""
        own = vars(self)
        if name.startswith("_") or "components" not in own or name in own:
            return False
        return not defined_by_class(self, name) and name != "components"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *vars(self).get("components", ())]

    # State

    def get_state(self) -> dict[str, Any]:
        """``{"internal": {name: component}, "external": {name: (object, attribute)}}``."""
        return self.components.get_state()

    def set_state(self, state: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Assign both halves of a state to the components; removes none."""
        self.components.set_state(state)

    def state_dict(self) -> dict[str, Any]:
        """What `get_state` returns, under torch's name."""
        return self.get_state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `set_state` does, under torch's name."""
        self.set_state(state)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Call ``save`` of every component that has it."""
        for name in self.components:
            component = self.components[name]
            if hasattr(component, "save"):
                component.save(*args, **kwargs)


class PyTorch_Junction(Junction):
    """A Junction whose lists and arrays of numbers become Parameters."""

    def _make_components(self, components: Mapping[str, Any]) -> Component_Map:
        for name, value in components.items():
            self._check_type(name, value)
        return PyTorch_Component_Map(components)


def suggest_component(name: str, junction: Junction) -> ParameterizationError:
    """The error for a name that is no component."""
    known = ", ".join(junction.components) or "none"
    return ParameterizationError(
        f"{name!r} must be a component of {type(junction).__name__}, which has: {known}."
        f"{did_you_mean(name, junction.components)}",
        missing=[name],
    )


def _is_pair(value: Any) -> bool:
    # A link's value may change later; its type is that of the attribute at first use.
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str)


def _satisfies(value: Any, wanted: Any) -> bool:
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    if any(kind in _FUNCTION_TYPES or not inspect.isclass(kind) for kind in kinds) and callable(value):
        return True
    return isinstance(value, tuple(kind for kind in kinds if inspect.isclass(kind)))


def _type_name(wanted: Any) -> str:
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    return " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
