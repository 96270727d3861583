"""A containerd of our own: configuration, images, and what an earlier life left in its database.

Comes in: Debian's programs, image archives. Goes out: a socket for the kubelet.
"""

import json
import re
from pathlib import Path

from .commands import run, wait_until
from .daemons import Daemon, Supervisor
from .interface import ClusterError
from .packages import find_plugins, find_program
from .settings import BRIDGE, POD_NETWORK, Settings

NETWORK = "fireworks"
# Its CRI part keeps a picture of all containers in memory: it is left out while an earlier life's are removed.
_CRI = ("io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images")


def configure(settings: Settings, pause_image: str, *, cri: bool = True) -> Daemon:
    """Write the configuration; returns the daemon."""
    version = run(find_program("containerd"), "--version")
    found = re.search(r" v?(\d+)\.\d", version)
    major = int(found[1]) if found else 1
    path = settings.run / ("containerd.toml" if cri else "containerd-without-cri.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_configuration(settings, pause_image, major, cri=cri), encoding="ascii")
    folder = settings.run / "cni"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "10-fireworks.conflist").write_text(json.dumps(_network(settings)), encoding="ascii")
    return Daemon("containerd", (str(find_program("containerd")), f"--config={path}"))


def socket(settings: Settings) -> Path:
    return settings.run / "containerd.sock"


def wait_for_socket(settings: Settings, supervisor: Supervisor) -> None:
    """Until it answers."""

    def answers() -> bool:
        try:
            ctr(settings, "version")
        except ClusterError:
            return False
        return True

    wait_until(answers, "containerd must answer", 90, supervisor.check)


def ctr(settings: Settings, *arguments: str | Path, limit_s: float = 300) -> str:
    """Its client, in the namespace that the kubelet uses."""
    return run(find_program("ctr"), f"--address={socket(settings)}", "--namespace=k8s.io", *arguments, limit_s=limit_s)


def image_names(settings: Settings) -> list[str]:
    """The names of all images; a content address is not one."""
    return [name for name in ctr(settings, "images", "list", "--quiet").split() if not name.startswith("sha256:")]


def import_image(settings: Settings, archive: Path) -> list[str]:
    """Unpack an archive of `docker save`'s form; returns the names in it."""
    if not archive.is_file():
        raise ClusterError(f"an image archive must be a file, but {archive} is none. Build it: `make images`.")
    printed = ctr(settings, "images", "import", archive.resolve(), limit_s=900)
    return re.findall(r"^unpacking (\S+)", printed, re.MULTILINE)


def remove_image(settings: Settings, name: str) -> None:
    """Remove an image, and its entry under its content address, which would keep its layers."""
    rows = [line.split() for line in ctr(settings, "images", "list").splitlines()[1:]]
    digests = {row[0]: row[2] for row in rows}
    if (digest := digests.get(name)) is None:
        return
    shared = [other for other, its in digests.items() if its == digest and other != name]
    aliases = [] if any(not other.startswith("sha256:") for other in shared) else shared
    ctr(settings, "images", "remove", "--sync", name, *aliases)


def content_digests(settings: Settings) -> frozenset[str]:
    """What is stored already, layers among it; archives may leave it out."""
    return frozenset(ctr(settings, "content", "list", "--quiet").split())


def forget_containers(settings: Settings, supervisor: Supervisor, group: Path) -> None:
    """Remove all containers and their layers from the database; the images stay."""
    if not (settings.state / "containerd").is_dir():
        return
    supervisor.start(configure(settings, "none", cri=False), group)
    wait_for_socket(settings, supervisor)
    if containers := ctr(settings, "containers", "list", "--quiet").split():
        ctr(settings, "containers", "delete", *containers)
    supervisor.stop("containerd", limit_s=10)


def _network(settings: Settings) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(settings.run / "addresses"),
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": NETWORK, "plugins": [bridge]}


def _configuration(settings: Settings, pause_image: str, major: int, *, cri: bool) -> str:
    disabled = "[]" if cri else json.dumps(_CRI)
    runtime = "io.containerd.cri.v1.runtime" if major >= 2 else "io.containerd.grpc.v1.cri"
    # Without restrict_oom_score_adj every sandbox dies where CAP_SYS_RESOURCE is missing.
    pause = f'sandbox_image = "{pause_image}"' if major == 1 else ""
    images = f"[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = \"{pause_image}\"" if major >= 2 else ""
    plugins = f'bin_dirs = ["{find_plugins()}"]' if major >= 2 else f'bin_dir = "{find_plugins()}"'
    return f"""version = {3 if major >= 2 else 2}
root = "{settings.state}/containerd"
state = "{settings.run}/containerd"
disabled_plugins = {disabled}
[grpc]
address = "{socket(settings)}"
[plugins.'io.containerd.internal.v1.opt']
path = "{settings.state}/containerd/opt"
{images}
[plugins.'{runtime}']
{pause}
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins.'{runtime}'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'{runtime}'.containerd.runtimes.runc.options]
SystemdCgroup = false
BinaryName = "{find_program("runc")}"
Root = "{settings.run}/runc"
[plugins.'{runtime}'.cni]
{plugins}
conf_dir = "{settings.run}/cni"
"""
