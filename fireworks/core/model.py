"""Models: a Pipe on the input side, a Junction on the parameter side.

Comes in: Messages from the input. Goes out: transformed Messages; parameters for trainers; states for Scaffold.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import Module, Parameter

from ..errors import ParameterError, StageBoundaryError
from .junction import Junction, suggest_component
from .lookup import AttributeAbsent
from .pipe import HookedPassThroughPipe, Pipe, has_random_access
from .statefile import read_state, write_state

__all__ = ["Model", "freeze_module", "identity", "to_parameter", "unfreeze_module"]


def identity(value: Any) -> Any:
    """The value itself."""
    return value


def to_parameter(value: Any) -> Parameter:
    """Numbers as a Parameter: a floating tensor keeps its dtype, all else becomes float32."""
    tensor = value if isinstance(value, torch.Tensor) else torch.Tensor(value)
    return Parameter(tensor.detach() if tensor.is_floating_point() or tensor.is_complex() else tensor.float())


def freeze_module(module: Module, submodules: Iterable[str] | None = None) -> None:
    """Switch gradients off for a module's parameters, at any depth, or for the named submodules and parameters only."""
    _switch(module, submodules, False)


def unfreeze_module(module: Module, submodules: Iterable[str] | None = None) -> None:
    """Switch gradients on for a module's parameters, at any depth, or for the named submodules and parameters only."""
    _switch(module, submodules, True)


class Model(HookedPassThroughPipe, Junction):
    """A transform with components that can be saved, frozen, swapped and shared.

    ``model(x)``, ``model[i]`` and ``next(model)`` ask the input first, then call `update` and `forward`. A public
    attribute that is set after construction is a component; attributes with an underscore, and those set in
    `init_default_components`, are not (Parameters and Modules always are).

    Required components may still be missing when construction ends, so that `set_state` can give them; the first use
    checks. A model that treats each row on its own says ``row_local = True`` and can then be sharded.

    Args:
        components: As for `Junction`; they replace the defaults.
        input: As for `Pipe`.
    """

    _inference_enabled: bool = True
    _updates_enabled: bool = True
    _checked: bool = False

    def __init__(self, components: Mapping[str, Any] | None = None, input: Any = None) -> None:
        self.input = input
        self._set_up(components or {})

    def _set_up(self, components: Mapping[str, Any]) -> None:
        for name, value in components.items():
            self._check_type(name, value)
        self.__dict__["components"] = self._make_components({})
        self._make_defaults()
        self.components.update(components)

    def _make_defaults(self) -> None:
        self.__dict__["_defaults"] = True
        self.init_default_components()
        self.__dict__["_defaults"] = False

    # What a model is made of

    def init_default_components(self) -> None:
        """Override to set ``self.components[name]``: what holds unless the constructor is given another."""

    def forward(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        """Override: what the model does to a Message."""
        raise NotImplementedError(
            f"a Model must say what it does, but {type(self).__name__} has no forward. Define it."
        )

    def update(self, message: Any, method: str = "call") -> None:
        """Override to learn from what passes, before `forward`; `method` is ``get``, ``next`` or ``call``."""

    def compile(self, *args: Any, **kwargs: Any) -> Any:
        """Override to turn what `update` has gathered into parameters; never called by itself."""

    @property
    def random_access(self) -> bool:
        """A model that is row-local has it if its input has; any other has not."""
        return self.row_local and has_random_access(self.input)

    # Passing

    def _getitem_hook(self, message: Any) -> Any:
        return self._transform(message, "get")

    def _next_hook(self, message: Any) -> Any:
        return self._transform(message, "next")

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        return self._transform(message, "call", *args, **kwargs)

    def _transform(self, message: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if not self._checked:
            self.check_components()
            self.__dict__["_checked"] = True
        if self._updates_enabled:
            self.update(message, method=method)
        return self._infer(message, *args, **kwargs) if self._inference_enabled else message

    def _infer(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        return self.forward(message, *args, **kwargs)

    def _ask_input(self, name: str) -> Any:
        components = vars(self).get("components")
        if components is not None and name in components:
            return components[name]
        return super()._ask_input(name)

    def _is_component(self, name: str) -> bool:
        return not vars(self).get("_defaults", False) and super()._is_component(name)

    # Switches

    def enable_inference(self) -> None:
        """Let `forward` act."""
        self._inference_enabled = True

    def disable_inference(self) -> None:
        """Make `forward` the identity; `update` still runs."""
        self._inference_enabled = False

    def enable_updates(self) -> None:
        """Let `update` act."""
        self._updates_enabled = True

    def disable_updates(self) -> None:
        """Keep `update` from running."""
        self._updates_enabled = False

    def enable_inference_all(self) -> None:
        """`enable_inference` here and upstream, as far as this stage goes."""
        _upstream(self, "enable_inference_all", None)
        self.enable_inference()

    def disable_inference_all(self) -> None:
        """`disable_inference` here and upstream, as far as this stage goes."""
        _upstream(self, "disable_inference_all", None)
        self.disable_inference()

    def enable_updates_all(self) -> None:
        """`enable_updates` here and upstream, as far as this stage goes."""
        _upstream(self, "enable_updates_all", None)
        self.enable_updates()

    def disable_updates_all(self) -> None:
        """`disable_updates` here and upstream, as far as this stage goes."""
        _upstream(self, "disable_updates_all", None)
        self.disable_updates()

    # Parameters

    def freeze(self, names: str | Iterable[str] | None = None) -> None:
        """Switch gradients off for these components (all by default); a linked one at its owner. Inputs stay."""
        for name in self._chosen(names):
            _switch(self.components[name], None, False)

    def unfreeze(self, names: str | Iterable[str] | None = None) -> None:
        """Switch gradients on for these components (all by default); a linked one at its owner. Inputs stay."""
        for name in self._chosen(names):
            _switch(self.components[name], None, True)

    def all_parameters(self) -> list[Parameter]:
        """All parameters, frozen ones too, each once: of own and linked components, then of what is upstream.

        Those of other stages are none of them.
        """
        found: list[Parameter] = []
        for name in self.components:
            component = self.components[name]
            if isinstance(component, Parameter):
                found.append(component)
            elif isinstance(component, Model):
                found.extend(component.all_parameters())
            elif isinstance(component, Module):
                found.extend(component.parameters())
        found.extend(_upstream(self, "all_parameters", []))
        return list({id(parameter): parameter for parameter in found}.values())

    def _chosen(self, names: str | Iterable[str] | None) -> list[str]:
        chosen = list(self.components) if names is None else [names] if isinstance(names, str) else list(names)
        for name in chosen:
            if name not in self.components:
                raise suggest_component(name, self)
        return chosen

    # State

    def get_state(self) -> dict[str, Any]:
        """Components and stateful attributes, with models among them as their own state; and the links.

        Returns:
            ``{"internal": {name: value}, "external": {name: (object, attribute)}}``.
        """
        state = self.components.get_state()
        internal = {name: _own_state(value) for name, value in state["internal"].items()}
        return state | {"internal": internal | {name: getattr(self, name) for name in self.stateful_attributes}}

    def set_state(self, state: dict[str, Any], reset: bool = True, *args: Any, **kwargs: Any) -> None:
        """Assign a state to the components; Parameters, Modules and models that are there take their values in place.

        Args:
            state: What `get_state` returned.
            reset: Drop what the state lacks and make the default components again; otherwise it stays.
            args: Ignored.
            kwargs: Ignored.
        """
        internal = dict(state["internal"])
        for name in self.stateful_attributes:
            if name in internal:
                setattr(self, name, internal.pop(name))
        if reset:
            before = self.components.internal
            for name in list(self.components):
                del self.components[name]
            self._make_defaults()
            self.components.update({name: before[name] for name in internal if name in before})
        self.components.set_state({"internal": internal, "external": state.get("external", {})})
        self.__dict__["_checked"] = False

    def save(self, method: str = "json", path: str | Path = "", recursive: bool = True, **kwargs: Any) -> Any:
        """Write the internal state to a file beside `path`; owners of links and upstream models write theirs.

        For ``d/x.json`` and a class Q: ``d/torch_Q-x.json``; a linked owner P under the component k:
        ``d/torch_P-k_Q-x.json``; an upstream P: ``d/torch_P---Q-x.json``.

        Args:
            method: ``json`` or ``csv``.
            path: Names the folder and the end of the file's name.
            recursive: Whether owners of links and upstream models are saved too.
            kwargs: Passed on to them.
        """
        if not str(path):
            raise ParameterError(
                "save needs a path that names folder and file, but got none. Pass path='folder/name.json'."
            )
        path = Path(path)
        title = getattr(self, "__name__", type(self).__name__)
        write_state(self.get_state()["internal"], path.with_name(f"torch_{title}-{path.name}"), method)
        if recursive:
            owners: dict[int, None] = {}
            for name, (owner, _) in self.components.external.items():
                if id(owner) not in owners and isinstance(owner, Pipe | Junction):
                    owners[id(owner)] = None
                    owner.save(method=method, path=path.with_name(f"{name}_{title}-{path.name}"), **kwargs)
            Pipe.save(self, method=method, path=path.with_name(f"--{title}-{path.name}"), **kwargs)

    def load_state(self, path: str | Path, method: str = "json") -> None:
        """Read a file that `save` wrote, of this or the original library; components that it lacks stay."""
        self.set_state({"internal": read_state(Path(path), method), "external": {}}, reset=False)


def _own_state(value: Any) -> Any:
    return value.get_state() if hasattr(type(value), "get_state") else value


def _upstream(model: Model, name: str, nothing: Any) -> Any:
    """What a method of the inputs returns, or `nothing` if none up to the next stage has it."""
    try:
        method = model.recursive_call(name, call=False)
    except (AttributeAbsent, StageBoundaryError) as error:
        if error.name != name:
            raise
        return nothing
    return method()


def _switch(component: Any, names: Iterable[str] | None, gradients: bool) -> None:
    """Set requires_grad of a Parameter, a Module or Model, at any depth; other objects have none."""
    if names is not None:
        for name in names:
            _switch(getattr(component, name), None, gradients)
    elif isinstance(component, Model):
        component.unfreeze() if gradients else component.freeze()
    elif isinstance(component, Module):
        for parameter in component.parameters():
            parameter.requires_grad_(gradients)
    elif isinstance(component, torch.Tensor) and (component.is_floating_point() or component.is_complex()):
        component.requires_grad_(gradients)
