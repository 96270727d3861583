"""Templates that do something: containers, scripts, sets of containers, resources, requests.

Source: `workflow/validate` of Argo 3.7.18.

Comes in: templates. Goes out: findings about images, commands, mounts and manifests.
"""

import json
import re
from collections.abc import Mapping

from .findings import Findings, Place
from .manifests import Manifest
from .reading import Json, entries, literal, mapping, name_of, text

__all__ = ["check_leaf", "containers_of"]

_ACTIONS = ("get", "create", "apply", "delete", "replace", "patch")
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)

Known = Mapping[str, str | None]


def check_leaf(template: Json, place: Place, base: Manifest, known: Known, found: Findings) -> None:
    """Check what a template of one type has, other than what all have.

    Args:
        template: Any mapping.
        place: Of the template.
        base: Whose `templateDefaults` complete the template.
        known: What tags are replaced by, where that can be told now.
        found: Where findings go.
    """
    for kind in ("container", "script"):
        container = template.get(kind)
        if isinstance(container, dict):
            # Argo's check looks into the defaults of Workflows and WorkflowTemplates only.
            default = "" if base.kind.startswith("Cluster") else text(base.spec, "templateDefaults", kind, "image")
            image = literal(container.get("image") or "", known)
            if image == "" and not default:
                found.add("image-missing", place, f"`{kind}.image` may not be empty")
            _check_command(container, kind, place, mapping(base.spec, "templateDefaults", kind), found)
    if isinstance(template.get("container"), dict):
        _check_mounts(template, place, found)
    if isinstance(template.get("containerSet"), dict):
        _check_set(template, place, found)
    if isinstance(template.get("resource"), dict):
        _check_resource(template, place, known, found)
    if isinstance(template.get("plugin"), dict) and len(template["plugin"]) != 1:
        found.add("plugin", place, "`plugin` has exactly one key", ", ".join(template["plugin"]))


def containers_of(template: Json) -> list[tuple[str, Json]]:
    """Every container that a template's pod has, with its path."""
    listed = [(kind, mapping(template, kind)) for kind in ("container", "script") if mapping(template, kind)]
    for path in (("containerSet", "containers"), ("initContainers",), ("sidecars",)):
        listed += [(f"{path[-1]}[{index}]", item) for index, item in enumerate(entries(template, *path))]
    return listed


def _check_command(container: Json, kind: str, place: Place, defaults: Json, found: Findings) -> None:
    if not container.get("command") and not defaults.get("command"):
        found.add("command-missing", place, f"`{kind}.command` may not be left out", name_of(container))


def _check_mounts(template: Json, place: Place, found: Findings) -> None:
    mounts = [(text(mount, "mountPath"), f"volumeMounts {name_of(mount)}") for mount in _mounts(template["container"])]
    mounts += [(text(a, "path"), f"input artifact {name_of(a)}") for a in entries(template, "inputs", "artifacts")]
    _check_unique(mounts, place, found)


def _check_unique(mounts: list[tuple[str, str]], place: Place, found: Findings) -> None:
    seen: dict[str, str] = {}
    for path, owner in mounts:
        if path in seen:
            found.add("mount-clash", place, f"{seen[path]} and {owner} may not be mounted at the same path", path)
        seen.setdefault(path, owner)


def _mounts(container: Json) -> list[Json]:
    return entries(container, "volumeMounts")


def _check_set(template: Json, place: Place, found: Findings) -> None:
    group = mapping(template, "containerSet")
    containers = entries(group, "containers")
    if not containers:
        found.add("container-set", place, "`containerSet` needs at least one container")
    _check_unique([(text(m, "mountPath"), f"volumeMounts {name_of(m)}") for m in _mounts(group)], place, found)
    names = {name_of(container) for container in containers}
    carries = mapping(template, "outputs").get("parameters") or mapping(template, "outputs").get("artifacts")
    if (carries or mapping(template, "inputs").get("artifacts")) and "main" not in names:
        found.add("container-set", place, "`containerSet` needs a container `main` for inputs and outputs")
    graph: dict[str, list[str]] = {}
    for index, container in enumerate(containers):
        wanted = container.get("dependencies")
        needs = [need for need in wanted if isinstance(need, str)] if isinstance(wanted, list) else []
        graph[name_of(container)] = [need for need in needs if need in names]
        for need in needs:
            if need not in names:
                found.add("container-set", place, f"A dependency of {name_of(container)} must be in the set", need)
        _check_command(container, f"containerSet.containers[{index}]", place, {}, found)
    if _has_cycle(graph):
        found.add("container-set", place, "Dependencies of a `containerSet` may not form a cycle", sorted(graph))


def _has_cycle(graph: dict[str, list[str]]) -> bool:
    """Whether something is left after taking away, again and again, what waits for nothing."""
    waiting = {name: set(needs) for name, needs in graph.items()}
    while free := [name for name, needs in waiting.items() if not needs]:
        for name in free:
            del waiting[name]
        for needs in waiting.values():
            needs.difference_update(free)
    return bool(waiting)


def _check_resource(template: Json, place: Place, known: Known, found: Findings) -> None:
    resource = mapping(template, "resource")
    action = literal(resource.get("action") or "", known)
    late = action is None and _is_replaced(text(resource, "action"), known)
    if action not in _ACTIONS and not late:
        rule = f"`resource.action` must be one of {', '.join(_ACTIONS)}"
        found.add("resource-action", place, rule, resource.get("action"))
    if action in ("delete", "get"):
        return
    manifest, source = text(resource, "manifest"), resource.get("manifestFrom")
    if bool(manifest) == (source is not None):
        found.add("resource-manifest", place, "`resource` needs one of `manifest` and `manifestFrom`")
    wanted = text(source, "artifact", "name")
    if mapping(source, "artifact") and wanted not in map(name_of, entries(template, "inputs", "artifacts")):
        found.add("resource-manifest", place, "`resource.manifestFrom` must name an input artifact", wanted)
    if manifest and not _may_be_yaml(_EXPRESSION.sub("x", manifest)):
        found.add("resource-manifest", place, "`resource.manifest` must be YAML", manifest)


def _is_replaced(content: str, known: Known) -> bool:
    """Whether a text begins with a tag that has a value before the template runs."""
    match = _EXPRESSION.match(content)
    tag = match[0][2:-2].strip() if match else ""
    return tag in known or tag.startswith(("inputs.parameters.", "=", "pod.name", "retries", "lastRetry."))


def _may_be_yaml(manifest: str) -> bool:
    """Whether this may be YAML: seen are tabs, brackets that don't match, and lines that are neither key nor item."""
    try:
        json.loads(manifest)
    except ValueError:
        pass
    else:
        return True
    lines = [line for line in manifest.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if any(line[: len(line) - len(line.lstrip())].count("\t") for line in lines):
        return False
    if len(lines) == 1:
        return manifest.strip()[0] not in "{[&*!|>%@`\"'" or manifest.strip()[-1] in "}]\"'"
    return not lines or ":" in lines[0] or lines[0].lstrip().startswith(("-", "{", "[", "%"))
