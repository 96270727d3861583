"""Fireworks: one pipe graph, run in your process, in processes on your machine, in containers, on a cluster.

Names are imported when they are first used. Comes in: nothing. Goes out: the public names; to add one, enter it in
`__all__`, in `_EXPORTS` and under TYPE_CHECKING.
"""

from typing import TYPE_CHECKING, Any

from ._lazy import lazy

if TYPE_CHECKING:
    from . import core, errors, toolbox, utils
    from .core.component_map import Component_Map, PyTorch_Component_Map
    from .core.junction import Junction, PyTorch_Junction
    from .core.message import Message, TensorMessage, cat
    from .core.model import Model
    from .core.pipe import HookedPassThroughPipe, Pipe, recursive
    from .core.pytorch_model import PyTorch_Model, model_from_module
    from .core.scaffold import Scaffold
    from .core.source import File
    from .records import Resources
    from .training import Fit
    from .workflow.cutting import cut
    from .workflow.pipelines import load_pipeline, pipeline
    from .workflow.running import run
    from .workflow.staging import Stage

__all__ = [
    "Component_Map",
    "File",
    "Fit",
    "HookedPassThroughPipe",
    "Junction",
    "Message",
    "Model",
    "Pipe",
    "PyTorch_Component_Map",
    "PyTorch_Junction",
    "PyTorch_Model",
    "Resources",
    "Scaffold",
    "Stage",
    "TensorMessage",
    "cat",
    "core",
    "cut",
    "errors",
    "load_pipeline",
    "model_from_module",
    "pipeline",
    "recursive",
    "run",
    "toolbox",
    "utils",
]

_EXPORTS = {
    "core.component_map": ("Component_Map", "PyTorch_Component_Map"),
    "core.junction": ("Junction", "PyTorch_Junction"),
    "core.message": ("Message", "TensorMessage", "cat"),
    "core.model": ("Model",),
    "core.pipe": ("HookedPassThroughPipe", "Pipe", "recursive"),
    "core.pytorch_model": ("PyTorch_Model", "model_from_module"),
    "core.scaffold": ("Scaffold",),
    "core.source": ("File",),
    "records": ("Resources",),
    "training": ("Fit",),
    "workflow.cutting": ("cut",),
    "workflow.pipelines": ("load_pipeline", "pipeline"),
    "workflow.running": ("run",),
    "workflow.staging": ("Stage",),
}
_SUBMODULES = ("core", "errors", "records", "toolbox", "utils")


def __getattr__(name: str) -> Any:
    if name == "test_dir":
        from pathlib import Path

        return str(Path.cwd() / "test")
    return lazy(globals(), name, _EXPORTS, _SUBMODULES)


def __dir__() -> list[str]:
    return [*__all__, *_SUBMODULES, "test_dir"]
