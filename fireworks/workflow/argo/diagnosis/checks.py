"""What is asked about, and what an answer looks like.

Comes in: settings from the command line and the profile. Goes out: `Case` to every check of this package, `Finding`
from it, `Check` to ``fireworks doctor``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ....errors import FireworksError, KubeconfigError

if TYPE_CHECKING:
    from ..client import ClusterClient
    from .probe import Probe

__all__ = ["Case", "Check", "Finding", "failed", "open_question", "passed"]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        ok: None where it could not be found out, or where it works but could be better.
        detail: What was seen.
        remedy: What to do about it.
    """

    ok: bool | None
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Check:
    """A finding with the name of what it is about."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


@dataclass(kw_only=True)
class Case:
    """One place: a cluster, a namespace of it, a store, an image; and what checks have learnt so far.

    Args:
        store: The store's URL from here.
        store_in_pods: The store's URL as pods see it.
        context: Of the kubeconfig; its current one if None.
        namespace: Where stages run; that of manifests/ if None.
        image: For stages; None if there is none yet.
        limit_s: How long the pod of the last check may take, in seconds.
        argo_namespace: Where Argo's controller has its settings.
        patience_s: How long an API or a store may be away, in seconds.
    """

    store: str
    store_in_pods: str
    context: str | None = None
    namespace: str | None = None
    image: str | None = None
    limit_s: float = 60.0
    argo_namespace: str = "argo"
    patience_s: float = 5.0
    client: ClusterClient | None = None
    learnt: dict[str, Any] = field(default_factory=dict)
    probe: Probe | None = None

    @property
    def cluster(self) -> ClusterClient:
        """The connection that the first check made."""
        if self.client is None:
            raise KubeconfigError("a cluster must be known before it is asked, but is not. Check the kubeconfig first.")
        return self.client

    def elsewhere(self, namespace: str) -> ClusterClient:
        """A connection for another namespace of the same cluster."""
        from ..client import ClusterClient

        return ClusterClient(self.context, namespace, patience_s=self.patience_s)


def passed(detail: str) -> Finding:
    """It works."""
    return Finding(ok=True, detail=detail)


def open_question(detail: str, remedy: str = "") -> Finding:
    """It cannot be told, or works but could be better."""
    return Finding(None, detail, remedy)


def failed(problem: str | FireworksError, remedy: str = "") -> Finding:
    """It does not work. Errors of ours are one line: rule, value got, then the remedy."""
    if isinstance(problem, str):
        return Finding(ok=False, detail=problem, remedy=remedy)
    detail, _, said = " ".join(str(problem).split()).partition(". ")
    return Finding(ok=False, detail=detail.removesuffix("."), remedy=remedy or said)
