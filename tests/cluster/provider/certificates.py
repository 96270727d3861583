"""Certificates and kubeconfigs of a cluster that lives on one machine.

Comes in: an empty folder. Goes out: files that the daemons' flags name. They are made anew with every `up`.
"""

import base64
import json
import shutil
from pathlib import Path

from .commands import run
from .settings import API_PORT, NAMESPACE, NODE, NODE_IP, SERVICE_IP

_CLIENT = "extendedKeyUsage=clientAuth"
_CONFIG = "[req]\ndistinguished_name=name\n[name]\n"
_NAMES = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1"
# File name, subject, extension, authority.
_LEAVES = (
    ("apiserver", "/CN=kube-apiserver", f"subjectAltName={_NAMES},IP:{NODE_IP},IP:{SERVICE_IP}", "ca"),
    ("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet", _CLIENT, "ca"),
    ("front", "/CN=front-proxy-client", _CLIENT, "front-ca"),
    ("admin", "/O=system:masters/CN=admin", _CLIENT, "ca"),
    ("controller-manager", "/CN=system:kube-controller-manager", _CLIENT, "ca"),
    ("scheduler", "/CN=system:kube-scheduler", _CLIENT, "ca"),
    ("kubelet", f"/O=system:nodes/CN=system:node:{NODE}", _CLIENT, "ca"),
    ("kubelet-server", f"/CN={NODE}", f"subjectAltName=DNS:{NODE},IP:{NODE_IP},IP:127.0.0.1", "ca"),
)


def write_certificates(folder: Path) -> None:
    """Fill the folder; what was there is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "openssl.conf").write_text(_CONFIG, encoding="ascii")
    for name in ("ca", "front-ca"):
        _certificate(folder, name, f"/CN={name}", "basicConstraints=critical,CA:TRUE")
    for name, subject, extension, authority in _LEAVES:
        _certificate(folder, name, subject, extension, authority)
    run("openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", folder / "sa.key")
    run("openssl", "ec", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")
    for name in ("admin", "controller-manager", "scheduler", "kubelet"):
        user = {
            "client-certificate-data": _encoded(folder / f"{name}.crt"),
            "client-key-data": _encoded(folder / f"{name}.key"),
        }
        write_kubeconfig(folder, name, user)


def write_kubeconfig(folder: Path, name: str, user: dict[str, str], namespace: str = NAMESPACE) -> Path:
    """A kubeconfig that needs no other file. Without `-n`, kubectl speaks of the namespace that runs are in."""
    cluster = {"server": f"https://{NODE_IP}:{API_PORT}", "certificate-authority-data": _encoded(folder / "ca.crt")}
    context = {"cluster": "fireworks", "user": name, "namespace": namespace}
    path = folder / f"{name}.kubeconfig"
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fireworks", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "fireworks", "context": context}],
            "current-context": "fireworks",
        },
        indent=1,
    )
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
    return path


def _certificate(folder: Path, name: str, subject: str, extension: str, authority: str = "") -> None:
    signer = ["-CA", str(folder / f"{authority}.crt"), "-CAkey", str(folder / f"{authority}.key")] if authority else []
    run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-config", folder / "openssl.conf", "-days", "3650", "-subj", subject, "-addext", extension),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"),
        *signer,
    )


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
