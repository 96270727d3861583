"""What differs between Argo 3.6 and 4.1.

Comes in: specifications and the version they are for. Goes out: findings about fields that other versions don't know.
"""

import re

from ..limits import MAX_TEMPLATES
from .findings import Findings, Place
from .manifests import Manifest
from .reading import Json, entries, mapping

__all__ = ["check_versions", "newer_fields"]

MAX_TASKS, MAX_PARAMETERS, MAX_METRICS = 200, 500, 100
_PLURALS = {"schedule": "schedules", "mutex": "mutexes", "semaphore": "semaphores"}
_NEWER = {"pendingTimeout": (4, 1)}


def newer_fields(argo_version: str | None) -> frozenset[str]:
    """Fields that this version knows and 3.7 does not.

    >>> sorted(newer_fields("4.1.2")), sorted(newer_fields("v4.0.0")), sorted(newer_fields(None))
    (['pendingTimeout'], [], [])
    """
    match = re.match(r"v?(\d{1,9})\.(\d{1,9})", argo_version or "")
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    return frozenset(name for name, since in _NEWER.items() if version >= since)


def check_versions(manifest: Manifest, found: Findings) -> None:
    """Check singular fields and the limits of the CRDs of Argo 4."""
    place, spec = manifest.place, manifest.spec
    if manifest.kind == "CronWorkflow":
        _check_singular(mapping(manifest.content, "spec"), ("schedule",), place, found)
    _check_singular(mapping(spec, "synchronization"), ("mutex", "semaphore"), place, found)
    _check_count(len(manifest.templates), MAX_TEMPLATES, "templates", "a workflow", place, found)
    _check_counts(spec, "arguments", place, found)
    for template, inner in manifest.all_templates:
        _check_singular(mapping(template, "synchronization"), ("mutex", "semaphore"), inner, found)
        _check_count(len(entries(template, "dag", "tasks")), MAX_TASKS, "tasks", "a DAG", inner, found)
        _check_counts(template, "inputs", inner, found)


def _check_singular(holder: Json, names: tuple[str, ...], place: Place, found: Findings) -> None:
    for name in names:
        if holder.get(name) not in (None, ""):
            remedy = f"Write `{_PLURALS[name]}`, a list, which 3.6 knows as well."
            found.add("singular-field", place, f"Argo 4.0 has no `{name}`", "", remedy)


def _check_counts(holder: Json, side: str, place: Place, found: Findings) -> None:
    _check_count(len(entries(holder, side, "parameters")), MAX_PARAMETERS, "parameters", f"`{side}`", place, found)
    _check_count(len(entries(holder, "metrics", "prometheus")), MAX_METRICS, "metrics", "`metrics`", place, found)


def _check_count(count: int, limit: int, word: str, holder: str, place: Place, found: Findings) -> None:
    if count > limit:
        rule = f"too-many-{word}"
        found.add(rule, place, f"With the CRDs of Argo 4, {holder} may have {limit} {word}", count)
