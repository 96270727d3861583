"""Which tags can be replaced where.

Source: `workflow/validate` of Argo 3.7.18: `newTemplateValidationCtx`, `addOutputsToScope`, `addItemsToScope`.

Comes in: manifests and templates. Goes out: sets of names, to `references`.
"""

import json
from typing import Any

from .manifests import LEAVES, PODS, Manifest, type_of
from .reading import Json, entries, mapping, name_of, text

__all__ = ["ANY_ITEM", "ANY_OUTPUT", "add_items", "add_outputs", "arguments_of", "global_names", "template_names"]

ANY_ITEM = "item.*"
ANY_OUTPUT = {kind: f"workflow.outputs.{kind}.*" for kind in ("parameters", "artifacts")}
_ALWAYS = (
    "name",
    "namespace",
    "mainEntrypoint",
    "serviceAccountName",
    "uid",
    "status",
    "annotations",
    "annotations.json",
    "labels",
    "labels.json",
)
_CRON_LABEL = "workflows.argoproj.io/cron-workflow"
_CRON_ANNOTATION = "workflows.argoproj.io/scheduled-time"
_RETRIES = ("retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message")


def arguments_of(manifest: Manifest, referred: Manifest | None) -> Json:
    """A manifest's arguments, completed by those of the WorkflowTemplate that it refers to."""
    merged: Json = {}
    for kind in ("parameters", "artifacts"):
        values: dict[str, Json] = {}
        for spec in (manifest.spec, referred.spec if referred else {}):
            for value in entries(spec, "arguments", kind):
                values.setdefault(name_of(value), value)
        merged[kind] = list(values.values())
    return merged


def global_names(manifest: Manifest, referred: Manifest | None) -> dict[str, str | None]:
    """Tags that are known everywhere in a workflow, with their values where these are known now."""
    names: dict[str, str | None] = {f"workflow.{name}": None for name in _ALWAYS}
    parameters = arguments_of(manifest, referred)["parameters"]
    if parameters:
        names |= {"workflow.parameters": None, "workflow.parameters.json": None}
    for parameter in parameters:
        if name_of(parameter):
            value = parameter.get("value")
            names[f"workflow.parameters.{name_of(parameter)}"] = None if value is None else _written(value)
    for kind, keys in _marks(manifest, referred).items():
        names |= {f"workflow.{kind}.{key}": None for key in keys}
    if manifest.spec.get("priority") is not None:
        names["workflow.priority"] = None
    return names


def _marks(manifest: Manifest, referred: Manifest | None) -> dict[str, list[str]]:
    marks: dict[str, list[str]] = {"annotations": [], "labels": []}
    if manifest.kind == "CronWorkflow":
        sources = [mapping(manifest.content, "spec", "workflowMetadata")]
        marks = {"annotations": [_CRON_ANNOTATION], "labels": [_CRON_LABEL]}
    else:
        sources = [mapping(manifest.content, "metadata")]
    sources += [mapping(m.spec, "workflowMetadata") for m in (manifest, referred) if m]
    for source in sources:
        marks["annotations"] += mapping(source, "annotations")
        marks["labels"] += [*mapping(source, "labels"), *mapping(source, "labelsFrom")]
    return marks


def template_names(template: Json) -> set[str]:
    """Tags of a template's own: inputs, paths, its pod, its retries."""
    leaf, names = type_of(template) in LEAVES, set[str]()
    parameters = entries(template, "inputs", "parameters")
    names.update(f"inputs.parameters.{name_of(parameter)}" for parameter in parameters)
    if parameters:
        names.add("inputs.parameters")
    for artifact in entries(template, "inputs", "artifacts"):
        names.add(f"inputs.artifacts.{name_of(artifact)}")
        if leaf:
            names.add(f"inputs.artifacts.{name_of(artifact)}.path")
    if type_of(template) in PODS:
        names.add("pod.name")
    if template.get("retryStrategy") is not None:
        names.update(_RETRIES)
    return names


def add_outputs(names: set[str], prefix: str, template: Json | None, *, aggregate: bool) -> None:
    """Add the tags by which others read a task or step.

    Args:
        names: Is added to.
        prefix: As ``tasks.windows``.
        template: What the task runs; None if that is not known.
        aggregate: Whether the task is a loop over a list.
    """
    names.update(f"{prefix}.{name}" for name in ("id", "startedAt", "finishedAt", "hostNodeName"))
    if template is None:
        return
    kind = type_of(template)
    if template.get("daemon") is True:
        names.add(f"{prefix}.ip")
    if has_result(template) or (aggregate and kind in ("script", "containerSet")):
        names.update((f"{prefix}.outputs.result", f"{prefix}.exitCode"))
    if aggregate:
        names.add(f"{prefix}.outputs.parameters")
    for side in ("parameters", "artifacts"):
        for output in entries(template, "outputs", side):
            names.add(f"{prefix}.outputs.{side}.{name_of(output)}")


def global_outputs(template: Json | None) -> set[str]:
    """Tags that a template adds to the whole workflow, once it has been seen."""
    names = set[str]()
    for side in ("parameters", "artifacts"):
        for output in entries(template, "outputs", side):
            name = text(output, "globalName")
            if name:
                names.add(ANY_OUTPUT[side] if "{{" in name else f"workflow.outputs.{side}.{name}")
    return names


def has_result(template: Json) -> bool:
    """Whether what a template prints becomes `outputs.result`."""
    if type_of(template) == "containerSet":
        return "main" in map(name_of, entries(template, "containerSet", "containers"))
    return type_of(template) in ("container", "script", "data", "http", "plugin")


def add_items(names: set[str], task: Json) -> None:
    """Add the tags of a task's loop."""
    items = task.get("withItems")
    if isinstance(items, list) and items:
        for item in items:
            value = _as_json(item)
            if isinstance(value, dict):
                names.update(f"item.{key}" for key in value)
            elif isinstance(value, list):
                names.update(f"item.[{index}]" for index in range(len(value)))
            else:
                names.add("item")
    elif task.get("withParam"):
        names.update(("item", ANY_ITEM))
    elif task.get("withSequence") is not None:
        names.add("item")


def _as_json(item: Any) -> Any:
    """Argo takes a text for what it is; null for an empty list."""
    return [] if item is None else item


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
