"""Runs on the cluster under test: submitted by the product's own code, waited for, removed.

Comes in: pipelines of `tests/projects` and `examples`. Goes out: ends of runs, to the tests beside this file.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.provider.images import stage_image
from fireworks import load_pipeline
from fireworks.records import RunEnd
from fireworks.store import Store
from fireworks.workflow import cut
from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.compiling import Target
from fireworks.workflow.argo.observing import ClusterView, observe, reconcile, remove
from fireworks.workflow.argo.resources import PODS
from fireworks.workflow.argo.submitting import submit
from fireworks.workflow.history import RunFolder
from fireworks.workflow.shipping import pack_for
from forking import Finished

ROOT = Path(__file__).resolve().parents[2]
PROPHAGES = ROOT / "examples" / "01-prophages" / "prophages.py"
UNRULY = ROOT / "tests" / "projects" / "unruly" / "unruly.py"
TINY = ROOT / "tests" / "projects" / "tiny"
_LOOK_S = 4


@dataclass
class Runs:
    """Runs of one test; the scratch folder holds notes of submits under way."""

    client: ClusterClient
    store: Store
    scratch: Path
    ids: list[str] = field(default_factory=list)

    def start(
        self, pipeline: Path | str, /, *, skip: tuple[str, ...] = (), fuse: bool = True, **parameters: Any
    ) -> str:
        """Submit; returns the run's id."""
        loaded = load_pipeline(str(pipeline))
        plan = cut(loaded, parameters)
        target = Target(image=stage_image(), namespace=self.client.namespace, fuse=fuse)
        package = pack_for(plan, loaded.project)
        made = submit(plan, package, loaded.project, self.store, self.client, target)
        self.ids.append(made.run)
        return made.run

    def view(self, run_id: str) -> ClusterView:
        """What the cluster says of it."""
        return observe(self.client, self.folder(run_id))

    def folder(self, run_id: str) -> RunFolder:
        """What it recorded."""
        return RunFolder(self.store, run_id)

    def wait(self, run_id: str, limit_s: float = 300) -> RunEnd:
        """Its end. Looked for in its records; only now and then in the cluster, which many may ask."""
        folder, began = self.folder(run_id), time.monotonic()
        look = began
        while (end := folder.end) is None:
            if (now := time.monotonic()) >= look:
                look = now + _LOOK_S
                view = self.view(run_id)
                if (end := reconcile(folder, view)) is not None:
                    break
                assert now < began + limit_s, f"{run_id} must end within {limit_s:g} s: {view}"
            time.sleep(0.5)
        return end

    def pods(self, run_id: str, stage: str) -> list[dict[str, Any]]:
        """The pods of a stage, as Kubernetes has them."""
        labels = f"fireworks.io/run={run_id},fireworks.io/stage={stage}"
        return self.client.list(PODS, labels=labels)

    def running_pod(self, run_id: str, stage: str, limit_s: float = 120) -> str:
        """The name of the stage's pod, once its process says something."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            folder = self.folder(run_id)
            started = [one for one in folder.attempts() if one.start.stage == stage and one.end is None]
            if started:
                return started[-1].start.host
            time.sleep(0.3)
        raise AssertionError(f"{stage} of {run_id} must start within {limit_s:g} s: {self.view(run_id)}")

    def remove(self) -> None:
        """Take the Workflows away."""
        for run_id in self.ids:
            remove(self.client, run_id)


def outcome(end: RunEnd) -> tuple[str, int, str | None]:
    """Status, attempts and cause of the stage `rows`, which misbehaves in projects of that kind."""
    stage = next(stage for stage in end.stages if stage.name == "rows")
    return stage.status, stage.attempts, stage.cause


def result(done: Finished) -> Any:
    """What a command with ``--json`` told."""
    return json.loads(done.out.splitlines()[-1])


def stages_of_pods(client: ClusterClient, run_id: str) -> set[str]:
    """The stages that a run took pods for; pods stay for ten minutes."""
    found = client.list(PODS, labels=f"fireworks.io/run={run_id},fireworks.io/stage")
    return {stage for pod in found for stage in pod["metadata"]["annotations"]["fireworks.io/stages"].split(",")}
