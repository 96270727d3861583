"""Namespaces and people of a test's own.

Comes in: an administrator's kubectl. Goes out: what is gone when the test is.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from answering import write_kubeconfig
from cluster.provider.images import stage_image

Kubectl = Callable[..., str]


@contextmanager
def new_namespace(kubectl: Kubectl, *labels: str) -> Iterator[str]:
    """A namespace, with labels as NAME=VALUE."""
    name = f"test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    try:
        if labels:
            kubectl("label", "namespace", name, *labels)
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


class Visitor:
    """A ServiceAccount without rights."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl, self.namespace = kubectl, namespace
        self.name = f"visitor-{secrets.token_hex(4)}"
        self.user = f"system:serviceaccount:{namespace}:{self.name}"
        self.granted: list[list[str]] = []
        self._here = False

    def log_in(self, file: Path, administrator: Any) -> None:
        """Write a kubeconfig with its token, for the cluster that an administrator's configuration leads to."""
        self.kubectl("create", "serviceaccount", self.name, f"--namespace={self.namespace}")
        self._here = True
        token = self.kubectl("create", "token", self.name, f"--namespace={self.namespace}").strip()
        write_kubeconfig(file, administrator.host, {"token": token}, authority=administrator.ssl_ca_cert)

    def may_submit(self) -> None:
        """Bind it to what submitting takes."""
        command = f"create rolebinding {self.name} --role=submitter --serviceaccount={self.namespace}:{self.name}"
        self.granted.append([f"--namespace={self.namespace}", *command.split()])
        self.kubectl(*self.granted[-1])

    def leave(self) -> None:
        """Remove the account and what it was granted."""
        for command in self.granted:
            kind = next(word for word in command if word.startswith(("role", "clusterrole")))
            name = command[command.index(kind) + 1]
            self.kubectl("delete", kind, name, f"--namespace={self.namespace}", "--ignore-not-found")
        self.granted.clear()
        if self._here:
            self._here = False
            self.kubectl("delete", "serviceaccount", self.name, f"--namespace={self.namespace}")


def newest_stage_image(images: Iterable[str]) -> str:
    """The stage image of this source tree, which must be among a cluster's."""
    image = stage_image()
    assert image in images, f"{image} is not loaded. Run: make images"
    return image
