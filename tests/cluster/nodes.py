"""The node cluster as tests of it see it: its command, pods of theirs, what it leaves on a machine.

Comes in: the node of `make cluster-up`. Goes out: helpers, to `test_node.py`, `test_node_lives.py` and
`faults.py`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cluster.provider import Node, cgroups, choose, cleaning, network, owning
from cluster.provider.commands import wait_until
from cluster.provider.settings import NAMESPACE, read_settings

SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 8737,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def running_node() -> Node:
    """The cluster that is up; another provider's is not what these tests are of."""
    provider = choose(os.environ)
    if not isinstance(provider, Node):
        pytest.skip(f"the cluster is {provider.name}'s: these tests are of the node provider")
    status = provider.status()
    assert status.ready, f"{status}\nRun: make cluster-up"
    return provider


def command(verb: str, **settings: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The command that `make` runs, and what it took."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "CLUSTER": "node", **settings}
    done = subprocess.run(
        [sys.executable, "-m", "cluster.provider", verb], env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr, f"{verb}: {time.monotonic() - started:.1f} s", sep="\n")
    return done, time.monotonic() - started


def pids(node: Node) -> dict[str, int | None]:
    """The process of each daemon."""
    return {name: node.supervisor.pid(name) for name in node.supervisor.names()}


def pod(name: str, image: str, command: list[str] | None = None) -> dict[str, Any]:
    """As strict as stages are."""
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "securityContext": SECURITY,
    }
    container |= {"command": command} if command else {}
    spec = {"containers": [container], "restartPolicy": "Never", "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def running(node: Node, name: str) -> bool:
    return node.kubectl.get("pod", name, f"--namespace={NAMESPACE}")["status"]["phase"] == "Running"


def processes_in(name: str) -> list[int]:
    """Of the pod or container that has this id: it stands in the names of its control groups."""
    found = []
    for pid in cgroups.processes(cgroups.find_hierarchies()):
        with suppress(OSError):  # It ended just now.
            if name in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").replace("_", "-"):
                found.append(pid)
    return found


@contextmanager
def pod_that_waits(node: Node) -> Iterator[str]:
    """A pod of the pause image, once it runs; its name."""
    pause = next(name for name in node.images() if name.startswith("localhost/pause:"))
    node.kubectl.apply([pod("waiting", pause)])
    wait_until(lambda: running(node, "waiting"), "the pod must run", 60)
    yield "waiting"
    if node.kubectl.answers():
        node.kubectl("delete", "pod", "waiting", f"--namespace={NAMESPACE}", "--ignore-not-found", "--grace-period=1")


def trace() -> dict[str, Any]:
    """What a cluster could leave on this machine, and nothing that others make."""
    state, cache = read_settings().state, read_settings().cache
    commands = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # It ended just now.
            commands[path.parent.name] = path.read_bytes()
    folders = [path for path in Path("/sys/fs/cgroup").glob("*/*") if path.is_dir()]
    return {
        "processes": {
            pid for pid, text in commands.items() if str(state).encode() in text or str(cache).encode() in text
        },
        "mounts": set(cleaning.find_mounts(Path("/"))),
        "interfaces": {path.name for path in Path("/sys/class/net").iterdir()},
        "rules": {
            line for line in subprocess.check_output(["iptables-save"], text=True).splitlines() if line[:2] == "-A"
        },
        "chains": {
            line.split()[0]
            for line in subprocess.check_output(["iptables-save"], text=True).splitlines()
            if line[:1] == ":"
        }
        - {":PREROUTING", ":INPUT", ":FORWARD", ":OUTPUT", ":POSTROUTING"},
        "cgroups": {str(path) for path in folders if any(word in path.name for word in ("fireworks", "kube"))},
        "kernel": {name: Path("/proc/sys", name).read_text(encoding="ascii") for name in network.KERNEL},
        "folders": {folder for folder in cleaning._KUBELET_FOLDERS if Path(folder).exists()},
        "shims": {path.name for path in Path("/run/containerd/s").glob("*")},
        "addresses": {path.name for path in Path("/var/lib/cni/results").glob("*")},
        "state": {path.name for path in state.iterdir()} - {"containerd", "logs", "s3"},
        "record": owning.RECORD.read_text(encoding="utf-8"),
    }


def our_shims(node: Node) -> set[str]:
    """The sockets of our containers, in a folder that all share."""
    files = node.settings.run.glob("containerd/io.containerd.runtime.v2.task/*/*/address")
    return {path.read_text(encoding="utf-8").rpartition("/")[2] for path in files}
