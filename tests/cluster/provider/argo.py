"""Argo Workflows on a node: its schemas and rights, what the store's clients need, and its controller as a process.

Comes in: `manifests/overlays/node`, built programs. Goes out: a controller that runs workflows of one namespace.
"""

import hashlib
import urllib.request
from collections.abc import Mapping
from typing import Any

from .building import schemas
from .certificates import write_kubeconfig
from .commands import Kubectl, wait_until
from .daemons import Daemon
from .interface import ClusterError
from .settings import ARGO_NAMESPACE, NAMESPACE, ROOT, Settings

HEALTH_PORT = 6060
MANIFESTS = ROOT / "manifests"
# What `app.kubernetes.io/managed-by` says of objects that are not in manifests/.
MANAGER = "cluster-provider"
INTERNAL_PORTS = {HEALTH_PORT: "workflow-controller", 9090: "workflow-controller"}


def create_schemas(settings: Settings, kubectl: Kubectl) -> None:
    """Make Argo's objects known to the API server."""
    # Created, not applied: that would keep a second record of every field, and the schemas are 3 MB.
    kubectl("create", "--validate=false", "--filename", schemas(settings))
    names = [f"crd/{path.stem.removeprefix('argoproj.io_')}.argoproj.io" for path in schemas(settings).glob("*.yaml")]
    wait_until(lambda: _established(kubectl, names), "Argo's schemas must be established", 60)


def install(settings: Settings, kubectl: Kubectl) -> None:
    """Apply our manifests, then where the store is."""
    apply(settings, kubectl)
    kubectl.apply(store_objects(settings.storage.environment(settings.s3_endpoint), NAMESPACE))


def apply(settings: Settings, kubectl: Kubectl) -> None:
    """Apply our manifests, and write down which."""
    now = manifests_digest()
    kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", MANIFESTS / "overlays" / "node")
    (settings.run / "manifests").write_text(now, encoding="ascii")


def is_applied(settings: Settings) -> bool:
    """Whether the cluster has this tree's manifests."""
    try:
        return (settings.run / "manifests").read_text(encoding="ascii") == manifests_digest()
    except FileNotFoundError:
        return False


def manifests_digest(*folders: str) -> str:
    """Of the sources in folders of manifests/; those of the node if none is given."""
    digest = hashlib.sha256()
    for folder in folders or ("base", "components", "overlays/node"):
        for path in sorted((MANIFESTS / folder).rglob("*.yaml")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(MANIFESTS).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _established(kubectl: Kubectl, names: list[str]) -> bool:
    """Without conditions yet, which is so for a moment, kubectl says so by an error."""
    try:
        kubectl("wait", "--for=condition=Established", "--timeout=10s", *names)
    except ClusterError:
        return False
    return True


def store_objects(environment: Mapping[str, str], namespace: str) -> list[dict[str, Any]]:
    """The ConfigMap and the Secret that manifests refer to by name."""
    secret = {name: value for name, value in environment.items() if name.startswith(("AWS_ACCESS", "AWS_SECRET"))}
    public = {name: value for name, value in environment.items() if name not in secret}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata("store-settings", namespace), "data": public},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": _metadata("store-credentials", namespace),
            "stringData": secret,
        },
    ]


def controller(settings: Settings, kubectl: Kubectl) -> Daemon:
    """The workflow-controller, logged in with an account that has Argo's own Roles and no more."""
    token = kubectl("create", "token", "argo", f"--namespace={ARGO_NAMESPACE}", "--duration=8760h").strip()
    kubeconfig = write_kubeconfig(settings.pki, "argo", {"token": token}, ARGO_NAMESPACE)
    settled = kubectl.get("configmap", "workflow-controller-environment", f"--namespace={ARGO_NAMESPACE}")
    command = (
        str(settings.binary("workflow-controller")),
        f"--kubeconfig={kubeconfig}",
        "--namespaced",
        f"--namespace={ARGO_NAMESPACE}",
        f"--managed-namespace={NAMESPACE}",
        f"--executor-image={settings.executor_image}",
        "--executor-image-pull-policy=IfNotPresent",
    )
    return Daemon("workflow-controller", command, {**settled["data"], "LEADER_ELECTION_DISABLE": "true"})


def healthy() -> bool:
    """Whether the controller says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH_PORT}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    labels = {"name": name, "component": "store", "part-of": "fireworks", "managed-by": MANAGER}
    return {
        "name": name,
        "namespace": namespace,
        "labels": {f"app.kubernetes.io/{key}": value for key, value in labels.items()},
    }
