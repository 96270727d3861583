"""How long `fireworks submit` takes to the creation of the Workflow, beyond its imports: at most 1 s.

``make bench-cluster``. Each pair starts a process that imports torch, Hera, the kubernetes client and the pipeline's
module, and nothing else, and a submit of the prophage finder, whose code and sources are uploaded already; medians of
both are compared. The Workflow is removed as soon as it is there.

Comes in: the cluster of ``make cluster-up``. Goes out: a line on standard output; exit code 1 if our share is more than
the second that is promised.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from cluster.provider import choose
from cluster.provider.images import stage_image
from cluster.runs import PROPHAGES
from fireworks.store import open_store
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.observing import remove

LIMIT_S = 1.0
PAIRS = 7
_IMPORTS = (
    "import os, sys, time; sys.path.insert(0, sys.argv[1]); import torch, hera.workflows.models, kubernetes, prophages;"
    " print(time.monotonic(), flush=True); os._exit(0)"
)
# The command line itself, which says when the cluster had taken the Workflow.
_SUBMIT = """
import sys, time
from fireworks.cli import main
from fireworks.workflow.argo.client import ClusterClient

create = ClusterClient.create

def noted(self, resource, body, **options):
    made = create(self, resource, body, **options)
    if resource.plural == "workflows":
        print(time.monotonic(), flush=True)
    return made

ClusterClient.create = noted
sys.exit(main())
"""


def imports_s() -> float:
    """Seconds from the start of a process until all is imported."""
    command = [sys.executable, "-c", _IMPORTS, str(PROPHAGES.parent)]
    started = time.monotonic()
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) - started


def submit_s(client: ClusterClient, url: str, folder: Path) -> float:
    """Seconds from Enter until the Workflow is there."""
    command = [sys.executable, "-c", _SUBMIT, "submit", f"{PROPHAGES}:prophages", "--store", url, "--json"]
    environment = {**os.environ, "FIREWORKS_IMAGE": stage_image()}
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    created, *_, told = done.stdout.splitlines()
    remove(client, json.loads(told)["run"], wait_s=60)
    return float(created) - started


def main() -> int:
    """Print the medians."""
    parser = argparse.ArgumentParser(prog="submit_time", description="Time from Enter to the Workflow's creation.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"measurements (default: {PAIRS})")
    options = parser.parse_args()
    cluster = choose(os.environ)
    os.environ |= {"KUBECONFIG": str(cluster.kubeconfig()), **cluster.environment()}
    client = ClusterClient(namespace=cluster.namespace)
    store = open_store(f"{cluster.s3_url()}/bench/{uuid4().hex[:8]}")
    with tempfile.TemporaryDirectory(prefix="fireworks-") as folder:
        try:
            # The first pair uploads, and finds nothing in the page cache: it does not count.
            times = [(imports_s(), submit_s(client, store.url, Path(folder))) for _ in range(options.pairs + 1)][1:]
        finally:
            store.delete([info.key for info in store.list("")])
    imports, submits = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"submit, to the Workflow's creation: {submits:.2f} s, imports of torch, Hera, kubernetes and the pipeline:"
        f" {imports:.2f} s; ours: {submits - imports:.2f} s (medians of {options.pairs}; limit {LIMIT_S:g} s)"
    )
    return int(submits - imports > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
