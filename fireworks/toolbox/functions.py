"""Any function as a pipe.

Comes in: Messages. Goes out: what the function makes of them.
"""

from collections.abc import Callable
from typing import Any

from ..core.message import Message
from ..core.pipe import HookedPassThroughPipe, has_random_access
from ..errors import GraphError

__all__ = ["FunctionPipe"]


class FunctionPipe(HookedPassThroughPipe):
    """Applies a function to every Message that passes by ``[]``, ``next`` or ``()``.

    Args:
        input: The rows.
        function: Takes a Message (``()``: whatever it is called with) and returns the result.
        row_local: Promise that each row gives the same results whatever rows come with it. Allows shards.
        one_to_one: With `row_local`: promise that n rows give n rows, in order. Say False if the function drops or adds
            rows; the pipe then claims no random access.

    Raises:
        GraphError: If the function cannot be called.
    """

    def __init__(
        self,
        input: Any = None,
        function: Callable[[Any], Any] | None = None,
        row_local: bool = False,
        one_to_one: bool = True,
    ) -> None:
        super().__init__(input)
        if not callable(function):
            raise GraphError(f"FunctionPipe needs a function, but got {function!r}. Pass function=….")
        self.function = function
        self.row_local = row_local
        self.one_to_one = one_to_one

    @property
    def random_access(self) -> bool:
        """As the input, if the promises are made."""
        return self.row_local and self.one_to_one and has_random_access(self.input)

    def _getitem_hook(self, message: Message) -> Any:
        return self.function(message)

    def _next_hook(self, message: Message) -> Any:
        return self.function(message)

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        return self.function(message, *args, **kwargs)
