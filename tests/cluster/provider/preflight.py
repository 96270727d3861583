"""What must be so before a node can start; each thing that is not has a line of its own.

Comes in: the machine. Goes out: nothing, or a `ClusterError`.
"""

import os
import shutil
from pathlib import Path

from . import argo, cgroups, control_plane, network, storage
from .interface import ClusterError
from .settings import API_PORT, S3_PORT, Settings

DISK_BYTES = 15_000_000_000
PORTS = {
    API_PORT: "the API server",
    S3_PORT: "the S3 server",
    **control_plane.INTERNAL_PORTS,
    **storage.INTERNAL_PORTS,
    **argo.INTERNAL_PORTS,
}


def check_rights() -> None:
    """Containers, bridges and mounts are made by root alone."""
    if os.geteuid() != 0:
        raise ClusterError(
            f"a node must be started by root, but this is user {os.geteuid()}."
            " Run with sudo, or set CLUSTER=existing or kind."
        )


def check_machine(settings: Settings) -> None:
    """Whether the machine has what a node needs, and nobody else uses it."""
    cgroups.check_controllers(cgroups.find_hierarchies())
    check_disk(settings.state, "FIREWORKS_CLUSTER_STATE")
    check_disk(settings.cache, "FIREWORKS_CLUSTER_CACHE")
    network.check_addresses()
    for port, purpose in PORTS.items():
        check_port(port, purpose)


def check_disk(folder: Path, setting: str, needed: int = DISK_BYTES) -> None:
    """Images take 5 GB with a CUDA build of torch: twice while they are imported, once more where they are built."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        # Rounded down: what is too little does not look like enough.
        raise ClusterError(
            f"a node needs {needed / 1e9:g} GB of free disk, but {existing} has {free // 10**8 / 10:g} GB."
            f" Free some, or set {setting} to a folder on another disk."
        )


def check_port(port: int, purpose: str) -> None:
    """Whether nothing listens there."""
    sockets = _listeners(port)
    if sockets:
        owner = _owner(sockets)
        raise ClusterError(f"port {port} must be free for {purpose}, but {owner} listens there. Stop it.")


def _listeners(port: int) -> set[str]:
    """The inodes of the sockets that listen on a port, on any address."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _owner(inodes: set[str]) -> str:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in wanted:
                process = descriptor.parents[1]
                return f"{(process / 'comm').read_text(encoding='utf-8').strip()} (process {process.name})"
        except OSError:  # It ended meanwhile, or is not ours to look at.
            continue
    return "a process that can't be seen from here"
