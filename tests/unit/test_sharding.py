"""Shards cover every row once, in order, whatever their number."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fireworks import HookedPassThroughPipe, Message, Pipe, Stage, cat
from fireworks.toolbox import BatchingPipe, FunctionPipe
from fireworks.workflow.graph import stage_graph
from fireworks.workflow.sharding import chunk_rows, pull, shard_range, sharding_mode


def table(n_rows):
    return Message({"x": torch.arange(n_rows)})


class Repeat(HookedPassThroughPipe):
    """Gives each row x as many times as x mod 3 says: row-local, not random-access."""

    row_local = True
    random_access = False

    def _next_hook(self, message):
        return Message({"x": message["x"].repeat_interleave(message["x"] % 3)})


@given(n_rows=st.integers(0, 5000), shards=st.integers(1, 40), chunk=st.integers(1, 700))
def test_ranges_are_disjoint_and_complete_and_on_chunk_boundaries(n_rows, shards, chunk):
    ranges = [shard_range(n_rows, shard, shards, chunk) for shard in range(shards)]
    assert [0, *(end for _, end in ranges)] == [*(start for start, _ in ranges), n_rows]
    assert all(start % chunk == 0 or start == n_rows for start, _ in ranges)


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_output_shards_join_to_the_whole(shards):
    graph = stage_graph(Stage(table(1000) >> Pipe(), name="a", shards=shards))
    rows = cat([rows for shard in range(shards) for rows in pull(graph, shard, shards).rows])
    assert table(1000) == rows


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_input_shards_of_row_local_pipes_join_to_the_whole(shards):
    expected = torch.arange(1000).repeat_interleave(torch.arange(1000) % 3)
    pieces = []
    for shard in range(shards):
        source = Stage(None, name="source")
        source.bind(table(1000), {})
        graph = stage_graph(Stage(source >> Repeat(), name="a", shards=shards))
        assert "input" == sharding_mode(graph)
        pieces += [rows["x"] for rows in pull(graph, shard, shards).rows]
    assert torch.equal(expected, torch.cat(pieces))


def test_batches_decide_the_chunks():
    graph = stage_graph(Stage(table(10) >> BatchingPipe(batch_size=100), name="a"))
    assert 300 == chunk_rows(graph)


def double(message):
    return Message({"x": message["x"] * 2})


@pytest.mark.parametrize("wanted", [1, 7, 50])
def test_sample_is_evenly_spaced(wanted):
    graph = stage_graph(Stage(table(1000) >> FunctionPipe(function=double, row_local=True), name="a"))
    rows = cat(list(pull(graph, 0, 1, sample=wanted).rows))
    assert [2 * (i * 1000 // wanted) for i in range(wanted)] == rows["x"].tolist()


def test_sample_larger_than_the_whole_takes_all():
    graph = stage_graph(Stage(table(5) >> Pipe(), name="a"))
    assert table(5) == cat(list(pull(graph, 0, 1, sample=50).rows))


class Stream(Pipe):
    """Rows that can only be iterated."""

    random_access = False

    def __iter__(self):
        return (table(1000)[i] for i in range(1000))


def test_sample_of_a_stream_is_evenly_spaced():
    graph = stage_graph(Stage(Stream(), name="a"))
    taken = cat(list(pull(graph, 0, 1, sample=10).rows))["x"]
    assert 10 == len(taken)
    assert 70 <= taken.diff().min() <= taken.diff().max() <= 130


def test_shards_of_a_sample_join_to_the_sample():
    graph = stage_graph(Stage(table(1000) >> Pipe(), name="a", shards=3))
    whole = cat(list(pull(graph, 0, 1, sample=20).rows))
    assert whole == cat([rows for shard in range(3) for rows in pull(graph, shard, 3, sample=20).rows])


class Centre(HookedPassThroughPipe):
    """Subtracts the mean of a table, which is also what it reads."""

    row_local = True

    def __init__(self, table, input=None):
        super().__init__(input)
        self.table = table

    def _next_hook(self, message):
        return Message({"x": message["x"] - self.table[:]["x"].double().mean()})


@pytest.mark.parametrize("shards", [1, 4])
def test_a_stage_that_is_also_looked_things_up_in_stays_whole(shards):
    pieces = []
    for shard in range(shards):
        source = Stage(None, name="source")
        source.bind(table(1000), {})
        graph = stage_graph(Stage(Centre(source, input=source), name="a", shards=shards))
        pieces += [rows["x"] for rows in pull(graph, shard, shards).rows]
    assert -499.5 == torch.cat(pieces)[0]
    assert 1000 == len(torch.cat(pieces))
