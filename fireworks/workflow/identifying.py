"""Identifying objects: what a pipe was constructed with, as plain data that differs when its output may.

Comes in: the nodes of one stage and their arguments. Goes out: encodings that `fireworks.workflow.recipes` hashes,
and the files and distributions that define what was met.
"""

import datetime as dt
import decimal
import enum
import functools
import inspect
import math
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path, PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from blake3 import blake3

from ..core import Junction, Message, Model, Pipe
from ..core.source import File
from ..core.state import pack_state
from ..records import Source, address
from .graph import StageGraph, given, nested
from .imports import Project
from .staging import FittedState, Stage, fitted_from

__all__ = ["Identifier", "source_file"]

_PLAIN = (str, int, bool, type(None))
# Code without a source text, as typed at a prompt, is never taken for that of another process.
_SESSION = uuid.uuid4().hex


def source_file(thing: Any) -> Path | None:
    """The file that defines a class or function, or None for what is built in or was typed in."""
    try:
        found = Path(inspect.getsourcefile(thing) or "")
    except (TypeError, OSError):
        return None
    return found if found.is_file() else None


@dataclass
class Identifier:
    """Encodes the objects of one stage, and collects what they depend on.

    Args:
        resolve: Gives the pinned `Source` of a `File`.
        files: Project files that define what was met.
        modules: Top-level names of the other modules that do.
        typed_in: Name → hash of the code of what has no file.
        problems: What cannot be identified; one line each.
    """

    graph: StageGraph
    project: Project
    resolve: Callable[[File], Source]
    files: dict[Path, None] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    typed_in: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def node(self, node: Any) -> Any:
        """One pipe or junction: its class, what it was given and how it is switched, and the state it starts in."""
        label = type(node).__name__
        content = {key: self.value(item, f"{label}{key if key[0] == '.' else ''}") for key, item in given(node).items()}
        # A pipe may make a File of a path that it was given.
        own = [item for key, item in vars(node).items() if key != "_constructed"]
        content["files"] = [self.value(item, label) for item in nested(own) if type(item) is File]
        if isinstance(node, Junction):
            content["components"] = {
                key: self._component(node, key, item, label) for key, item in node.components.items()
            }
        state = None
        stateful = isinstance(node, Model) or (isinstance(node, Pipe) and bool(node.stateful_attributes))
        if stateful and fitted_from(node) is None:
            state = _hash_files(pack_state(node.get_state()["internal"]))
        return {"class": self.name(type(node)), "arguments": content, "switches": _switches(node), "state": state}

    def _component(self, node: Any, name: str, item: Any, label: str) -> Any:
        # Numbers of a Model are in its state, which a fitted one gets from elsewhere; those it links to are not.
        link = node.components.external.get(name)
        if isinstance(node, Model) and (link is None or fitted_from(link.owner) is not None):
            if isinstance(item, torch.Tensor):
                return item.requires_grad
            if isinstance(item, torch.nn.Module) and not isinstance(item, Pipe):
                return self._structure(item)
        return [self.value(item, label), item.requires_grad if isinstance(item, torch.Tensor) else None]

    def value(self, value: Any, owner: str) -> Any:
        """Plain data for one argument; anything unknown becomes a problem."""
        if type(value) in _PLAIN:
            return value
        if isinstance(value, Pipe | Junction | FittedState):
            return self.edge(value)
        if isinstance(value, Mapping):
            return {"dict": [[self.value(key, owner), self.value(item, owner)] for key, item in value.items()]}
        if type(value) in {list, tuple}:
            return {type(value).__name__: [self.value(item, owner) for item in value]}
        if isinstance(value, set | frozenset):
            return {"set": sorted((self.value(item, owner) for item in value), key=repr)}
        for kinds, encode in _KINDS:
            if isinstance(value, kinds):
                return encode(self, value, owner)
        if is_dataclass(value) or isinstance(value, tuple):
            items = value if isinstance(value, tuple) else [getattr(value, item.name) for item in fields(value)]
            return {self.name(type(value)): [self.value(item, owner) for item in items]}
        if callable(getattr(value, "get_state", None)):
            return {self.name(type(value)): _hash_files(pack_state(value.get_state()))}
        self._problem(
            f"{owner} was given a {type(value).__name__}, which has no content to identify it by. "
            "Pass plain values, tensors, Files, importable functions, or an object with get_state."
        )
        return None

    def edge(self, node: Any) -> Any:
        """Where a node draws from, by position: names of stages don't count."""
        if isinstance(node, FittedState):
            positions = [known for known, _ in self.graph.states]
            return {"state": next(i for i, known in enumerate(positions) if known is node), "name": node.name}
        if isinstance(node, Stage):
            return {"rows": next(i for i, known in enumerate(self.graph.inputs) if known is node)}
        return {"node": next(i for i, known in enumerate(self.graph.nodes) if known is node)}

    def name(self, thing: Any) -> str:
        """Module and qualified name of a class or function; its file becomes part of the recipe."""
        thing = vars(thing).get("module_class", thing) if isinstance(thing, type) else thing
        module, qualified = str(thing.__module__), str(thing.__qualname__)
        path = source_file(thing)
        if path is not None and self.project.holds(path):
            self.files[path] = None
            module = self.project.module_name(path)
        elif path is None and not hasattr(sys.modules.get(thing.__module__), "__file__"):
            self.typed_in[f"{module}:{qualified}"] = _code_hash(thing)
        else:
            self.modules.add(module.partition(".")[0])
        if _resolve(thing) is not thing:
            self._problem(
                f"functions and classes must be importable by their name, but got {qualified} of {module}. "
                "Give it a name of its own at the top of a module."
            )
        return f"{module}:{qualified}"

    def _file(self, value: File, owner: str) -> Any:
        source = self.resolve(value)
        self.sources[source.location] = source
        if source.objects and not source.hash and self.graph.stage.cache:
            self._problem(
                f"a source must have a version, but the server of {source.location} tells none. "
                "Keep a copy in a file, or let the stage run every time: Stage(cache=False)."
            )
        return {"source": source.hash}

    def _function(self, value: Any, owner: str) -> Any:
        if isinstance(value, MethodType):
            return {"method": value.__func__.__qualname__, "of": self.value(value.__self__, owner)}
        return {"name": self.name(value)}

    def _builtin(self, value: Any, owner: str) -> Any:
        bound = value.__self__
        if bound is None or isinstance(bound, ModuleType | type):
            return {"builtin": [getattr(bound, "__name__", str(bound)), value.__qualname__]}
        return {"builtin": [value.__qualname__, self.value(bound, owner)]}

    def _partial(self, value: "functools.partial[Any]", owner: str) -> Any:
        return {"partial": [self.value(item, owner) for item in (value.func, value.args, value.keywords)]}

    def _module(self, value: torch.nn.Module, owner: str) -> Any:
        return {"module": self._structure(value), "state": _hash_files(pack_state(dict(value.state_dict())))}

    def _structure(self, value: torch.nn.Module) -> Any:
        parameters = [[name, parameter.requires_grad] for name, parameter in value.named_parameters()]
        return [repr(value), [[self.name(type(item)), item.training] for item in value.modules()], parameters]

    def _problem(self, text: str) -> None:
        self.problems.append(f"stage {self.graph.stage.name!r}: {text}")


def _resolve(thing: Any) -> Any:
    """What the module and qualified name of a class or function lead to."""
    found: Any = sys.modules.get(thing.__module__)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    # The decorator @pipeline, for one, leaves an object that wraps the function.
    return thing if inspect.isfunction(thing) and getattr(found, "function", None) is thing else found


def _switches(node: Any) -> Any:
    """Private switches of a Model. `training` is public; which parameters are frozen is told with each component."""
    return [node._inference_enabled, node._updates_enabled] if isinstance(node, Model) else []


def _code_hash(thing: Any) -> str:
    try:
        return str(blake3(inspect.getsource(thing).encode()).hexdigest())
    except (OSError, TypeError):
        return _SESSION


def _hash_files(files: Mapping[str, bytes]) -> str:
    return address({name: str(blake3(data).hexdigest()) for name, data in files.items()})


def _content(identifier: Identifier, value: Any, owner: str) -> Any:
    return {type(value).__name__: _hash_files(pack_state(value))}


def _text(identifier: Identifier, value: Any, owner: str) -> Any:
    return {type(value).__name__: repr(value)}


def _float(identifier: Identifier, value: float, owner: str) -> Any:
    return float(value) if type(value) is float and math.isfinite(value) else {type(value).__name__: repr(float(value))}


_TEXTS = (torch.dtype, torch.device, PurePath, range, slice, np.dtype, np.ufunc, complex, decimal.Decimal, uuid.UUID)
_TIMES = (dt.date, dt.time, dt.timedelta, dt.tzinfo)
_KINDS: tuple[tuple[Any, Callable[[Any, Any, str], Any]], ...] = (
    (File, Identifier._file),
    (torch.nn.Module, Identifier._module),
    (enum.Enum, lambda identifier, value, owner: {identifier.name(type(value)): value.name}),
    ((np.generic, *_TEXTS, *_TIMES), _text),
    ((torch.Tensor, np.ndarray, Message, bytes), _content),
    (float, _float),
    (functools.partial, Identifier._partial),
    (BuiltinFunctionType, Identifier._builtin),
    ((type, FunctionType, MethodType), Identifier._function),
)
