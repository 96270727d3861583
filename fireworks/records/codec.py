"""Records to canonical JSON and back, and their addresses.

Comes in: the dataclasses of this package. Goes out: bytes for `fireworks.store`, hashes for `fireworks.workflow`.
"""

from dataclasses import is_dataclass
from math import isfinite
from typing import Any, TypeVar

import msgspec
from blake3 import blake3

from ..errors import FormatError

__all__ = ["address", "decode", "encode"]

T = TypeVar("T")


def encode(record: Any) -> bytes:
    """Canonical JSON: keys sorted, no white space, so that equal records are equal bytes.

    Raises:
        FormatError: If it would not be read back: a field of another type than declared, a value unknown to JSON.
    """
    name = type(record).__name__
    try:
        where = _not_finite(msgspec.to_builtins(record), "")
        data = msgspec.json.encode(record, order="sorted")
        if is_dataclass(record):
            # An int where a float is declared is read back as a float. Written as one, the bytes stay the same.
            data = msgspec.json.encode(msgspec.json.decode(data, type=type(record)), order="sorted")
    except (msgspec.MsgspecError, TypeError, UnicodeEncodeError, RecursionError) as error:
        raise FormatError(f"a {name} must hold what JSON can, but: {error}. Convert it before.") from error
    if where is not None:
        raise FormatError(
            f"a {name} must hold finite numbers, for JSON has no others, but {where} is not."
            " Store it as text or in a tensor."
        )
    return data


def _not_finite(value: Any, path: str) -> str | None:
    """Where in a JSON value there is a NaN or an infinity, which msgspec would write as null."""
    if isinstance(value, float):
        return None if isfinite(value) else path or "it"
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    found = (_not_finite(item, f"{path}.{key}" if path else str(key)) for key, item in items)
    return next((where for where in found if where is not None), None)


def decode(kind: type[T], data: bytes) -> T:
    """Read a record, checking every field's type.

    Raises:
        FormatError: If `data` is no JSON, lacks a field, or was written by a version that this one does not know.
    """
    version = getattr(kind, "version", None)
    if version is not None:
        _check_version(kind.__name__, data, version)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise FormatError(
            f"a {kind.__name__} must be valid JSON of its schema, but: {error}. Was the file altered?"
        ) from error


class _Versioned(msgspec.Struct):
    version: int


def _check_version(name: str, data: bytes, known: int) -> None:
    try:
        found = msgspec.json.decode(data, type=_Versioned).version
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise FormatError(
            f"a {name} must be a JSON object with a version, but: {error}. Was the file altered?"
        ) from error
    if found != known:
        raise FormatError(
            f"a {name} must have version {known}, but got {found}. Read it with the Fireworks that wrote it."
        )


def address(value: Any) -> str:
    """The blake3 hash (64 hex digits) of a record's or JSON value's canonical form."""
    return str(blake3(encode(value)).hexdigest())
