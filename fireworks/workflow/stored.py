"""What a stage may be given in place of a stage before it: a file, or an output that lies in a store.

Comes in: a parameter of a pipeline, a `File` or a stage. Goes out: rows, or a fitted model that reads rows.
"""

from collections.abc import Callable
from typing import Any

from ..core import Model
from ..core.message import Message
from ..core.pipe import HookedPassThroughPipe, has_random_access
from ..core.source import File
from ..core.state import unpack_state
from ..errors import ParameterError
from ..store import open_store
from ..toolbox.files import FilePipe, split_manifest
from .outputs import read_state_files
from .staging import FittedState

__all__ = ["StoredModel", "model_of", "rows_of"]


def rows_of(source: Any) -> Any:
    """The rows of a `File`, by `FilePipe`; a stage or pipe has rows itself."""
    return FilePipe(source) if isinstance(source, File | str) else source


def model_of(source: Any, make: Callable[[], Model], rows: Any) -> Any:
    """A fitted model that reads rows.

    Args:
        source: ``fit["model"]`` of a stage, or the manifest of an output that has a state ``model``.
        make: Makes the model that takes a stored state.
        rows: What it reads.
    """
    return source(input=rows) if isinstance(source, FittedState) else StoredModel(source, make, input=rows)


class StoredModel(HookedPassThroughPipe):
    """A model whose state is read from a stage's output at first use.

    Args:
        source: The manifest of the output; the state is its ``model``.
        make: Makes the model: a class or function without arguments.
        input: The rows.

    Raises:
        ParameterError: At first use, if the output has no such state.
    """

    row_local = True

    def __init__(self, source: File | str, make: Callable[[], Model], input: Any = None) -> None:
        super().__init__(input)
        self.file = source if isinstance(source, File) else File(source)
        self.make = make
        self._model: Any = None

    @property
    def random_access(self) -> bool:
        """As the input."""
        return has_random_access(self.input)

    def _applied(self, message: Any, *args: Any, **kwargs: Any) -> Message:
        if self._model is None:
            self._model = self._restored()
        return Message(self._model(Message(message)))

    _getitem_hook = _next_hook = _call_hook = _applied

    def _restored(self) -> Any:
        store, manifest = split_manifest(self.file)
        if "model" not in manifest.states:
            raise ParameterError(
                f"a model must come from a stage that fits one, but {self.file.location} has none. "
                "Give the URL that train-torch told."
            )
        model: Any = self.make()
        model.set_state(unpack_state(read_state_files(open_store(store), manifest.states["model"])))
        if callable(switch := getattr(type(model), "eval", None)):
            switch(model)
        return model

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_model": None}
