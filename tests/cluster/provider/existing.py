"""A cluster that is there already: looked at, and touched in one namespace only.

Comes in: `FIREWORKS_KUBECONTEXT`, `FIREWORKS_NAMESPACE`, `FIREWORKS_S3_URL` and AWS_ settings. Goes out: the account
and the store's settings that stages need, where they are missing.
"""

import difflib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .argo import MANAGER, store_objects
from .commands import Kubectl, run, step
from .interface import ClusterError, Part, Provider, Status
from .packages import find_kubectl
from .settings import NAMESPACE, ROOT, read_settings

_MINE = f"app.kubernetes.io/managed-by={MANAGER}"
_KINDS = "configmaps,secrets,serviceaccounts,roles,rolebindings"
_STORE = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass
class Existing(Provider):
    """The `existing` provider: makes no cluster, no namespace, no store."""

    context: str
    namespace: str
    source: str | Path
    folder: Path
    s3: str = ""
    store: Mapping[str, str] = field(default_factory=dict)
    name: str = "existing"
    pulls: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Existing":
        """What the environment names.

        Raises:
            ClusterError: If it names no context of the kubeconfig.
        """
        source = environment.get("KUBECONFIG") or str(Path(environment.get("HOME", "/"), ".kube", "config"))
        context = _check_context(source, environment.get("FIREWORKS_KUBECONTEXT", ""))
        store = {name: environment[name] for name in _STORE if name in environment}
        namespace = environment.get("FIREWORKS_NAMESPACE") or NAMESPACE
        folder = read_settings(environment).cache / "existing"
        return cls(context, namespace, source, folder, environment.get("FIREWORKS_S3_URL", ""), store)

    @property
    def kubectl(self) -> Kubectl:
        """The kubectl of this machine, under the context as its source has it now."""
        return Kubectl(find_kubectl(), self.kubeconfig(), self.folder / "kubectl", self.context)

    def up(self) -> None:
        self.environment()
        status = self.status()
        for part in status.parts:
            if not part.ready:
                raise ClusterError(f"{part.name} must be there, but is not: {part.detail}")
        with step(f"what namespace {self.namespace} lacks"):
            wanted = [*self._account(), *store_objects(self.store, self.namespace)]
            self.kubectl.apply([one for one in wanted if not self._is_there(one)])
        self.kubeconfig()

    def down(self, *, purge: bool = False) -> None:
        with step(f"remove what `up` added to namespace {self.namespace}"):
            self.kubectl("delete", _KINDS, f"--namespace={self.namespace}", f"--selector={_MINE}")
            self._copy().unlink(missing_ok=True)

    def status(self) -> Status:
        answers = self.kubectl.answers()
        return Status(
            self.name,
            (
                Part("API server", answers, f"context {self.context}"),
                self._part("namespace", "get", "namespace", self.namespace),
                self._part("Argo Workflows", "get", "workflows.argoproj.io", f"--namespace={self.namespace}"),
            ),
        )

    def logs(self, lines: int = 20) -> str:
        order = "--sort-by=.lastTimestamp"
        return "\n".join(self.kubectl("get", "events", f"--namespace={self.namespace}", order).splitlines()[-lines:])

    def load_image(self, archive: Path) -> list[str]:
        raise ClusterError(
            f"an image must reach an existing cluster through its registry, but {archive} is a file."
            " Push it there with docker, podman or buildah, and set FIREWORKS_STAGE_IMAGE to its name."
        )

    def images(self) -> list[str]:
        raise ClusterError(
            f"an image must reach context {self.context} through its registry, but its nodes are out of reach here."
            " Build and push it, as images/README.md shows, and set FIREWORKS_STAGE_IMAGE to its name."
        )

    def remove_image(self, name: str) -> None:
        raise ClusterError(
            f"{name} must be removed by who runs context {self.context}: its nodes are out of reach here."
        )

    def s3_url(self) -> str:
        if not self.s3.startswith("s3://"):
            raise ClusterError(f"FIREWORKS_S3_URL must be s3://bucket/prefix, but is {self.s3!r}. Set it.")
        return self.s3

    def environment(self) -> Mapping[str, str]:
        missing = [name for name in _STORE if name != "AWS_ENDPOINT_URL" and name not in self.store]
        if missing:
            raise ClusterError(f"the store's settings must be given, but {', '.join(missing)} are not set. Set them.")
        return self.store

    def kubeconfig(self) -> Path:
        """A copy with the one context alone, so that no client takes another; made anew each time."""
        options = ("--minify", "--flatten", "--raw", f"--context={self.context}")
        text = _config(self.source, "view", *options)
        copy = self._copy()
        copy.parent.mkdir(parents=True, exist_ok=True)
        # In one step: others may be reading it.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=copy.parent, delete=False) as file:
            file.write(text)
        Path(file.name).replace(copy)
        return copy

    def _copy(self) -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', self.context)}.kubeconfig"

    def _part(self, name: str, *question: str) -> Part:
        try:
            self.kubectl(*question, limit_s=20)
        except ClusterError as error:
            return Part(name, ready=False, detail=str(error))
        return Part(name, ready=True)

    def _is_there(self, wanted: Mapping[str, Any]) -> bool:
        found = self.kubectl(
            *("get", wanted["kind"], wanted["metadata"]["name"], f"--namespace={self.namespace}"),
            *("--ignore-not-found", "--output=name"),
        )
        return bool(found.strip())

    def _account(self) -> Iterator[dict[str, Any]]:
        """The objects of manifests/base/stage-account.yaml, in the namespace given."""
        manifest = ROOT / "manifests" / "base" / "stage-account.yaml"
        text = self.kubectl("create", "--dry-run=client", "--output=json", "--filename", manifest)
        decoder = json.JSONDecoder()
        while text := text.lstrip():
            one, end = decoder.raw_decode(text)
            text = text[end:]
            one["metadata"]["namespace"] = self.namespace
            one["metadata"]["labels"]["app.kubernetes.io/managed-by"] = MANAGER
            for subject in one.get("subjects", []):
                subject["namespace"] = self.namespace
            yield one


def _config(source: str | Path, *arguments: str) -> str:
    """`kubectl config` on a kubeconfig, or on several that are one by the rules of KUBECONFIG."""
    return run(find_kubectl(), "config", *arguments, environment={"KUBECONFIG": str(source)})


def _check_context(source: str, context: str) -> str:
    if not context:
        raise ClusterError("CLUSTER=existing needs a context, but FIREWORKS_KUBECONTEXT is not set. Set it.")
    if not any(Path(file).is_file() for file in source.split(os.pathsep)):
        raise ClusterError(f"FIREWORKS_KUBECONTEXT needs a kubeconfig, but {source} is not there. Set KUBECONFIG.")
    known = _config(source, "get-contexts", "--output=name").split()
    if context not in known:
        near = difflib.get_close_matches(context, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known) or 'none'}."
        raise ClusterError(f"FIREWORKS_KUBECONTEXT must be a context of {source}, but is {context!r}. {hint}")
    return context
