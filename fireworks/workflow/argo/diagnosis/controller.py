"""Checks of Argo's controller: that it runs, and its settings.

Comes in: a `Case`. Goes out: findings, to `fireworks.workflow.argo.diagnosis.examining`.
"""

import re
import secrets
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ....errors import ResourceNotFound
from ..resources import CONFIGMAPS, WORKFLOWS
from .checks import Case, Finding, failed, open_question, passed

__all__ = ["check_controller", "check_pace", "check_settings", "idle_workflow", "seconds"]

_LIMIT_S = 15.0
_PACE_S = 2.0
_SETTINGS, _ENVIRONMENT = "workflow-controller-configmap", "workflow-controller-environment"
_REMEDY = "Apply the settings of manifests/base/controller, or hand them to whoever owns this Argo"
# Where the settings that are looked at stand.
_EXECUTOR, _DEFAULTS = ("executor", "securityContext"), ("workflowDefaults", "spec")
_MAPPINGS = (
    *(_EXECUTOR[:1], _EXECUTOR, (*_EXECUTOR, "capabilities"), (*_EXECUTOR, "seccompProfile")),
    *(_DEFAULTS[:1], _DEFAULTS, ("failedPodRestart",)),
)
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def idle_workflow(name: str) -> dict[str, Any]:
    """A workflow that the controller runs to its end without a pod: its only task is skipped."""
    task = {"name": "nothing", "template": "never", "when": "false"}
    return {
        "apiVersion": WORKFLOWS.api_version,
        "kind": WORKFLOWS.kind,
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "fireworks-doctor"}},
        "spec": {
            "entrypoint": "main",
            # Were we to die before we remove it.
            "ttlStrategy": {"secondsAfterCompletion": 60},
            "templates": [{"name": "main", "dag": {"tasks": [task]}}, {"name": "never", "suspend": {}}],
        },
    }


def check_controller(case: Case) -> Finding:
    """Whether a controller serves the namespace: it is given something to do."""
    client, name = case.cluster, f"doctor-{secrets.token_hex(4)}"
    started = time.monotonic()
    client.create(WORKFLOWS, idle_workflow(name))
    try:
        for change in client.watch(WORKFLOWS, fields=f"metadata.name={name}", limit_s=_LIMIT_S):
            status = change.object.get("status", {})
            if status.get("finishedAt"):
                case.learnt["executed"] = change.object["spec"]
                break
        else:
            status = {}
    finally:
        client.delete(WORKFLOWS, name)
    took_s = time.monotonic() - started
    if not status:
        return failed(
            f"no controller has taken up a workflow in namespace {client.namespace} within {_LIMIT_S:.0f} s",
            f"See whether it runs, and which namespaces it watches: kubectl -n {case.argo_namespace} get pods",
        )
    if status["phase"] != "Succeeded":
        return failed(f"an empty workflow ended as {status['phase']}: {status.get('message', '')}", _REMEDY)
    return passed(f"ran a workflow without pods in {took_s:.1f} s")


def check_settings(case: Case) -> Finding:
    """Whether Argo's own containers pass Pod Security, and what workflows get that say nothing themselves."""
    yaml = import_module("yaml")
    place = f"{_SETTINGS} in namespace {case.argo_namespace}"
    try:
        data = case.elsewhere(case.argo_namespace).get(CONFIGMAPS, _SETTINGS).get("data") or {}
    except ResourceNotFound:
        return open_question(f"there is no ConfigMap {place}: Argo may be elsewhere", _REMEDY)
    try:
        settings = {key: yaml.safe_load(text) for key, text in data.items()}
    except yaml.YAMLError as error:
        return failed(f"{place} must hold YAML, but: {' '.join(str(error).split())}", _REMEDY)
    whole = settings.get("config")  # The old form: everything under one key.
    settings = whole if isinstance(whole, dict) else settings
    if odd := _odd(settings):
        return failed(f"{place} must hold mappings, but {', '.join(odd)}", _REMEDY)
    lacking = _lacking(settings.get("executor") or {})
    if lacking:
        detail = f"executor.securityContext lacks {', '.join(lacking)}"
        if case.learnt.get("level") == "restricted":
            return failed(f"{detail}: Pod Security refuses every pod", _REMEDY)
        return open_question(detail, _REMEDY)
    wanting = _wanting(settings, str(case.learnt.get("release") or ""))
    if wanting:
        return open_question("; ".join(wanting), _REMEDY)
    return passed("executor.securityContext and workflowDefaults are set")


def _odd(settings: Any) -> list[str]:
    """What should be a mapping, and is none."""
    found = []
    for path in _MAPPINGS:
        value = settings
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, dict | None):
            found.append(f"`{'.'.join(path)}` is {value!r:.60}")
    return found


def _lacking(executor: Mapping[str, Any]) -> list[str]:
    """What Pod Security *restricted* wants of Argo's own containers, and does not get."""
    security = executor.get("securityContext") or {}
    checks = {
        "runAsNonRoot: true": security.get("runAsNonRoot") is True,
        "allowPrivilegeEscalation: false": security.get("allowPrivilegeEscalation") is False,
        "capabilities: {drop: [ALL]}": "ALL" in ((security.get("capabilities") or {}).get("drop") or []),
        "seccompProfile: {type: RuntimeDefault}": (security.get("seccompProfile") or {}).get("type")
        in {"RuntimeDefault", "Localhost"},
    }
    return [name for name, fulfilled in checks.items() if not fulfilled]


def _wanting(settings: Mapping[str, Any], release: str) -> list[str]:
    """What would be better."""
    spec = (settings.get("workflowDefaults") or {}).get("spec") or {}
    wanted = ("activeDeadlineSeconds", "podGC", "ttlStrategy", "securityContext")
    missing = [name for name in wanted if name not in spec]
    notes = [f"workflowDefaults lack {', '.join(missing)}: hand-written workflows may hang or stay"] if missing else []
    if release.startswith("4.1") and not (settings.get("failedPodRestart") or {}).get("enabled"):
        notes.append("failedPodRestart is off: pods evicted before they start are not started again by Argo")
    return notes


def check_pace(case: Case) -> Finding:
    """How soon the controller notices that a stage has ended."""
    try:
        data = case.elsewhere(case.argo_namespace).get(CONFIGMAPS, _ENVIRONMENT).get("data") or {}
    except ResourceNotFound:
        data = {}
    stated = data.get("DEFAULT_REQUEUE_TIME")
    if stated is None:
        return open_question(
            f"ConfigMap {_ENVIRONMENT} says no DEFAULT_REQUEUE_TIME: 10 s if nothing else sets it", _REMEDY
        )
    pace_s = seconds(stated)
    if pace_s is None:
        return failed(f"DEFAULT_REQUEUE_TIME must be a duration such as 1s, but is {stated!r}", _REMEDY)
    if pace_s > _PACE_S:
        return open_question(f"DEFAULT_REQUEUE_TIME is {stated}: each level of stages waits up to that long", _REMEDY)
    return passed(f"DEFAULT_REQUEUE_TIME is {stated}")


def seconds(text: str) -> float | None:
    """A duration as Go writes it, in seconds; None if it is none.

    >>> seconds("1m30s"), seconds("500ms"), seconds("soon")
    (90.0, 0.5, None)
    """
    if not text or _DURATION.sub("", text):
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION.findall(text))
