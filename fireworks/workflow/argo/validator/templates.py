"""What holds for every template, whatever it does.

Source: `workflow/validate` of Argo 3.7.18.

Comes in: templates. Goes out: findings about their type, deadlines, artifacts' paths and metrics.
"""

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from .durations import check_duration, is_duration
from .findings import Findings, Place
from .manifests import LEAVES, TYPES, type_of
from .reading import Json, entries, literal, mapping, name_of, number, text

__all__ = ["check_template"]

_METRIC = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Known = Mapping[str, str | None]


def check_template(template: Json, place: Place, known: Known, found: Findings) -> None:
    """Check one template by itself.

    Args:
        template: Any mapping.
        place: Of the template.
        known: What tags are replaced by, where that can be told now.
        found: Where findings go.
    """
    # An empty list of steps is lost on the way through Argo.
    kinds = [kind for kind in TYPES if template.get(kind) not in (None, [])]
    if len(kinds) != 1:
        rule = f"A template has exactly one of {', '.join(TYPES)}"
        found.add("template-type", place, rule, " and ".join(kinds) or "none of them")
    leaf = type_of(template) in LEAVES
    _check_times(template, leaf, place, known, found)
    if template.get("parallelism") is not None and type_of(template) not in ("steps", "dag"):
        found.add("parallelism", place, "`parallelism` is for steps and DAGs", template["parallelism"])
    for index, container in enumerate(entries(template, "initContainers")):
        if not name_of(container):
            found.add("init-container", place, f"`initContainers[{index}]` needs a name")
    for side in ("inputs", "outputs"):
        for artifact in entries(template, side, "artifacts"):
            _check_artifact(artifact, side, leaf, place, found)
    _check_location(mapping(template, "archiveLocation"), "archiveLocation", place, found)
    for metric in entries(template, "metrics", "prometheus"):
        _check_metric(metric, place, found)


def _check_times(template: Json, leaf: bool, place: Place, known: Known, found: Findings) -> None:
    timeout, kind = literal(template.get("timeout"), known), type_of(template) or "template"
    if template.get("timeout") and not leaf:
        found.add("timeout-leaf", place, "`timeout` is for templates that make a pod or a request", kind)
    if timeout and not is_duration(timeout, seconds=False):
        found.add("duration", place, "`timeout` must be a duration with a unit, as 90s or 1h30m", timeout)
    deadline = template.get("activeDeadlineSeconds")
    if deadline is not None and kind in ("steps", "dag"):
        found.add("deadline-leaf", place, "`activeDeadlineSeconds` of a template is not for steps and DAGs", deadline)
    elif isinstance(deadline, int | str):
        written = literal(deadline, known)
        value = number({"v": written}, "v")
        tag = written is None and str(deadline).startswith("{{") and str(deadline).endswith("}}")
        if (value is None and not tag) or (value is not None and value < 0):
            found.add("deadline-value", place, "`activeDeadlineSeconds` must be a positive integer", str(deadline))
    check_duration(mapping(template, "suspend"), "duration", "suspend", place, found)
    check_duration(mapping(template, "memoize"), "maxAge", "memoize", place, found)


def _check_artifact(artifact: Json, side: str, leaf: bool, place: Place, found: Findings) -> None:
    path, label = text(artifact, "path"), f"`{side}.artifacts` {name_of(artifact)}"
    if leaf and not path:
        found.add("artifact-path", place, f"{label} needs `path`")
    elif leaf and _escapes(path):
        found.add("artifact-path", place, f"{label} must stay in its folder", path)
    elif not leaf and path:
        found.add("artifact-path", place, f"{label} may have `path` only where a container is", path)
    if side == "inputs":
        if text(artifact, "from"):
            found.add("artifact-from", place, f"{label} may not have `from`", artifact["from"])
        _check_location(artifact, label, place, found)


def _escapes(path: str) -> bool:
    if "/../" in path:
        safe = path[: path.index("/../")]
    elif path.endswith("/.."):
        safe = path[:-3]
    else:
        return False
    clean = posixpath.normpath(path)
    return bool(safe) and (not clean.startswith(f"{safe}/") or len(clean) <= len(safe) + 1)


def _check_location(location: Json, label: str, place: Place, found: Findings) -> None:
    if location.get("git") is not None and not text(location, "git", "repo"):
        found.add("artifact-location", place, f"{label} needs `git.repo`")
    hdfs = location.get("hdfs")
    if not isinstance(hdfs, dict):
        return
    needed: list[tuple[str, Any]] = [("addresses", hdfs.get("addresses")), ("path", text(hdfs, "path"))]
    keytab, cache = hdfs.get("krbKeytabSecret") is not None, hdfs.get("krbCCacheSecret") is not None
    if not keytab and not cache:
        needed.append(("hdfsUser", text(hdfs, "hdfsUser")))
    else:
        names = ["krbServicePrincipalName", "krbConfigConfigMap"] + ["krbUsername", "krbRealm"] * keytab
        needed += [(name, hdfs.get(name)) for name in names]
    for name, value in needed:
        if not value:
            found.add("artifact-location", place, f"{label} needs `hdfs.{name}`")
    if not text(hdfs, "path").startswith("/"):
        found.add("artifact-location", place, f"{label} needs an absolute `hdfs.path`", text(hdfs, "path"))


def _check_metric(metric: Json, place: Place, found: Findings) -> None:
    name = name_of(metric)
    for word, value in (("metric", name), *(("label", text(label, "key")) for label in entries(metric, "labels"))):
        if not _METRIC.fullmatch(value):
            found.add("metric", place, f"The name of a {word} has letters, digits and `_`, no digit first", value)
    if not text(metric, "help"):
        found.add("metric", place, f"Metric {name} needs `help`")
    for kind in ("gauge", "counter", "histogram"):
        if metric.get(kind) is not None and not text(metric, kind, "value"):
            found.add("metric", place, f"Metric {name} needs `{kind}.value`")
    gauge = mapping(metric, "gauge")
    if gauge.get("realtime") is True and "resourcesDuration." in text(gauge, "value"):
        found.add("metric", place, "A real-time metric can't read `resourcesDuration`", gauge["value"])
