"""One pass over a chain of pipes, beside other passes over the same pipes.

A pipe keeps its place (position, the iterator over its source) in its own attributes, so that it can be saved in the
middle of a loop. Two loops over one pipe would share it; a Passage puts its own places back before each step.

Comes in: a chain of pipes. Goes out: what ``iter(pipe)`` returns.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from .pipe import Pipe

__all__ = ["Passage"]


class Passage(Iterator[Any]):
    """An iterator over `pipe` from its first item on; the pipes' own places follow the passage that stepped last."""

    def __init__(self, pipe: "Pipe") -> None:
        self._pipe = pipe
        self._places: dict[int, dict[str, Any]] = {}
        self._take()
        pipe.reset()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._take()
        return next(self._pipe)

    def _take(self) -> None:
        for pipe in self._pipe.chain():
            holder = pipe._passage
            if holder is not self:
                if holder is not None:
                    holder._places[id(pipe)] = pipe._place()
                pipe._put(self, self._places.pop(id(pipe), {}))
