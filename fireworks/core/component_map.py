"""The components of a Junction or Model: a mapping whose entries may be links to attributes of other objects.

Comes in: what a user gives as ``components``, or assigns to a model. Goes out: read by `Junction` and `Model`,
registered as parameters and modules by `PyTorch_Model`.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch.nn import Module, Parameter

from ..errors import ParameterizationError, StateError, did_you_mean

__all__ = ["Component_Map", "Link", "PyTorch_Component_Map"]


class Link(NamedTuple):
    """An entry that is the attribute of another object, read when asked for."""

    owner: Any
    attribute: str


class Component_Map(MutableMapping[str, Any]):
    """Components by name; each internal (held here) or external (a live link), never both.

    ``map["a"] = (obj, "x")`` links, if ``obj`` has an attribute ``x``; ``map["a"]`` then reads ``obj.x``. Any other
    tuple is a value. Assigning the other kind switches the entry.

    Args:
        components: Entries to begin with.
    """

    def __init__(self, components: Mapping[str, Any] | None = None) -> None:
        self._entries: dict[str, Any] = {}
        self.update(components or {})

    def setitem_hook(self, key: str, value: Any) -> tuple[str, Any]:
        """Override to change what is assigned as an internal component."""
        return key, value

    @property
    def internal(self) -> dict[str, Any]:
        """The components held here."""
        return {key: self._read(key) for key, entry in self._entries.items() if type(entry) is not Link}

    @property
    def external(self) -> dict[str, Link]:
        """The links."""
        return {key: entry for key, entry in self._entries.items() if type(entry) is Link}

    def __getitem__(self, key: str) -> Any:
        if key not in self._entries:
            raise ParameterizationError(
                f"a component must be given before it is read, but got {key!r}; there are: {', '.join(self) or 'none'}."
                f"{did_you_mean(str(key), self)}",
                missing=[key],
            )
        entry = self._entries[key]
        return getattr(entry.owner, entry.attribute) if type(entry) is Link else self._read(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if _is_link(value):
            self._forget(key)
            self._entries[key] = Link(*value)
        else:
            self._hold(*self.setitem_hook(key, value))

    def __delitem__(self, key: str) -> None:
        if key not in self._entries:
            raise ParameterizationError(
                f"only components can be deleted, but got {key!r}.{did_you_mean(key, self)}", [key]
            )
        self._forget(key)
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self)})"

    def get_state(self) -> dict[str, Any]:
        """``{"internal": {key: value}, "external": {key: (obj, attribute)}}``."""
        return {"internal": self.internal, "external": {key: tuple(link) for key, link in self.external.items()}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Assign both halves of a state; removes nothing."""
        for key, value in state["internal"].items():
            self.renew(key, value)
        for key, link in state.get("external", {}).items():
            self[key] = tuple(link)

    def renew(self, key: str, value: Any) -> None:
        """Assign a component's saved value; an object that is there and takes a state takes it."""
        present = self.internal.get(key)
        if isinstance(value, dict) and present is not None and hasattr(type(present), "set_state"):
            present.set_state(value)
        else:
            self[key] = value

    def _read(self, key: str) -> Any:
        return self._entries[key]

    def _hold(self, key: str, value: Any) -> None:
        self._entries[key] = value

    def _forget(self, key: str) -> None:
        """Undo whatever else an entry's presence has caused."""


class PyTorch_Component_Map(Component_Map):
    """Components that torch can train.

    On assignment, lists, tuples, arrays and tensors of numbers become Parameters (floating tensors and arrays keep
    their dtype, the rest becomes float32); Parameters and Modules stay; so do scalars, strings and all else. A dict
    assigned to the name of a Module is loaded into it as its state.

    Args:
        components: Entries to begin with.
        model: A Module on which parameters and modules are registered under their names.
    """

    def __init__(self, components: Mapping[str, Any] | None = None, model: Module | None = None) -> None:
        self._model = model
        super().__init__(components)

    def setitem_hook(self, key: str, value: Any) -> tuple[str, Any]:
        """Make numbers a Parameter."""
        return key, _as_component(value)

    def get_state(self) -> dict[str, Any]:
        """As `Component_Map`, with tensors as arrays (copies), and Modules as dicts of arrays."""
        state = super().get_state()
        state["internal"] = {key: component_state(value) for key, value in state["internal"].items()}
        return state

    def renew(self, key: str, value: Any) -> None:
        """Assign a saved value, into the present Parameter or Module if it fits: optimizers hold on to that."""
        present = self.internal.get(key)
        saved = _as_component(value) if isinstance(present, Parameter) else None
        if isinstance(present, Parameter) and isinstance(saved, Parameter) and saved.shape == present.shape:
            with torch.no_grad():
                present.copy_(saved)
        else:
            super().renew(key, value)

    def _registries(self) -> list[dict[str, Any]]:
        return [] if self._model is None else [vars(self._model)[name] for name in ("_parameters", "_modules")]

    def _read(self, key: str) -> Any:
        # Module.to and others may have replaced what was registered.
        for registry in self._registries():
            if key in registry:
                return registry[key]
        return self._entries[key]

    def _hold(self, key: str, value: Any) -> None:
        present = self._read(key) if key in self._entries else None
        if isinstance(value, dict) and isinstance(present, Module):
            load_module_state(present, value, key)
            return
        self._forget(key)
        self._entries[key] = value
        if self._model is not None and isinstance(value, Parameter | Module):
            # Not by register_parameter: it refuses a name that the model answers to, inputs and components included.
            vars(self._model)["_parameters" if isinstance(value, Parameter) else "_modules"][key] = value

    def _forget(self, key: str) -> None:
        for registry in self._registries():
            registry.pop(key, None)


def component_state(value: Any) -> Any:
    """A component as a state holds it."""
    if isinstance(value, torch.Tensor):
        return _as_array(value)
    if isinstance(value, Module) and not hasattr(type(value), "get_state"):
        return {key: component_state(entry) for key, entry in value.state_dict().items()}
    return value


def load_module_state(module: Module, state: dict[str, Any], name: str) -> None:
    """Load a dict of arrays, or the state of a Model, into a module in place.

    Raises:
        StateError: If keys or shapes are not those of the module.
    """
    if hasattr(type(module), "set_state"):
        cast("Any", module).set_state(state)
        return
    tensors = {
        key: value if isinstance(value, torch.Tensor) else torch.as_tensor(np.asarray(value))
        for key, value in state.items()
    }
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StateError(f"a state must fit its module, but that of {name!r} does not: {reason}") from error


def _as_component(value: Any) -> Any:
    if isinstance(value, Parameter | Module) or not _is_numbers(value):
        return value
    try:
        tensor = value if isinstance(value, torch.Tensor) else torch.as_tensor(_native(value))
    except (TypeError, ValueError, RuntimeError):
        return value
    if not (tensor.is_floating_point() or tensor.is_complex()):
        tensor = tensor.to(torch.float32)
    return Parameter(tensor.detach())


def _native(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    # Lists become torch's float32, as torch.Tensor makes them.
    return torch.Tensor(value)


def _is_numbers(value: Any) -> bool:
    """Whether a value is an array, tensor or sequence with a length; strings in it show only on conversion."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.ndim > 0
    return isinstance(value, list | tuple)


def _as_array(tensor: torch.Tensor) -> Any:
    plain = tensor.detach().cpu()
    try:
        return plain.numpy().copy()
    except TypeError:
        # numpy has no bfloat16 and no float8.
        return plain.clone()


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[1], str)
        and not isinstance(value[0], str)
        and hasattr(value[0], value[1])
    )
