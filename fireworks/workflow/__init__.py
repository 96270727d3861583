"""From a graph to a plan to a run.

Comes in: graphs of `fireworks.core` pipes. Goes out: plans and runs, for `fireworks.cli` and the control service.

::

    pipeline → graph → recipes → cutting → running → execution → outputs
"""

from typing import TYPE_CHECKING, Any

from .._lazy import lazy
from .determinism import level_processor

if TYPE_CHECKING:
    from .cutting import cut
    from .pipelines import Pipeline, load_pipeline, pipeline
    from .prediction import StagePrediction, predict
    from .running import run
    from .staging import FittedState, Stage

__all__ = ["FittedState", "Pipeline", "Stage", "StagePrediction", "cut", "load_pipeline", "pipeline", "predict", "run"]

_EXPORTS = {
    "cutting": ("cut",),
    "pipelines": ("Pipeline", "load_pipeline", "pipeline"),
    "prediction": ("StagePrediction", "predict"),
    "running": ("run",),
    "staging": ("FittedState", "Stage"),
}

# Here, so that the in-process runner computes as workers do: whatever builds a stage comes by before it computes.
level_processor()


def __getattr__(name: str) -> Any:
    return lazy(globals(), name, _EXPORTS)
