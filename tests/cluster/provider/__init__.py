"""Clusters for tests: one from nothing, kind's, or one that is there.

Comes in: `CLUSTER` and other settings of the environment. Goes out: a `Provider`.
"""

from .choosing import choose
from .interface import ClusterError, Part, Provider, Status
from .node import Node

__all__ = ["ClusterError", "Node", "Part", "Provider", "Status", "choose"]
