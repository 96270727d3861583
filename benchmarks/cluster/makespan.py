"""How long a Workflow takes from its creation to its end, against hand-written Argo YAML that does the same.

``make bench-cluster``. Two cases, each in pairs whose order alternates, each run with an empty store of its own:

- ``prophages``: the finder of `examples/01-prophages`, 13 stages; peer: plain scripts, one pod a step. At most 1.05.
- ``chain``: 20 small pipes, which share a pod; peer: 20 scripts, one pod each. At most 0.3.

Comes in: the cluster of ``make cluster-up``, `peer/`. Goes out: a line a pair and the median ratio of each case; exit
code 1 if one is above its limit.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import yaml

from cluster.provider import choose
from cluster.provider.images import stage_image
from cluster.runs import PROPHAGES, Runs
from fireworks.store import Store, open_store
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.resources import CONFIGMAPS, WORKFLOWS

PEER = Path(__file__).parent / "peer"
LIMITS = {"prophages": 1.05, "chain": 0.3}
PIPELINES = {"prophages": PROPHAGES, "chain": PEER / "chain.py"}
PAIRS = 5
_SOURCES = {
    "genome.fa.gz": "ecoli-k12-mg1655.fa.gz",
    "phage.fa.gz": "lambda.fa.gz",
    "known.csv": "prophages-ecoli-k12.csv",
}
_LIMIT_S = 900.0


class Bench:
    """The cluster, and a place in its store that is emptied at the end."""

    def __init__(self, client: ClusterClient, url: str) -> None:
        self.client, self.url = client, url

    def ours(self, case: str, scratch: Path) -> float:
        """Seconds of one run of Fireworks'."""
        store = open_store(f"{self.url}/{uuid4().hex[:8]}")
        runs = Runs(self.client, store, scratch)
        try:
            run_id = runs.start(PIPELINES[case])
            end = runs.wait(run_id, _LIMIT_S)
            if end.status != "succeeded":
                raise SystemExit(f"error: the run must succeed, but {end}")
            return self._seconds(run_id)
        finally:
            runs.remove()
            empty(store)

    def peer(self, case: str, scratch: Path) -> float:
        """Seconds of the Workflow that is written by hand."""
        store = open_store(f"{self.url}/{uuid4().hex[:8]}")
        body = yaml.safe_load((PEER / f"{case}.yaml").read_text(encoding="utf-8"))
        values = {"image": stage_image(), "url": store.url}
        body["spec"]["arguments"] = {"parameters": [{"name": name, "value": values[name]} for name in values]}
        for name, source in _SOURCES.items() if case == "prophages" else ():
            store.put(name, (PROPHAGES.parent / "data" / source).read_bytes())
        name = self.client.create(WORKFLOWS, body)["metadata"]["name"]
        try:
            return self._seconds(name)
        finally:
            self.client.delete(WORKFLOWS, name)
            empty(store)

    def _seconds(self, workflow: str) -> float:
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline:
            found = self.client.get(WORKFLOWS, workflow)
            status = found.get("status") or {}
            if status.get("finishedAt"):
                if status["phase"] != "Succeeded":
                    raise SystemExit(f"error: {workflow} must succeed, but {status['phase']}: {status.get('message')}")
                return _instant(status["finishedAt"]) - _instant(found["metadata"]["creationTimestamp"])
            time.sleep(0.5)
        raise SystemExit(f"error: {workflow} must end within {_LIMIT_S:g} s.")


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def empty(store: Store) -> None:
    """Leave nothing behind."""
    store.delete([info.key for info in store.list("")])


@contextmanager
def scripts(client: ClusterClient) -> Iterator[None]:
    """The peer's scripts lie in a ConfigMap meanwhile."""
    files = [*PEER.glob("*.py"), *PROPHAGES.parent.glob("*.py")]
    data = {file.name: file.read_text(encoding="utf-8") for file in files}
    metadata = {"name": "peer", "namespace": client.namespace}
    if client.find(CONFIGMAPS, "peer"):
        client.delete(CONFIGMAPS, "peer")
    client.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    try:
        yield
    finally:
        client.delete(CONFIGMAPS, "peer")


def measure(bench: Bench, case: str, pairs: int) -> float:
    """Print each pair; the median ratio."""
    ratios = []
    for number in range(pairs):
        with tempfile.TemporaryDirectory(prefix="fireworks-") as folder:
            sides = [bench.ours, bench.peer]
            took = {side.__name__: side(case, Path(folder)) for side in (sides if number % 2 else sides[::-1])}
        ratios.append(took["ours"] / took["peer"])
        print(f"{case}: Fireworks {took['ours']:.0f} s, by hand {took['peer']:.0f} s: {ratios[-1]:.2f}", flush=True)
    return statistics.median(ratios)


def main() -> int:
    """Print the medians."""
    parser = argparse.ArgumentParser(prog="makespan", description="Fireworks against Argo YAML written by hand.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"measurements of each case (default: {PAIRS})")
    parser.add_argument("--case", choices=LIMITS, action="append", help="default: all")
    options = parser.parse_args()
    cluster = choose(os.environ)
    os.environ |= {"KUBECONFIG": str(cluster.kubeconfig()), **cluster.environment()}
    bench = Bench(ClusterClient(namespace=cluster.namespace), f"{cluster.s3_url()}/bench")
    failed = 0
    for case in options.case or LIMITS:
        with scripts(bench.client):
            ratio = measure(bench, case, options.pairs)
        print(f"{case}: {ratio:.2f} (median of {options.pairs} pairs; limit {LIMITS[case]})", flush=True)
        failed |= ratio > LIMITS[case]
    return failed


if __name__ == "__main__":
    sys.exit(main())
