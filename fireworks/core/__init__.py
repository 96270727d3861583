"""Messages, pipes, junctions, models and their states.

Names are imported when they are first used. Comes in: rows from sources. Goes out: the vocabulary of
`fireworks.toolbox`, `fireworks.training` and `fireworks.workflow`.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import lazy

if TYPE_CHECKING:
    from .component_map import Component_Map, PyTorch_Component_Map
    from .junction import Junction, PyTorch_Junction
    from .message import Message, PartWriter, StoredMessage, TensorMessage, cat
    from .model import Model
    from .pipe import HookedPassThroughPipe, Pipe, recursive
    from .pytorch_model import PyTorch_Model, model_from_module
    from .scaffold import Scaffold
    from .source import File

__all__ = [
    "Component_Map",
    "File",
    "HookedPassThroughPipe",
    "Junction",
    "Message",
    "Model",
    "PartWriter",
    "Pipe",
    "PyTorch_Component_Map",
    "PyTorch_Junction",
    "PyTorch_Model",
    "Scaffold",
    "StoredMessage",
    "TensorMessage",
    "cat",
    "model_from_module",
    "recursive",
]

_EXPORTS = {
    "component_map": ("Component_Map", "PyTorch_Component_Map"),
    "junction": ("Junction", "PyTorch_Junction"),
    "message": ("Message", "PartWriter", "StoredMessage", "TensorMessage", "cat"),
    "model": ("Model",),
    "pipe": ("HookedPassThroughPipe", "Pipe", "recursive"),
    "pytorch_model": ("PyTorch_Model", "model_from_module"),
    "scaffold": ("Scaffold",),
    "source": ("File",),
}
_SUBMODULES = ("construction", "shuffle", "state")


def __getattr__(name: str) -> Any:
    return lazy(globals(), name, _EXPORTS, _SUBMODULES)


def __dir__() -> list[str]:
    return [*__all__, *_EXPORTS, *_SUBMODULES]
