"""Manifests as the rules see them: templates by name, and which manifest refers to which.

Comes in: plain JSON. Goes out: `Manifest`s and the places of their parts, to every rule's module.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .findings import Place
from .reading import Json, entries, mapping, name_of, text

__all__ = [
    "KINDS",
    "LEAVES",
    "PODS",
    "TYPES",
    "Manifest",
    "World",
    "holders",
    "steps_of",
    "task_place",
    "tasks_of",
    "template_place",
    "type_of",
]

KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")
TYPES = ("container", "containerSet", "steps", "dag", "script", "resource", "data", "suspend", "http", "plugin")
LEAVES = ("container", "containerSet", "script", "resource", "data", "http", "plugin")
PODS = ("container", "containerSet", "script", "resource", "data")
_STAGE_LABEL = "fireworks.io/stage"


@dataclass(frozen=True)
class Manifest:
    """One object.

    Attributes:
        kind: One of `KINDS`.
        content: All of it.
        place: What findings about it begin with.
    """

    kind: str
    content: Json
    place: Place = field(default_factory=Place)

    @property
    def name(self) -> str:
        return text(self.content, "metadata", "name")

    @cached_property
    def spec(self) -> Json:
        """The specification of its workflows."""
        spec = mapping(self.content, "spec")
        return mapping(spec, "workflowSpec") if self.kind == "CronWorkflow" else spec

    @cached_property
    def templates(self) -> list[Json]:
        return entries(self.spec, "templates")

    @cached_property
    def by_name(self) -> dict[str, Json]:
        """The first template of each name, as Argo looks them up."""
        return {name_of(template): template for template in reversed(self.templates)}

    @cached_property
    def all_templates(self) -> list[tuple[Json, Place]]:
        """Every template with its place, those within tasks included; a hundred deep at most."""
        found: list[tuple[Json, Place]] = []
        stack: list[tuple[Any, Place]] = [(t, template_place(self.place, t)) for t in reversed(self.templates)]
        while stack:
            template, place = stack.pop()
            found.append((template, place))
            for holder, inner in holders(template, place):
                inline = holder.get("inline")
                if isinstance(inline, dict) and len(inner.parts) < 100:
                    stack.append((inline, inner.at("inline template")))
        return found

    @property
    def is_template(self) -> bool:
        return self.kind in ("WorkflowTemplate", "ClusterWorkflowTemplate")


class World:
    """All manifests that are validated together."""

    def __init__(self, manifests: list[Manifest]) -> None:
        self.manifests = manifests
        self._templates = {(m.kind == "ClusterWorkflowTemplate", m.name): m for m in manifests if m.is_template}

    def template(self, name: str, *, cluster: bool) -> Manifest | None:
        """The WorkflowTemplate, or ClusterWorkflowTemplate, of this name."""
        return self._templates.get((cluster, name))

    def referred(self, manifest: Manifest) -> Manifest | None:
        """What `workflowTemplateRef` refers to, if it is here."""
        reference = mapping(manifest.spec, "workflowTemplateRef")
        return self.template(name_of(reference), cluster=reference.get("clusterScope") is True)


def type_of(template: Json) -> str:
    """What a template is, in the order in which Argo looks; empty if it is nothing."""
    return next((kind for kind in TYPES if template.get(kind) is not None), "")


def tasks_of(template: Json) -> list[Json]:
    """The tasks of a DAG."""
    return entries(template, "dag", "tasks")


def steps_of(template: Json) -> list[list[Json]]:
    """The steps of a template, in groups that run side by side."""
    groups = template.get("steps")
    return [entries({"group": group}, "group") for group in groups] if isinstance(groups, list) else []


def template_place(place: Place, template: Json) -> Place:
    """Of a template; its stage is on the label that its pods carry."""
    return place.at(f"template {_short(name_of(template))}", _told(text(template, "metadata", "labels", _STAGE_LABEL)))


def task_place(place: Place, task: Json, word: str = "task") -> Place:
    """Of a task or step; its stage is its argument of that name."""
    stage = next((text(p, "value") for p in entries(task, "arguments", "parameters") if p.get("name") == "stage"), "")
    return place.at(f"{word} {_short(name_of(task))}", _told(stage))


def holders(template: Json, place: Place) -> Iterator[tuple[Json, Place]]:
    """Tasks or steps: what refers to other templates."""
    for task in tasks_of(template):
        yield task, task_place(place, task)
    for group in steps_of(template):
        for step in group:
            yield step, task_place(place, step, "step")


def _told(stage: str) -> str | None:
    return stage if stage and "{{" not in stage else None


def _short(name: str) -> str:
    return name[:130] or "without a name"
