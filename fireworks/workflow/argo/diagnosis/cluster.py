"""Checks of the way to the cluster, the namespace, and Argo's schemas.

Comes in: a `Case`. Goes out: findings, to `fireworks.workflow.argo.diagnosis.examining`.
"""

import shutil
import subprocess
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ....errors import ClusterDenied, ResourceNotFound
from ..client import ClusterClient
from ..resources import NAMESPACES, WORKFLOWS
from .checks import Case, Finding, failed, open_question, passed
from .controller import idle_workflow

__all__ = [
    "argo_release",
    "check_clock",
    "check_engine",
    "check_kubeconfig",
    "check_namespace",
    "check_pod_security",
    "check_schemas",
    "check_server",
    "judge_clock",
]

_NEEDED = ("workflows", "workflowtemplates", "workflowtaskresults")
_SCHEMAS = "/openapi/v3/apis/argoproj.io/v1alpha1"
_LEVELS = ("restricted", "baseline", "privileged")
_SLIGHT_S, _GRAVE_S = 5.0, 300.0
_ENGINES = {"docker": "{{.ServerVersion}}", "podman": "{{.Version.Version}}"}


def check_engine(case: Case) -> Finding:
    """Whether docker or podman can build images here: an engine, not its client alone."""
    for client, template in _ENGINES.items():
        program = shutil.which(client)
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program, "info", "--format", template], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        # Some clients that reach no engine complain, print an empty line, and call that a success.
        if done.returncode == 0 and (version := done.stdout.strip()):
            return passed(f"{client} {version}")
    return open_question("neither docker nor podman answers here: only building images needs one")


def check_kubeconfig(case: Case) -> Finding:
    """Whether it leads to a cluster."""
    case.client = ClusterClient(case.context, case.namespace, patience_s=case.patience_s)
    login = case.client.transport.login
    context = f"context {login.context!r} of {login.source}" if login.context else login.source
    return passed(f"{context}: {login.server}")


def check_server(case: Case) -> Finding:
    """Whether the API answers, and of what version it is."""
    answer = case.cluster.version()
    case.learnt["answer"] = answer
    return passed(f"Kubernetes {answer.content['gitVersion']}, answered in {answer.seconds * 1000:.0f} ms")


def check_clock(case: Case) -> Finding:
    """Whether the API server's clock and ours agree, by the Date of its last answer."""
    answer = case.learnt["answer"]
    stated = next((value for name, value in answer.headers.items() if name.lower() == "date"), None)
    if stated is None:
        return open_question("the API server does not say what time it has")
    sent_at = answer.received_at - answer.seconds
    return judge_clock(parsedate_to_datetime(stated).timestamp(), sent_at, answer.received_at)


def judge_clock(stated: float, earliest: float, latest: float) -> Finding:
    """What a clock's difference to ours means. All times are in seconds since the epoch.

    Args:
        stated: What it showed, fractions of a second left out.
        earliest: Ours, surely before that moment.
        latest: Ours, surely after it.
    """
    ahead_s, behind_s = stated - latest, earliest - (stated + 1)
    size_s = max(ahead_s, behind_s)
    if size_s <= 1:
        return passed("agrees with ours")
    detail = f"is {size_s:.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    if size_s <= _SLIGHT_S:
        return passed(detail)
    now = time.strftime("%H:%M:%S UTC", time.gmtime())
    remedy = f"Set both by NTP: here it is {now}. From 15 minutes on, signed requests are refused"
    return open_question(detail, remedy) if size_s <= _GRAVE_S else failed(detail, remedy)


def check_namespace(case: Case) -> Finding:
    """Whether it exists; who may not read namespaces learns it from a dry run."""
    client = case.cluster
    remedy = "Correct --namespace, or make it: kubectl apply --server-side -k manifests/base"
    try:
        found = client.get(NAMESPACES, client.namespace)
    except ResourceNotFound:
        return failed(f"there is no namespace {client.namespace!r}", remedy)
    except ClusterDenied:
        try:
            client.create(WORKFLOWS, idle_workflow("doctor"), dry_run=True)
        except ResourceNotFound:
            return failed(f"there is no namespace {client.namespace!r}", remedy)
        return passed(f"{client.namespace}: takes workflows")
    case.learnt["namespace"] = found
    if found["status"].get("phase") == "Terminating":
        return failed(f"{client.namespace} is being deleted", "Wait until it is gone, then make it again")
    return passed(client.namespace)


def check_pod_security(case: Case) -> Finding:
    """Which level the namespace enforces; our pods pass the strictest."""
    found = case.learnt.get("namespace")
    if found is None:
        return open_question("not for us to see: needs the right to get namespaces")
    labels: Mapping[str, str] = found["metadata"].get("labels", {})
    level = labels.get("pod-security.kubernetes.io/enforce")
    case.learnt["level"] = level
    if level == "restricted":
        return passed("restricted")
    name = case.cluster.namespace
    label = "pod-security.kubernetes.io/enforce=restricted"
    remedy = f"Pods of stages pass `restricted`: kubectl label namespace {name} --overwrite {label}"
    if level not in _LEVELS:
        return open_question(f"nothing is enforced{f', but the label says {level!r}' if level else ''}", remedy)
    return open_question(level, remedy)


def check_schemas(case: Case) -> Finding:
    """Whether Argo's custom resources are there, and of which release, as far as their schemas tell."""
    remedy = "Install Argo Workflows 3.6 to 4.1: kubectl apply --server-side -k manifests/components/argo"
    listed = case.cluster.ask("/apis/argoproj.io/v1alpha1", "workflows.argoproj.io").content["resources"]
    missing = [name for name in _NEEDED if name not in {one["name"] for one in listed}]
    if missing:
        return failed(f"this Argo is too old, or not whole: it has no {', '.join(missing)}", remedy)
    release = argo_release(case.cluster.ask(_SCHEMAS).content)
    case.learnt["release"] = release
    if release is None:
        return passed("minimal schemas: Argo's release can't be told, and the server checks no field")
    if release == "before 3.6":
        return failed("full schemas of Argo before 3.6, which knows less than we emit", remedy)
    return passed(f"full schemas of Argo {release}")


def argo_release(document: Mapping[str, Any]) -> str | None:
    """The releases of Argo that have these schemas: ``before 3.6``, ``3.6 or 3.7``, ``4.0``, ``4.1 or newer``.

    Args:
        document: OpenAPI 3 of the API group.

    Returns:
        None for the minimal schemas, which have no fields.
    """
    schemas = document["components"]["schemas"]
    workflow: Mapping[str, Any] = next(
        (schema for name, schema in schemas.items() if name.endswith(".v1alpha1.Workflow")), {}
    )
    spec = workflow.get("properties", {}).get("spec", {}).get("properties", {})
    template = spec.get("templates", {}).get("items", {}).get("properties", {})
    locks = spec.get("synchronization", {}).get("properties", {})
    if not template:
        return None
    # The plural came in 3.6, the singular went in 4.0; a deadline for pods that wait came in 4.1.
    if "mutexes" not in locks:
        return "before 3.6"
    if "mutex" in locks:
        return "3.6 or 3.7"
    return "4.1 or newer" if "pendingTimeout" in template or "pendingTimeout" in spec else "4.0"
