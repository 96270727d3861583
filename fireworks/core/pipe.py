"""Pipes: one input, one output, pulled from the end of the chain.

Comes in: Messages, other pipes, any iterable. Goes out: rows and batches for models, trainers and Stages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar, Self, TypeVar, cast

from ..errors import GraphError
from .construction import Recorded
from .lookup import AttributeAbsent, absent, ask, raise_from_property
from .message import Message, StoredMessage
from .passage import Passage

__all__ = ["HookedPassThroughPipe", "Pipe", "has_random_access", "is_indexable", "recursive"]

_ROWS = ("__getitem__", "__len__", "__next__", "__iter__", "_getitem_hook", "_next_hook")
F = TypeVar("F", bound=Callable[..., Any])


def recursive(accumulate: bool = False) -> Callable[[F], F]:
    """Make a method run upstream first, then here with the same arguments; the result is this pipe's.

    Upstream the name is looked up as any attribute is: the nearest pipe that has it answers.

    Args:
        accumulate: Give the method the upstream result as its only argument instead (None at the head).
    """

    def decorate(method: F) -> F:
        name = method.__name__

        @wraps(method)
        def run(self: "Pipe", *args: Any, **kwargs: Any) -> Any:
            result = None
            try:
                upstream = self.recursive_call(name, call=False)
            except AttributeAbsent as error:
                # A property further up may have failed on a name of its own.
                if error.name != name:
                    raise
            else:
                result = upstream(*args, **kwargs) if callable(upstream) else upstream
            if name == "reset":
                # Here, because a subclass that redefines reset need not know of the iterator that rewinds with it.
                _set_local(self, "_source", None)
            return method(self, result) if accumulate else method(self, *args, **kwargs)

        return cast("F", run)

    return decorate


class Pipe(Recorded):
    """Pulls from its input; passes on whatever a subclass does not redefine.

    ``[]``, ``len``, ``next``, ``()`` and unknown public attributes go to the input, so that a chain of pipes answers as
    one object. Names that start with an underscore are local. ``iter`` rewinds the chain and starts an independent
    pass.

    Args:
        input: A Pipe, a Message (or a mapping or DataFrame, which becomes one), any iterable or sequence, or a callable
            (for ``pipe(x)``). May be given later by ``>>``.
        args: Ignored; subclasses may take more.
        kwargs: Ignored; subclasses may take more.
    """

    name: Any = None
    input: Any = None
    stateful_attributes: ClassVar[Sequence[str]] = ()
    """Attributes that `get_state` returns."""
    cursor_attributes: ClassVar[Sequence[str]] = ()
    """Attributes that say where a pass stands: each loop over the pipe has its own."""
    row_local: bool = False
    """Each input row gives 0…k rows, whatever its neighbours and its position."""
    batch_rows: int | None = None
    """Rows computed together; boundaries of shards are multiples of it."""
    ends_chain: ClassVar[bool] = False
    """Whether what lies upstream is no part of the chains that this pipe is in."""
    is_source: ClassVar[bool] = False
    """Whether it reads from outside, and nothing goes into it by ``>>``."""
    _source: Any = None
    _passage: Passage | None = None

    def __init__(self, input: Any = None, *args: Any, **kwargs: Any) -> None:
        self.input = _as_input(input)

    @property
    def random_access(self) -> bool:
        """Whether ``len`` and ``[a:b]`` work and ``[a:b]`` gives those rows of the whole.

        A pipe that redefines neither has it if its input has. One that does must say so itself.
        """
        own = any(_overrides(self, name) for name in _ROWS)
        return not own and has_random_access(self.input)

    # Rows

    def __getitem__(self, index: Any) -> Any:
        return self._needed("index")[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._needed("write to")[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._needed("delete from")[index]

    def __len__(self) -> int:
        if self.input is None:
            # `list` asks for a length and takes only a TypeError as "none".
            raise TypeError(f"a length comes from the input, but {type(self).__name__} has none. Connect one with >>.")
        return len(self.input)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not callable_chain(self.input):
            raise GraphError(f"a call goes to the input, but nothing upstream of {type(self).__name__} can be. Use [].")
        return self.input(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        return Passage(self)

    def __next__(self) -> Any:
        return self.next_input()

    def next_input(self) -> Any:
        """The next item of the input, whatever it is; subclasses that redefine `__next__` pull with this.

        Raises:
            StopIteration: At the end.
        """
        if self._source is None:
            upstream = self._needed("iterate")
            plain = isinstance(upstream, Pipe) and not _overrides(upstream, "__iter__")
            _set_local(self, "_source", upstream if plain else iter(upstream))
        return next(self._source)

    @recursive()
    def reset(self) -> None:
        """Rewind the chain to its first row."""

    def _needed(self, purpose: str) -> Any:
        if self.input is None:
            raise GraphError(f"{type(self).__name__} needs an input to {purpose}, but has none. Connect one with >>.")
        return self.input

    # Attributes

    def __getattr__(self, name: str) -> Any:
        raise_from_property(self, name)
        if name.startswith("_"):
            absent(self, name)
        return self._ask_input(name)

    def _ask_input(self, name: str) -> Any:
        """Answer for a public attribute that this pipe does not have. A subclass that is a boundary redefines this.

        Raises:
            AttributeAbsent: If nothing upstream has it.
        """
        if self.input is None:
            absent(self, name, [known for known in dir(type(self)) if not known.startswith("_")])
        return ask(self.input, name)

    def recursive_call(self, name: str, *args: Any, ignore_first: bool = True, call: bool = True, **kwargs: Any) -> Any:
        """Ask the input, and what is upstream of it, for an attribute; call it if it can be called.

        Args:
            name: The attribute.
            args: Passed to the call.
            ignore_first: Start with the input rather than with this pipe.
            call: Whether to call a method or return it.
            kwargs: Passed to the call.

        Raises:
            AttributeError: If nothing has it.
        """
        found = self._ask_input(name) if ignore_first else getattr(self, name)
        return found(*args, **kwargs) if call and callable(found) else found

    # State

    def get_state(self) -> dict[str, Any]:
        """The stateful attributes: ``{"internal": {name: value}, "external": {}}``."""
        return {"internal": {name: getattr(self, name) for name in self.stateful_attributes}, "external": {}}

    def set_state(self, state: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Set each attribute in the state's internal half."""
        for name, value in state["internal"].items():
            setattr(self, name, value)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """Pass on to the nearest upstream pipe that saves itself; nothing happens if there is none."""
        return self.input.save(*args, **kwargs) if isinstance(self.input, Pipe) else None

    def __getstate__(self) -> dict[str, Any]:
        # Iterators can be neither copied nor pickled: a copy starts its passes anew.
        return {name: value for name, value in vars(self).items() if name not in ("_source", "_passage")}

    # Chains

    def __rshift__(self, other: "PipeT") -> "PipeT":
        return _connect(self, other)

    def __rrshift__(self, source: Any) -> Self:
        return _connect(source, self)

    def chain(self) -> Iterator["Pipe"]:
        """This pipe, its input, that one's input, as long as they are pipes and none ends the chain."""
        pipe: Any = self
        while isinstance(pipe, Pipe):
            yield pipe
            pipe = None if pipe.ends_chain else pipe.input

    def __repr__(self) -> str:
        pipes = list(self.chain())
        source = pipes[-1].input
        head = [] if source is None else [type(source).__name__]
        return " >> ".join(head + [type(pipe).__name__ for pipe in reversed(pipes)])

    # Where a pass stands; see Passage.

    def _place(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in ("_source", *self.cursor_attributes) if name in vars(self)}

    def _put(self, passage: Passage, place: dict[str, Any]) -> None:
        for name, value in ({"_source": None} | place | {"_passage": passage}).items():
            _set_local(self, name, value)


PipeT = TypeVar("PipeT", bound=Pipe)


class HookedPassThroughPipe(Pipe):
    """Changes what passes through: the input answers first, then a hook may change it.

    Override any of the hooks. ``[]`` and ``next`` give a hook a Message; ``()`` gives it what the input returned, or,
    if nothing upstream can be called, the argument itself.

    A Message that a hook gets is its own, so columns may be set and deleted; but tensors of a slice share memory with
    the source: assign a new column rather than writing into one.
    """

    def _getitem_hook(self, message: Message) -> Any:
        return message

    def _next_hook(self, message: Message) -> Any:
        return message

    def _call_hook(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        return message

    def __getitem__(self, index: Any) -> Any:
        return self._getitem_hook(Message(super().__getitem__(index)))

    def __next__(self) -> Any:
        return self._next_hook(Message(self.next_input()))

    def __call__(self, message: Any = None, *args: Any, **kwargs: Any) -> Any:
        answer = self.input(message) if callable_chain(self.input) else message
        return self._call_hook(answer, *args, **kwargs)


def has_random_access(source: Any) -> bool:
    """Whether ``[a:b]`` of a pipe, Message or other source gives those rows of the whole."""
    if isinstance(source, Message | StoredMessage | list | tuple):
        return True
    return (
        not isinstance(source, type) and bool(getattr(source, "random_access", False)) if source is not None else False
    )


def is_indexable(source: Any) -> bool:
    """Whether ``[]`` and ``len`` lead to something that defines them, as far as can be told without reading it."""
    while isinstance(source, Pipe):
        if has_random_access(source) or (_overrides(source, "__getitem__") and _overrides(source, "__len__")):
            return True
        source = source.input
    return hasattr(type(source), "__getitem__") and hasattr(type(source), "__len__")


def callable_chain(source: Any) -> bool:
    """Whether ``source(x)`` leads to something that computes."""
    while isinstance(source, Pipe) and not _overrides(source, "__call__"):
        if isinstance(source, HookedPassThroughPipe):
            return True
        source = source.input
    return callable(source)


def _overrides(pipe: Pipe, name: str) -> bool:
    """Whether the class of a pipe redefines this method of Pipe and HookedPassThroughPipe."""
    own = getattr(type(pipe), name, None)
    return own not in (getattr(Pipe, name, None), getattr(HookedPassThroughPipe, name, None))


def _set_local(pipe: Pipe, name: str, value: Any) -> None:
    # Past any __setattr__: to a Model or Module an iterator or a pipe would be a component.
    vars(pipe)[name] = value


def _as_input(source: Any) -> Any:
    """A mapping of columns, or a DataFrame, as the table that it stands for; anything else as it is."""
    is_frame = type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns")
    is_columns = isinstance(source, Mapping) and all(isinstance(name, str) for name in source)
    return Message(source) if is_frame or is_columns else source


def _connect(source: Any, pipe: PipeT) -> PipeT:
    if not isinstance(pipe, Pipe):
        raise GraphError(f">> leads into a Pipe, but got {type(pipe).__name__}. Wrap a function in FunctionPipe.")
    head = list(pipe.chain())[-1]
    if head.is_source:
        remedy = "Put it first." if head is pipe else f"Construct another {type(pipe).__name__}."
        raise GraphError(f">> needs a chain that is open, but this one begins with {type(head).__name__}. {remedy}")
    if head.input is not None:
        raise GraphError(
            f">> connects to a chain without input, but {type(head).__name__} already reads from"
            f" {type(head.input).__name__}. Construct it without one."
        )
    if isinstance(source, Pipe) and any(upstream is head for upstream in source.chain()):
        raise GraphError(f">> would close a cycle: {type(head).__name__} is upstream of itself. Use another pipe.")
    head.input = _as_input(source)
    return pipe
