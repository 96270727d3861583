"""Checks Argo manifests without Argo: offline, in milliseconds, everything at once.

What ``argo lint --offline`` of 3.7.18 and the API server with the full CRDs refuse is found here, and what they take
but Argo mishandles. docs/validator.md lists the rules.

Comes in: manifests as plain JSON, from `fireworks.workflow.argo.compiling` or anybody. Goes out: `Finding`s.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .conditions import check_conditions
from .crons import check_cron
from .dags import check_dag
from .fields import check_fields
from .findings import Finding, Findings, Place
from .images import check_images
from .leaves import check_leaf
from .lifecycles import check_lifecycle
from .loops import check_loop
from .manifests import Manifest, World, holders, type_of
from .metadata import check_metadata
from .names import check_names
from .parameters import check_parameters
from .reading import Json, entries, name_of, text
from .references import check_references
from .resources import check_resources
from .retries import check_retries
from .rules import RULES, Rule
from .scopes import arguments_of, global_names
from .security import check_pod_security, check_spec_security
from .sizes import check_growth, check_size
from .templates import check_template
from .versions import check_versions, newer_fields

__all__ = ["RULES", "Finding", "Rule", "validate"]


def validate(objects: Sequence[Mapping[str, Any]], *, argo_version: str | None = None) -> list[Finding]:
    """Find everything that is wrong with manifests that are to be submitted together.

    Args:
        objects: Workflows, WorkflowTemplates, ClusterWorkflowTemplates and CronWorkflows, as plain JSON. They may refer
            to each other.
        argo_version: As ``4.1.2``: its newer fields are allowed. Left out: what 3.6 to 4.1 all know.

    Returns:
        Errors first. Nothing is raised, whatever the objects are.
    """
    found, read = Findings(), []
    for index, given in enumerate(objects):
        content, size = _plain(given, index, len(objects), found)
        if content is not None:
            place = _place(content, index, len(objects))
            read.append((Manifest(text(content, "kind"), content, place), size))
            check_size(size, place, found)
    world = World([manifest for manifest, _ in read])
    for manifest, size in read:
        check_metadata(manifest, found)
        root = "cron" if manifest.kind == "CronWorkflow" else "workflow"
        newer = newer_fields(argo_version)
        check_fields(manifest.content.get("spec") or {}, root, manifest.place, found, newer)
        _check_manifest(manifest, world, found)
        check_growth(manifest, size, found)
    return found.sorted()


def _plain(given: Any, index: int, count: int, found: Findings) -> tuple[Json | None, int]:
    """A copy of nothing but JSON, and its size in bytes."""
    place = Place((f"object {index}",)) if count > 1 else Place()
    try:
        written = json.dumps(given, default=_as_dict, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        content = json.loads(written)
    except (TypeError, ValueError, RecursionError) as error:
        found.add("not-json", place, "A manifest is plain JSON", f"{type(error).__name__}: {error}")
        return None, 0
    if not isinstance(content, dict):
        found.add("not-json", place, "A manifest is a mapping", written[:100])
        return None, 0
    return content, len(written.encode("utf-8", "surrogatepass"))


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _place(content: Json, index: int, count: int) -> Place:
    """Findings begin with the object only where there are several."""
    if count == 1:
        return Place((text(content, "kind") or "manifest",))
    name = text(content, "metadata", "name") or text(content, "metadata", "generateName") or f"number {index}"
    return Place((f"{text(content, 'kind') or 'manifest'} {name[:64]}",))


def _check_manifest(manifest: Manifest, world: World, found: Findings) -> None:
    check_names(manifest, found)
    check_parameters(manifest, found)
    check_conditions(manifest, found)
    check_lifecycle(manifest, world, found)
    check_versions(manifest, found)
    check_spec_security(manifest.spec, manifest.place, found)
    if manifest.kind == "CronWorkflow":
        check_cron(manifest, found)
    check_references(manifest, world, found)
    base = world.referred(manifest) or manifest
    known = _Known(manifest, base)
    for template, place in base.all_templates:
        _check_template(template, place, base, known.of(template), found)


def _check_template(
    template: Json, place: Place, base: Manifest, known: Mapping[str, str | None], found: Findings
) -> None:
    check_template(template, place, known, found)
    check_leaf(template, place, base, known, found)
    check_retries(template, place, base, found)
    check_images(template, place, found)
    check_pod_security(template, base, place, found)
    check_resources(template, base, place, found)
    if type_of(template) == "dag":
        check_dag(template, place, found)
    for holder, inner in holders(template, place):
        check_loop(holder, inner, found)


class _Known:
    """What tags become: the workflow's parameters, and the inputs of templates that get their values from it."""

    def __init__(self, manifest: Manifest, base: Manifest) -> None:
        referred = base if base is not manifest else None
        self.names = global_names(manifest, referred)
        self.given = {name_of(value): value for value in arguments_of(manifest, referred)["parameters"]}
        specs = (manifest.spec, base.spec)
        firsts = [next((text(s, key) for s in specs if text(s, key)), "") for key in ("entrypoint", "onExit")]
        self.first = set() if manifest.is_template else set(filter(None, firsts))

    def of(self, template: Json) -> dict[str, str | None]:
        """Tags of a template, with their values, or None where these are not known yet."""
        if name_of(template) not in self.first:
            return self.names
        known = dict(self.names)
        for parameter in entries(template, "inputs", "parameters"):
            value = self.given.get(name_of(parameter), parameter)
            content = value.get("value", value.get("default"))
            known[f"inputs.parameters.{name_of(parameter)}"] = None if content is None else str(content)
        return known
