"""Who may do what, as the cluster itself judges it.

Comes in: questions of `fireworks.workflow.argo.diagnosis`. Goes out: access reviews through a
`fireworks.workflow.argo.client.ClusterClient`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .client import ClusterClient
from .resources import Right
from .transport import Call

__all__ = ["account_may", "account_rights", "may", "who_am_i"]

# What every account may do: ask who it is and what it may.
_EVERYBODYS = {"authorization.k8s.io", "authentication.k8s.io"}


def who_am_i(client: ClusterClient) -> str | None:
    """What the cluster calls us; None if it is too old to say (before 1.28)."""
    from ...errors import ClusterError

    try:
        answer = _review(client, "authentication.k8s.io", "SelfSubjectReview", {})
    except ClusterError:
        return None
    return str(answer["status"]["userInfo"]["username"])


def may(client: ClusterClient, right: Right) -> bool:
    """Whether we have a right in the client's namespace."""
    spec = {"resourceAttributes": _attributes(client, right)}
    return bool(_review(client, "authorization.k8s.io", "SelfSubjectAccessReview", spec)["status"]["allowed"])


def account_may(client: ClusterClient, account: str, right: Right) -> bool:
    """Whether a ServiceAccount of the namespace has a right there.

    Raises:
        ClusterDenied: If that is not for us to know.
    """
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{client.namespace}", "system:authenticated"]
    spec = {"user": _user(client, account), "groups": groups, "resourceAttributes": _attributes(client, right)}
    answer = _review(client, "authorization.k8s.io", "LocalSubjectAccessReview", spec, local=True)
    return bool(answer["status"]["allowed"])


def account_rights(client: ClusterClient, account: str) -> set[Right] | None:
    """All rights of a ServiceAccount in its namespace, beyond those that every account has.

    Returns:
        None if the cluster cannot list them all.

    Raises:
        ClusterDenied: If we may not ask in its name.
    """
    headers = {"Impersonate-User": _user(client, account)}
    spec = {"namespace": client.namespace}
    status = _review(client, "authorization.k8s.io", "SelfSubjectRulesReview", spec, headers=headers)["status"]
    if status.get("incomplete"):
        return None
    return {right for rule in status["resourceRules"] for right in _rights(rule) if right.group not in _EVERYBODYS}


def _rights(rule: Mapping[str, Any]) -> Iterator[Right]:
    for group in rule.get("apiGroups") or []:
        for resource in rule.get("resources") or []:
            for verb in rule["verbs"]:
                yield Right(verb, resource, group)


def _user(client: ClusterClient, account: str) -> str:
    return f"system:serviceaccount:{client.namespace}:{account}"


def _attributes(client: ClusterClient, right: Right) -> dict[str, str]:
    resource, _, part = right.resource.partition("/")
    where = {"namespace": client.namespace, "group": right.group, "resource": resource, "subresource": part}
    return {**where, "verb": right.verb}


def _review(
    client: ClusterClient,
    group: str,
    kind: str,
    spec: Mapping[str, Any],
    *,
    local: bool = False,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    metadata = {"namespace": client.namespace} if local else {}
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}
    path = f"/apis/{group}/v1/{f'namespaces/{client.namespace}/' if local else ''}{plural}"
    target = client.transport.target(f"{plural}.{group}", namespace=client.namespace if local else "")
    call = Call("POST", path, body=body, target=target, headers=headers or {})
    answer: dict[str, Any] = client.transport.send(call).content
    return answer
