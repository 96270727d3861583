"""Which provider `CLUSTER` means on this machine.

Comes in: the environment. Goes out: a `Provider`.
"""

from collections.abc import Mapping

from .engines import find_engine
from .existing import Existing
from .interface import ClusterError, Provider
from .kind import Kind
from .node import Node
from .settings import read_settings

NAMES = ("auto", "node", "kind", "existing")


def choose(environment: Mapping[str, str]) -> Provider:
    """The provider of that name; `auto` takes what the machine has.

    Args:
        environment: `CLUSTER` is one of `NAMES`, `auto` if it is not set; `FIREWORKS_KUBECONTEXT` is a context of the
            kubeconfig, and makes `auto` mean `existing`.

    Raises:
        ClusterError: If the name is not one, or a setting of that provider is wrong.
    """
    name = environment.get("CLUSTER") or "auto"
    if name not in NAMES:
        raise ClusterError(f"CLUSTER must be one of {', '.join(NAMES)}, but is {name!r}.")
    if name == "existing" or (name == "auto" and environment.get("FIREWORKS_KUBECONTEXT")):
        return Existing.from_environment(environment)
    if name == "kind" or (name == "auto" and find_engine() is not None):
        return Kind.from_environment(environment)
    return Node(read_settings(environment))
