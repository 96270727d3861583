"""What a pod asks for: memory has a limit, so that one stage can't take a node with it.

Comes in: containers. Goes out: findings about requests and limits.
"""

from .findings import Findings, Place
from .leaves import containers_of
from .manifests import Manifest
from .reading import Json, mapping

__all__ = ["check_resources"]


def check_resources(template: Json, base: Manifest, place: Place, found: Findings) -> None:
    """Check the resources of a template's containers."""
    for path, container in containers_of(template):
        defaults = mapping(base.spec, "templateDefaults", path if path in ("container", "script") else "")
        resources = mapping(container, "resources") or mapping(defaults, "resources")
        if mapping(resources, "limits").get("memory") is None:
            found.add("memory-limit", place, f"`{path}.resources.limits.memory` should be set")
        extended = [name for name in mapping(resources, "requests") if "/" in name]
        for name in extended:
            if mapping(resources, "limits").get(name) != mapping(resources, "requests")[name]:
                rule = f"`{path}.resources` must have equal requests and limits of {name}"
                found.add("extended-resource", place, rule, mapping(resources, "requests")[name])
