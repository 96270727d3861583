"""What happens to objects of a cluster, as it happens.

Comes in: lists and open streams of the Kubernetes API. Goes out: `Change` after `Change`, to ``fireworks watch`` and
`fireworks.workflow.argo.diagnosis`, over lost connections, restarts of the API and versions it no longer keeps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import ClusterUnavailable
from .faults import Expired, from_answer
from .transport import Breaks, Broken, Call, Transport

__all__ = ["Change", "watch"]

# The server ends a stream after so long, and we go on from there. One that says nothing for longer is dead: a
# connection that a firewall drops gives no other sign.
_STREAM_S = 50
_SILENCE_S = 70.0

Object = dict[str, Any]
Kind = Literal["added", "modified", "deleted"]
_KINDS: Mapping[str, Kind] = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}


@dataclass(frozen=True)
class Change:
    """What happened to one object.

    Args:
        kind: ``added`` also for what was there at the beginning.
        object: As it is now; of one that was ``deleted``, as it was, or its ``metadata`` alone when it went while the
            connection was down.
    """

    kind: Kind
    object: Object


def watch(
    transport: Transport,
    lister: Callable[[], tuple[list[Object], str]],
    call: Callable[..., Call],
    query: Mapping[str, object],
    limit_s: float | None,
) -> Iterator[Change]:
    """See `fireworks.workflow.argo.client.ClusterClient.watch`.

    Args:
        transport: Sends requests.
        lister: All objects there are, and the version that the list was read at.
        call: Makes the request of one stream.
        query: Selectors.
        limit_s: Ends after that many seconds; never if None.
    """
    deadline = None if limit_s is None else time.monotonic() + limit_s
    breaks = Breaks(transport.patience_s)
    known: dict[str, Object] = {}
    version = ""
    while deadline is None or time.monotonic() < deadline:
        try:
            if not version:
                objects, version = lister()
                yield from _compared(known, objects)
            for change, newest in _stream(transport, call, query, version, deadline):
                version = newest
                breaks.progress()
                if change is not None and _remember(known, change):
                    yield change
        except Expired:
            version = ""
        except Broken as broken:
            breaks.wait(broken)


def _compared(known: dict[str, Object], objects: list[Object]) -> Iterator[Change]:
    """What a new list says that the last one did not."""
    found = {one["metadata"]["uid"]: one for one in objects}
    for uid in [uid for uid in known if uid not in found]:
        yield Change("deleted", {"metadata": known.pop(uid)})
    for uid, one in found.items():
        before = known.get(uid)
        if before is None or before["resourceVersion"] != one["metadata"]["resourceVersion"]:
            known[uid] = one["metadata"]
            yield Change("added" if before is None else "modified", one)


def _remember(known: dict[str, Object], change: Change) -> bool:
    """Whether it is news."""
    metadata = change.object["metadata"]
    before = known.get(metadata["uid"])
    if change.kind == "deleted":
        return known.pop(metadata["uid"], None) is not None
    known[metadata["uid"]] = metadata
    return before is None or before["resourceVersion"] != metadata["resourceVersion"]


def _stream(
    transport: Transport,
    call: Callable[..., Call],
    query: Mapping[str, object],
    version: str,
    deadline: float | None,
) -> Iterator[tuple[Change | None, str]]:
    """Changes since a version, each with the version to go on from; ends when the server or the deadline ends it."""
    left = _STREAM_S if deadline is None else max(min(_STREAM_S, int(deadline - time.monotonic()) + 1), 1)
    options = {"watch": True, "allowWatchBookmarks": True, "timeoutSeconds": left, "resourceVersion": version}
    asked = call(query={**query, **options})
    buffer = b""
    with transport.stream(asked, min(_SILENCE_S, left + 20.0)) as response:
        for block in response.stream(2**16, decode_content=True):
            *lines, buffer = (buffer + block).split(b"\n")
            for line in filter(None, lines):
                change, version = _parsed(line, version, asked)
                yield change, version


def _parsed(line: bytes, version: str, asked: Call) -> tuple[Change | None, str]:
    event = json.loads(line)
    one: Object = event["object"]
    if event["type"] == "ERROR":
        fault = from_answer(int(one.get("code", 500)), json.dumps(one).encode(), asked.target)
        raise Broken(fault) if isinstance(fault, ClusterUnavailable) else fault
    version = one["metadata"]["resourceVersion"]
    kind = _KINDS.get(event["type"])  # None of a bookmark, which only tells the version.
    return (Change(kind, one) if kind else None), version
