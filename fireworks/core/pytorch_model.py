"""PyTorch_Model: a Model that is a `torch.nn.Module` too.

Comes in: Messages and Parameters. Goes out: to optimizers (``parameters()``), to Stages, to
``torch.save(state_dict())``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import Module, Parameter

from .component_map import Component_Map, PyTorch_Component_Map, component_state
from .junction import PyTorch_Junction
from .lookup import absent, raise_from_property
from .model import Model, freeze_module, identity, to_parameter, unfreeze_module
from .pipe import HookedPassThroughPipe, Pipe

__all__ = [
    "PyTorch_Model",
    "freeze_module",
    "identity",
    "model_from_module",
    "to_parameter",
    "unfreeze_module",
]

_REGISTRIES = ("_parameters", "_buffers", "_modules")


class PyTorch_Model(Module, Model, HookedPassThroughPipe, PyTorch_Junction):
    """A Model whose components are trained by torch.

    Components that are Parameters or Modules are registered, so ``parameters()``, ``state_dict()``, ``train()`` and
    ``to()`` know them, linked ones and the input excepted. Lists and arrays of numbers become Parameters. Parameters
    and Modules are components whatever their attribute is called and whenever it is set.

    Args:
        components: As for `Junction`; they replace the defaults.
        input: As for `Pipe`.
    """

    def __init__(self, components: Mapping[str, Any] | None = None, input: Any = None) -> None:
        Module.__init__(self)
        vars(self)["input"] = input
        self._set_up(components or {})

    def _make_components(self, components: Mapping[str, Any]) -> Component_Map:
        return PyTorch_Component_Map(components, model=self)

    # Module's __call__ runs its hooks around forward; rows reach it through Model.
    def __call__(self, message: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The input's answer, or `message` itself, through `update` and `forward`."""
        return HookedPassThroughPipe.__call__(self, message, *args, **kwargs)

    def _infer(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        return Module.__call__(self, message, *args, **kwargs)

    # Attributes: Module's own look-up would hide errors of properties and know nothing of inputs.

    def __getattr__(self, name: str) -> Any:
        raise_from_property(self, name)
        for registry in _REGISTRIES:
            entries = vars(self).get(registry, {})
            if name in entries:
                return entries[name]
        if name.startswith("_"):
            absent(self, name)
        return self._ask_input(name)

    def __setattr__(self, name: str, value: Any) -> None:
        trainable = isinstance(value, Parameter | Module) and name != "input"
        if trainable and "components" not in vars(self):
            absent_base = f"call super().__init__() in {type(self).__name__}.__init__ before it sets {name!r}"
            raise AttributeError(f"Parameters and Modules need an initialised model: {absent_base}.")
        if name in vars(self).get("_buffers", {}):
            Module.__setattr__(self, name, value)
        elif trainable or self._is_component(name) or name in vars(self).get("components", ()):
            vars(self).pop(name, None)
            self._check_type(name, value)
            self.components[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.components:
            del self.components[name]
        else:
            Module.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        registered = (name for registry in _REGISTRIES for name in vars(self).get(registry, ()))
        return sorted({*object.__dir__(self), *registered, *vars(self).get("components", ())})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter as a component."""
        if param is None:
            Module.register_parameter(self, name, None)
        else:
            self.components[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module as a component."""
        if module is None:
            Module.add_module(self, name, None)
        else:
            self.components[name] = module

    # Devices

    def cuda(self, *args: Any, **kwargs: Any) -> Any:
        """Move what is upstream, then this model, to the GPU; returns self."""
        self._move_inputs("cuda", *args, **kwargs)
        return Module.cuda(self, *args, **kwargs)

    def cpu(self) -> Any:
        """Move what is upstream, then this model, to the CPU; returns self."""
        self._move_inputs("cpu")
        return Module.cpu(self)

    def _move_inputs(self, method: str, *args: Any, **kwargs: Any) -> None:
        for pipe in self.chain():
            upstream = pipe.input
            if isinstance(upstream, Module) or (upstream is not None and not isinstance(upstream, Pipe)):
                if hasattr(type(upstream), method):
                    getattr(upstream, method)(*args, **kwargs)
                return

    # State

    def get_state(self) -> dict[str, Any]:
        """As `Model.get_state`, with tensors as arrays and Modules as dicts of arrays, all copies; buffers included.

        For `Scaffold` and stages. A file that ``torch.load(weights_only=True)`` is to read takes ``state_dict()``: it
        has tensors, and no code to be trusted.
        """
        state = super().get_state()
        skipped = self._non_persistent_buffers_set
        buffers = {name: value for name, value in self._buffers.items() if value is not None and name not in skipped}
        return state | {
            "internal": state["internal"] | {name: component_state(value) for name, value in buffers.items()}
        }

    def set_state(self, state: dict[str, Any], reset: bool = True, *args: Any, **kwargs: Any) -> None:
        """As `Model.set_state`; buffers take their values in place."""
        buffers = {name for name, buffer in self._buffers.items() if buffer is not None}
        internal = {name: value for name, value in state["internal"].items() if name not in buffers}
        super().set_state(state | {"internal": internal}, reset, *args, **kwargs)
        # After the reset, which may have registered them anew with their first values.
        for name, buffer in self._buffers.items():
            if name in buffers and name in state["internal"] and buffer is not None:
                value = torch.as_tensor(state["internal"][name])
                if buffer.shape != value.shape:
                    # A new one: whose values were once looked at as an array cannot be resized.
                    self._buffers[name] = value.to(buffer.device, buffer.dtype, copy=True)
                else:
                    buffer.copy_(value)


def model_from_module(module_class: type[Module]) -> type[PyTorch_Model]:
    """Make a Model class of a Module class.

    Args:
        module_class: Its ``forward`` becomes the model's.

    Returns:
        ``ModelFromModule(components={}, *args, input=None, **kwargs)``: ``args`` and ``kwargs`` go to the module; its
        parameters and submodules become components, those given replace them.
    """

    def construct(self: Any, components: Any = None, *args: Any, input: Any = None, **kwargs: Any) -> None:
        vars(self)["_module_arguments"] = (args, kwargs)
        PyTorch_Model.__init__(self, components, input)

    def init_default_components(self: Any) -> None:
        args, kwargs = vars(self)["_module_arguments"]
        _adopt(self, module_class(*args, **kwargs))

    body = {
        "__init__": construct,
        "init_default_components": init_default_components,
        "__doc__": module_class.__doc__,
        "__module__": module_class.__module__,
        "__qualname__": f"model_from_module({module_class.__qualname__})",
        "module_class": module_class,
    }
    return type("ModelFromModule", (PyTorch_Model, module_class), body)


def _adopt(model: PyTorch_Model, module: Module) -> None:
    """Take over a module's attributes, parameters, buffers and submodules."""
    plain = Module().__dict__
    for name, value in vars(module).items():
        if name not in plain:
            vars(model)[name] = value
    for name, buffer in module._buffers.items():
        model.register_buffer(name, buffer, persistent=name not in module._non_persistent_buffers_set)
    for registry in (module._parameters, module._modules):
        for name, value in registry.items():
            if value is None:
                model.register_parameter(name, None)
            else:
                model.components[name] = value
