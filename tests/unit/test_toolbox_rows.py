"""Toolbox pipes that choose, order and gather rows."""

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks import Message, Pipe, Scaffold
from fireworks.core.shuffle import permutation
from fireworks.errors import GraphError, RowNotFound, StateError
from fireworks.toolbox import (
    BatchingPipe,
    FunctionPipe,
    IndexMapperPipe,
    LoopingPipe,
    RepeaterPipe,
    ShufflerPipe,
    train_test_split,
)


class Stepping(Pipe):
    """A source that can only step and rewind; counts its steps."""

    def __init__(self, n):
        super().__init__()
        self.n, self.i, self.steps = n, 0, 0

    def reset(self):
        self.i = 0

    def __next__(self):
        if self.i >= self.n:
            raise StopIteration
        self.i += 1
        self.steps += 1
        return {"x": torch.tensor([self.i - 1])}


def table(n=7):
    return Message({"x": torch.arange(n)})


def xs(items):
    return [item["x"].tolist() for item in items]


@pytest.mark.parametrize("source", [table(), Stepping(7), BatchingPipe(Stepping(7), 3, last="keep")], ids=repr)
@pytest.mark.parametrize(
    ("last", "expected"),
    [("drop", [[0, 1], [2, 3], [4, 5]]), ("keep", [[0, 1], [2, 3], [4, 5], [6]])],
)
def test_batches(source, last, expected):
    pipe = BatchingPipe(source, 2, last=last)
    assert xs(pipe) == expected
    assert xs(pipe) == expected


def test_batches_count_rows_and_drop_by_default():
    pipe = BatchingPipe(table(), 5)
    assert (len(pipe), xs(pipe), pipe.batch_rows) == (7, [[0, 1, 2, 3, 4]], 5)
    assert pipe[5:]["x"].tolist() == [5, 6]


@pytest.mark.parametrize("source", [{"x": [0, 1, 2]}, pd.DataFrame({"x": [0, 1, 2]}), {"x": torch.arange(3)}], ids=str)
def test_mappings_and_frames_are_tables(source):
    for pipe in (source >> BatchingPipe(batch_size=2), BatchingPipe(source, 2)):
        assert isinstance(pipe.input, Message)
        assert xs(pipe) == [[0, 1]]
        assert len(pipe) == 3
    assert len(train_test_split(source, test=0.4)[0]) == 2


def test_a_mapping_of_row_numbers_is_no_table():
    rows = {0: table(1), 7: table(2)}
    assert Pipe(rows)[7] is rows[7]


def test_sizes_may_be_numpys():
    batches, passes = BatchingPipe(table(), np.int64(3)), RepeaterPipe(table(2), np.int8(2))
    assert (type(batches.batch_rows), xs(batches)) == (int, [[0, 1, 2], [3, 4, 5]])
    assert (type(passes.repetitions), len(passes)) == (int, 4)


def test_batches_of_an_input_that_drops_rows():
    even = FunctionPipe(table(), lambda message: message[message["x"] % 4 == 0])
    assert xs(BatchingPipe(even, 2, last="keep")) == [[0], [4]]


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"batch_size": 2.0}, {"last": "pad"}, {"batch_size": True}])
def test_batching_refuses(arguments):
    with pytest.raises(GraphError, match="must be"):
        BatchingPipe(**arguments)


def test_batches_of_a_shuffler_reshuffle_each_epoch():
    pipe = BatchingPipe(ShufflerPipe(table(6), seed=1), 3)
    epochs = [sum(xs(pipe), []) for _ in range(3)]
    assert all(sorted(rows) == list(range(6)) for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 3


def test_a_shuffler_is_in_order_until_it_is_reset():
    pipe = ShufflerPipe(table(), seed=4)
    assert pipe[:]["x"].tolist() == list(range(7))
    pipe.reset()
    order = pipe.order.tolist()
    assert order != list(range(7))
    assert pipe[:]["x"].tolist() == order
    assert [pipe[i]["x"].item() for i in range(7)] == order
    assert pipe[-1]["x"].item() == order[-1]
    with pytest.raises(IndexError):
        pipe[7]


def test_shuffling_is_a_function_of_seed_and_epoch():
    first, second = ShufflerPipe(table(), seed=4), ShufflerPipe(table(), seed=4)
    assert xs(first) == xs(second)
    assert xs(first) != xs(ShufflerPipe(table(), seed=5))
    second.epoch = 2
    assert xs(first)[:0] == []
    first.epoch, first.position = 2, 0
    assert torch.equal(first.order, second.order)


def test_a_shuffler_goes_on_from_its_state():
    running = ShufflerPipe(table(), seed=4)
    for _ in range(2):
        list(running)
    passing = iter(running)
    seen = xs([next(passing) for _ in range(3)])
    resumed = ShufflerPipe(table())
    resumed.set_state(running.get_state())
    assert running.get_state()["internal"] == {"seed": 4, "epoch": 3, "position": 3}
    rest = xs([next(resumed) for _ in range(4)])
    assert rest == xs(passing)
    assert sorted(sum(seen + rest, [])) == list(range(7))


def test_an_unseeded_shuffler_draws_when_it_must():
    torch.manual_seed(3)
    first = xs(ShufflerPipe(table()))
    torch.manual_seed(3)
    pipe = ShufflerPipe(table())
    before = torch.get_rng_state()
    assert pipe[:]["x"].tolist() == list(range(7))
    assert torch.equal(torch.get_rng_state(), before)
    assert xs(pipe) == first


def test_shuffle_begins_an_epoch_without_rewinding_upstream():
    pipe = ShufflerPipe(table(), seed=4)
    pipe.shuffle()
    assert (pipe.epoch, pipe.position) == (1, 0)
    assert sorted(xs([next(pipe) for _ in range(7)])) == [[i] for i in range(7)]


@pytest.mark.parametrize("order", [[2, 0, 1], np.array([2, 0, 1]), torch.tensor([2, 0, 1])], ids=str)
def test_an_epoch_in_a_given_order(order):
    pipe = ShufflerPipe(table(3), seed=1)
    pipe.shuffle(order)
    assert pipe[:]["x"].tolist() == [2, 0, 1]
    assert next(pipe)["x"].tolist() == [2]
    resumed = ShufflerPipe(table(3))
    Scaffold({"pipe": resumed}).restore(Scaffold({"pipe": pipe}).snapshot())
    assert xs([next(resumed), next(resumed)]) == [[0], [1]]
    pipe.reset()
    assert torch.equal(pipe.order, permutation(3, 1, 2))
    assert pipe.get_state()["internal"] == {"seed": 1, "epoch": 2, "position": 0}


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1]], ids=str)
def test_an_order_must_be_a_permutation(order):
    pipe = ShufflerPipe(table(3), seed=1)
    with pytest.raises(GraphError, match="each row from 0 to 2 once, but got"):
        pipe.shuffle(order)
    assert pipe.epoch == 0


def test_an_index_mapper_maps_keys():
    pipe = IndexMapperPipe([10, 20, 22], [3, 0, 6], table())
    assert len(pipe) == 3
    assert pipe[20]["x"].tolist() == [0]
    assert pipe[[22, 10, 10]]["x"].tolist() == [6, 3, 3]
    assert pipe[10:11]["x"].tolist() == [3]
    assert xs(pipe) == [[3], [0], [6]]
    assert not pipe.random_access
    for key in (0, [10, 11], slice(10, 12)):
        with pytest.raises(KeyError, match="only mapped row numbers"):
            pipe[key]


def test_an_index_mapper_numbered_from_zero_is_a_table():
    pipe = IndexMapperPipe(torch.arange(3), torch.tensor([5, 1, 1]), table())
    assert pipe[-2:]["x"].tolist() == [1, 1]
    assert pipe[torch.tensor([True, False, True])]["x"].tolist() == [5, 1]
    for beyond in (3, -4, [0, 3]):
        with pytest.raises(KeyError, match="3"):
            pipe[beyond]


def test_an_index_mapper_needs_equally_many():
    with pytest.raises(ValueError, match="got 2 and 1"):
        IndexMapperPipe([0, 1], [3])


@pytest.mark.parametrize(("test", "n_test"), [(0.2, 2), (0.35, 3), (0, 0), (1, 10)])
def test_a_split_is_disjoint_and_complete(test, n_test):
    train, held_out = train_test_split(table(10), test=test, seed=1)
    assert (len(train), len(held_out)) == (10 - n_test, n_test)
    rows = sum(xs(train) + xs(held_out), [])
    assert sorted(rows) == list(range(10))


def test_a_split_is_shuffled_and_seeded():
    def rows(**seed):
        return xs(train_test_split(table(50), **seed)[1])

    assert rows(seed=1) == rows(seed=1)
    assert rows(seed=1) != rows(seed=2)
    assert rows(seed=1) != sorted(rows(seed=1))
    torch.manual_seed(0)
    first = rows()
    torch.manual_seed(0)
    assert rows() == first


def test_a_split_asks_for_no_rows_before_it_is_used():
    class Counted(Pipe):
        asked = 0

        def __len__(self):
            self.asked += 1
            return 4

        def __getitem__(self, index):
            return {"x": torch.as_tensor(index)}

    source = Counted()
    train, _ = train_test_split(source, test=0.5, seed=0)
    assert source.asked == 0
    assert len(train) == 2


@pytest.mark.parametrize(("source", "share"), [(Stepping(3), 0.2), (iter([]), 0.2), (table(), 1.5), (table(), -1)])
def test_a_split_refuses(source, share):
    with pytest.raises(ValueError, match=r"needs \[\] and len|between 0 and 1"):
        train_test_split(source, test=share)


@pytest.mark.parametrize("values", [[1, 2, 3], (1, 2), np.arange(3), torch.arange(3), "abc"], ids=str)
def test_a_split_of_values_that_are_no_rows_is_refused_at_once(values):
    with pytest.raises(GraphError, match=rf"but got a {type(values).__name__} of values.*Message"):
        train_test_split(values)


@pytest.mark.parametrize("source", [table(2), Stepping(2)], ids=repr)
def test_repeating(source):
    pipe = RepeaterPipe(source, 3)
    assert xs(pipe) == [[0], [1]] * 3
    assert xs(pipe) == [[0], [1]] * 3


def test_repeated_rows_by_number():
    pipe = RepeaterPipe(table(3), 2)
    assert len(pipe) == 6
    assert pipe[2:5]["x"].tolist() == [2, 0, 1]
    with pytest.raises(RowNotFound):
        pipe[6]


@pytest.mark.parametrize("repetitions", [0, 1.5, "2"])
def test_repetitions_must_be_a_positive_int(repetitions):
    with pytest.raises(ValueError, match="repetitions must be a positive int"):
        RepeaterPipe(repetitions=repetitions)


def test_looping_gives_rows_in_the_order_asked():
    source = Stepping(5)
    pipe = LoopingPipe(source)
    assert pipe[3]["x"].tolist() == [3]
    assert source.steps == 4
    assert pipe[[4, 1, 1]]["x"].tolist() == [4, 1, 1]
    assert len(pipe) == 5
    assert pipe[1:3]["x"].tolist() == [1, 2]
    for beyond in (5, -6, [7]):
        with pytest.raises(IndexError, match="5|7"):
            pipe[beyond]


def test_looping_learns_the_length_from_an_index_beyond_it():
    pipe = LoopingPipe(Stepping(3))
    with pytest.raises(IndexError, match="within 3 rows, but got 9"):
        pipe[9]
    assert len(pipe) == 3


def test_looping_cycles_by_next_and_passes_once_by_iter():
    pipe = LoopingPipe(Stepping(3))
    assert xs([next(pipe) for _ in range(7)]) == [[0], [1], [2], [0], [1], [2], [0]]
    assert xs(pipe) == [[0], [1], [2]]
    assert xs(Pipe(pipe)) == [[0], [1], [2]]


def test_looping_needs_a_source_that_rewinds():
    with pytest.raises(StateError, match="next and reset, but got list"):
        LoopingPipe([1])
