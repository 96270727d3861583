"""Making a cluster fail: daemons killed and started again, a frozen server, lost packets, a spoiling proxy.

Whatever is done is undone, and the cluster waited for, when the `with` block ends.

Comes in: the node provider, which alone lets itself be taken apart. Goes out: outages, to the tests of faults.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.nodes import processes_in
from cluster.provider import Node, Provider
from cluster.provider.commands import run, wait_until
from cluster.provider.network import MARK
from cluster.provider.settings import BRIDGE, NODE_IP, PROXY_PORTS, S3_PORT
from fireworks.records import RunEnd
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.resources import PODS
from fireworks.workflow.history import Attempt, RunFolder
from fireworks.workflow.outputs import Output
from proxying import FaultyProxy

STEADY = Path(__file__).resolve().parents[1] / "projects" / "steady" / "steady.py"
# In the order in which they are started again.
CONTROL_PLANE = ("etcd", "kube-apiserver")
# With the mark of the cluster's own rules: `down` removes what a test that was killed left.
_DROP = ("INPUT", "-i", BRIDGE, "-p", "tcp", "--dport", str(S3_PORT), "-m", "comment", "--comment", MARK)


def the_node(cluster: Provider) -> Node:
    """The provider whose parts may be killed; another one's test is skipped."""
    if not isinstance(cluster, Node):
        pytest.skip(f"CLUSTER={cluster.name}: parts of a cluster can be killed in the node provider's alone")
    return cluster


@contextmanager
def outage(node: Node, *names: str) -> Iterator[None]:
    """`kill -9` of daemons; they start again at the end."""
    try:
        for name in names:
            pid = node.supervisor.pid(name)
            assert pid is not None, f"{name} must run before it is killed"
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda name=name: node.supervisor.pid(name) is None, f"{name} must be gone", 10)
        yield
    finally:
        for name in names:
            if node.supervisor.pid(name) is None:
                node.restart(name)
        healthy(node)


@contextmanager
def frozen(node: Node, name: str) -> Iterator[None]:
    """A daemon that takes connections and never answers."""
    pid = node.supervisor.pid(name)
    assert pid is not None
    try:
        os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        healthy(node)


@contextmanager
def dropped_packets(node: Node) -> Iterator[None]:
    """Pods send to S3, and nothing ever comes back."""
    run("iptables", "--wait", "10", "-I", *_DROP, "-j", "DROP")
    try:
        yield
    finally:
        run("iptables", "--wait", "10", "-D", *_DROP, "-j", "DROP")
        healthy(node)


def healthy(node: Node) -> None:
    """Return once all of the cluster runs, as `make cluster-status` says."""
    wait_until(lambda: node.status().ready, "the cluster must recover", 120)


class NodeProxy(FaultyProxy):
    """A `FaultyProxy` that pods reach. Each request meets a fault with its chance, up to so many of each kind."""

    def __init__(self, upstream: str, seed: int, chances: dict[str, float], limits: dict[str, int]) -> None:
        self._random, self._chances = random.Random(seed), chances
        self._left, self.given = dict(limits), dict.fromkeys(limits, 0)
        self._choosing = threading.Lock()
        for port in range(PROXY_PORTS[0], PROXY_PORTS[1] + 1):
            with suppress(OSError):
                super().__init__(upstream, port)
                self.endpoint = f"http://{NODE_IP}:{port}"
                return
        raise AssertionError(f"one of the ports {PROXY_PORTS} must be free")

    def server_bind(self) -> None:
        self.server_address = (NODE_IP, self.server_address[1])
        super().server_bind()

    def next_fault(self) -> str | None:
        with self._choosing:
            body = self.requests[-1].startswith("GET")
            for fault, chance in self._chances.items():
                # Only what is read has a body to spoil.
                fits = body or fault not in {"stall", "truncate"}
                if fits and self._left[fault] and self._random.random() < chance:
                    self._left[fault] -= 1
                    self.given[fault] += 1
                    return fault
        return None


@contextmanager
def spoiled(upstream: str, seed: int, faults: dict[str, tuple[float, int]]) -> Iterator[NodeProxy]:
    """A proxy in front of S3; of each of `proxying`'s faults, its chance and how often at most."""
    chances = {name: chance for name, (chance, _) in faults.items()}
    limits = {name: limit for name, (_, limit) in faults.items()}
    with NodeProxy(upstream, seed, chances, limits) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.closing.set()
            proxy.shutdown()
            thread.join()


@dataclass(frozen=True)
class Hit:
    """An outage, and the attempts that were under way when it began."""

    victim: str
    began: float
    ended: float
    running: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"{self.victim} away for {self.ended - self.began:.1f} s, {len(self.running)} running"


def under_way(folder: RunFolder, limit_s: float = 120) -> list[Attempt]:
    """The attempts that have begun and not ended, once there is one, oldest first."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = [one for one in folder.attempts() if one.status == "running"]
        if found:
            return sorted(found, key=lambda one: one.start.started_at)
        assert folder.end is None, f"{folder.id} ended before it was hit"
        time.sleep(0.2)
    raise AssertionError(f"a stage of {folder.id} must run within {limit_s:g} s")


def living(client: ClusterClient, folder: RunFolder) -> dict[str, tuple[str, int]]:
    """The attempts whose processes run now, once there is one, oldest first: the pod of each, and its process."""
    while True:
        found = {}
        for attempt in under_way(folder):
            pod = client.find(PODS, attempt.start.host)
            processes = _stage_processes(pod["metadata"]["uid"]) if pod else []
            if processes:
                found[attempt.start.attempt] = attempt.start.host, processes[0]
        if found:
            return found
        time.sleep(0.2)


def _stage_processes(uid: str) -> list[int]:
    """Of a pod."""
    found = []
    for pid in processes_in(uid):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            # Argo's supervisor has the same words behind its own.
            if words[0].endswith(b"python") and b"fireworks.workflow.stage" in words:
                found.append(pid)
    return found


def hashes(end: RunEnd) -> dict[str, str | None]:
    """Of each stage's output."""
    return {stage.name: stage.hash for stage in end.stages}


def computed(folder: RunFolder) -> dict[tuple[str, int], int]:
    """How many attempts computed each shard to its end."""
    counts: dict[tuple[str, int], int] = {}
    for attempt in folder.attempts():
        if attempt.end is not None and attempt.end.exit_code == 0 and not attempt.end.cached:
            key = attempt.start.stage, attempt.start.shard
            counts[key] = counts.get(key, 0) + 1
    return counts


def whole(folder: RunFolder, end: RunEnd) -> bool:
    """Whether all that a run published is there, byte by byte."""
    return not any(Output(folder.store, stage.fingerprint).damaged() for stage in end.stages if stage.fingerprint)
