"""Which keys a store accepts, and byte ranges as requests.

Comes in: keys and ranges from the callers of `fireworks.store`. Goes out: checked, to each kind of store.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from ..errors import StoreError

__all__ = ["STAGING", "check_key", "check_prefix", "check_ranges", "plan_requests"]

STAGING = ".fw-"  # File names that begin so are uploads under way: never keys, never listed.
_MAX_KEY_BYTES = 1024  # S3
_MAX_NAME_BYTES = 255  # file systems


def check_key(key: str) -> str:
    """`key` itself, if every kind of store can hold it.

    Raises:
        StoreError: If it is empty, absolute, too long, or has a part that could leave the store or deceive a reader.
    """
    fault = _fault(key)
    if fault is not None:
        raise StoreError(f"a key must {fault}, but got {key[:200]!r}. Use relative names joined by '/'.")
    return key


def check_prefix(prefix: str) -> str:
    """A folder without its last slash; empty for the whole store. The same rules as for keys."""
    folder = prefix.removesuffix("/")
    return check_key(folder) if prefix else ""


def _fault(key: str) -> str | None:
    parts = key.split("/")
    if not key or "" in parts:
        return "have names between, before and after its slashes"
    if "." in parts or ".." in parts or "\\" in key:
        return "have no '.', '..' or backslash"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in key):
        return "have no NUL, control characters or lone surrogates"
    if any(part.startswith(STAGING) for part in parts):
        return f"have no name that begins with {STAGING!r}, which marks uploads under way"
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_NAME_BYTES or sum(sizes) + len(parts) - 1 > _MAX_KEY_BYTES:
        return f"be at most {_MAX_KEY_BYTES} bytes long, each name at most {_MAX_NAME_BYTES}"
    return None


def check_ranges(key: str, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges as a list; each is [start, end) with 0 <= start <= end, in bytes.

    Raises:
        StoreError: For any other range.
    """
    checked = list(ranges)
    for start, end in checked:
        if not 0 <= start <= end:
            raise StoreError(
                f"a range must have 0 <= start <= end, but got {start}:{end} for {key!r}. Check the offsets."
            )
    return checked


def plan_requests(ranges: Sequence[tuple[int, int]], gap: int, most: int) -> list[tuple[int, int]]:
    """The requests that fetch all of `ranges`: near ones together, none longer than `most`.

    Args:
        ranges: [start, end) in bytes, in any order, overlapping or not.
        gap: Ranges at most this many bytes apart are fetched together.
        most: Longest request in bytes, so that each can be held to a time limit.

    Returns:
        Disjoint ascending [start, end); adjacent where a range was longer than `most`.
    """
    spans: list[list[int]] = []
    for start, end in sorted(pair for pair in ranges if pair[0] < pair[1]):
        if spans and start <= spans[-1][1] + gap:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([start, end])
    return [(at, min(at + most, end)) for start, end in spans for at in range(start, end, most)]
