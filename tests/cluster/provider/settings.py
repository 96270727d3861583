"""Where a node cluster lives and what is pinned: folders, addresses, ports, versions.

Comes in: the environment, `tests/cluster/go/*/go.mod`. Goes out: one `Settings` to every other module.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .interface import ClusterError

ROOT = Path(__file__).resolve().parents[3]
GO = Path(__file__).resolve().parents[1] / "go"

# A bridge address of our own: it is the same on every machine, and nothing is offered to the network outside.
BRIDGE, NODE_IP, POD_NETWORK = "cnifw0", "10.244.0.1", "10.244.0.0/24"
SERVICE_NETWORK, SERVICE_IP, NODE = "10.96.0.0/16", "10.96.0.1", "node1"
# As in manifests/.
NAMESPACE, ARGO_NAMESPACE = "fireworks", "argo"
API_PORT, S3_PORT = 6443, 8333
# Tests put proxies of theirs in front of S3: pods reach these ports of the node too.
PROXY_PORTS = (8334, 8342)
# Two unix sockets are made below the state folder; the longest is 70 characters long without it.
_STATE_LENGTH = 60

_PINS = {
    "kubernetes": r"k8s\.io/kubernetes v(\S+)",
    "etcd": r"go\.etcd\.io/etcd/server/v3 v(\S+)",
    "argo": r"github\.com/argoproj/argo-workflows/v3 v(\S+)",
}


def pinned_versions(folder: Path = GO) -> dict[str, str]:
    """Kubernetes', etcd's and Argo's versions, as the `go.mod` files require them."""
    versions = {}
    for name, pattern in _PINS.items():
        found = re.search(pattern, (folder / name / "go.mod").read_text(encoding="utf-8"))
        if found is None:
            raise ClusterError(f"{folder.name}/{name}/go.mod must require {pattern}, but does not. Restore it.")
        versions[name] = found[1]
    return versions


@dataclass(frozen=True)
class Storage:
    """The S3 server's bucket and the one user it knows."""

    bucket: str = "fireworks"
    access_key: str = "fwkey"
    secret_key: str = "fwsecret123"
    region: str = "us-east-1"

    def environment(self, endpoint: str) -> dict[str, str]:
        """The settings under which clients find it."""
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }


@dataclass(frozen=True)
class Settings:
    """All that may differ between two machines."""

    state: Path
    cache: Path
    versions: Mapping[str, str] = field(default_factory=pinned_versions)
    storage: Storage = Storage()

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def run(self) -> Path:
        """What is worth nothing once the processes have ended: sockets, mounts, process records."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def kubeconfig(self) -> Path:
        return self.pki / "admin.kubeconfig"

    @property
    def s3_endpoint(self) -> str:
        return f"http://{NODE_IP}:{S3_PORT}"

    @property
    def executor_image(self) -> str:
        return f"localhost/argoexec:v{self.versions['argo']}"

    def binary(self, name: str) -> Path:
        """Where a built program lies, built already or not."""
        module = {"etcd": "etcd", "workflow-controller": "argo", "argoexec": "argo", "argo": "argo"}.get(
            name, "kubernetes"
        )
        return self.module(module) / name

    def module(self, name: str) -> Path:
        """The folder with what was built from one Go module at its pinned version."""
        return self.cache / f"{name}-{self.versions[name]}"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this machine.

    Raises:
        ClusterError: If a folder given in the environment cannot be used.
    """
    home = Path(environment.get("HOME") or "/").absolute()
    state_home, cache_home = environment.get("XDG_STATE_HOME"), environment.get("XDG_CACHE_HOME")
    default_state = Path(state_home) / "fireworks-cluster" if state_home else Path("/var/lib/fireworks-cluster")
    default_cache = (Path(cache_home) if cache_home else home / ".cache") / "fireworks" / "cluster"
    state = Path(environment.get("FIREWORKS_CLUSTER_STATE") or default_state)
    cache = Path(environment.get("FIREWORKS_CLUSTER_CACHE") or default_cache)
    # Every file below the state folder is ours to remove: it must be one that nothing else can be in.
    if not state.is_absolute() or len(state.parts) < 3 or not 4 <= len(str(state)) <= _STATE_LENGTH:
        raise ClusterError(
            f"the state folder must be an absolute path of at least two levels and at most {_STATE_LENGTH} characters,"
            f" but is {state}. Set FIREWORKS_CLUSTER_STATE to another."
        )
    if re.search(r"[^\w./+-]", str(state)):
        raise ClusterError(
            f"the state folder's path must be of letters, digits and ./+-_ alone, but is {str(state)!r}."
            " Set FIREWORKS_CLUSTER_STATE to another."
        )
    return Settings(state, cache)
