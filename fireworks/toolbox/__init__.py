"""Ready-made pipes, unaware of each other.

Names are imported when they are first used. Comes in: Messages and pipes of `fireworks.core`, files of tables and
sequences. Goes out: pipes for pipelines.
"""

from typing import TYPE_CHECKING, Any

from .._lazy import lazy

if TYPE_CHECKING:
    from .batching import BatchingPipe
    from .files import FilePipe
    from .functions import FunctionPipe
    from .indexing import IndexMapperPipe
    from .labels import Title2LabelPipe
    from .looping import LoopingPipe, RepeaterPipe
    from .plotting import PlotPipe
    from .preprocessing import train_test_split
    from .sequences import BioSeqPipe, FastaPipe
    from .shuffling import ShufflerPipe
    from .tensors import GradientPipe, TensorPipe
    from .windows import KmerPipe, WindowPipe

__all__ = [
    "BatchingPipe",
    "BioSeqPipe",
    "FastaPipe",
    "FilePipe",
    "FunctionPipe",
    "GradientPipe",
    "IndexMapperPipe",
    "KmerPipe",
    "LoopingPipe",
    "PlotPipe",
    "RepeaterPipe",
    "ShufflerPipe",
    "TensorPipe",
    "Title2LabelPipe",
    "WindowPipe",
    "train_test_split",
]

_EXPORTS = {
    "batching": ("BatchingPipe",),
    "files": ("FilePipe",),
    "functions": ("FunctionPipe",),
    "indexing": ("IndexMapperPipe",),
    "labels": ("Title2LabelPipe",),
    "looping": ("LoopingPipe", "RepeaterPipe"),
    "plotting": ("PlotPipe",),
    "preprocessing": ("train_test_split",),
    "sequences": ("BioSeqPipe", "FastaPipe"),
    "shuffling": ("ShufflerPipe",),
    "tensors": ("GradientPipe", "TensorPipe"),
    "windows": ("KmerPipe", "WindowPipe"),
}


def __getattr__(name: str) -> Any:
    return lazy(globals(), name, _EXPORTS, ("pipes",))


def __dir__() -> list[str]:
    return [*__all__, *_EXPORTS]
