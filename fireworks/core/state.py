"""States as files, without pickle: JSON for structure, safetensors for numbers, Message files for tables.

A packed state is a dict from file name to bytes: ``state.json``, and as needed ``tensors.safetensors`` and
``messages/N.arrow``. Equal states (with equal order of keys) give equal bytes. In ``state.json``, whatever JSON cannot
say is an object with the key ``$``: ``{"$": "tuple", "items": […]}``.

Comes in: what ``get_state`` returned. Goes out: snapshots of `Scaffold`, stored by `fireworks.workflow`.
"""

import base64
import io
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors

from ..errors import FormatError, StateError, UnsupportedColumn
from .message import Message, read_message, write_message

__all__ = ["STATE_FILE", "TENSOR_FILE", "pack_state", "unpack_state"]

STATE_FILE = "state.json"
TENSOR_FILE = "tensors.safetensors"
_FORMAT = {"format": "fireworks-state", "version": 1}
# numpy kinds that torch, and so safetensors, can hold: bool, int, uint, float, complex.
_NUMERIC_KINDS = "biufc"


def pack_state(state: Any) -> dict[str, bytes]:
    """Turn a state into files.

    Args:
        state: Any nesting of dict, list and tuple of None, bool, int, float (NaN and infinities too), str, bytes,
            tensors (any device; stored dense, detached), numeric numpy arrays and scalars, Messages.

    Returns:
        File name to content; deterministic.

    Raises:
        StateError: If something else is in it; names where and of what type.
    """
    packer = _Packer()
    document = _FORMAT | {"state": packer.encode(state, "")}
    files = {STATE_FILE: json.dumps(document, indent=1).encode()}
    if packer.tensors:
        files[TENSOR_FILE] = safetensors.save(packer.tensors)
    return files | packer.messages


def unpack_state(files: Mapping[str, bytes]) -> Any:
    """The state that `pack_state` turned into `files`; tensors are on the CPU, and own their memory.

    Raises:
        FormatError: If a file is missing, torn, or of a newer version.
    """
    try:
        document = json.loads(files[STATE_FILE])
        if {key: document[key] for key in _FORMAT} != _FORMAT:
            raise ValueError(f"version {document['version']}")
        tensors = safetensors.load(files[TENSOR_FILE]) if TENSOR_FILE in files else {}
        return _Unpacker(files, tensors).decode(document["state"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, SafetensorError) as error:
        raise FormatError(
            f"a packed state must be the files of pack_state, version {_FORMAT['version']}, but got"
            f" {type(error).__name__}: {error}. Take the snapshot again."
        ) from error


class _Packer:
    """Collects the tensors and Messages of a state while encoding the rest."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.messages: dict[str, bytes] = {}
        self._names: dict[int, str] = {}
        self._kept: list[torch.Tensor] = []
        self._open: set[int] = set()

    def encode(self, value: Any, path: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$": "float", "value": repr(value)}
        if kind is bytes:
            return {"$": "bytes", "base64": base64.b64encode(value).decode()}
        if isinstance(value, torch.Tensor):
            return {"$": "tensor"} | self._tensor(value, path)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _NUMERIC_KINDS:
            return self._array(value, path)
        if isinstance(value, Message):
            return self._message(value, path)
        if kind in (dict, OrderedDict, list, tuple, torch.Size):
            return self._container(value, path)
        raise StateError(
            "a state may hold dicts, lists, tuples, JSON scalars, bytes, tensors, numeric arrays and Messages, but"
            f" got {kind.__module__}.{kind.__qualname__} at {path or 'its root'}. Convert it in get_state."
        )

    def _container(self, value: Any, path: str) -> Any:
        if id(value) in self._open:
            raise StateError(f"a state must be a tree, but it contains itself at {path}. Break the cycle in get_state.")
        self._open.add(id(value))
        try:
            if isinstance(value, dict):
                return self._dict(value, path)
            items = [self.encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
        finally:
            self._open.discard(id(value))
        return {"$": "tuple", "items": items} if isinstance(value, tuple) else items

    def _dict(self, value: dict[Any, Any], path: str) -> Any:
        def below(key: Any) -> str:
            return f"{path}.{key}" if path else str(key)

        if all(type(key) is str for key in value) and "$" not in value:
            return {key: self.encode(item, below(key)) for key, item in value.items()}
        items = [[self.encode(key, f"key of {path}"), self.encode(item, below(key))] for key, item in value.items()]
        return {"$": "dict", "items": items}

    def _array(self, value: Any, path: str) -> dict[str, Any]:
        native = np.ascontiguousarray(value).reshape(np.shape(value))
        native = native.astype(native.dtype.newbyteorder("="), copy=False)
        try:
            tensor = torch.from_numpy(native.copy())
        except TypeError as error:
            raise StateError(
                f"an array of a state must fit a tensor, but got {value.dtype} at {path}. Convert it."
            ) from error
        tag = "scalar" if isinstance(value, np.generic) else "array"
        return {"$": tag} | self._store(tensor, path)

    def _tensor(self, value: torch.Tensor, path: str) -> dict[str, Any]:
        if id(value) in self._names:
            return {"name": self._names[id(value)]}
        _check_dense(value, path)
        plain = value.detach().cpu().resolve_conj().resolve_neg()
        stored = self._store(plain.clone(memory_format=torch.contiguous_format), path)
        self._names[id(value)] = stored["name"]
        # Held until packing ends: an id is only unique while its object lives.
        self._kept.append(value)
        return stored

    def _store(self, tensor: torch.Tensor, path: str) -> dict[str, Any]:
        name = path or "state"
        while name in self.tensors:
            name += "'"
        self.tensors[name] = tensor
        return {"name": name}

    def _message(self, value: Message, path: str) -> dict[str, Any]:
        buffer = io.BytesIO()
        try:
            write_message(value, buffer)
        except UnsupportedColumn as error:
            raise StateError(f"the Message at {path or 'its root'} cannot be stored: {error}") from error
        name = f"messages/{len(self.messages)}.arrow"
        self.messages[name] = buffer.getvalue()
        return {"$": "message", "file": name}


def _check_dense(tensor: torch.Tensor, path: str) -> None:
    for unfit, kind, remedy in (
        (tensor.is_nested, "nested", "Put it into a column of a Message."),
        (tensor.is_quantized, "quantized", "Call dequantize()."),
        (tensor.layout is not torch.strided, str(tensor.layout), "Call to_dense()."),
        (tensor.is_meta, "on the device meta, without values", "Initialise or load it first."),
    ):
        if unfit:
            raise StateError(f"a tensor of a state must be dense, but is {kind} at {path or 'its root'}. {remedy}")


class _Unpacker:
    """Puts tensors and Messages back where they were."""

    def __init__(self, files: Mapping[str, bytes], tensors: dict[str, torch.Tensor]) -> None:
        self._files = files
        self._tensors = tensors
        self._tags: dict[str, Callable[[dict[str, Any]], Any]] = {
            "float": lambda item: float(item["value"]),
            "bytes": lambda item: base64.b64decode(item["base64"], validate=True),
            "tensor": lambda item: self._tensors[item["name"]],
            "array": lambda item: self._tensors[item["name"]].numpy(),
            "scalar": lambda item: self._tensors[item["name"]].numpy()[()],
            "message": lambda item: read_message(self._files[item["file"]]),
            "tuple": lambda item: tuple(self.decode(entry) for entry in item["items"]),
            "dict": lambda item: {self.decode(key): self.decode(entry) for key, entry in item["items"]},
        }

    def decode(self, item: Any) -> Any:
        if isinstance(item, list):
            return [self.decode(entry) for entry in item]
        if not isinstance(item, dict):
            return item
        if "$" in item:
            return self._tags[item["$"]](item)
        return {key: self.decode(entry) for key, entry in item.items()}
