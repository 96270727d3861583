"""Walking a graph of pipes: what hangs together by `input`, `components` and constructor arguments.

Comes in: the Stage that a pipeline's function returned. Goes out: stages in topological order and the objects of
each, for `fireworks.workflow.recipes` and `fireworks.workflow.cutting`.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MethodType
from typing import Any

from ..core import Junction, Pipe
from ..core.construction import arguments, set_since
from ..errors import GraphError
from .staging import FittedState, Stage, fitted_from

__all__ = ["StageGraph", "edges", "find_cycle", "given", "nested", "reachable_stages", "stage_graph", "topological"]


def nested(value: Any) -> Iterator[Any]:
    """A value and everything inside its containers, dataclasses, partial functions and bound methods."""
    yield value
    for item in _inside(value):
        yield from nested(item)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, functools.partial):
        return (value.func, value.args, value.keywords)
    if isinstance(value, MethodType):
        return (value.__self__,)
    if is_dataclass(value) and not isinstance(value, type | FittedState):
        return [getattr(value, item.name) for item in fields(value)]
    return ()


def given(node: Any) -> dict[str, Any]:
    """What a node was constructed with, besides input and components, and the attributes set on it since."""
    # `>>` may have changed the input since, and the components.
    values = {name: value for name, value in arguments(node).items() if name not in {"input", "components"}}
    return values | {f".{name}": value for name, value in set_since(node).items()}


def neighbours(node: Any) -> Iterator[tuple[str, Any]]:
    """What a node draws from, labelled, in an order that depends on the code alone."""
    if isinstance(node, Pipe):
        yield "input", node.input
    if isinstance(node, Stage):
        return
    if isinstance(node, Junction):
        for name, component in node.components.items():
            yield f"component {name}", component
    edge = fitted_from(node)
    if edge is not None:
        yield f"state {edge.name}", edge
    for name, value in given(node).items():
        for index, item in enumerate(nested(value)):
            yield f"argument {name}.{index}", item


def edges(node: Any) -> Iterator[tuple[str, Any]]:
    """Those neighbours that are nodes themselves, each object once."""
    seen: set[int] = set()
    for label, other in neighbours(node):
        if isinstance(other, Pipe | Junction | FittedState) and id(other) not in seen:
            seen.add(id(other))
            yield label, other


def _targets(node: Any) -> list[Any]:
    return [other.stage if isinstance(other, FittedState) else other for _, other in edges(node)]


def _depth_first(roots: Iterable[Any], within: bool) -> tuple[list[Any], list[Any]]:
    """Nodes in post-order, and the first cycle met; `within` stops at stages."""
    order: list[Any] = []
    done: set[int] = set()
    for root in roots:
        path: list[Any] = []
        pending: list[tuple[Any, bool]] = [(root, False)]
        while pending:
            node, left = pending.pop()
            if left:
                path.pop()
                done.add(id(node))
                order.append(node)
            elif any(node is other for other in path):
                return order, [*path[next(i for i, other in enumerate(path) if other is node) :], node]
            elif id(node) not in done:
                path.append(node)
                pending.append((node, True))
                below = [other for other in _targets(node) if not (within and isinstance(other, Stage))]
                pending.extend((other, False) for other in reversed(below))
    return order, []


def find_cycle(roots: Iterable[Any]) -> list[Any]:
    """The nodes of a cycle, the first one repeated at the end; empty if there is none."""
    return _depth_first(roots, within=False)[1]


def reachable_stages(node: Any) -> list[Stage]:
    """The stages that a node reads from, directly or through other nodes, but not those behind them."""
    nodes = _depth_first([node], within=True)[0]
    found = [other for item in nodes for other in _targets(item) if isinstance(other, Stage)]
    return list({id(stage): stage for stage in found}.values())


def topological(roots: Iterable[Stage]) -> list[Stage]:
    """All stages that these lead to, each after those it reads. The graph must have no cycle."""
    return [node for node in _depth_first(roots, within=False)[0] if isinstance(node, Stage)]


@dataclass
class StageGraph:
    """One stage's share of the graph.

    Args:
        nodes: Its pipes and junctions, each after those it reads.
        inputs: The stages whose rows it reads, in the order met.
        states: The fitted states it uses, with the node that each is for.
        fits: Fitted states it leaves behind, by name.
    """

    stage: Stage
    nodes: list[Any]
    inputs: list[Stage] = field(default_factory=list)
    states: list[tuple[FittedState, Any]] = field(default_factory=list)
    fits: dict[str, Any] = field(default_factory=dict)

    def chain(self) -> list[Any]:
        """From the stage's last pipe up along `input` to its first."""
        found = []
        node = self.stage.input
        while isinstance(node, Pipe) and not isinstance(node, Stage):
            found.append(node)
            node = node.input
        return found


def stage_graph(stage: Stage) -> StageGraph:
    """Collect what lies between a stage and the stages before it."""
    top = stage.input
    nodes = (
        _depth_first([top], within=True)[0] if isinstance(top, Pipe | Junction) and not isinstance(top, Stage) else []
    )
    found = StageGraph(stage=stage, nodes=nodes)
    if isinstance(top, Stage):
        found.inputs.append(top)
    for node in nodes:
        for _, other in edges(node):
            if isinstance(other, FittedState):
                if fitted_from(node) is not other:
                    raise GraphError(
                        f"a fitted state is used as a pipe, but {type(node).__name__} in stage {stage.name!r} was "
                        f"given {other!r} itself. Write {other!r}(input=…)."
                    )
                found.states.append((other, node))
            elif isinstance(other, Stage) and all(other is not known for known in found.inputs):
                found.inputs.append(other)
        for name in getattr(type(node), "fits", ()):
            if name in found.fits:
                raise GraphError(
                    f"a stage's fitted states must have different names, but {stage.name!r} fits two named {name!r}. "
                    "Give each fit a stage of its own."
                )
            found.fits[name] = node.components[name] if isinstance(node, Junction) else getattr(node, name)
    return found
