"""Checks of rights: ours to submit, and those of the account that stages run under.

Comes in: a `Case`. Goes out: findings, to `fireworks.workflow.argo.diagnosis.examining`.
"""

from collections.abc import Iterable

from ....errors import ClusterDenied, ResourceNotFound
from ..resources import SERVICEACCOUNTS, STAGE_RIGHTS, SUBMITTER_RIGHTS, Right, granting, rights
from ..reviews import account_may, account_rights, may, who_am_i
from .checks import Case, Finding, failed, passed

__all__ = ["STAGE_ACCOUNT", "check_stage", "check_submitter"]

STAGE_ACCOUNT = "stage"
# What a stage, or whoever took one over, could do harm with. Asked one by one where the whole list can't be had.
_HARMFUL = (
    *(Right(verb, "secrets") for verb in ("get", "list", "create")),
    *(Right(verb, resource) for resource in ("pods", "configmaps") for verb in ("get", "list", "create", "delete")),
    Right("create", "pods/exec"),
    Right("create", "serviceaccounts/token"),
    *(Right(verb, "workflows", "argoproj.io") for verb in ("create", "patch", "delete", "get")),
    *(Right(verb, "workflowtaskresults", "argoproj.io") for verb in ("get", "list", "delete", "update")),
    Right("create", "rolebindings", "rbac.authorization.k8s.io"),
)
_REMEDY = "Apply what stages need again: kubectl apply --server-side -k manifests/base"


def check_submitter(case: Case) -> Finding:
    """Whether we have each right that submitting, watching and cancelling need."""
    client = case.cluster
    needed = list(rights(SUBMITTER_RIGHTS))
    missing = [right for right in needed if not may(client, right)]
    user = who_am_i(client)
    if not missing:
        return passed(f"{user or 'we'}: all {len(needed)}")
    remedy = f"Ask an administrator to run: {granting(missing[0], client.namespace, user or 'USER')}"
    return failed(f"{user or 'we'} may not {_listed(missing)} in namespace {client.namespace}", remedy)


def check_stage(case: Case) -> Finding:
    """Whether the account of stages is there, with the rights that Argo's executor needs and no other."""
    client = case.cluster
    try:
        client.get(SERVICEACCOUNTS, STAGE_ACCOUNT)
    except ResourceNotFound:
        return failed(f"there is no ServiceAccount {STAGE_ACCOUNT!r} in namespace {client.namespace}", _REMEDY)
    needed = set(rights(STAGE_RIGHTS))
    found, whole = _rights_of_stages(case, needed)
    if lacking := needed - found:
        return failed(f"{STAGE_ACCOUNT!r} may not {_listed(lacking)}: pods would end with exit code 64", _REMEDY)
    if excess := found - needed:
        remedy = "Take that away: code of every user runs under this account. See: kubectl get rolebindings -o wide"
        return failed(f"{STAGE_ACCOUNT!r} may do more than it needs: {_listed(excess)}", remedy)
    seen = "and nothing else" if whole else f"and none of {len(_HARMFUL)} others asked about"
    return passed(f"{STAGE_ACCOUNT!r} may {_listed(needed)}, {seen}")


def _rights_of_stages(case: Case, needed: set[Right]) -> tuple[set[Right], bool]:
    """Rights the account has, and whether these are all."""
    try:
        found = account_rights(case.cluster, STAGE_ACCOUNT)
    except ClusterDenied:  # We may not speak in its name.
        found = None
    if found is not None:
        return found, True
    asked = (*needed, *_HARMFUL)
    return {right for right in asked if account_may(case.cluster, STAGE_ACCOUNT, right)}, False


def _listed(found: Iterable[Right]) -> str:
    """Verbs by resource, in one line."""
    by_resource: dict[str, list[str]] = {}
    for right in sorted(found, key=lambda right: (right.group, right.resource, right.verb)):
        by_resource.setdefault(f"{right.resource}{f'.{right.group}' if right.group else ''}", []).append(right.verb)
    return ", ".join(f"{'/'.join(verbs)} {resource}" for resource, verbs in by_resource.items())
