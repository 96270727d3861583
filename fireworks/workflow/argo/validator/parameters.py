"""Values: of a workflow's parameters, of tasks' arguments, of outputs.

Source: `workflow/validate` of Argo 3.7.18.

Comes in: manifests. Goes out: findings about values that are missing, doubled or from nowhere.
"""

import re
from typing import Any

from .findings import Findings, Place
from .manifests import Manifest, holders, type_of
from .reading import Json, entries, mapping, name_of, text

__all__ = ["check_parameters", "has_location"]

_SUPPLIED = ("configMapKeyRef", "event", "supplied")
_FORBIDDEN = ("path", "jsonPath", "parameter", "expression")
_SOURCES = ("path", "jqFilter", "jsonPath", "parameter", "expression")
_SECRET = re.compile(r"(?i)(passw(or)?d|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential)")
_KEY_FORMS = re.compile(r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|-----BEGIN [A-Z ]*PRIVATE KEY-----")
_LOCATIONS = {
    "artifactory": ("url", "usernameSecret"),
    "azure": ("endpoint", "container", "blob"),
    "gcs": ("bucket", "key"),
    "git": ("repo",),
    "hdfs": ("addresses",),
    "http": ("url",),
    "oss": ("bucket", "endpoint", "key"),
    "raw": (),
    "s3": ("endpoint", "bucket", "key"),
}
_KEYS_OF = {"azure": "blob", "gcs": "key", "oss": "key", "s3": "key", "hdfs": "path"}


def check_parameters(manifest: Manifest, found: Findings) -> None:
    """Every argument and output of a manifest."""
    place = manifest.place
    required = manifest.kind == "CronWorkflow"
    _check_arguments(mapping(manifest.spec, "arguments"), place, found, required=required)
    for parameter in entries(manifest.spec, "arguments", "parameters"):
        if "{{" in _shown(parameter.get("value")):
            text_ = f"The value of parameter {name_of(parameter)} may not have `{{{{`"
            found.add("braces-in-value", place, text_, parameter["value"])
        _check_secret(parameter, place, found)
    for template, inner in manifest.all_templates:
        for parameter in entries(template, "outputs", "parameters"):
            _check_output(parameter, type_of(template), inner, found)
        for holder, at in holders(template, inner):
            _check_arguments(mapping(holder, "arguments"), at, found, required=True)
            for parameter in entries(holder, "arguments", "parameters"):
                _check_secret(parameter, at, found)


def _check_arguments(arguments: Json, place: Place, found: Findings, *, required: bool) -> None:
    for parameter in entries(arguments, "parameters"):
        _check_value(parameter, place, found, required=required)
    for artifact in entries(arguments, "artifacts"):
        name = name_of(artifact)
        if not text(artifact, "from") and not has_location(artifact):
            found.add("artifact-from", place, f"Artifact {name} needs `from`, a location or a key")
        if text(artifact, "from") and text(artifact, "fromExpression"):
            found.add("artifact-from", place, f"Artifact {name} may not have both `from` and `fromExpression`")


def _check_value(parameter: Json, place: Place, found: Findings, *, required: bool) -> None:
    name, value, source = name_of(parameter), parameter.get("value"), parameter.get("valueFrom")
    if source is None and value is None and required:
        found.add("value-missing", place, f"Parameter {name} needs `value` or `valueFrom`")
    if source is not None:
        given = [key for key in _SUPPLIED if mapping(source).get(key) not in (None, "")]
        wrong = [key for key in _FORBIDDEN if mapping(source).get(key)]
        if not given or wrong:
            rule = f"`valueFrom` of parameter {name} may have `configMapKeyRef`, `supplied` and `default`"
            found.add("value-source", place, rule, ", ".join(wrong) or "none of them")
    choices = parameter.get("enum")
    if not isinstance(choices, list):
        return
    if not choices:
        found.add("value-choices", place, f"`enum` of parameter {name} needs at least one value")
    elif value is None:
        if required:
            found.add("value-choices", place, f"Parameter {name} has `enum` and needs a value")
    elif _shown(value) not in map(_shown, choices):
        found.add("value-choices", place, f"The value of parameter {name} must be one of `enum`", value)


def has_location(artifact: Json) -> bool:
    """Whether an artifact says where it is, or under which key of the default repository."""
    kind = next((kind for kind in _LOCATIONS if artifact.get(kind) is not None), None)
    if kind is None:
        return False
    location = artifact[kind]
    full = isinstance(location, dict) and all(location.get(name) for name in _LOCATIONS[kind])
    if kind == "artifactory":
        return full or re.search(r"//[^/]+/", text(location, "url")) is not None
    return full or bool(text(location, _KEYS_OF.get(kind, "")))


def _check_output(parameter: Json, kind: str, place: Place, found: Findings) -> None:
    name, value, source = name_of(parameter), parameter.get("value"), parameter.get("valueFrom")
    if (value is None) == (source is None):
        got = "both" if value is not None else "none of them"
        found.add("output-source", place, f"Output {name} needs one of `value` and `valueFrom`", got)
    if source is None:
        return
    given = [key for key in _SOURCES if text(source, key)] + ["supplied"] * (
        mapping(source).get("supplied") is not None
    )
    if len(given) != 1:
        rule = f"`valueFrom` of output {name} needs exactly one of {', '.join(_SOURCES)}, supplied"
        found.add("output-source", place, rule, " and ".join(given) or "none of them")
    for kinds, wanted in (
        (("container", "containerSet", "script"), ("path",)),
        (("resource",), ("jqFilter", "jsonPath")),
        (("dag", "steps"), ("parameter", "expression")),
    ):
        if kind in kinds and not set(given) & set(wanted):
            rule = f"`valueFrom` of output {name} of a {kind} template needs {' or '.join(wanted)}"
            found.add("output-source", place, rule, " and ".join(given) or "none of them")


def _check_secret(parameter: Json, place: Place, found: Findings) -> None:
    """A name that sounds like a secret, with a plain value; or a value that looks like a well-known kind of key."""
    name, value = name_of(parameter), _shown(parameter.get("value"))
    looks = _KEY_FORMS.search(value) or (_SECRET.search(name) and value and "{{" not in value)
    if looks:
        # The value itself is not shown: findings end up in logs.
        found.add("secret-value", place, "Who can read the Workflow can read its parameters", f"a value for {name}")


def _shown(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value).lower()
