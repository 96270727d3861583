"""Kind, version, name, labels and annotations, as the API server checks them.

Sources: apimachinery's `ValidateObjectMeta`; the lengths of names are Argo's (`workflow/validate`).

Comes in: whole manifests. Goes out: findings about what every Kubernetes object has.
"""

import re
from typing import Any

from ....errors import did_you_mean
from .findings import Findings, Place
from .manifests import KINDS, Manifest
from .reading import Json, entries, mapping, text

__all__ = ["API_VERSION", "check_metadata"]

API_VERSION = "argoproj.io/v1alpha1"
_MAX_WORKFLOW, _MAX_CRON, _MAX_LABEL, _MAX_ANNOTATIONS = 63, 52, 63, 256 * 1024
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion", "selfLink", "creationTimestamp")
_OTHERS = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")
_OWNER = ("apiVersion", "kind", "name", "uid")
# What the server itself fills in: nothing to write into a manifest, and not checked further.
_SERVERS = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


def check_metadata(manifest: Manifest, found: Findings) -> None:
    """Compare everything but the specification."""
    content, place = manifest.content, manifest.place
    if content.get("apiVersion") != API_VERSION:
        found.add("kind", place, f"`apiVersion` must be {API_VERSION}", content.get("apiVersion"))
    if manifest.kind not in KINDS:
        hint = did_you_mean(str(content.get("kind")), KINDS).strip()
        found.add("kind", place, f"`kind` must be one of {', '.join(KINDS)}", content.get("kind"), hint)
    for key in content:
        if key == "status":
            found.add("server-field", place, "`status` is the controller's")
        elif key not in ("apiVersion", "kind", "metadata", "spec"):
            found.add("unknown-field", place, "An object has no field of this name", key)
    if not isinstance(content.get("spec"), dict):
        found.add("missing-field", place, "An object needs `spec`, a mapping", content.get("spec", ""))
    _check_metadata(mapping(content, "metadata"), manifest, found)
    if not isinstance(content.get("metadata"), dict):
        found.add("missing-field", place, "An object needs `metadata`, a mapping", content.get("metadata", ""))


def _check_metadata(metadata: Json, manifest: Manifest, found: Findings) -> None:
    place = manifest.place
    for key, value in metadata.items():
        if key in _SERVERS:
            if value is None:
                continue
            found.add("server-field", place, f"`metadata.{key}` is the API server's")
        elif key not in (*_TEXTS, *_OTHERS):
            hint = did_you_mean(key, [*_TEXTS, *_OTHERS]).strip()
            found.add("unknown-field", place, "`metadata` has no field of this name", key, hint)
        elif key in _TEXTS and value is not None and not isinstance(value, str):
            found.add("wrong-type", place, f"`metadata.{key}` must be a text", value)
    _check_name(metadata, manifest, found)
    _check_maps(metadata, place, found)
    _check_owners(metadata, place, found)


def _check_name(metadata: Json, manifest: Manifest, found: Findings) -> None:
    name, generated, place = text(metadata, "name"), text(metadata, "generateName"), manifest.place
    limit = _MAX_CRON if manifest.kind == "CronWorkflow" else _MAX_WORKFLOW
    if not name and not generated:
        found.add("object-name", place, "An object needs `metadata.name` or `metadata.generateName`")
    if len(name) > limit:
        found.add("object-name", place, f"The name of a {manifest.kind} may have {limit} characters", name)
    if name and not _SUBDOMAIN.fullmatch(name):
        found.add("object-name", place, "`metadata.name` may have lower case letters, digits, `-` and `.`", name)
    # A generated name is this text, cut at 58 characters, with five more.
    if generated and not _SUBDOMAIN.fullmatch(generated[:58] + "x"):
        found.add("object-name", place, "`metadata.generateName` may have lower case letters, digits, `-`", generated)
    namespace = text(metadata, "namespace")
    if namespace and (not _SUBDOMAIN.fullmatch(namespace) or "." in namespace or len(namespace) > _MAX_LABEL):
        found.add("object-name", place, "`metadata.namespace` may have lower case letters, digits and `-`", namespace)


def _check_maps(metadata: Json, place: Place, found: Findings) -> None:
    size = 0
    for kind in ("labels", "annotations"):
        values = metadata.get(kind)
        if values is not None and not isinstance(values, dict):
            found.add("wrong-type", place, f"`metadata.{kind}` must be a mapping", values)
        for key, value in mapping(metadata, kind).items():
            if not is_qualified(key if kind == "labels" else key.lower()):
                found.add("label", place, f"A key of `metadata.{kind}` is `prefix/name` or `name`", key)
            if value is not None and not isinstance(value, str):
                found.add("wrong-type", place, f"`metadata.{kind}.{key}` must be a text", value)
            elif kind == "labels" and value and (len(value) > _MAX_LABEL or not _LABEL.fullmatch(value)):
                found.add("label", place, f"The value of label {key} has at most 63 letters, digits, `-_.`", value)
            size += len(key.encode()) + len(str(value).encode()) if kind == "annotations" else 0
    if size > _MAX_ANNOTATIONS:
        found.add("annotations-size", place, "Annotations may have 256 KiB together", f"{size} bytes")


def _check_owners(metadata: Json, place: Place, found: Findings) -> None:
    for key in ("finalizers", "ownerReferences"):
        if metadata.get(key) is not None and not isinstance(metadata[key], list):
            found.add("wrong-type", place, f"`metadata.{key}` must be a list", metadata[key])
    for value in _listed(metadata.get("finalizers")):
        if not isinstance(value, str) or not is_qualified(value):
            found.add("wrong-type", place, "A finalizer is `prefix/name`", value)
    for value in _listed(metadata.get("ownerReferences")):
        if not isinstance(value, dict):
            found.add("wrong-type", place, "An owner reference is a mapping", value)
    for owner in entries(metadata, "ownerReferences"):
        for key, value in owner.items():
            if key in ("controller", "blockOwnerDeletion"):
                if value is not None and not isinstance(value, bool):
                    found.add("wrong-type", place, f"`metadata.ownerReferences.{key}` must be true or false", value)
            elif key not in _OWNER:
                found.add("unknown-field", place, "An owner reference has no field of this name", key)
        for key in _OWNER:
            if not text(owner, key):
                found.add("missing-field", place, f"An owner reference needs `{key}`, a text", owner.get(key, ""))


def is_qualified(key: str) -> bool:
    """Whether this is a key of labels: a name, or a domain, a slash and a name."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (_SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253):
        return False
    return bool(name) and len(name) <= _MAX_LABEL and _LABEL.fullmatch(name) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
