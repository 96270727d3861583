"""A cluster of kind's, where a Docker or podman engine is: what is the engine's own, and no more.

Comes in: `manifests/overlays/kind`. Goes out: a cluster with Argo and a store inside. No CI of ours has an engine: only
the commands that this module makes are tested.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .archive import read_names
from .argo import MANIFESTS, manifests_digest, store_objects
from .commands import Kubectl, run, step, wait_until
from .engines import find_engine
from .interface import ClusterError, Part, Provider, Status
from .packages import find_kubectl
from .settings import ARGO_NAMESPACE, NAMESPACE, S3_PORT, Settings, read_settings

CLUSTER = "fireworks"
_NODE = f"{CLUSTER}-control-plane"
_ROLLOUTS = (
    (ARGO_NAMESPACE, "deployment/workflow-controller"),
    (ARGO_NAMESPACE, "deployment/argo-server"),
    (NAMESPACE, "statefulset/s3"),
)


@dataclass
class Kind(Provider):
    """The `kind` provider."""

    settings: Settings
    podman: bool = False
    name: str = "kind"
    namespace: str = NAMESPACE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Kind":
        """The settings of this machine, and the engine that answers."""
        return cls(read_settings(environment), podman=find_engine() == "podman")

    @property
    def kubectl(self) -> Kubectl:
        """The kubectl of this machine."""
        return Kubectl(find_kubectl(), self.kubeconfig(), self._file().parent / "kubectl")

    def up(self) -> None:
        exists = self._exists()
        if exists and self.status().ready:
            print("the cluster is up")
            return
        if not exists:
            self._create()
        elif not self._runs():
            with step(f"start {_NODE}"):
                self._engine("start", _NODE)
        wait_until(self.kubectl.answers, "the API server must answer", 180)
        with step("Argo, S3, manifests"):
            rendered = MANIFESTS / "rendered" / "kind.yaml"
            now = manifests_digest("rendered")
            self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", rendered)
            # Where pods find the store is said by the overlay.
            self.kubectl.apply([one for one in store_objects(self.environment(), NAMESPACE) if one["kind"] == "Secret"])
            self._applied().write_text(now, encoding="ascii")
        with step("ready"):
            for namespace, name in _ROLLOUTS:
                self.kubectl("rollout", "status", name, f"--namespace={namespace}", "--timeout=300s", limit_s=320)

    def down(self, *, purge: bool = False) -> None:
        if not self._exists():
            return
        if not purge:
            with step(f"stop {_NODE}; PURGE=1 deletes it"):
                self._engine("stop", _NODE)
            return
        with step("kind delete cluster"):
            self._kind("delete", "cluster", f"--name={CLUSTER}", f"--kubeconfig={self._file()}")
            self._applied().unlink(missing_ok=True)

    def status(self) -> Status:
        try:
            runs = self._exists() and self._runs()
            answers = runs and self.kubectl.answers()
        except ClusterError as error:
            return Status(self.name, (Part("node", ready=False, detail=str(error)),))
        parts = [Part("node", runs, "kind"), Part("API", answers, str(self._file()))]
        for namespace, name in _ROLLOUTS:
            parts.append(Part(name, answers and self._rolled_out(namespace, name)))
        parts.append(Part("manifests", self._is_applied()))
        return Status(self.name, tuple(parts))

    def logs(self, lines: int = 20) -> str:
        texts = []
        for namespace, name in _ROLLOUTS:
            text = self.kubectl("logs", name, f"--namespace={namespace}", f"--tail={lines}")
            texts.append(f"==> {name}\n{text}")
        return "\n".join(texts)

    def load_image(self, archive: Path) -> list[str]:
        names = read_names(archive)
        self._kind("load", "image-archive", str(archive), f"--name={CLUSTER}")
        return names

    def images(self) -> list[str]:
        listed = json.loads(self._crictl("images", "--output=json"))["images"]
        return [name for image in listed for name in image.get("repoTags") or []]

    def remove_image(self, name: str) -> None:
        self._crictl("rmi", name)

    def s3_url(self) -> str:
        return f"s3://{self.settings.storage.bucket}"

    def environment(self) -> Mapping[str, str]:
        return self.settings.storage.environment(f"http://127.0.0.1:{S3_PORT}")

    def kubeconfig(self) -> Path:
        if not self._file().exists():
            self._file().parent.mkdir(parents=True, exist_ok=True)
            self._kind("export", "kubeconfig", f"--name={CLUSTER}", f"--kubeconfig={self._file()}")
        return self._file()

    def _file(self) -> Path:
        return self.settings.cache / "kind" / "kubeconfig"

    def _applied(self) -> Path:
        return self.settings.cache / "kind" / "applied"

    def _is_applied(self) -> bool:
        return self._applied().exists() and self._applied().read_text(encoding="ascii") == manifests_digest("rendered")

    def _create(self) -> None:
        self._file().parent.mkdir(parents=True, exist_ok=True)
        with step("kind create cluster"):
            config = MANIFESTS / "overlays" / "kind" / "cluster.yaml"
            self._kind("create", "cluster", f"--config={config}", f"--kubeconfig={self._file()}", "--wait=180s")

    def _runs(self) -> bool:
        return self._engine("inspect", "--format={{.State.Running}}", _NODE).strip() == "true"

    def _exists(self) -> bool:
        return CLUSTER in self._kind("get", "clusters").split()

    def _rolled_out(self, namespace: str, name: str) -> bool:
        try:
            self.kubectl("rollout", "status", name, f"--namespace={namespace}", "--timeout=1s", limit_s=10)
        except ClusterError:
            return False
        return True

    def _crictl(self, *arguments: str) -> str:
        return self._engine("exec", _NODE, "crictl", *arguments)

    def _engine(self, *arguments: str) -> str:
        return run("podman" if self.podman else "docker", *arguments)

    def _kind(self, *arguments: str) -> str:
        if shutil.which("kind") is None:
            raise ClusterError(
                "CLUSTER=kind needs the `kind` program, but it is not installed."
                " Run: go install sigs.k8s.io/kind@v0.30.0 (or set CLUSTER=node)"
            )
        environment = {"KIND_EXPERIMENTAL_PROVIDER": "podman"} if self.podman else {}
        return run("kind", *arguments, environment=environment, limit_s=900)
