"""What every runner must do; import it to test one of your own.

Comes in: a runner and a pipeline. Goes out: an AssertionError if an output differs from the in-process runner's.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..core import Message, Pipe
from ..records import RunEnd
from ..store import Store, open_store
from ..workflow import Pipeline, Stage, pipeline, run
from ..workflow.scheduling import Runner

__all__ = ["check_runner", "output_hashes", "twins"]


class Noise(Pipe):
    """Three rows of random numbers."""

    random_access = False

    def __iter__(self) -> Iterator[Message]:
        yield Message({"x": torch.rand(3)})


@pipeline
def twins() -> list[Stage]:
    """Two stages that differ by name alone: they have one fingerprint, and so must draw the same numbers."""
    return [Stage(Noise(), name="a"), Stage(Noise(), name="b")]


def output_hashes(end: RunEnd) -> dict[str, str | None]:
    """Stage name → data hash."""
    return {stage.name: stage.hash for stage in end.stages}


def check_runner(
    make: Callable[[Pipeline, Store], Runner], pipeline: Pipeline, parameters: Mapping[str, Any], folder: Path
) -> None:
    """Run a pipeline in-process and by a runner, each with its own empty store, and compare; then once more by force.

    Args:
        make: Makes the runner for a pipeline and a store.
        pipeline: One of your own; and `twins`.
        parameters: Of the pipeline.
        folder: An empty folder for the stores.

    Raises:
        AssertionError: If an output differs, or the second run computes anything, or the forced one other bytes.
    """
    expected = output_hashes(run(pipeline, parameters, store=folder / "inprocess"))
    store = open_store(folder / "other")
    first = run(pipeline, parameters, store=store, runner=make(pipeline, store))
    assert expected == output_hashes(first), "outputs must not depend on the runner"
    second = run(pipeline, parameters, store=store, runner=make(pipeline, store))
    assert all(stage.cached for stage in second.stages), "what is in the store must not be computed again"
    names = [stage.name for stage in first.stages]
    forced = run(pipeline, parameters, store=store, runner=make(pipeline, store), force=names)
    differing = [stage.name for stage in forced.stages if stage.nondeterministic]
    assert not differing, f"what is computed again must be equal, but other bytes came from {', '.join(differing)}"
