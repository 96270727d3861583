"""Trained objects that cross stages other than by their state edge: there they would be as if never trained.

Comes in: the stages of a graph. Goes out: findings for `fireworks.workflow.cutting`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..core import Junction, Model
from .graph import StageGraph, given, nested
from .staging import part_of, parts

__all__ = ["crossing_problems"]


def crossing_problems(graphs: Sequence[StageGraph]) -> list[str]:
    """Whatever a stage uses of an object that another one trains, without getting its state; one line each."""
    owners = {
        id(part): (graph.stage.name, name)
        for graph in graphs
        for name, fitted in graph.fits.items()
        for part in _trained(fitted)
    }
    return [line for graph in graphs for line in (*_direct(graph, owners), *_in_part(graph), *_unsaved(graph))]


def _direct(graph: StageGraph, owners: dict[int, tuple[str, str]]) -> Iterator[str]:
    for stage, name in sorted(
        {owners[id(item)] for node in graph.nodes for item in _touched(node) if id(item) in owners}
    ):
        if stage != graph.stage.name:
            yield (
                f"stage {graph.stage.name!r}: a trained object crosses stages only by its state edge, but {name!r}, "
                f"which stage {stage!r} trains, or a part of it is pulled in directly. "
                f"Write {stage.replace('-', '_')}[{name!r}](input=…)."
            )


def _in_part(graph: StageGraph) -> Iterator[str]:
    """Parts of what a state edge gave, where that does not pass rows itself: nobody would set its state."""
    found = [known for node in graph.nodes for item in _touched(node) if (known := part_of(item)) is not None]
    whole = {id(node) for node in graph.nodes}
    for edge in {id(edge): edge for fitted, edge in found if id(fitted) not in whole}.values():
        yield (
            f"stage {graph.stage.name!r}: a fitted object gets its state where it is a pipe or a component, but of "
            f"{edge!r} only a part is used. Use {edge!r}(input=…) itself in the stage, and its part through it."
        )


def _unsaved(graph: StageGraph) -> Iterator[str]:
    """State edges of models that train what their state does not hold: linked parameters, and models upstream."""
    for edge, _ in graph.states:
        fitted = edge.fitted
        if not (isinstance(fitted, Model) and isinstance(fitted, torch.nn.Module)):
            continue
        held = {id(parameter) for parameter in fitted.parameters()}
        if any(parameter.requires_grad and id(parameter) not in held for parameter in fitted.all_parameters()):
            yield (
                f"stage {graph.stage.name!r}: a state edge carries all that was trained, but stage {edge.stage.name!r} "
                f"trains parameters that {edge.name!r} links to or that lie upstream of it, too. "
                "Freeze them, or make them components of its own."
            )


def _trained(fitted: Any) -> Iterator[Any]:
    """The object itself and the numbers that training changes, linked and upstream ones included."""
    for part in parts(fitted):
        if not isinstance(part, torch.nn.Parameter) or part.requires_grad:
            yield part
    if isinstance(fitted, Model):
        yield from (parameter for parameter in fitted.all_parameters() if parameter.requires_grad)


def _touched(node: Any) -> Iterator[Any]:
    """Whatever a node can read, besides its input: itself, its components and their owners, what it was given."""
    yield from parts(node)
    if isinstance(node, Junction):
        for value in (*(link.owner for link in node.components.external.values()), *node.components.values()):
            yield from parts(value)
    for value in given(node).values():
        for item in nested(value):
            yield from parts(item)
