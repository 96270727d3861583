"""From a kubeconfig, or the account of the pod we are in, to a cluster's address and credentials.

Comes in: KUBECONFIG or ``~/.kube/config``, and a context's name. Goes out: `Login`, to
`fireworks.workflow.argo.transport`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ClusterError, KubeconfigError, did_you_mean

if TYPE_CHECKING:
    from kubernetes.client import Configuration

__all__ = ["Login", "log_in"]

_POD_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Login:
    """How to reach one cluster, as whom.

    Args:
        configuration: Address, certificates and credentials; tokens of login programs are renewed by it.
        server: URL of the API.
        context: Of the kubeconfig; None in a pod.
        source: Where this was found, for messages.
        namespace: Of the context, or of the pod we are in.
    """

    configuration: Configuration
    server: str
    context: str | None
    source: str
    namespace: str | None


def log_in(context: str | None = None, environment: Mapping[str, str] = os.environ) -> Login:
    """Read the kubeconfig; without one, the account of the pod we are in. The cluster is not asked yet.

    Args:
        context: One of the kubeconfig's; its current context by default.
        environment: ``KUBECONFIG`` names the files, the first to say something wins; ``HOME/.kube/config`` otherwise.

    Raises:
        KubeconfigError: If there is none, or it leads nowhere.
        ClusterError: If the `kubernetes` package is not installed.
    """
    named = [Path(name).expanduser() for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    home = Path(environment.get("HOME") or Path.home()) / ".kube" / "config"
    files = [file for file in named or [home] if file.exists()]
    if files:
        return _from_files(files, context)
    if not named and context is None and environment.get("KUBERNETES_SERVICE_HOST"):
        return _from_pod()
    if named:
        raise KubeconfigError(
            f"KUBECONFIG must name a file that exists, but {os.pathsep.join(map(str, named))} does not. Correct it, or"
            " unset it to use ~/.kube/config."
        )
    raise KubeconfigError(
        f"a cluster must be known by a kubeconfig, but KUBECONFIG is not set and {home} does not exist. Ask whoever"
        " runs the cluster for one, or start your own: see docs/cluster.md."
    )


def _from_files(files: list[Path], context: str | None) -> Login:
    source = os.pathsep.join(map(str, files))
    known, current = _read_contexts(files)
    chosen = context or current
    if chosen is None:
        raise KubeconfigError(f"{source} must say which context is current, but does not. Choose: {_listed(known)}.")
    if chosen not in known:
        who = "a context must be one of the kubeconfig's" if context else "the current context must exist"
        hint = did_you_mean(chosen, known) or f" There are: {_listed(known)}."
        raise KubeconfigError(f"{who}, but {source} has no {chosen!r}.{hint}")
    configuration = _configuration(source, chosen)
    namespace = known[chosen].get("namespace")
    return Login(configuration, configuration.host, chosen, source, str(namespace) if namespace else None)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"


def _read_contexts(files: list[Path]) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Contexts by name, and the current one. The first file to name something wins, as in kubectl."""
    contexts: dict[str, dict[str, Any]] = {}
    current = None
    for file in files:
        document = _read(file)
        entries = document.get("contexts") or []
        try:
            for entry in entries:
                contexts.setdefault(str(entry["name"]), dict(entry["context"] or {}))
        except (KeyError, TypeError, ValueError) as error:
            raise KubeconfigError(
                f"a kubeconfig must list contexts as name and context, but {file} does not. Make it again."
            ) from error
        current = current or document.get("current-context") or None
    return contexts, str(current) if current else None


def _read(file: Path) -> dict[str, Any]:
    yaml = _imported("yaml")
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise KubeconfigError(
            f"a kubeconfig must be readable, but {file} is not ({error.strerror}). Change its owner or permissions."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise KubeconfigError(f"a kubeconfig must be YAML, but {file} is not: {reason}. Make it again.") from error
    if not isinstance(document, dict):
        found = "is empty" if document is None else f"holds a {type(document).__name__}"
        raise KubeconfigError(
            f"a kubeconfig must be a table of clusters, users and contexts, but {file} {found}. Make it again."
        )
    return document


def _configuration(source: str, context: str) -> Configuration:
    kubernetes = _imported("kubernetes")
    configuration: Configuration = kubernetes.client.Configuration()
    with _overheard() as said:
        try:
            kubernetes.config.load_kube_config(source, context, configuration, persist_config=False)
        except Exception as error:  # It raises whatever a malformed file makes it raise.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise KubeconfigError(
                f"context {context!r} of {source} must lead to a cluster and a user, but: {reason}. Make it again."
            ) from error
    if said:
        raise KubeconfigError(
            f"the login program of context {context!r} of {source} must give credentials, but: {said[0]}."
            " Install it, or log in again."
        )
    if not configuration.host.startswith(("http://", "https://")) or configuration.host == "http://localhost":
        raise KubeconfigError(
            f"context {context!r} of {source} must name a server by URL, but does not. Make it again."
        )
    return configuration


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What is logged to the root meanwhile: the kubernetes client says there why a login program gave no token."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" ".join(record.getMessage().split()))

    listener, root = Listener(logging.ERROR), logging.getLogger()
    root.addHandler(listener)
    try:
        yield said
    finally:
        root.removeHandler(listener)


def _from_pod() -> Login:
    kubernetes = _imported("kubernetes")
    configuration: Configuration = kubernetes.client.Configuration()
    try:
        kubernetes.config.load_incluster_config(configuration)
        namespace = (_POD_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (kubernetes.config.ConfigException, OSError) as error:
        raise KubeconfigError(
            f"a pod must have an account to reach its cluster, but: {error}. Set automountServiceAccountToken."
        ) from error
    return Login(configuration, configuration.host, None, "the pod's account", namespace)


def _imported(name: str) -> Any:
    """A package of the extra `cluster`: 0.8 s, so only where a cluster is meant."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ClusterError(
            f"clusters need the package {name!r}, which is not installed. Run: pip install 'fireworks-ml[cluster]'"
        ) from error
