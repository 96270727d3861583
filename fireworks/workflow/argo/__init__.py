"""Plans on Kubernetes, through Argo Workflows.

Comes in: plans of `fireworks.workflow.cutting`. Goes out: objects of a cluster, by way of
`fireworks.workflow.argo.client`. Imports no torch; Hera and the kubernetes client only where they are used.
"""

from typing import TYPE_CHECKING, Any

from ..._lazy import lazy

if TYPE_CHECKING:
    from .client import ClusterClient

__all__ = ["ClusterClient"]

_EXPORTS = {"client": ("ClusterClient",)}


def __getattr__(name: str) -> Any:
    return lazy(globals(), name, _EXPORTS)
