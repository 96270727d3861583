"""A single-node cluster made of processes of this machine: no Docker, no image registry.

Comes in: Go modules, Debian's packages, `manifests/`. Goes out: a cluster that the tests use.
"""

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from . import (
    api_data,
    argo,
    building,
    certificates,
    cgroups,
    cleaning,
    containerd,
    control_plane,
    network,
    owning,
    packages,
    storage,
)
from .archive import write_archive
from .commands import Kubectl, step, wait_until
from .daemons import Daemon, Supervisor
from .interface import ClusterError, Part, Provider, Status
from .preflight import check_machine, check_rights
from .settings import NAMESPACE, Settings, read_settings

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_DAEMONS = (
    *("containerd", "etcd", "s3", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"),
    "workflow-controller",
)
_MANIFESTS = "manifests"


class Node(Provider):
    """The `node` provider; needs root."""

    name = "node"
    namespace = NAMESPACE

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        self.supervisor = Supervisor(self.settings.run / "daemons", self.settings.logs)

    @cached_property
    def kubectl(self) -> Kubectl:
        """Our own kubectl, as administrator."""
        return Kubectl(self.settings.binary("kubectl"), self.settings.kubeconfig, self.settings.run / "kubectl")

    def up(self) -> None:
        check_rights()
        with owning.locked():
            owning.check(self.settings)
            late = [part.name for part in self.status().parts if not part.ready]
            if not late:
                print("the cluster is up")
                return
            if late == [_MANIFESTS]:
                self._apply_again()
                return
            self._prepare()
            try:
                self._start()
            except ClusterError:
                print(self.logs(3))
                raise

    def down(self, *, purge: bool = False) -> None:
        check_rights()
        with owning.locked():
            owning.check(self.settings)
            with step("stop, and remove what is left"):
                cleaning.clean(self.settings, self.supervisor)
            if purge:
                with step("remove images and S3 data"):
                    cleaning.purge(self.settings.state)

    def status(self) -> Status:
        settings, parts = self.settings, []
        for name in _DAEMONS:
            pid = self.supervisor.pid(name)
            parts.append(Part(name, pid is not None, f"process {pid}" if pid else "not running"))
        alive, applied = all(part.ready for part in parts), argo.is_applied(settings)
        checks: dict[str, Callable[[], bool]] = {
            "API": self.kubectl.answers,
            "node": lambda: control_plane.node_ready(self.kubectl),
            "Argo": argo.healthy,
            "S3": lambda: storage.answers(settings),
            _MANIFESTS: lambda: applied,
            "images": lambda: {self._pause_image(), settings.executor_image} <= set(self.images()),
        }
        details = {
            "API": f"kubeconfig {settings.kubeconfig}",
            "S3": settings.s3_endpoint,
            _MANIFESTS: "of this tree" if applied else "not of this tree. Run: make cluster-up",
        }
        parts += [Part(name, alive and check(), details.get(name, "")) for name, check in checks.items()]
        return Status(self.name, tuple(parts))

    def logs(self, lines: int = 20) -> str:
        return "\n".join(
            f"==> {name} ({self.settings.logs / name}.log)\n" + "\n".join(self.supervisor.tail(name, lines))
            for name in _DAEMONS
        )

    def load_image(self, archive: Path) -> list[str]:
        self._check_containerd()
        return containerd.import_image(self.settings, archive)

    def images(self) -> list[str]:
        self._check_containerd()
        return containerd.image_names(self.settings)

    def remove_image(self, name: str) -> None:
        self._check_containerd()
        containerd.remove_image(self.settings, name)

    def layers(self) -> frozenset[str]:
        self._check_containerd()
        return containerd.content_digests(self.settings)

    def restart(self, name: str) -> None:
        """Start one daemon again that has ended, with the data that it left. Who ended it knows why."""
        settings = self.settings
        makers: dict[str, Callable[[], Daemon]] = {
            "etcd": lambda: control_plane.etcd(settings),
            "s3": lambda: storage.server(settings),
            "kube-apiserver": lambda: control_plane.api_server(settings),
            "workflow-controller": lambda: argo.controller(settings, self.kubectl),
        }
        if self.supervisor.pid(name) is not None:
            raise ClusterError(f"a daemon must have ended to be started again, but {name} runs. Kill it first.")
        self.supervisor.start(makers[name](), cgroups.create(cgroups.find_hierarchies()), again=True)

    def s3_url(self) -> str:
        return f"s3://{self.settings.storage.bucket}"

    def environment(self) -> Mapping[str, str]:
        return self.settings.storage.environment(self.settings.s3_endpoint)

    def kubeconfig(self) -> Path:
        return self.settings.kubeconfig

    def _check_containerd(self) -> None:
        if self.supervisor.pid("containerd") is None:
            raise ClusterError("the cluster must be up to take an image, but is not. Run: make cluster-up")

    def _apply_again(self) -> None:
        """What changed in manifests/ since the last start; the controller reads its environment at its start alone."""
        with step("manifests/overlays/node has changed: apply it"):
            argo.apply(self.settings, self.kubectl)
        with step("start workflow-controller again"):
            self.supervisor.stop("workflow-controller", limit_s=10, kill=True)
            self.restart("workflow-controller")
            wait_until(argo.healthy, "the workflow-controller must get healthy", 60, self.supervisor.check)

    def _prepare(self) -> None:
        """Everything that is not a running process."""
        settings = self.settings
        if missing := packages.missing_packages():
            with step(f"install {' '.join(missing)}"):
                packages.install(missing)
        if not cleaning.is_clean(settings):
            with step("remove what an earlier cluster left"):
                cleaning.clean(settings, self.supervisor)
        check_machine(settings)
        building.build_all(settings)
        cleaning.mark_unclean(settings)
        for folder in (settings.run, settings.logs):
            folder.mkdir(parents=True, exist_ok=True)
        with step("certificates, network"):
            certificates.write_certificates(settings.pki)
            network.set_up(settings.state / "kernel.json")

    def _start(self) -> None:
        settings, check = self.settings, self.supervisor.check
        group = cgroups.create(cgroups.find_hierarchies())
        pause = self._pause_image()
        if not api_data.kept(settings).exists():
            with step("keep Argo's schemas for every start"):
                api_data.make(settings, self.supervisor, self.kubectl, group)
        with step("start containerd, etcd, S3, API server"):
            api_data.put(settings)
            for daemon in (
                containerd.configure(settings, pause),
                control_plane.etcd(settings),
                control_plane.api_server(settings),
                storage.server(settings),
            ):
                self.supervisor.start(daemon, group)
            containerd.wait_for_socket(settings, self.supervisor)
        self._load_own_images(pause)
        with step("API server ready"):
            wait_until(self.kubectl.answers, "the API server must get ready", 90, check)
        with step("start controllers, scheduler, kubelet"):
            for daemon in self._workers():
                self.supervisor.start(daemon, group)
        with step("manifests/overlays/node"):
            argo.install(settings, self.kubectl)
        with step("start workflow-controller"):
            self.supervisor.start(argo.controller(settings, self.kubectl), group)
        self._wait()

    def _pause_image(self) -> str:
        return f"localhost/pause:{building.pause_program(self.settings).parent.name.rpartition('-')[2]}"

    def _workers(self) -> list[Daemon]:
        settings = self.settings
        cgroup = f"/{cgroups.GROUP}"
        return [
            control_plane.controller_manager(settings),
            control_plane.scheduler(settings),
            control_plane.kubelet(settings, cgroup),
        ]

    def _wait(self) -> None:
        check, settings = self.supervisor.check, self.settings
        with step("S3 ready"):
            wait_until(lambda: storage.make_bucket(settings), "the S3 server must answer", 60, check)
        with step("controllers, scheduler, Argo ready"):
            wait_until(control_plane.workers_healthy, "controllers and scheduler must get healthy", 60, check)
            wait_until(argo.healthy, "the workflow-controller must get healthy", 60, check)
        with step("node ready"):
            wait_until(lambda: control_plane.node_ready(self.kubectl), "the node must get ready", 90, check)
            wait_until(self._accounts_ready, "the default account must be made", 90, check)

    def _accounts_ready(self) -> bool:
        found = self.kubectl.get("serviceaccounts", f"--namespace={NAMESPACE}")["items"]
        return {"default", "stage"} <= {one["metadata"]["name"] for one in found}

    def _load_own_images(self, pause: str) -> None:
        """The two images that a pod of Argo's needs beside its own."""
        present = containerd.image_names(self.settings)
        executor = self.settings.executor_image
        config = {"Env": ["PATH=/bin"], "User": "8737"}
        files: dict[str, Path | bytes] = {"/bin/argoexec": self.settings.binary("argoexec")}
        files |= {"/etc/ssl/certs/ca-certificates.crt": _CERTIFICATES} if _CERTIFICATES.exists() else {}
        files["/etc/nsswitch.conf"] = b"hosts: files dns\n"
        wanted: dict[str, tuple[dict[str, Path | bytes], dict[str, object]]] = {
            pause: ({"/pause": building.pause_program(self.settings)}, {"Entrypoint": ["/pause"], "User": "65535"}),
            executor: (files, {**config, "Entrypoint": ["argoexec"]}),
        }
        for name, (content, settled) in wanted.items():
            if name in present:
                continue
            with step(f"image {name}"), tempfile.TemporaryDirectory(prefix="fw-image-") as folder:
                archive = Path(folder, "image.tar")
                write_archive(archive, name, content, settled)
                containerd.import_image(self.settings, archive)
