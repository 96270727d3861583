"""Recipes: everything that decides a stage's output, labelled and hashed.

Comes in: the objects of one stage, as `fireworks.workflow.identifying` encodes them. Goes out: the ingredients of a
`StagePlan`, made by the cut and made again by the stage entrypoint, which refuses to run if they differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

from ..core import Junction, Pipe
from ..core.source import File
from ..records import Source, address
from .determinism import derive_seed
from .graph import StageGraph, edges
from .identifying import Identifier
from .imports import Project, distribution_version

__all__ = ["Recipe", "pull_seed", "recipe_of"]

# Label of a node: the only ingredients that say what is computed, and not by which code.
_OBJECT = "object "
# Whatever a stage computes goes through these, imported by its modules or not.
_ALWAYS = ("fireworks", "torch", "numpy", "pyarrow", "pandas", "safetensors")


@dataclass
class Recipe:
    """What a stage's output depends on, besides the rows and states it reads.

    Args:
        ingredients: Label → hash or version.
        sources: Declared sources that are read, by location.
        problems: Why the stage cannot be planned; one line each.
    """

    ingredients: dict[str, str] = field(default_factory=dict)
    edges: list[Any] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """The address of the ingredients and edges."""
        return address([self.ingredients, self.edges])


def recipe_of(
    graph: StageGraph, project: Project, resolve: Callable[[File], Source], *, seed: int, sample: int | None
) -> Recipe:
    """Collect a stage's ingredients.

    Args:
        graph: The stage's share of the graph.
        project: Whose modules count by content.
        resolve: Gives the pinned `Source` of a `File`.
        seed: The run's seed.
        sample: Rows taken of every source stage, or None.
    """
    identifier = Identifier(graph, project, resolve)
    recipe = Recipe(sources=identifier.sources, problems=identifier.problems)
    stage = graph.stage
    counts: dict[str, int] = {}
    for node in graph.nodes:
        kind = type(node).__name__
        counts[kind] = counts.get(kind, 0) + 1
        label = f"{_OBJECT}{kind}" + (f" {counts[kind]}" if counts[kind] > 1 else "")
        recipe.ingredients[label] = address(identifier.node(node))
        recipe.edges.append([[name, identifier.edge(other)] for name, other in edges(node)])
        if isinstance(node, Pipe) and node.input is not None:
            recipe.edges.append(_head(identifier, node.input))
    if not isinstance(stage.input, Pipe | Junction):
        recipe.edges.append(_head(identifier, stage.input))
    recipe.edges.append([list(stage.expose), sorted(graph.fits)])
    settings = {
        "seed": seed,
        "sample": sample,
        "shards": stage.shards,
        "device": "cuda" if stage.resources.gpu else "cpu",
    }
    recipe.ingredients.update({name: str(value) for name, value in settings.items()})
    recipe.ingredients.update({f"env {name}": address(value) for name, value in stage.env.items()})
    _add_code(recipe, identifier)
    return recipe


def pull_seed(ingredients: Mapping[str, str], shard: int) -> int:
    """What the generators are seeded with before a shard's rows are pulled.

    Stages of one recipe share a fingerprint, and so must draw the same numbers: what they are called does not count.
    Of the recipe only the run's seed and the objects do, so that an edited comment or another version of a library
    draws no others.
    """
    chosen = {label: value for label, value in ingredients.items() if label == "seed" or label.startswith(_OBJECT)}
    return derive_seed(address(chosen), shard)


def _head(identifier: Identifier, node: Any) -> Any:
    """What a chain of pipes starts with, if it is not a pipe: a table is known by its content."""
    return None if isinstance(node, Pipe | Junction) else identifier.value(node, "the head of the chain")


def _add_code(recipe: Recipe, identifier: Identifier) -> None:
    """Project modules by content, distributions by version."""
    project, stage = identifier.project, identifier.graph.stage
    imports = project.closure(identifier.files)
    recipe.ingredients.update({f"code {name}": digest for name, digest in imports.hashes().items()})
    recipe.ingredients.update({f"code {name}": digest for name, digest in identifier.typed_in.items()})
    for pattern in stage.code:
        matches = sorted(path for path in project.folder.glob(pattern) if path.is_file())
        if not matches:
            recipe.problems.append(
                f"stage {stage.name!r}: code={pattern!r} must match files below {project.folder}, but matches none. "
                "Correct the glob."
            )
        for path in matches:
            label = f"file {path.relative_to(project.folder).as_posix()}"
            recipe.ingredients[label] = str(blake3(path.read_bytes()).hexdigest())
    for module in sorted({*_ALWAYS, *imports.distributions, *identifier.modules}):
        known = distribution_version(module)
        if known is not None:
            recipe.versions[known[0]] = known[1]
    recipe.ingredients.update({f"version {name}": number for name, number in recipe.versions.items()})
