"""Images that mean the same tomorrow, and are not asked for where they already are.

Comes in: containers. Goes out: findings about tags and pull policies.
"""

from .findings import Findings, Place
from .leaves import containers_of
from .reading import Json, text

__all__ = ["check_images"]

_POLICIES = ("", "Always", "IfNotPresent", "Never")


def check_images(template: Json, place: Place, found: Findings) -> None:
    """Check the images of a template's containers."""
    for path, container in containers_of(template):
        image, policy = text(container, "image"), text(container, "imagePullPolicy")
        if image and "{{" not in image and is_floating(image):
            found.add("image-latest", place, f"`{path}.image` must have a tag other than latest, or a digest", image)
        if policy not in _POLICIES and "{{" not in policy:
            rule = f"`{path}.imagePullPolicy` must be one of {', '.join(_POLICIES[1:])}"
            found.add("pull-policy", place, rule, policy)
        elif policy == "Always":
            found.add("pull-always", place, f"`{path}.imagePullPolicy` should be IfNotPresent", policy)


def is_floating(image: str) -> bool:
    """Whether an image's name may lead to another image tomorrow; a colon before a slash is a registry's port.

    >>> is_floating("python"), is_floating("host:5000/python:latest"), is_floating("python:3.11")
    (True, True, False)
    """
    name, at, digest = image.partition("@")
    if at:
        return not (name and digest.startswith("sha256:"))
    return name.rpartition("/")[2].partition(":")[2] in {"", "latest"}
