"""Scaffold: the states of all objects of a graph, saved and restored together.

Comes in: objects with a state, by name. Goes out: files a person reads (`save`), or a snapshot that a stage stores.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import StateError
from .model import Model
from .state import pack_state, unpack_state
from .statefile import check_method, read_state, write_state

__all__ = ["Scaffold"]

_NAMES = ("held", "linked")


class Scaffold:
    """Saves and restores named objects.

    An object has a state if it has ``get_state`` and ``set_state``, or torch's ``state_dict`` and ``load_state_dict``
    (an optimizer, a scheduler). Where the state of one attached object holds or links to another, the name of that one
    is saved; a link to an object that is not attached stays as it is when the state is restored.

    Args:
        to_attach: Name → object.
    """

    def __init__(self, to_attach: Mapping[str, Any] | None = None) -> None:
        self.attached: dict[str, Any] = {}
        for name, obj in (to_attach or {}).items():
            self.attach(name, obj)

    def attach(self, name: str, obj: Any) -> None:
        """Add an object.

        Raises:
            AttributeError: If it has no state.
        """
        if not (hasattr(type(obj), "get_state") or hasattr(type(obj), "state_dict")):
            raise AttributeError(
                f"an attached object must have get_state or state_dict, but {name!r} is a {type(obj).__name__}."
                " Define both get_state and set_state."
            )
        self.attached[name] = obj

    def serialize(self) -> dict[str, Any]:
        """Name → what ``get_state`` (or ``state_dict``) returns."""
        return {name: _state(obj) for name, obj in self.attached.items()}

    def snapshot(self) -> dict[str, dict[str, bytes]]:
        """Name → files of the packed state; see `fireworks.core.state`.

        Raises:
            StateError: If a state holds what cannot be stored; names the object and the place in its state.
        """
        return {name: self._packed(name, obj) for name, obj in self.attached.items()}

    def restore(self, snapshot: Mapping[str, Mapping[str, bytes]]) -> None:
        """Set the state of every attached object; a snapshot may hold more.

        Raises:
            StateError: If the snapshot lacks an attached object.
            FormatError: If a file of it is torn.
        """
        missing = [name for name in self.attached if name not in snapshot]
        if missing:
            raise StateError(
                f"a snapshot must hold every attached object, but lacks {', '.join(missing)} and holds"
                f" {', '.join(snapshot) or 'nothing'}. Attach under the names of the snapshot."
            )
        states = {name: unpack_state(snapshot[name]) for name in self.attached}
        for name, obj in self.attached.items():
            self._set(obj, states[name], reset=True)

    def save(self, path: str | Path, method: str = "json") -> None:
        """Write the internal states to ``{path}/{name}.{method}``; the folder must exist.

        Args:
            path: Folder.
            method: ``json`` or ``csv``.
        """
        check_method(method)
        for name, obj in self.attached.items():
            named = self._named(_state(obj))
            write_state(_flat(named), Path(path) / f"{name}.{method}", method)

    def load(self, path: str | Path, method: str = "json", reset: bool = False) -> None:
        """Set the state of every attached object that has a file ``{path}/{name}.{method}``.

        Args:
            path: Folder.
            method: ``json`` or ``csv``.
            reset: Whether a model drops what the file lacks.
        """
        check_method(method)
        for name, obj in self.attached.items():
            file = Path(path) / f"{name}.{method}"
            if file.is_file():
                state = read_state(file, method)
                self._set(obj, _deep(state) if hasattr(type(obj), "set_state") else state, reset)

    def _packed(self, name: str, obj: Any) -> dict[str, bytes]:
        try:
            return pack_state(self._named(_state(obj)))
        except StateError as error:
            raise StateError(f"the state of {name!r} cannot be stored: {error}") from error

    def _named(self, state: Any) -> Any:
        """A state with attached objects replaced by their names."""
        if not _has_halves(state):
            return state
        names = {id(obj): name for name, obj in self.attached.items()}
        kept = {key: value for key, value in state["internal"].items() if id(value) not in names}
        held = {key: names[id(value)] for key, value in state["internal"].items() if id(value) in names}
        linked = {
            key: [names[id(owner)], attribute]
            for key, (owner, attribute) in state.get("external", {}).items()
            if id(owner) in names
        }
        return {"internal": kept, "held": held, "linked": linked}

    def _set(self, obj: Any, state: Any, reset: bool) -> None:
        if not hasattr(type(obj), "set_state"):
            obj.load_state_dict(state)
            return
        if isinstance(state, dict) and "held" in state and "linked" in state:
            state = self._resolved(obj, state)
        if isinstance(obj, Model):
            obj.set_state(state, reset=reset)
        else:
            obj.set_state(state)

    def _resolved(self, obj: Any, state: dict[str, Any]) -> dict[str, Any]:
        """A state with names replaced by attached objects, and present links to others kept."""
        held = {key: self.attached[name] for key, name in state["held"].items() if name in self.attached}
        present = _state(obj)
        internal = state["internal"] | {key: value for key, value in held.items() if value is not obj}
        links = {key: link for key, link in present.get("external", {}).items() if key not in internal}
        for key, (name, attribute) in state["linked"].items():
            if name in self.attached:
                links[key] = (self.attached[name], attribute)
        return {"internal": internal, "external": links}


def _state(obj: Any) -> Any:
    return obj.get_state() if hasattr(type(obj), "get_state") else obj.state_dict()


def _has_halves(state: Any) -> bool:
    return (
        isinstance(state, dict) and isinstance(state.get("internal"), dict) and set(state) <= {"internal", "external"}
    )


def _flat(state: dict[str, Any]) -> dict[str, Any]:
    """What a state file holds: the internal half, and names of others under keys that no attribute can have."""
    if "held" not in state:
        return state
    names = {f"({half})": state[half] for half in _NAMES if state[half]}
    return {**state["internal"], **names}


def _deep(state: dict[str, Any]) -> dict[str, Any]:
    return {half: state.pop(f"({half})", {}) for half in _NAMES} | {"internal": state}
