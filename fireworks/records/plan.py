"""The plan: a graph cut into stages, as plain data. What every runner executes.

Comes in: made by `fireworks.workflow` from a graph. Goes out: JSON for the stage entrypoint and the Argo compiler.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["PipelineRef", "Plan", "Resources", "Source", "SourceObject", "StagePlan", "StateEdge"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a stage asks of its machine.

    Args:
        cpu: Cores; also the number of threads that torch uses, on every runner.
        memory: A Kubernetes quantity, such as ``2Gi``.
        gpu: Number of GPUs; any makes the stage's device ``cuda``.
        disk: Scratch space, a Kubernetes quantity.
    """

    cpu: float = 1
    memory: str = "2Gi"
    gpu: int = 0
    disk: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceObject:
    """One file of a source, pinned by content (`hash`, blake3) or, if remote, by version (`etag`)."""

    location: str
    size_bytes: int
    hash: str | None = None
    etag: str | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A declared input of the pipeline, as it was when the graph was cut.

    Args:
        location: Path, glob or URL as the pipeline gives it.
        objects: What it stood for, in sorted order.
        hash: Address of the contents, without their locations; empty if a server tells no version.
    """

    location: str
    objects: tuple[SourceObject, ...]
    hash: str


@dataclass(frozen=True, kw_only=True)
class StateEdge:
    """The fitted state `name` of stage `stage`, used by another stage."""

    stage: str
    name: str


@dataclass(frozen=True, kw_only=True)
class PipelineRef:
    """Where a pipeline is found again: module and function, and the import root relative to the project folder."""

    name: str
    module: str
    function: str
    root: str = "."


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """One stage: the unit of containers, caching, retry and resume.

    Args:
        recipe: Address of `ingredients` and the stage's edges.
        ingredients: What the recipe is made of, label → hash, so that a difference can be named.
        inputs: Stages whose rows are read, in the order the graph meets them.
        states: Fitted states that are read.
        fits: Names of the fitted states that the stage leaves behind.
        sources: Locations of the declared sources that are read.
        sharding: ``whole``; ``output``: shards are ranges of output rows; ``input``: of input rows.
    """

    name: str
    recipe: str
    ingredients: dict[str, str]
    inputs: tuple[str, ...] = ()
    states: tuple[StateEdge, ...] = ()
    fits: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    shards: int = 1
    sharding: Literal["whole", "output", "input"] = "whole"
    resources: Resources = Resources()
    image: str | None = None
    retries: int = 2
    timeout_s: float | None = None
    grace_s: float = 30
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    pod: dict[str, Any] = field(default_factory=dict)
    cache: bool = True
    fuse: bool | None = None
    expose: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A pipeline with its parameters, cut. Holds nothing of the place it runs in.

    Args:
        parameters: JSON values, by name, of every parameter of the pipeline's function.
        sample: Rows taken of every source stage's output; None for a full run.
        versions: Distribution → version, of Fireworks and of what the stages import.
        code: blake3 of the project's package, once it was shipped to a store; else the project is looked for locally.
        force: Stages that a cluster computes although their outputs are there.
        stages: In topological order.
    """

    version: int = 1
    pipeline: PipelineRef
    parameters: dict[str, Any]
    seed: int
    sample: int | None = None
    sources: tuple[Source, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    force: tuple[str, ...] = ()
    stages: tuple[StagePlan, ...]

    def stage(self, name: str) -> StagePlan:
        """The stage of this name; `KeyError` if there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def upstream(self, name: str) -> tuple[str, ...]:
        """The stages that must be done before this one, each once."""
        stage = self.stage(name)
        return tuple(dict.fromkeys((*stage.inputs, *(edge.stage for edge in stage.states))))
