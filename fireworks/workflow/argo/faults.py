"""What the Kubernetes API answers when it does not do as asked, as an error of ours with a remedy.

Comes in: answers and network errors of `fireworks.workflow.argo.transport`. Goes out: raised there; a
`ClusterUnavailable` may be tried again first.
"""

import json
import re
from dataclasses import dataclass

from ...errors import (
    ClusterDenied,
    ClusterError,
    ClusterUnavailable,
    CredentialsExpired,
    FireworksError,
    KubeconfigError,
    ResourceExists,
    ResourceNotFound,
    ResourceRefused,
)
from .resources import Right, granting

__all__ = ["Expired", "Target", "from_answer", "from_network"]

_CANNOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) (?:resource|path) "(?P<resource>[^"]+)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]+)")?'
)
_NO_NAMESPACE = re.compile(r'namespaces "(?P<name>[^"]+)" not found')
_TOO_LARGE = re.compile(r"request is too large|entity too large|larger than max", re.IGNORECASE)
_ANONYMOUS = "system:anonymous"
INSTALL_ARGO = "kubectl apply --server-side -k manifests/components/argo"


class Expired(ClusterError):
    """A resource version or page that the API no longer keeps: list again."""


@dataclass(frozen=True)
class Target:
    """What a request was about, for messages.

    Args:
        server: URL of the API.
        source: Kubeconfig and context that led there.
        what: The resource's plural with its group, such as ``workflows.argoproj.io``.
        namespace: Empty for what is in none.
    """

    server: str
    source: str
    what: str = ""
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.what}{f' {self.name!r}' if self.name else ''}{place}"


def from_network(error: Exception, target: Target) -> FireworksError:
    """The error for a request that got no answer.

    Args:
        error: urllib3's.
        target: What was asked for.
    """
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, SSLError
    from urllib3.exceptions import TimeoutError as SilenceError

    text = " ".join(str(error).split())
    if isinstance(error, SSLError):
        return KubeconfigError(
            f"the cluster's and the kubeconfig's certificates must fit, but at {target.server} they do not ({text})."
            f" Get a new kubeconfig for {target.source}."
        )
    if isinstance(error, NameResolutionError):
        reason = "its name is not known"
    elif isinstance(error, NewConnectionError):  # Before ConnectTimeoutError, which it is as well.
        reason = "no connection"
    elif isinstance(error, ConnectTimeoutError):
        reason = "connecting timed out"
    elif isinstance(error, SilenceError):
        reason = "timed out"
    else:
        reason = "connection lost"
    return _unavailable(target, reason)


def _unavailable(target: Target, reason: str) -> ClusterUnavailable:
    return ClusterUnavailable(
        f"the Kubernetes API must answer, but {target.server} did not ({reason}). Check that the cluster is up and"
        f" that {target.source} is meant, then run again."
    )


def from_answer(status: int, body: bytes, target: Target) -> FireworksError:
    """The error for an answer of 400 and above.

    Args:
        status: HTTP's.
        body: A ``Status`` object, or what a proxy in between says.
        target: What was asked for.
    """
    message, reason = _said(body)
    if status == 413 or _TOO_LARGE.search(message):
        return ResourceRefused(
            f"an object must fit into the cluster's database, but {target} does not ({message or status})."
            " Make it smaller: `fireworks compile --budget` shows what takes the space."
        )
    if status == 410:
        return Expired(message)
    if status in {408, 425, 429} or status >= 500:
        return _unavailable(target, f"{status}{f', {message}' if message else ''}")
    if status == 401:
        return _unknown(target)
    if status == 403:
        return _forbidden(message, target)
    if status == 404:
        return _absent(message, target)
    if status == 409:
        return _taken(message, reason, target)
    return ResourceRefused(f"{target} must be as the cluster wants it, but: {message or status}. Correct it.")


def _said(body: bytes) -> tuple[str, str]:
    """Message and reason."""
    try:
        status = json.loads(body)
    except ValueError:
        return " ".join(body[:300].decode("utf-8", "replace").split()), ""
    if not isinstance(status, dict):
        return "", ""
    return " ".join(str(status.get("message", "")).split()).rstrip("."), str(status.get("reason", ""))


def _unknown(target: Target) -> CredentialsExpired:
    return CredentialsExpired(
        f"the cluster must know who asks, but {target.server} does not accept the credentials of {target.source}: they"
        " are wrong or have expired. Log in again, or get a new kubeconfig."
    )


def _forbidden(message: str, target: Target) -> FireworksError:
    found = _CANNOT.search(message)
    if found is None:
        return _not_admitted(message, target)
    if found["user"] == _ANONYMOUS:
        return _unknown(target)
    right = Right(found["verb"], found["resource"], found["group"] or "")
    namespace = found["namespace"] or ""
    place = f"in namespace {namespace}" if namespace else "in the cluster"
    error = ClusterDenied(
        f"{found['user']!r} must be allowed to {right} {place}, but is not. Ask an administrator to run:"
        f" {granting(right, namespace, found['user'])}"
    )
    error.verb, error.resource = right.verb, right.resource
    return error


def _not_admitted(message: str, target: Target) -> ResourceRefused:
    if "violates PodSecurity" in message:
        remedy = "Add what it names to the security context, or use another namespace"
    elif "exceeded quota" in message or "is limited" in message or "maximum" in message:
        remedy = "Ask for less, wait until others have finished, or have the quota raised"
    elif "being terminated" in message:
        remedy = "Wait until the namespace is gone, then make it again"
    else:
        remedy = "Correct it, or ask whoever runs the cluster"
    return ResourceRefused(f"{target} must pass the cluster's admission rules, but: {message}. {remedy}.")


def _absent(message: str, target: Target) -> FireworksError:
    namespace = _NO_NAMESPACE.search(message)
    if namespace:
        return ResourceNotFound(
            f"the namespace must exist, but {target.server} has no {namespace['name']!r}. Correct --namespace, or make"
            " it: kubectl apply --server-side -k manifests/base"
        )
    if "could not find the requested resource" in message or "page not found" in message:
        if target.what.endswith("argoproj.io"):
            return ClusterError(
                f"Argo Workflows must be installed, but {target.server} knows no {target.what}."
                f" Install it: {INSTALL_ARGO}"
            )
        return ClusterError(
            f"{target.server} must be a Kubernetes API that knows {target.what or target.name}, but is not."
            f" Check the server of {target.source}."
        )
    return ResourceNotFound(
        f"{target} must be there, but is not. Check the name and the namespace; finished runs are removed after a"
        " while, their records stay in the store."
    )


def _taken(message: str, reason: str, target: Target) -> ResourceExists:
    if reason == "AlreadyExists":
        return ResourceExists(
            f"{target} must be new, but there is one already ({message}). Delete it, or rename yours."
        )
    return ResourceExists(f"{target} must not change meanwhile, but did ({message}). Run again.")
