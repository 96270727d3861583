"""What a stage costs on Argo beside its work, part by part: medians over twenty small stages, a pod each.

``make bench-cluster``. They run one after the other, on a cluster that does nothing else; every pod is looked at ten
times a second. What is ours alone `benchmarks/stage_start.py` measures.

Comes in: the cluster of ``make cluster-up``. Goes out: a line a part, in seconds.
"""

import os
import statistics
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from cluster.provider import choose
from cluster.runs import Runs
from cluster.timelines import timeline
from fireworks.store import open_store
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.history import RunFolder

STAGES = Path(__file__).parent / "peer" / "chain.py"
# From one mark to the next, and whose it is.
PARTS = {
    "controller: stage before committed, to pod created": ("before", "created"),
    "scheduler: created, to scheduled": ("created", "scheduled"),
    "kubelet: scheduled, to container running": ("scheduled", "running"),
    "executor, Python, plan: running, to attempt begun": ("running", "begun"),
    "torch, code, rows: begun, to committed": ("begun", "committed"),
    "executor: committed, to container over": ("committed", "terminated"),
    "in all: stage before committed, to committed": ("before", "committed"),
}


def marks(folder: RunFolder, pods: Mapping[str, Mapping[str, float]]) -> list[dict[str, float]]:
    """Of each stage but the first, by when it began: seconds since the epoch."""
    ended = [(attempt, attempt.end) for attempt in folder.attempts() if attempt.end is not None]
    ended.sort(key=lambda pair: pair[0].start.started_at)
    found = []
    for (_, before), (attempt, end) in pairwise(ended):
        own = {"before": before.ended_at, "begun": attempt.start.started_at, "committed": end.ended_at}
        found.append({**pods[attempt.start.host], **own})
    return found


def main() -> None:
    """Print the medians."""
    cluster = choose(os.environ)
    os.environ |= {"KUBECONFIG": str(cluster.kubeconfig()), **cluster.environment()}
    client = ClusterClient(namespace=cluster.namespace)
    store = open_store(f"{cluster.s3_url()}/bench/{uuid4().hex[:8]}")
    with tempfile.TemporaryDirectory(prefix="fireworks-") as folder:
        runs = Runs(client, store, Path(folder))
        try:
            run_id = runs.start(STAGES, fuse=False)
            records = runs.folder(run_id)
            labels = f"fireworks.io/run={run_id},fireworks.io/stage"
            found = marks(records, timeline(client, labels, lambda: records.end is not None, 900))
        finally:
            runs.remove()
            store.delete([info.key for info in store.list("")])
    for part, (start, end) in PARTS.items():
        took = [one[end] - one[start] for one in found if start in one and end in one]
        print(f"{part:<52} {statistics.median(took):6.2f} s")


if __name__ == "__main__":
    main()
