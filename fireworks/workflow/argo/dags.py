"""The graph as DAG templates: what runs after what, loops over shards, and nesting where Argo's limits are passed.

Comes in: tasks (`fireworks.workflow.argo.tasks`) and the names of their container templates. Goes out: Hera's models,
to `fireworks.workflow.argo.compiling`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from hera.workflows import models as m

from .limits import MAX_LOOP, MAX_TASKS
from .names import suffixed
from .tasks import Task

__all__ = ["ENTRYPOINT", "dag_templates"]

ENTRYPOINT = "pipeline"


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A task of some DAG: a stage, a loop over some of its shards, or a DAG further in."""

    name: str
    template: str
    upstream: tuple[str, ...] = ()
    arguments: Mapping[str, str]
    when: str | None = None
    loop: m.Sequence | None = None

    def model(self, siblings: Collection[str]) -> m.DAGTask:
        """As Argo has it; it waits for those of its upstream that are in the same DAG.

        A bare name in ``depends`` means succeeded or skipped.
        """
        parameters = [m.Parameter(name=name, value=value) for name, value in self.arguments.items()]
        return m.DAGTask(
            name=self.name,
            template=self.template,
            depends=" && ".join(name for name in self.upstream if name in siblings) or None,
            when=self.when,
            arguments=m.Arguments(parameters=parameters) if parameters else None,
            with_sequence=self.loop,
        )


def dag_templates(tasks: Sequence[Task], leaves: Mapping[str, str]) -> list[m.Template]:
    """The entrypoint and what is nested in it.

    Args:
        tasks: All tasks, each after those it needs.
        leaves: The container template of each task, by the task's name.
    """
    nodes: list[_Node] = []
    nested: list[m.Template] = []
    for task in tasks:
        node = _node(task, leaves[task.name])
        if task.shards > MAX_LOOP:
            template = suffixed(task.name, "shards")
            nested += _dags(template, _loops(task, node))
            node = replace(node, template=template, arguments={})
        elif task.shards > 1:
            # With `when`, a skipped loop would be one skipped node a shard; with no items, it is one.
            node = replace(_loop(node, 0, task.shards, unless=_skipped(task)), when=None)
        nodes.append(node)
    return [*_dags(ENTRYPOINT, nodes), *nested]


def _skipped(task: Task) -> str:
    return f"workflow.parameters.skip contains ',{task.name},'"


def _node(task: Task, template: str) -> _Node:
    arguments = {"stage": task.stage_names} | ({"task": task.name} if task.is_chain else {})
    when = f"{{{{=!({_skipped(task)})}}}}"
    return _Node(name=task.name, template=template, upstream=task.upstream, arguments=arguments, when=when)


def _loop(node: _Node, start: int, count: int, unless: str = "") -> _Node:
    """The node for each shard from `start` on; for none where the expression `unless` is true."""
    number = f"{{{{={unless} ? '0' : '{count}'}}}}" if unless else str(count)
    loop = m.Sequence(start=m.IntOrString(root=str(start)) if start else None, count=m.IntOrString(root=number))
    return replace(node, arguments={**node.arguments, "shard": "{{item}}"}, loop=loop)


def _loops(task: Task, node: _Node) -> list[_Node]:
    plain = replace(node, upstream=(), when=None)
    return [
        _loop(replace(plain, name=suffixed(task.name, str(start))), start, min(MAX_LOOP, task.shards - start))
        for start in range(0, task.shards, MAX_LOOP)
    ]


def _dags(name: str, nodes: Sequence[_Node], prefix: str = "") -> list[m.Template]:
    """A DAG; of too many nodes, a DAG of DAGs: runs of neighbours, each waiting for those it reads from as a whole.

    Nodes come in the order of a depth-first walk. It keeps what belongs together together, and no run reads from a
    later one.
    """
    if len(nodes) <= MAX_TASKS:
        siblings = {node.name for node in nodes}
        return [m.Template(name=name, dag=m.DAGTemplate(tasks=[node.model(siblings) for node in nodes]))]
    prefix = prefix or name
    size = ceil(len(nodes) / ceil(len(nodes) / MAX_TASKS))
    runs = {suffixed(prefix, str(i // size + 1)): nodes[i : i + size] for i in range(0, len(nodes), size)}
    home = {node.name: run for run, members in runs.items() for node in members}
    parts = []
    for run, members in runs.items():
        upstream = dict.fromkeys(home[other] for node in members for other in node.upstream)
        upstream.pop(run, None)
        parts.append(_Node(name=run, template=run, upstream=tuple(upstream), arguments={}))
    inner = [template for run, members in runs.items() for template in _dags(run, members)]
    return [*_dags(name, parts, f"{prefix}-group"), *inner]
