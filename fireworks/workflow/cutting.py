"""The cut: a graph becomes a plan, or a list of everything that is wrong with it.

Comes in: a pipeline and its parameters. Goes out: the `Plan` that every runner executes, and the rebuilt share of one
stage for `fireworks.workflow.execution`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.source import File
from ..errors import CutError, RebuildError, SourceError, did_you_mean
from ..records import PipelineRef, Plan, Source, SourceObject, StagePlan, StateEdge
from .crossing import crossing_problems
from .determinism import derive_seed, reproducibly
from .graph import StageGraph, find_cycle, stage_graph, topological
from .pipelines import Pipeline
from .recipes import Recipe, recipe_of
from .settings import repaired, setting_problems
from .sharding import sharding_mode
from .staging import Stage

__all__ = ["build_stages", "cut", "rebuild"]

_NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9-]{0,43}[a-zA-Z0-9])?")


def build_stages(pipeline: Pipeline, parameters: Mapping[str, Any], seed: int) -> list[Stage]:
    """Call the pipeline's function, seeded; return its stages in topological order.

    Raises:
        CutError: If the graph has a cycle.
    """
    with reproducibly(derive_seed(seed, pipeline.name)):
        roots = pipeline.build(parameters)
    cycle = find_cycle(roots)
    if cycle:
        path = " → ".join(repr(node) if isinstance(node, Stage) else type(node).__name__ for node in cycle)
        raise CutError(
            [f"a graph must have no cycle, but data would flow in a circle: {path}. Cut one of these inputs."]
        )
    return topological(roots)


@dataclass
class _Cut:
    """State of one cut: what was found so far."""

    pipeline: Pipeline
    seed: int
    sample: int | None
    sources: dict[str, Source] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def resolve(self, file: File) -> Source:
        if file.location not in self.sources:
            try:
                self.sources[file.location] = file.resolve(self.pipeline.project)
            except SourceError as error:
                self.problems.append(str(error))
                self.sources[file.location] = Source(location=file.location, objects=(), hash="")
        return self.sources[file.location]

    def stage(self, graph: StageGraph) -> StagePlan:
        recipe = recipe_of(graph, self.pipeline.code, self.resolve, seed=self.seed, sample=self.sample)
        self.problems.extend(recipe.problems)
        self.versions.update(recipe.versions)
        return _plan_stage(graph, recipe, self._sharding(graph))

    def _sharding(self, graph: StageGraph) -> Any:
        stage = graph.stage
        if stage.shards == 1:
            return "whole"
        mode = sharding_mode(graph)
        if graph.fits:
            self.problems.append(
                f"stage {stage.name!r}: a stage that fits cannot be sharded, but it has shards={stage.shards} and fits "
                f"{', '.join(sorted(graph.fits))}. Use shards=1, or give what it reads a sharded stage of its own."
            )
        elif mode not in {"output", "input"}:
            self.problems.append(
                f"stage {stage.name!r}: a stage with shards={stage.shards} must end in a random-access "
                "pipe (len and [a:b]) or consist of "
                f"row-local pipes, but {mode} is neither. Declare row_local or random_access on it, or use shards=1."
            )
        return mode


def _plan_stage(graph: StageGraph, recipe: Recipe, sharding: Any) -> StagePlan:
    stage = graph.stage
    return StagePlan(
        name=stage.name,
        recipe=recipe.hash,
        ingredients=recipe.ingredients,
        inputs=tuple(other.name for other in graph.inputs),
        states=tuple(StateEdge(stage=edge.stage.name, name=edge.name) for edge, _ in graph.states),
        fits=tuple(sorted(graph.fits)),
        sources=tuple(recipe.sources),
        shards=stage.shards,
        sharding=sharding,
        resources=stage.resources,
        image=stage.image,
        retries=stage.retries,
        timeout_s=stage.timeout,
        grace_s=stage.grace,
        env=stage.env,
        secrets=stage.secrets,
        pod=stage.pod,
        cache=stage.cache,
        fuse=stage.fuse,
        expose=stage.expose,
    )


def cut(
    pipeline: Pipeline, parameters: Mapping[str, Any] | None = None, *, seed: int = 0, sample: int | None = None
) -> Plan:
    """Cut a pipeline's graph into stages.

    Args:
        parameters: Values or texts by name; the function's defaults fill the rest.
        seed: Seeds every generator of the run.
        sample: Take this many evenly spaced rows of every source stage.

    Raises:
        ParameterError: If a parameter is unknown, missing or of the wrong type.
        CutError: With everything that is wrong with the graph.
    """
    values = pipeline.convert(parameters or {})
    stages = build_stages(pipeline, values, seed)
    graphs = [stage_graph(stage) for stage in stages]
    work = _Cut(pipeline, seed, sample)
    work.problems.extend(_name_problems(stages))
    for graph in graphs:
        work.problems.extend(setting_problems(graph.stage))
        graph.stage = repaired(graph.stage)
    work.problems.extend(crossing_problems(graphs))
    planned = tuple(work.stage(graph) for graph in graphs)
    if work.problems:
        raise CutError(dict.fromkeys(work.problems))
    ref = (
        pipeline.ref if pipeline.importable else PipelineRef(name=pipeline.name, module="", function=pipeline.__name__)
    )
    return Plan(
        pipeline=ref,
        parameters=values,
        seed=seed,
        sample=sample,
        sources=tuple(work.sources.values()),
        versions=work.versions,
        stages=planned,
    )


def _name_problems(stages: list[Stage]) -> list[str]:
    problems = []
    seen: dict[str, str] = {}
    for stage in stages:
        name = stage.name
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            problems.append(
                "a stage's name must be 1 to 45 letters, digits and hyphens and begin with a letter, "
                f"but got {name!r}. Rename it."
            )
            continue
        if name.lower() in seen:
            problems.append(
                f"two stages of a pipeline must not share a name, but got {seen[name.lower()]!r} and "
                f"{name!r}. Rename one."
            )
        seen.setdefault(name.lower(), name)
    return problems


def rebuild(
    plan: Plan, name: str, pipeline: Pipeline, fetch: Callable[[SourceObject], Path] | None = None
) -> StageGraph:
    """Make one stage of a plan again, from the code that is here.

    Args:
        fetch: Gives local copies of source files, where the project folder has none.

    Raises:
        RebuildError: If the result is not the stage that was planned.
    """
    stages = build_stages(pipeline, plan.parameters, plan.seed)
    found = next((stage for stage in stages if stage.name == name), None)
    if found is None:
        names = [stage.name for stage in stages]
        raise RebuildError(
            f"the plan has a stage {name!r}, but the code here builds "
            f"{', '.join(names)}.{did_you_mean(name, names)} Plan again."
        )
    graph = stage_graph(found)
    sources = {source.location: source for source in plan.sources}

    def pinned(file: File) -> Source:
        if file.location not in sources:
            raise RebuildError(f"the code here reads {file!r}, which the plan does not know. Plan again.")
        file.pin(sources[file.location], pipeline.project, fetch)
        return sources[file.location]

    recipe = recipe_of(graph, pipeline.code, pinned, seed=plan.seed, sample=plan.sample)
    planned = plan.stage(name)
    if recipe.hash != planned.recipe:
        raise RebuildError(_difference(name, planned.ingredients, recipe.ingredients))
    return graph


def _difference(name: str, planned: Mapping[str, str], here: Mapping[str, str]) -> str:
    changed = sorted(label for label in {*planned, *here} if planned.get(label) != here.get(label))
    shown = [
        f"{label} (planned {planned.get(label, 'absent')}, here {here.get(label, 'absent')})"
        if label.startswith("version")
        else label
        for label in changed
    ]
    listed = ", ".join(shown) or "its connections"
    return f"stage {name!r} must be what was planned, but differs in: {listed}. Run again to plan anew."
