"""How large a run gets: Argo keeps a workflow, its template and its history in one object, and objects have a limit.

The numbers below were measured on Argo 3.7.18 and Kubernetes 1.36; docs/argo.md says how.

Comes in: tasks and compiled manifests. Goes out: a `Budget`, to `fireworks.cli.compile` and ``submit``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any

from ..costs import Cost
from .limits import LIMIT_BYTES, MAX_LOOP, MAX_TEMPLATES, WARNING_BYTES
from .tasks import Task

__all__ = ["LEVEL_S", "POD_S", "Budget", "measure", "size_bytes"]

# The status of a workflow holds the template that it refers to twice, and Kubernetes notes who wrote each field.
_BASE_BYTES, _SPEC_COPIES = 1500, 2.5
# A node with its output parameters; its share of those notes; a node's reference to one that follows.
_NODE_BYTES, _NOTE_BYTES, _EDGE_BYTES = 1050, 430, 50
# Argo packs the nodes when the object passes 1 MiB. The hashes and ids of a pod's two nodes hardly shrink.
_PACKING_BYTES, _PACKED_POD_BYTES = 2**20, 350
# Until a pod starts after another has ended; until it runs.
LEVEL_S, POD_S = 3.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run costs Argo and the cluster, all its tasks run once.

    Args:
        template_bytes: The WorkflowTemplate, which holds the graph.
        workflow_bytes: The Workflow as submitted.
        live_bytes: An estimate of the Workflow at the end of its run.
        is_packed: Whether Argo will compress its history then.
        tasks: Nodes of the graph; fewer than stages where stages share a pod.
        nodes: Entries of Argo's history; pods that may be retried have two.
        depth: Tasks on the longest path.
        longest_name: Of a task or a template.
        overhead_s: An estimate of the seconds that go to starting pods and noticing their ends.
        work_s: An estimate of those that go to the stages' work, as many at once as may be: from what they took when
            they last ran. None if nothing is known.
        measured: Stages of which it is known.
    """

    template_bytes: int
    workflow_bytes: int
    live_bytes: int
    is_packed: bool
    stages: int
    tasks: int
    pods: int
    nodes: int
    depth: int
    templates: int
    longest_name: str
    overhead_s: float
    work_s: float | None = None
    measured: int = 0

    def problems(self) -> list[str]:
        """Why the run must not be submitted, if so."""
        found = [
            f"{what} must stay below {LIMIT_BYTES:,} bytes, but {verb} {value:,}. Use fewer stages or shards, or make "
            "it several runs."
            for what, verb, value in (
                ("a template", "takes", self.template_bytes),
                ("a workflow", "takes", self.workflow_bytes),
                ("a workflow at the end of its run", "would take about", self.live_bytes),
            )
            if value > LIMIT_BYTES
        ]
        if self.templates > MAX_TEMPLATES:
            found.append(
                f"a workflow must have at most {MAX_TEMPLATES} templates, but has {self.templates}. Let more stages "
                "ask the same of their pods (image, resources, env, secrets, pod, timeout)."
            )
        return found

    def warnings(self) -> list[str]:
        """What will make Argo slow."""
        sizes = {
            "the template takes": self.template_bytes,
            "at the end of its run the workflow will take about": self.live_bytes,
        }
        found = [
            f"{what} {value:,} bytes; above {WARNING_BYTES:,} Argo gets slow, above {LIMIT_BYTES:,} it fails."
            for what, value in sizes.items()
            if WARNING_BYTES < value <= LIMIT_BYTES
        ]
        if self.is_packed:
            found.append(
                f"the history of {self.pods:,} pods passes 1 MiB: Argo packs it, and takes longer for every step. "
                "Use fewer shards."
            )
        return found


def measure(
    tasks: Sequence[Task],
    template: Mapping[str, Any],
    workflow: Mapping[str, Any],
    costs: Mapping[str, Cost] = MappingProxyType({}),
) -> Budget:
    """The budget of a compiled plan.

    Args:
        tasks: As `fireworks.workflow.argo.tasks.tasks_of` gives them for the same plan and target.
        costs: Of stages, measured, by name.
    """
    templates = template["spec"]["templates"]
    pods = sum(task.shards for task in tasks) + 1  # The one that records the end.
    nodes = sum(map(_nodes, tasks)) + sum("dag" in found for found in templates) + 2
    copies = _BASE_BYTES + size_bytes(workflow) + ceil(_SPEC_COPIES * size_bytes(template["spec"]))
    history = nodes * (_NODE_BYTES + _NOTE_BYTES) + _edges(tasks) * _EDGE_BYTES
    is_packed = copies + history > _PACKING_BYTES
    depth = _depth(tasks)
    parallelism = min(pods, template["spec"]["parallelism"])
    names = [found["name"] for found in templates] + [task.name for task in tasks]
    return Budget(
        template_bytes=size_bytes(template),
        workflow_bytes=size_bytes(workflow),
        live_bytes=copies + (pods * _PACKED_POD_BYTES if is_packed else history),
        is_packed=is_packed,
        stages=sum(len(task.stages) for task in tasks),
        tasks=len(tasks),
        pods=pods,
        nodes=nodes,
        depth=depth,
        templates=len(templates),
        longest_name=max(names, key=len),
        overhead_s=LEVEL_S * depth + POD_S * pods / parallelism,
        work_s=_work(tasks, costs, parallelism),
        measured=sum(stage.name in costs for task in tasks for stage in task.stages),
    )


def size_bytes(value: Any) -> int:
    """As JSON without spaces, in UTF-8."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _nodes(task: Task) -> int:
    """A pod is a node, so is what counts its retries, so is a loop."""
    pods = task.shards * (2 if any(stage.retries for stage in task.stages) else 1)
    return pods + (ceil(task.shards / MAX_LOOP) if task.shards > 1 else 0)


def _edges(tasks: Sequence[Task]) -> int:
    """Argo notes under each pod what comes after it."""
    shards = {task.name: task.shards for task in tasks}
    return sum(shards[name] for task in tasks for name in task.upstream)


def _work(tasks: Sequence[Task], costs: Mapping[str, Cost], parallelism: int) -> float | None:
    """The longest path, or all of it divided by the pods at once, whichever takes longer."""
    if not costs:
        return None
    known = {task.name: [costs[stage.name] for stage in task.stages if stage.name in costs] for task in tasks}
    ends: dict[str, float] = {}
    for task in tasks:
        start = max((ends[name] for name in task.upstream), default=0.0)
        ends[task.name] = start + sum(cost.longest_s for cost in known[task.name])
    total = sum(cost.total_s for found in known.values() for cost in found)
    return round(max(*ends.values(), total / parallelism), 3)


def _depth(tasks: Sequence[Task]) -> int:
    depths: dict[str, int] = {}
    for task in tasks:
        depths[task.name] = 1 + max((depths[name] for name in task.upstream), default=0)
    return max(depths.values())
