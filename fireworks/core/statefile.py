"""The state of one object as a file that people can read: JSON or CSV.

The JSON file holds ``{"format": "fireworks-state", "version": 1, "state": {…}}``; arrays and tensors are tagged objects
``{"$": "array", "dtype": "float32", "data": […]}``. The CSV file holds a column for each name and a row of such JSON.
Files of the original library (a table of one row, as pandas writes it) can be read as well.

Comes in: the internal half of a state. Goes out: files of ``Model.save`` and ``Scaffold.save``.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import FormatError, ParameterError, StateError

__all__ = ["check_method", "read_state", "write_state"]

_FORMAT = {"format": "fireworks-state", "version": 1}
_METHODS = ("json", "csv")
_CELL_BYTES = 2**31 - 1


def check_method(method: str) -> None:
    """See that a file format is one of ours.

    Raises:
        ParameterError: If not.
    """
    if method not in _METHODS:
        raise ParameterError(
            f"a state is written as {' or '.join(_METHODS)}, but got {method!r}."
            " Pickle runs code when it is read: save as json where the object was made."
        )


def write_state(state: dict[str, Any], path: Path, method: str = "json") -> None:
    """Write the internal half of a state.

    Args:
        state: Name → any nesting of dicts with string keys, lists, tuples, JSON scalars, tensors and numeric arrays.
        path: The file; its folder must exist.
        method: ``json`` or ``csv``.

    Raises:
        StateError: If something else is in it.
    """
    check_method(method)
    plain = {name: _encode(value, name) for name, value in state.items()}
    if method == "json":
        path.write_text(json.dumps(_FORMAT | {"state": plain}, indent=1) + "\n")
        return
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(plain)
        rows.writerow([json.dumps(value) for value in plain.values()])


def read_state(path: Path, method: str = "json") -> dict[str, Any]:
    """Read what `write_state` wrote, or a state file of the original library.

    Raises:
        FormatError: If the file holds no state.
    """
    check_method(method)
    try:
        plain = json.loads(path.read_text()) if method == "json" else _read_csv(path)
        if plain.get("format") == _FORMAT["format"] and isinstance(plain.get("state"), dict):
            if plain["version"] != _FORMAT["version"]:
                raise ValueError(f"version {plain['version']}")
            plain = plain["state"]
        elif method == "json":
            plain = {name: _first_row(column) for name, column in plain.items()}
        return {name: _decode(value) for name, value in plain.items()}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, csv.Error) as error:
        raise FormatError(
            f"{path} must be a {method} state file, but is not: {error}. Save the state again."
        ) from error


def _read_csv(path: Path) -> dict[str, Any]:
    csv.field_size_limit(_CELL_BYTES)
    with path.open(newline="") as stream:
        names, row = list(csv.reader(stream))[:2]
    # pandas put its index in front, under an empty name.
    return {name: _cell(text) for name, text in zip(names, row, strict=True) if name}


def _cell(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _first_row(column: Any) -> Any:
    return column["0"] if isinstance(column, dict) else column[0]


def _encode(value: Any, path: str) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        kind = {"$": "tensor", "dtype": str(plain.dtype).removeprefix("torch.")}
        return kind | {"shape": list(plain.shape), "data": _numbers(plain.flatten(), path)}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        kind = {"$": "array" if isinstance(value, np.ndarray) else "scalar", "dtype": value.dtype.name}
        return kind | {"shape": list(value.shape), "data": value.reshape(-1).tolist()}
    if isinstance(value, tuple):
        return {"$": "tuple", "data": [_encode(item, f"{path}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, list):
        return [_encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict) and all(type(key) is str for key in value) and "$" not in value:
        return {key: _encode(item, f"{path}.{key}") for key, item in value.items()}
    raise StateError(
        f"a state file may hold dicts with names as keys, lists, JSON scalars, tensors and numeric arrays, but got"
        f" {type(value).__name__} at {path}. Use Scaffold.snapshot, which holds more, or convert it in get_state."
    )


def _numbers(flat: torch.Tensor, path: str) -> list[Any]:
    if flat.is_complex():
        raise StateError(f"a state file cannot hold complex tensors, but got one at {path}. Use Scaffold.snapshot.")
    # float8 types have no tolist.
    return list((flat.float() if flat.is_floating_point() and flat.dtype != torch.float64 else flat).tolist())


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("$")
    if kind == "tensor":
        return (
            torch.tensor(value["data"], dtype=_wide(value["dtype"]))
            .to(_torch_dtype(value["dtype"]))
            .reshape(value["shape"])
        )
    if kind in ("array", "scalar"):
        array = np.array(value["data"], dtype=value["dtype"]).reshape(value["shape"])
        return array if kind == "array" else array[()]
    if kind == "tuple":
        return tuple(_decode(item) for item in value["data"])
    return {key: _decode(item) for key, item in value.items()}


def _torch_dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"no tensor type is called {name!r}")
    return dtype


def _wide(name: str) -> torch.dtype | None:
    """The type to read numbers as: float64 for floats, so that none is rounded twice."""
    return torch.float64 if _torch_dtype(name).is_floating_point else _torch_dtype(name)
