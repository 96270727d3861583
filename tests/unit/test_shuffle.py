"""Permutations: pure functions of (n, seed, epoch)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.core.shuffle import draw_seed, permutation


@given(n=st.integers(0, 200), seed=st.integers(-(2**70), 2**70), epoch=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_each_row_once_and_always_the_same(n, seed, epoch):
    order = permutation(n, seed, epoch)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(n))
    assert torch.equal(permutation(n, seed, epoch), order)


def test_seeds_and_epochs_differ():
    orders = {tuple(permutation(50, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_default_generator_is_left_alone():
    torch.manual_seed(1)
    permutation(100, 3, 4)
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(3))


@pytest.mark.parametrize(
    ("n", "seed", "epoch", "expected"),
    [(8, 0, 0, [6, 3, 5, 2, 4, 0, 7, 1]), (8, 1, 0, [5, 0, 6, 4, 1, 3, 7, 2]), (8, 1, 1, [1, 3, 0, 4, 5, 6, 7, 2])],
)
def test_orders_of_today_stay(n, seed, epoch, expected):
    assert permutation(n, seed, epoch).tolist() == expected


def test_drawn_seeds_follow_the_default_generator():
    torch.manual_seed(5)
    first = draw_seed()
    torch.manual_seed(5)
    assert draw_seed() == first
    assert draw_seed() != first
