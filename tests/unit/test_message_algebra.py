"""Message operations against the same operations of pandas and of lists.

Comes in: `fireworks.core.message`. Goes out: nothing.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fireworks.core.message import Message, cat

ROW = st.tuples(st.integers(-5, 5), st.text("abc", max_size=3), st.floats(width=32, allow_nan=False))


def built(rows: list[tuple[int, str, float]]) -> Message:
    numbers, words, floats = zip(*rows, strict=True) if rows else ((), (), ())
    return Message(
        {
            "k": np.array(numbers, dtype=np.int64),
            "s": pd.array(list(words), dtype="str"),
            "t": torch.tensor(floats, dtype=torch.float32).view(-1, 1).expand(-1, 2).clone(),
        }
    )


def listed(message: Message) -> list[tuple[int, str, float]]:
    assert torch.equal(message["t"][:, 0], message["t"][:, 1])
    return list(zip(message["k"].tolist(), message["s"].tolist(), message["t"][:, 0].tolist(), strict=True))


class AgainstLists(RuleBasedStateMachine):
    """A Message, its older versions and lists of their rows: only what an operation names may change."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Any] = [(0, "a", 0.5)]
        self.message = built(self.rows)
        self.kept: list[tuple[Message, list[Any]]] = []

    @rule(rows=st.lists(ROW, min_size=1, max_size=4))
    def append(self, rows):
        # What was before the growth must stay as it is.
        self.kept = [*self.kept[-3:], (self.message, list(self.rows))]
        self.message, self.rows = self.message.append(built(rows)), self.rows + rows

    @rule(index=st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
    def gather(self, index):
        if self.rows:
            index = [i % len(self.rows) for i in index]
            self.kept = [*self.kept[-3:], (self.message[index], [self.rows[i] for i in index])]

    @rule(index=st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
    def become_a_selection(self, index):
        if self.rows:
            index = [i % len(self.rows) for i in index]
            self.message, self.rows = self.message[index], [self.rows[i] for i in index]

    @rule(row=ROW, i=st.integers(0, 10**6))
    def write(self, row, i):
        if self.rows:
            i %= len(self.rows)
            self.message[i] = built([row])
            self.rows[i] = row

    @rule(low=st.integers(0, 5), high=st.integers(0, 5))
    def delete(self, low, high):
        del self.message[low:high]
        del self.rows[low:high]

    @rule()
    def join_with_itself(self):
        if len(self.rows) < 20:
            self.message, self.rows = cat([self.message, self.message]), self.rows * 2

    @invariant()
    def holds_the_rows(self):
        assert listed(self.message) == self.rows

    @invariant()
    def older_ones_hold_theirs(self):
        for message, rows in self.kept:
            assert listed(message) == rows


AgainstLists.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestAgainstLists = AgainstLists.TestCase

FRAMES = st.lists(
    st.tuples(st.integers(-3, 3), st.floats(allow_nan=True, width=32), st.sampled_from("xyz")), min_size=1
)


@settings(deadline=None, max_examples=40)
@given(FRAMES, FRAMES, st.data())
def test_array_columns_behave_as_in_pandas(left, right, data):
    a, b = (pd.DataFrame(rows, columns=["a", "b", "c"]) for rows in (left, right))
    index = data.draw(st.lists(st.integers(-len(a), len(a) - 1), min_size=1))
    cut = data.draw(st.slices(len(a)))
    pd.testing.assert_frame_equal(Message(a)[index].df, a.iloc[index].reset_index(drop=True))
    pd.testing.assert_frame_equal(Message(a)[cut].df, a.iloc[cut].reset_index(drop=True))
    pd.testing.assert_frame_equal(Message(a).append(b).df, pd.concat([a, b], ignore_index=True))
    joined = Message(a).append(b[["a"]]).df
    pd.testing.assert_frame_equal(joined, pd.concat([a, b[["a"]]], ignore_index=True))
    mask = data.draw(st.lists(st.booleans(), min_size=len(a), max_size=len(a)))
    pd.testing.assert_frame_equal(Message(a)[pd.Series(mask)].df, a[mask].reset_index(drop=True))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(), max_size=3).map(lambda n: [i % 100 for i in n]), min_size=1, max_size=6), st.data()
)
def test_cutting_and_joining_again_changes_nothing(rows, data):
    nested = torch.nested.nested_tensor([torch.tensor(row, dtype=torch.int64) for row in rows], layout=torch.jagged)
    message = Message({"r": nested, "k": range(len(rows)), "c": pd.Categorical([str(len(row)) for row in rows])})
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    bounds = [0, *cuts, len(rows)]
    pieces = [message[a:b] for a, b in pairwise(bounds)]
    assert cat(pieces) == message
    grown = Message()
    for row in message:
        grown = grown.append(row)
    assert grown == message
