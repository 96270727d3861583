"""How large the object is, and how large it grows while the workflow runs.

Measured on 3.7.18: etcd refuses a Workflow between 1.4 and 1.6 MB; a node takes 700 B of the status, and what is
retried has two nodes a pod.

Comes in: manifests. Goes out: findings about sizes, and templates that contain themselves.
"""

from ..limits import LIMIT_BYTES, WARNING_BYTES
from .findings import Findings, Place
from .loops import loop_size
from .manifests import Manifest, holders, template_place
from .reading import Json, entries, name_of, text

__all__ = ["check_growth", "check_size"]

MAX_STATUS_BYTES = 1024 * 1024
BYTES_PER_NODE = 700
_MAX_ARGUMENT_BYTES = 128 * 1024


def check_size(size: int, place: Place, found: Findings) -> None:
    """Check an object's size as JSON, in bytes."""
    if size > LIMIT_BYTES:
        found.add("object-size", place, "An object may have 1 MB", f"{size} bytes")
    elif size > WARNING_BYTES:
        found.add("object-large", place, "An object should have less than 256 kB", f"{size} bytes")


def check_growth(manifest: Manifest, size: int, found: Findings) -> None:
    """Check what becomes of an object: recursion, nodes, arguments that are too long for a process."""
    _Growth(manifest, found).run(size)
    for parameter in entries(manifest.spec, "arguments", "parameters"):
        value = text(parameter, "value")
        if len(value) > _MAX_ARGUMENT_BYTES // 4 and len(value.encode()) > _MAX_ARGUMENT_BYTES:
            rule = "What a process gets has at most 128 kB"
            found.add("argument-size", manifest.place, rule, f"{name_of(parameter)}: {len(value.encode())} bytes")


class _Growth:
    def __init__(self, manifest: Manifest, found: Findings) -> None:
        self.manifest, self.found = manifest, found
        self.nodes: dict[str, int] = {}

    def run(self, size: int) -> None:
        """Count the nodes of the entrypoint, templates first that contain no others."""
        for name in self.manifest.by_name:
            self._count(name)
        total = self.nodes.get(text(self.manifest.spec, "entrypoint"), 0)
        grown = size + total * BYTES_PER_NODE
        if grown > MAX_STATUS_BYTES and total > 1:
            shown = f"{total} nodes, {grown} bytes"
            self.found.add(
                "status-size", self.manifest.place, "With its status an object should stay below 1 MiB", shown
            )

    def _count(self, name: str) -> None:
        """Without recursion: on the way down a template waits on the stack, on the way up its parts are counted."""
        stack, open_ = [name], set[str]()
        while stack:
            name = stack[-1]
            template = self.manifest.by_name.get(name)
            if name in self.nodes or template is None:
                stack.pop()
                continue
            parts = list(_parts(template))
            waiting = [part for part, _ in parts if part not in self.nodes and part in self.manifest.by_name]
            inner = [part for part in waiting if part in open_ or part == name]
            for part in inner:
                place = template_place(self.manifest.place, template)
                self.found.add("recursion", place, "Argo ends a recursion at a depth of 100", part)
                self.nodes.setdefault(part, 1)
            if waiting and not inner:
                open_.add(name)
                stack.extend(waiting)
                continue
            retried = 2 if template.get("retryStrategy") is not None else 1
            count = retried + sum(times * self.nodes.get(part, 1) for part, times in parts)
            self.nodes[name] = min(count, 10**9)
            open_.discard(name)
            stack.pop()


def _parts(template: Json) -> list[tuple[str, int]]:
    return [(text(holder, "template"), loop_size(holder)) for holder, _ in holders(template, Place())]
