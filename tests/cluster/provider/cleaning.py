"""Taking a node away, whatever state it is in: running, half started, or killed in parts.

Comes in: the state folder, our cgroup, bridge and marks. Goes out: a machine as it was before; images and S3 data stay.
"""

import json
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from . import cgroups, network, owning
from .commands import run
from .containerd import NETWORK, forget_containers
from .daemons import Supervisor
from .interface import ClusterError
from .settings import Settings

# Made at the start of `up`, removed when all is clean: what was not stopped by us may have left containers behind.
_UNCLEAN = "unclean"
_MOUNTS = Path("/proc/self/mounts")
_LOG_LINKS = Path("/var/log/containers")
# Places that the kubelet has built in. Those that were not there before go again.
_KUBELET_FOLDERS = ("/var/lib/kubelet", "/var/log/containers", "/usr/libexec/kubernetes")
_KUBELET_FILES = ("kubelet.sock", "kubelet_internal_checkpoint")
_CNI_RESULTS = Path("/var/lib/cni/results")


def mark_unclean(settings: Settings) -> None:
    """From now on there is something to clean."""
    settings.state.mkdir(parents=True, exist_ok=True)
    owning.claim(settings)
    new = [folder for folder in _KUBELET_FOLDERS if not Path(folder).exists()]
    (settings.state / _UNCLEAN).write_text(json.dumps(new), encoding="ascii")


def is_clean(settings: Settings) -> bool:
    """Whether nothing of an earlier life is there."""
    if (settings.state / _UNCLEAN).exists() or owning.another(settings) is not None:
        return False
    return not cgroups.processes(cgroups.find_hierarchies())


def clean(settings: Settings, supervisor: Supervisor) -> None:
    """End all processes, undo all mounts, interfaces, rules, cgroups; forget containers."""
    hierarchies = cgroups.find_hierarchies()
    for name in ("s3", "containerd"):  # They keep data; a frozen or dead one just loses the wait.
        supervisor.stop(name)
    _end(settings)
    if (other := owning.another(settings)) is not None:  # It is dead: `owning.check` refuses one that runs.
        _end(other)
        _remove_sockets(other)
        network.take_down(other.state / "kernel.json")
    if (settings.state / _UNCLEAN).exists():
        _remove_sockets(settings)
        shutil.rmtree(settings.run, ignore_errors=True)
        group = cgroups.create(hierarchies)
        forget_containers(settings, supervisor, group)
        _end(settings)
    network.take_down(settings.state / "kernel.json")
    cgroups.remove(hierarchies)
    _remove_files(settings)
    (settings.state / _UNCLEAN).unlink(missing_ok=True)
    owning.release()


def purge(folder: Path) -> None:
    """Remove a folder with all that is in it; one that something is mounted on stays, empty."""
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        if child.is_symlink() or not child.is_dir():
            child.unlink()
        elif os.path.ismount(child):
            purge(child)
        else:
            shutil.rmtree(child)
    if not any(folder.iterdir()) and not os.path.ismount(folder):
        folder.rmdir()


def find_mounts(folder: Path) -> list[str]:
    """What is mounted below a folder, not on it; last mounted first."""
    found, folder = [], folder.resolve()
    for line in _MOUNTS.read_text(encoding="utf-8").splitlines():
        target = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), line.split()[1])
        if folder in Path(target).parents:
            found.append(target)
    return found[::-1]


def _end(settings: Settings) -> None:
    """Processes, then the mounts that they held."""
    cgroups.kill(cgroups.find_hierarchies())
    deadline = time.monotonic() + 10
    # Of the rest, a person may have put a part on a disk of its own.
    while mounts := [*find_mounts(settings.run), *find_mounts(settings.state / "containerd")]:
        try:
            run("umount", *mounts)
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _remove_sockets(settings: Settings) -> None:
    """Those of our containers' shims, in a folder that all share; what names them goes with `run`."""
    for address in settings.run.glob("containerd/io.containerd.runtime.v2.task/*/*/address"):
        name = address.read_text(encoding="utf-8").removeprefix("unix://")
        if name.startswith("/run/containerd/s/"):
            Path(name).unlink(missing_ok=True)


def _remove_files(settings: Settings) -> None:
    if _LOG_LINKS.is_dir():
        for link in _LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(settings.run):
                link.unlink()
    for result in _CNI_RESULTS.glob("*"):
        # Those of the loopback interface bear everybody's name; all say where the sandbox was.
        with suppress(OSError):  # Others come and go.
            if result.name.startswith(f"{NETWORK}-") or f'"{settings.run}/'.encode() in result.read_bytes():
                result.unlink()
    for folder in _made_folders(settings.state / _UNCLEAN):
        _remove_empty(Path(folder))
    shutil.rmtree(settings.run, ignore_errors=True)
    shutil.rmtree(settings.pki, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    """What the kubelet made there; what somebody else has put there since stays."""
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        with suppress(OSError):
            if path.name in _KUBELET_FILES:
                path.unlink()
            elif path.is_dir() and not path.is_symlink():
                path.rmdir()


def _made_folders(record: Path) -> list[str]:
    try:
        made = json.loads(record.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):  # A crash while it was written.
        return []
    return [folder for folder in _KUBELET_FOLDERS if folder in made]
