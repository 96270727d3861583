"""Our control group in every hierarchy: all processes of the cluster are below it, and nobody else's.

Comes in: the mounts of this machine. Goes out: a place for daemons and pods, and the list of what lives there.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .interface import ClusterError

GROUP = "fireworks-cluster"
NEEDED = ("cpu", "cpuset", "memory", "pids", "devices", "freezer")


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup file system: version 1 with some controllers, or version 2 with all."""

    folder: Path
    version: int
    controllers: frozenset[str]


def find_hierarchies(mounts: Path = Path("/proc/self/mounts")) -> list[Hierarchy]:
    """Those that are mounted here."""
    found = []
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup":
            found.append(Hierarchy(Path(folder), 1, frozenset(options.split(","))))
        elif kind == "cgroup2":
            controllers = Path(folder, "cgroup.controllers")
            text = controllers.read_text(encoding="utf-8") if controllers.exists() else ""
            found.append(Hierarchy(Path(folder), 2, frozenset(text.split())))
    return found


def check_controllers(hierarchies: list[Hierarchy]) -> None:
    """Refuse a machine on which no kubelet can run."""
    found = {name for hierarchy in hierarchies for name in hierarchy.controllers}
    unified = any(hierarchy.version == 2 and "memory" in hierarchy.controllers for hierarchy in hierarchies)
    # Version 2 has devices (as a BPF program) and freezer built in.
    missing = [name for name in NEEDED if name not in found and not (unified and name in {"devices", "freezer"})]
    if missing:
        raise ClusterError(
            f"a node needs the cgroup controllers {', '.join(NEEDED)}, but {', '.join(missing)} are not mounted."
            " Run on the machine itself or in a privileged container, or set CLUSTER=existing."
        )


def create(hierarchies: list[Hierarchy]) -> Path:
    """Make the group everywhere; returns the file that takes the ids of daemons."""
    for hierarchy in hierarchies:
        group = hierarchy.folder / GROUP
        group.mkdir(exist_ok=True)
        if hierarchy.version == 2 and hierarchy.controllers:
            wanted = " ".join(f"+{name}" for name in hierarchy.controllers & {"cpu", "cpuset", "memory", "pids", "io"})
            for folder in (hierarchy.folder, group):
                (folder / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")
        if "cpuset" in hierarchy.controllers and hierarchy.version == 1:
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((hierarchy.folder / name).read_text(encoding="utf-8"), encoding="utf-8")
    daemons = next(one.folder for one in hierarchies if "pids" in one.controllers) / GROUP / "daemons"
    daemons.mkdir(exist_ok=True)
    return daemons / "cgroup.procs"


def processes(hierarchies: list[Hierarchy]) -> set[int]:
    """Every process of the cluster: daemons, shims, containers."""
    found: set[int] = set()
    for group in _groups(hierarchies):
        try:
            found.update(int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split())
        except (FileNotFoundError, OSError):  # The group went away meanwhile.
            continue
    return {pid for pid in found if not _is_zombie(pid)}


def kill(hierarchies: list[Hierarchy], limit_s: float = 20) -> None:
    """SIGKILL to all processes of the cluster, until there is none."""
    deadline = time.monotonic() + limit_s
    _thaw(hierarchies)
    while left := processes(hierarchies):
        if time.monotonic() > deadline:
            raise ClusterError(f"the cluster's processes must end, but {sorted(left)} do not. Look at them with ps.")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def remove(hierarchies: list[Hierarchy], limit_s: float = 5) -> None:
    """Take the groups away; their processes have ended, the kernel may need a moment to notice."""
    deadline = time.monotonic() + limit_s
    while left := list(_groups(hierarchies)):
        for group in sorted(left, key=lambda path: -len(path.parts)):
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ClusterError(f"the group {group} must go, but: {error.strerror}.") from error
        time.sleep(0.02)


def _groups(hierarchies: list[Hierarchy]) -> Iterator[Path]:
    for hierarchy in hierarchies:
        for folder, _, _ in os.walk(hierarchy.folder / GROUP):
            yield Path(folder)


def _thaw(hierarchies: list[Hierarchy]) -> None:
    """A frozen process of version 1 does not even take SIGKILL."""
    for group in _groups([one for one in hierarchies if one.version == 1 and "freezer" in one.controllers]):
        with suppress(OSError):  # It went away meanwhile.
            (group / "freezer.state").write_text("THAWED", encoding="ascii")


def _is_zombie(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] == "Z"
        )
    except OSError:
        return True
