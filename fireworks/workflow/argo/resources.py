"""The kinds of Kubernetes objects that Fireworks deals with, and who must be allowed what.

Comes in: nothing. Goes out: paths of the API to `fireworks.workflow.argo.client`, lists of rights to
`fireworks.workflow.argo.diagnosis` and to messages of `fireworks.workflow.argo.faults`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

__all__ = [
    "CONFIGMAPS",
    "DEPLOYMENTS",
    "EVENTS",
    "NAMESPACES",
    "PODS",
    "SECRETS",
    "SERVICEACCOUNTS",
    "STAGE_RIGHTS",
    "SUBMITTER_RIGHTS",
    "WORKFLOWS",
    "WORKFLOWTEMPLATES",
    "Resource",
    "Right",
    "granting",
    "rights",
]


@dataclass(frozen=True)
class Resource:
    """One kind of object.

    Args:
        plural: Its name in paths and in RBAC rules, such as ``workflows``.
        kind: Its name in objects, such as ``Workflow``.
        group: Its API group; empty for the core.
    """

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As an object's ``apiVersion`` says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str | None = None, part: str | None = None) -> str:
        """Where all of them are, or one, or a part of one such as its ``log``."""
        steps = ["apis" if self.group else "api", self.api_version]
        steps += ["namespaces", quote(namespace, safe="")] if self.namespaced else []
        steps += [self.plural] + ([quote(name, safe="")] if name is not None else []) + ([part] if part else [])
        return "/" + "/".join(steps)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


_ARGO = "argoproj.io"
WORKFLOWS = Resource("workflows", "Workflow", _ARGO, "v1alpha1")
WORKFLOWTEMPLATES = Resource("workflowtemplates", "WorkflowTemplate", _ARGO, "v1alpha1")
PODS = Resource("pods", "Pod")
EVENTS = Resource("events", "Event")
SECRETS = Resource("secrets", "Secret")
CONFIGMAPS = Resource("configmaps", "ConfigMap")
SERVICEACCOUNTS = Resource("serviceaccounts", "ServiceAccount")
NAMESPACES = Resource("namespaces", "Namespace", namespaced=False)
DEPLOYMENTS = Resource("deployments", "Deployment", "apps")

Rights = Mapping[tuple[str, str], tuple[str, ...]]

# (API group, resource) → verbs, as in manifests/base/submitter-role.yaml and stage-account.yaml: a test compares.
SUBMITTER_RIGHTS: Rights = {
    (_ARGO, "workflows"): ("create", "delete", "get", "list", "patch", "watch"),
    (_ARGO, "workflowtemplates"): ("create", "delete", "get", "list", "patch", "watch"),
    ("", "events"): ("get", "list", "watch"),
    ("", "pods"): ("get", "list", "watch"),
    ("", "pods/log"): ("get", "list", "watch"),
}
STAGE_RIGHTS: Rights = {(_ARGO, "workflowtaskresults"): ("create", "patch")}


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource."""

    verb: str
    resource: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


def rights(table: Rights) -> Iterator[Right]:
    """One `Right` after the other."""
    for (group, resource), verbs in table.items():
        for verb in verbs:
            yield Right(verb, resource, group)


def granting(right: Right, namespace: str, user: str) -> str:
    """The kubectl command by which an administrator grants it.

    Args:
        right: What is missing.
        namespace: Where; empty for the whole cluster.
        user: As the cluster calls them; accounts of pods are ``system:serviceaccount:NAMESPACE:NAME``.

    >>> granting(Right("create", "workflows", "argoproj.io"), "fireworks", "ada")
    'kubectl -n fireworks create rolebinding ada --role=submitter --user=ada'
    """
    account = user.removeprefix("system:serviceaccount:")
    subject = f"--user={user}" if account == user else f"--serviceaccount={account}"
    name = re.sub(r"[^a-z0-9.-]+", "-", account.lower()).strip("-.") or "user"
    if namespace and right.verb in SUBMITTER_RIGHTS.get((right.group, right.resource), ()):
        return shlex.join(["kubectl", "-n", namespace, "create", "rolebinding", name, "--role=submitter", subject])
    where, prefix = (["-n", namespace], "") if namespace else ([], "cluster")
    plural, _, part = right.resource.partition("/")
    resource = (f"{plural}.{right.group}" if right.group else plural) + (f"/{part}" if part else "")
    role = f"{name}-{right.verb}-{plural}"
    rule = ["kubectl", *where, "create", f"{prefix}role", role, f"--verb={right.verb}", f"--resource={resource}"]
    binding = ["kubectl", *where, "create", f"{prefix}rolebinding", role, f"--{prefix}role={role}", subject]
    return f"{shlex.join(rule)} && {shlex.join(binding)}"
