"""Stage: the boundary at which rows are written down as a Message.

Comes in: a graph of `fireworks.core` pipes. Goes out: cut by `fireworks.workflow.cutting`, run one at a time by
`fireworks.workflow.execution`.
"""

import copy
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.weak import WeakIdKeyDictionary

from ..core import Junction, Message, Pipe
from ..errors import GraphError, StageBoundaryError, did_you_mean
from ..records import Resources

__all__ = ["FittedState", "Stage", "fitted_from", "part_of", "parts"]


class Stage(Pipe):
    """A Pipe that marks a boundary: the unit of containers, caching, retry and resume.

    Only rows and declared state cross it. Rows are read as from any pipe; ``stage["model"]`` names the state that a
    fitting pipe inside it leaves behind. Attribute look-up and `recursive` methods stop here, on every runner.

    Args:
        input: The pipes whose output is written down.
        name: Unique in the pipeline; letters, digits and hyphens.
        shards: Parts of the work that can be done at the same time.
        resources: What the stage asks of its machine.
        image: Container image, if not the profile's.
        retries: How often a lost attempt (killed, preempted, store away) is made again.
        timeout: Seconds that one attempt may take.
        grace: Seconds between SIGTERM and SIGKILL.
        env: Environment variables of the stage's process.
        secrets: Environment variable → ``secret/key``.
        code: Globs of further files, below the project folder, that the stage's result depends on.
        pod: Merge patch onto the pod's spec.
        cache: False if the sources have no content version: the stage then runs every time.
        fuse: Whether it may share a pod with its neighbours; None lets the plan decide.
        expose: Attributes of the pipes inside, JSON values or tensors, that are stored with the output.
    """

    ends_chain = True

    def __init__(
        self,
        input: Any = None,
        name: str = "",
        shards: int = 1,
        *,
        resources: Resources = Resources(),
        image: str | None = None,
        retries: int = 2,
        timeout: float | None = None,
        grace: float = 30,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        code: Sequence[str] = (),
        pod: Mapping[str, Any] | None = None,
        cache: bool = True,
        fuse: bool | None = None,
        expose: Sequence[str] = (),
    ) -> None:
        super().__init__(input)
        self.name, self.shards, self.resources, self.image = name, shards, resources, image
        self.retries, self.timeout, self.grace = retries, timeout, grace
        self.env, self.secrets, self.pod = _dict(env), _dict(secrets), _dict(pod)
        self.code, self.cache, self.fuse, self.expose = _tuple(code), cache, fuse, _tuple(expose)
        self._stored: Any = None
        self._exposed: dict[str, Any] = {}
        self._cursor: Iterator[Any] | None = None

    def __repr__(self) -> str:
        return f"Stage({self.name!r})"

    @property
    def _rows(self) -> Any:
        return self.input if self._stored is None else self._stored

    def bind(self, rows: Any, exposed: Mapping[str, Any]) -> None:
        """Answer from stored rows and values from now on, instead of computing them."""
        self._stored, self._exposed, self._cursor = rows, dict(exposed), None

    def narrowed(self, restrict: Callable[[Any], Any]) -> "Stage":
        """A view of only some of the stored rows: a shard's. Others that read this stage still see all."""
        view = copy.copy(self)
        view.bind(restrict(self._rows), self._exposed)
        return view

    @property
    def random_access(self) -> bool:
        """Ranges of stored rows can be read, whatever the pipes inside can do."""
        return True

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return self.fitted(index)
        return self._rows[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __next__(self) -> Any:
        if self._cursor is None:
            self._cursor = iter(self._rows)
        return next(self._cursor)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise StageBoundaryError(
            f"only rows and declared state cross a stage, but {self!r} was called. Call the pipe inside it."
        )

    def reset(self) -> None:
        """Start again at the first row; pipes beyond the boundary don't notice."""
        self._cursor = None

    def fitted(self, name: str) -> "FittedState":
        """The state `name` that a fitting pipe of this stage leaves behind.

        Raises:
            GraphError: If nothing of that name is fitted here.
        """
        from .graph import stage_graph

        known = stage_graph(self).fits
        if name not in known:
            listed = ", ".join(known) or "none"
            raise GraphError(
                f"stage['name'] needs a state that the stage fits, but {self.name!r} fits {listed} and not {name!r}."
                f"{did_you_mean(name, known)} Read columns from the rows: stage[:][{name!r}]."
            )
        return FittedState(stage=self, name=name, fitted=known[name])

    def _ask_input(self, name: str) -> Any:
        """The boundary: of what lies upstream, only exposed values answer."""
        if name in self._exposed:
            return self._exposed[name]
        if name in self.expose and self._stored is None:
            return getattr(self.input, name)
        pipes = self.input.chain() if isinstance(self.input, Pipe) else [self.input]
        method = any(callable(inspect.getattr_static(type(pipe), name, None)) for pipe in pipes)
        remedy = f"Store it with the output: Stage(…, name={self.name!r}, expose=[{name!r}])."
        raise StageBoundaryError(
            f"only rows and declared state cross a stage, but {name!r} was looked up across stage {self.name!r}. "
            + ("Call this method inside the stage." if method else remedy),
            name=name,
            obj=self,
        )


# What is neither stays as it is: the cut says so, with all else that is wrong.


def _dict(value: Any) -> Any:
    return dict(value or {}) if value is None or isinstance(value, Mapping) else value


def _tuple(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return tuple(value) if isinstance(value, Iterable) else (value,)


@dataclass(frozen=True, eq=False)
class FittedState:
    """An edge that carries a fitted object from the stage that fitted it: ``fit["model"]``."""

    stage: Stage
    name: str
    fitted: Any

    def __call__(self, input: Any = None) -> Any:
        """The object as it is after fitting, reading from `input`; a copy, so that the fitted one stays untouched.

        Raises:
            GraphError: If what is fitted is no Pipe.
        """
        if not isinstance(self.fitted, Pipe):
            raise GraphError(
                f"{self!r} must be a Pipe to read rows, but is a {type(self.fitted).__name__}. Wrap it in a Model."
            )
        from .graph import reachable_stages

        # What lies upstream, and the edge of a model that was fitted before, are shared; the object itself is copied.
        shared = (self.fitted.input, fitted_from(self.fitted), *reachable_stages(self.fitted))
        twin = copy.deepcopy(self.fitted, {id(item): item for item in shared})
        twin.input = Message(input) if isinstance(input, Mapping) else input
        # A graph that is built again has never been trained: its modules would still drop out and gather statistics.
        if callable(switch := getattr(type(twin), "eval", None)):
            switch(twin)
        object.__setattr__(twin, "_fitted_from", self)
        for part in parts(twin):
            _parts[part] = (weakref.ref(twin), self)
        return twin

    def __repr__(self) -> str:
        return f"{self.stage.name}[{self.name!r}]"


def fitted_from(node: Any) -> FittedState | None:
    """The edge that a node gets its state from, if it has one."""
    edge = getattr(node, "__dict__", {}).get("_fitted_from")
    return edge if isinstance(edge, FittedState) else None


def parts(thing: Any) -> Iterator[Any]:
    """An object, and the numbers that it holds itself: those of a Module at any depth, of a Model's components."""
    yield thing
    if isinstance(thing, torch.nn.Module):
        yield from (*thing.parameters(), *thing.buffers())
    elif isinstance(thing, Junction):
        for value in thing.components.internal.values():
            if isinstance(value, torch.nn.Module) and not isinstance(value, Pipe):
                yield from (*value.parameters(), *value.buffers())
            elif isinstance(value, torch.Tensor | np.ndarray):
                yield value


# Objects that state edges gave, and the numbers in them: which they belong to, which is gone if nothing uses it whole.
_parts: Any = WeakIdKeyDictionary()


def part_of(thing: Any) -> tuple[Any, FittedState] | None:
    """The object that a state edge gave and that this is, or is a part of, or None in its place; with the edge."""
    if not isinstance(thing, torch.nn.Module | torch.Tensor | np.ndarray | Pipe | Junction):
        return None
    found = _parts.get(thing)
    return None if found is None else (found[0](), found[1])
