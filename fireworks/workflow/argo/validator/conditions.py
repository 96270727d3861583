"""Conditions and expressions that stand without braces: `when`, `expression`, `fromExpression`.

Comes in: manifests. Goes out: findings about those that can't be parsed.
"""

import re
from typing import Any

from .expressions import expression_fault, when_fault
from .findings import Findings, Place
from .manifests import Manifest, holders
from .reading import Json, entries, mapping, text

__all__ = ["check_conditions"]


def check_conditions(manifest: Manifest, found: Findings) -> None:
    """Check every condition of a manifest."""
    _check_hooks(manifest.spec, manifest.place, found)
    for template, place in manifest.all_templates:
        for output in entries(template, "outputs", "parameters"):
            _check(mapping(output, "valueFrom"), "expression", place, found)
        for output in entries(template, "outputs", "artifacts"):
            _check(output, "fromExpression", place, found)
        for step in entries(template, "data", "transformation"):
            _check(step, "expression", place, found)
        for metric in entries(template, "metrics", "prometheus"):
            _check_when(metric, place, found)
        for holder, inner in holders(template, place):
            _check_when(holder, inner, found)
            _check_hooks(holder, inner, found)
            for artifact in entries(holder, "arguments", "artifacts"):
                _check(artifact, "fromExpression", inner, found)


def _check_hooks(holder: Json, place: Place, found: Findings) -> None:
    for name, hook in mapping(holder, "hooks").items():
        _check(hook, "expression", place.at(f"hook {name}"), found)


def _check(holder: Any, key: str, place: Place, found: Findings) -> None:
    content = text(holder, key)
    fault = expression_fault(re.sub(r"\{\{.*?\}\}", "x", content, flags=re.DOTALL)) if content else ""
    if fault:
        found.add("expression", place, f"`{key}` can't be parsed: {fault}", content)


def _check_when(holder: Json, place: Place, found: Findings) -> None:
    content = text(holder, "when")
    fault = when_fault(content) if content else ""
    if fault:
        found.add("when", place, f"`when` can't be parsed: {fault}", content)
