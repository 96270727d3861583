"""How large runs get: what `--budget` predicts for many shards and stages, and what two large runs take in the end.

``python benchmarks/cluster/sizes.py --study`` compiles alone and needs no cluster: the table of docs/argo.md. Without
it, 300 shards and a graph of 200 stages run to their ends as well, which takes a quarter of an hour each on two cores;
with ``--adopted`` their outputs are there before, and pods only find them: as many pods, no torch.

Comes in: `peer/many.py`, the cluster of ``make cluster-up``. Goes out: lines on standard output.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from cluster.provider import choose
from cluster.runs import Runs
from fireworks import load_pipeline, run
from fireworks.records import PipelineRef, Plan, StagePlan
from fireworks.store import open_store
from fireworks.workflow import cut
from fireworks.workflow.argo.budget import Budget, measure, size_bytes
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.compiling import Target, compile_template, compile_workflow
from fireworks.workflow.argo.resources import WORKFLOWS
from fireworks.workflow.argo.tasks import tasks_of

MANY = Path(__file__).parent / "peer" / "many.py"
CASES = {"wide": {"shards": 300}, "deep": {"stages": 200}}
SHARDS = (100, 300, 1000, 2000, 3000, 10_000, 100_000)
STAGES = (200, 1000, 2000, 10_000)
TARGET = Target(image="localhost/fireworks-stage:0123456789ab", fuse=False)
_LIMIT_S = 3600.0


def compiled(plan: Plan, target: Target = TARGET) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its template and its Workflow."""
    template = compile_template(plan, target)
    name, run_id = template["metadata"]["name"], f"{plan.pipeline.name}-20260101-000000-0000"
    url = f"s3://bucket/prefix/runs/{run_id}/plan.json"
    return template, compile_workflow(plan, target, template=name, run_id=run_id, plan_url=url)


def budget_of(plan: Plan, target: Target = TARGET) -> Budget:
    """What is predicted of a plan."""
    return measure(tasks_of(plan, fuse=target.fuse), *compiled(plan, target))


def plan_of(*stages: StagePlan) -> Plan:
    """A plan that nobody can run."""
    return Plan(pipeline=PipelineRef(name="study", module="m", function="f"), parameters={}, seed=0, stages=stages)


def loops() -> Iterator[tuple[str, Plan]]:
    """One stage of so many shards."""
    for shards in SHARDS:
        yield (
            f"{shards:,} shards",
            plan_of(StagePlan(name="many", recipe="r", ingredients={}, inputs=(), shards=shards)),
        )


def graph(count: int) -> Plan:
    """So many stages, each of which reads the two before it."""
    names = [f"stage-{number}" for number in range(count)]
    made = (
        StagePlan(name=name, recipe="r", ingredients={}, inputs=tuple(names[max(0, place - 2) : place]))
        for place, name in enumerate(names)
    )
    return plan_of(*made)


def study() -> None:
    """Print the table."""
    print("| | template | Workflow at its end | |\n|---|---|---|---|")
    for what, plan in (*loops(), *((f"{count:,} stages", graph(count)) for count in STAGES)):
        found = budget_of(plan)
        packed = ", packed" if found.is_packed else ""
        verdict = "refused" if found.problems() else "warned" if found.warnings() else ""
        print(f"| {what} | {_size(found.template_bytes)} | {_size(found.live_bytes)}{packed} | {verdict} |", flush=True)


def _size(value: int) -> str:
    return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.0f} kB"


@dataclass
class Bench:
    """Where it runs."""

    client: ClusterClient
    url: str
    adopted: bool

    def measure(self, case: str, parameters: dict[str, Any], scratch: Path) -> None:
        """Run to the end; print what was predicted and what there is."""
        pipeline, store = f"{MANY}:{case}", open_store(f"{self.url}/{uuid4().hex[:8]}")
        loaded = load_pipeline(pipeline)
        predicted = budget_of(cut(loaded, parameters), Target(image=TARGET.image, namespace=self.client.namespace))
        if self.adopted:
            run(loaded, parameters, store=store)
        runs, began = Runs(self.client, store, scratch), time.monotonic()
        try:
            run_id = runs.start(pipeline, **parameters)
            end = runs.wait(run_id, _LIMIT_S)
            took = time.monotonic() - began
            if end.status != "succeeded":
                raise SystemExit(f"error: {run_id} must succeed, but {end.status}. See `make cluster-logs`.")
            found = self.client.get(WORKFLOWS, run_id)
        finally:
            runs.remove()
            store.delete([info.key for info in store.list("")])
        status = found["status"]
        history = status.get("compressedNodes") or status["nodes"]
        print(
            f"{case} {json.dumps(parameters)}: {predicted.pods} pods in {took:.0f} s; Workflow at its end: predicted"
            f" {_size(predicted.live_bytes)}, measured {_size(size_bytes(found))}, of which history"
            f" {_size(size_bytes(history))}{', packed' if 'compressedNodes' in status else ''},"
            f" managedFields {_size(size_bytes(found['metadata'].get('managedFields', [])))}",
            flush=True,
        )


def main() -> int:
    """Print the table, then measure."""
    parser = argparse.ArgumentParser(prog="sizes", description="How large runs get, predicted and measured.")
    parser.add_argument("--study", action="store_true", help="compile alone; no cluster is needed")
    parser.add_argument("--adopted", action="store_true", help="outputs are there before, so that pods take a second")
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    options = parser.parse_args()
    study()
    if options.study:
        return 0
    cluster = choose(os.environ)
    os.environ |= {"KUBECONFIG": str(cluster.kubeconfig()), **cluster.environment()}
    bench = Bench(ClusterClient(namespace=cluster.namespace), f"{cluster.s3_url()}/bench", options.adopted)
    for case in options.case or CASES:
        with tempfile.TemporaryDirectory(prefix="fireworks-") as folder:
            bench.measure(case, CASES[case], Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
