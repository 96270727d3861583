"""Pipes: passing rows, attributes and calls along; passes side by side; chains by >>."""

import copy
import pickle

import pytest
import torch

from fireworks import HookedPassThroughPipe, Message, Pipe, recursive
from fireworks.core.lookup import AttributeAbsent
from fireworks.core.passage import Passage
from fireworks.core.pipe import has_random_access, is_indexable
from fireworks.errors import GraphError, StageBoundaryError


def table(n=4):
    return Message({"x": torch.arange(n), "s": list("abcdefgh"[:n])})


def xs(items):
    return [int(item["x"][0]) for item in items]


class Counting(Pipe):
    stateful_attributes = ("count",)
    cursor_attributes = ("place",)
    _hidden = "own"

    def __init__(self, input=None, count=0):
        super().__init__(input)
        self.count = count
        self.place = 0

    @recursive()
    def reset(self):
        self.place = 0

    def __next__(self):
        item = self.next_input()
        self.place += 1
        self.count += 1
        return item

    @recursive()
    def climb(self, log):
        """Climb the chain."""
        log.append(self.count)
        return self.count

    @recursive(accumulate=True)
    def total(self, below):
        return self.count + (below or 0)


class Failing(Pipe):
    @property
    def broken(self):
        return self.no_such_thing.attribute

    @property
    def wrong(self):
        raise AttributeError("the property's own")

    def reset(self):
        return [].no_such_method


class Boundary(Pipe):
    def _ask_input(self, name):
        raise StageBoundaryError(f"{name} does not cross")


def test_rows_and_length_come_from_the_input():
    pipe = Pipe(Pipe(table()))
    assert len(pipe) == 4
    assert pipe[1:3] == table()[1:3]
    assert pipe[-1]["s"][0] == "d"
    assert xs(pipe) == [0, 1, 2, 3]


def test_writing_and_deleting_rows_reaches_the_input():
    message = table()
    pipe = Pipe(message)
    pipe[0] = {"x": torch.tensor([9]), "s": ["z"]}
    del pipe[1]
    assert message["x"].tolist() == [9, 2, 3]


def test_list_of_a_pipe_without_length_works():
    pipe = Pipe(iter([{"x": torch.tensor([1])}, {"x": torch.tensor([2])}]))
    assert xs(list(pipe)) == [1, 2]


def test_iteration_leaves_the_input_alone():
    numbers = [5, 6]
    pipe = Pipe(numbers)
    assert list(pipe) == [5, 6]
    assert pipe.input is numbers
    assert list(pipe) == [5, 6]


def test_a_source_with_only_getitem_is_iterated():
    class Squares:
        def __getitem__(self, i):
            if i > 2:
                raise IndexError
            return i * i

    assert list(Pipe(Squares())) == [0, 1, 4]


def test_nested_loops_are_independent():
    pipe = Counting(Pipe(table(3)))
    assert [(xs([a])[0], xs([b])[0]) for a in pipe for b in pipe] == [(a, b) for a in range(3) for b in range(3)]
    assert pipe.count == 3 + 9


def test_two_chains_over_one_pipe_do_not_disturb_each_other():
    shared = Counting(table(3))
    left, right = Pipe(shared), Counting(Pipe(shared))
    assert [(xs([a])[0], xs([b])[0]) for a, b in zip(left, right, strict=True)] == [(0, 0), (1, 1), (2, 2)]


def test_next_goes_on_where_a_loop_was_left():
    pipe = Counting(table())
    for _ in pipe:
        break
    assert xs([next(pipe)]) == [1]
    assert pipe.place == 2
    pipe.reset()
    assert xs([next(pipe)]) == [0]


def test_a_pipe_that_redefines_iter_as_in_the_original_is_rewound_from_below():
    class Source(Pipe):
        def __iter__(self):
            self.i = 0
            return self

        def __next__(self):
            self.i += 1
            if self.i > 2:
                raise StopIteration
            return self.i

    pipe = Pipe(Source())
    assert list(pipe) == [1, 2]
    assert list(pipe) == [1, 2]


def test_a_pipe_whose_iter_is_a_generator_feeds_the_next():
    class Source(Pipe):
        def __iter__(self):
            yield from ([1], [2])

    assert list(Pipe(Source())) == [[1], [2]]


def test_copies_and_pickles_start_their_passes_anew():
    pipe = Pipe(table())
    next(iter(pipe))
    for twin in (copy.copy(pipe), copy.deepcopy(pipe), pickle.loads(pickle.dumps(pipe))):
        assert xs([next(twin)]) == [0]
        assert isinstance(iter(twin), Passage)


def test_unknown_public_attributes_come_from_the_nearest_owner():
    lower = Counting(Counting(table(), count=1), count=2)
    pipe = Pipe(lower)
    assert pipe.count == 2
    assert list(pipe.columns) == list(table().columns)
    pipe.count = 7
    assert (pipe.count, lower.count) == (7, 2)


def test_underscore_names_are_local():
    with pytest.raises(AttributeError, match="'_hidden'"):
        Pipe(Counting(table()))._hidden


def test_a_missing_attribute_is_named():
    with pytest.raises(AttributeAbsent, match="Message has no attribute 'nothing'"):
        Pipe(Pipe(table())).nothing
    with pytest.raises(AttributeAbsent, match="Did you mean 'next_input'"):
        Pipe().next_inputs
    assert not hasattr(Pipe(), "nothing")


@pytest.mark.parametrize("pipe", [Failing(), Pipe(Failing()), Pipe(Pipe(Failing(table())))])
def test_errors_inside_properties_are_not_taken_for_missing_attributes(pipe):
    with pytest.raises(AttributeError, match="the property's own"):
        pipe.wrong
    with pytest.raises(AttributeError, match="no_such_thing"):
        pipe.broken


def test_errors_inside_recursive_methods_come_through():
    with pytest.raises(AttributeError, match="no_such_method"):
        Counting(Failing()).reset()

    class Wrong(Pipe):
        @property
        def climb(self):
            return self.missing_too

    with pytest.raises(AttributeError, match="missing_too"):
        Counting(Wrong()).climb([])


def test_recursive_methods_run_upstream_first_with_the_same_arguments():
    chain = Counting(Pipe(Counting(Counting(table(), 1), 2)), 3)
    log = []
    assert chain.climb(log) == 3
    assert log == [1, 2, 3]
    assert chain.total() == 6


def test_recursive_methods_keep_name_and_docstring():
    assert (Counting.climb.__name__, Counting.climb.__doc__) == ("climb", "Climb the chain.")


def test_a_boundary_stops_look_up_with_its_own_error():
    pipe = Counting(Boundary(Counting(table(), 1)), 2)
    with pytest.raises(StageBoundaryError, match="columns does not cross"):
        pipe.columns
    with pytest.raises(StageBoundaryError, match="climb does not cross"):
        pipe.climb([])


def test_recursive_call():
    pipe = Counting(Counting(table(), 5), 6)
    assert pipe.recursive_call("count") == 5
    assert pipe.recursive_call("count", ignore_first=False) == 6
    assert list(pipe.recursive_call("keys")) == ["s", "x"]
    assert pipe.recursive_call("climb", call=False) == pipe.input.climb
    with pytest.raises(AttributeError, match="nowhere"):
        pipe.recursive_call("nowhere")


def test_calls_go_to_a_function_at_the_head():
    assert Pipe(Pipe(lambda x: x + 1))(1) == 2
    with pytest.raises(GraphError, match=r"nothing upstream of Pipe can be. Use \[\]"):
        Pipe(Pipe(table()))(1)


def test_hooks_get_messages_and_calls_get_what_they_are_given():
    class Naming(HookedPassThroughPipe):
        def _getitem_hook(self, message):
            return ("get", type(message), len(message))

        def _next_hook(self, message):
            return ("next", type(message), len(message))

        def _call_hook(self, message):
            return ("call", message)

    pipe = Naming([{"x": torch.ones(3)}])
    assert pipe[0] == ("get", Message, 3)
    assert list(pipe) == [("next", Message, 3)]
    assert pipe({"a": 1}) == ("call", {"a": 1})
    assert Naming(Naming())(2) == ("call", ("call", 2))
    assert Naming(lambda x: x + 1)(2) == ("call", 3)


@pytest.mark.parametrize("action", [len, list])
def test_without_input_a_length_is_a_type_error_and_rows_are_a_graph_error(action):
    with pytest.raises(TypeError if action is len else GraphError, match="Connect one with >>"):
        action(Pipe())


def test_state_holds_the_stateful_attributes():
    pipe = Counting(table(), 4)
    assert pipe.get_state() == {"internal": {"count": 4}, "external": {}}
    pipe.set_state({"internal": {"count": 9}, "external": {"ignored": 1}})
    assert pipe.count == 9


def test_chaining():
    a, b, c = Pipe(), Counting(), Pipe()
    assert (table() >> a >> b >> c) is c
    assert list(c.chain()) == [c, b, a]
    assert repr(c) == "Message >> Pipe >> Counting >> Pipe"


def test_chaining_two_chains_connects_to_the_head_of_the_second():
    second = Pipe(Counting())
    assert (table() >> second) is second
    assert len(second) == 4


def test_chaining_refuses():
    pipe = Pipe(table())
    with pytest.raises(GraphError, match="Pipe already reads from Message"):
        table() >> pipe
    with pytest.raises(GraphError, match="leads into a Pipe, but got int"):
        pipe >> 3
    head = Pipe()
    with pytest.raises(GraphError, match="close a cycle"):
        Pipe(head) >> head


def test_nothing_is_connected_in_front_of_a_source():
    class Source(Pipe):
        is_source = True

    shared = Counting()
    Source() >> shared
    with pytest.raises(GraphError, match="begins with Source. Construct another Counting"):
        Source() >> shared
    with pytest.raises(GraphError, match="begins with Source. Put it first"):
        table() >> Source()


@pytest.mark.parametrize(
    ("source", "random", "indexable"),
    [
        (None, False, False),
        (table(), True, True),
        ([1, 2], True, True),
        (Pipe(table()), True, True),
        (Pipe(), False, False),
        (Counting(table()), False, True),
        (iter([1]), False, False),
        (Pipe(iter([1])), False, False),
    ],
)
def test_access(source, random, indexable):
    assert has_random_access(source) == random
    assert is_indexable(source) == indexable
