"""etcd, the API server, the controllers, the scheduler and the kubelet: their flags, and whether they are ready.

Comes in: certificates, built programs. Goes out: daemons to start, in this order.
"""

import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from .commands import Kubectl
from .containerd import socket
from .daemons import Daemon
from .interface import ClusterError
from .settings import API_PORT, NODE, NODE_IP, SERVICE_NETWORK, Settings

_ETCD = "http://127.0.0.1:2379"
_ETCD_PEER = "http://127.0.0.1:2380"
_CONTROLLERS_PORT, _SCHEDULER_PORT = 10257, 10259
# Ports that only this machine's processes use, by the program that takes them.
INTERNAL_PORTS = {
    2379: "etcd",
    2380: "etcd",
    10248: "kubelet",
    10250: "kubelet",
    _CONTROLLERS_PORT: "kube-controller-manager",
    _SCHEDULER_PORT: "kube-scheduler",
}


def etcd_data(settings: Settings) -> Path:
    """Where etcd's data is."""
    return settings.run / "etcd"


def etcd(settings: Settings) -> Daemon:
    """What is written to it is gone at every start: unsafe and fast is right."""
    return Daemon(
        "etcd",
        (
            str(settings.binary("etcd")),
            f"--data-dir={etcd_data(settings)}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={_ETCD_PEER}",
            f"--initial-advertise-peer-urls={_ETCD_PEER}",
            f"--initial-cluster=default={_ETCD_PEER}",
            "--unsafe-no-fsync",
        ),
    )


def api_server(settings: Settings) -> Daemon:
    """Kubernetes' API, on the bridge's address alone."""
    pki = settings.pki
    flags = {
        "etcd-servers": _ETCD,
        "bind-address": NODE_IP,
        "advertise-address": NODE_IP,
        "secure-port": API_PORT,
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-cluster-ip-range": SERVICE_NETWORK,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        # Or `kubectl logs` tries to resolve the node's name.
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": pki / "apiserver-kubelet.crt",
        "kubelet-client-key": pki / "apiserver-kubelet.key",
        "kubelet-certificate-authority": pki / "ca.crt",
        "requestheader-client-ca-file": pki / "front-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pki / "front.crt",
        "proxy-client-key-file": pki / "front.key",
    }
    return _daemon(settings, "kube-apiserver", flags)


def controller_manager(settings: Settings) -> Daemon:
    """The controllers of accounts, nodes, garbage."""
    return _daemon(
        settings,
        "kube-controller-manager",
        {
            **_client(settings.pki / "controller-manager.kubeconfig"),
            "service-account-private-key-file": settings.pki / "sa.key",
            "root-ca-file": settings.pki / "ca.crt",
            "cluster-signing-cert-file": settings.pki / "ca.crt",
            "cluster-signing-key-file": settings.pki / "ca.key",
            "use-service-account-credentials": "true",
            "flex-volume-plugin-dir": settings.run / "volume-plugins",
            # Nothing heard of the one node means that the API server was away, and so was who would have told.
            "node-monitor-grace-period": "5m",
        },
    )


def scheduler(settings: Settings) -> Daemon:
    """What gives pods to the one node."""
    return _daemon(settings, "kube-scheduler", _client(settings.pki / "scheduler.kubeconfig"))


def kubelet(settings: Settings, cgroup: str) -> Daemon:
    """The node; what it writes outside of the state folder is listed in `cleaning`."""
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "containerRuntimeEndpoint": f"unix://{socket(settings)}",
        "failSwapOn": False,
        # Its chains are for Service ports, which nothing here serves.
        "makeIPTablesUtilChains": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(settings.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(settings.pki / "kubelet-server.key"),
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        "podLogsDir": f"{settings.run}/pod-logs",
        "volumePluginDir": f"{settings.run}/volume-plugins",
        # An image that the kubelet removes, as waste or because the disk is full, is one that no registry gives back.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "200Mi"},
    }
    flags = {
        "config": _written(settings.run / "kubelet.json", config),
        "kubeconfig": settings.pki / "kubelet.kubeconfig",
        "hostname-override": NODE,
        "node-ip": NODE_IP,
        "root-dir": f"{settings.run}/kubelet",
        "cert-dir": f"{settings.run}/kubelet-pki",
    }
    return _daemon(settings, "kubelet", flags)


def _written(path: Path, config: Mapping[str, object]) -> Path:
    path.write_text(json.dumps(config, indent=1), encoding="ascii")
    return path


def node_ready(kubectl: Kubectl) -> bool:
    """Whether pods can start: the node says so and nothing repels them."""
    try:
        node = kubectl.get("node", NODE)
    except ClusterError:
        return False
    conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def workers_healthy() -> bool:
    """Whether the controllers and the scheduler say that they are; they make their certificates at their start."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        for port in (_CONTROLLERS_PORT, _SCHEDULER_PORT):
            urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=2, context=context).close()
    except OSError:
        return False
    return True


def _client(kubeconfig: Path) -> dict[str, str | Path]:
    names = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return {**dict.fromkeys(names, kubeconfig), "bind-address": "127.0.0.1", "leader-elect": "false"}


def _daemon(settings: Settings, name: str, flags: Mapping[str, object]) -> Daemon:
    return Daemon(name, (str(settings.binary(name)), *(f"--{flag}={value}" for flag, value in flags.items())))
