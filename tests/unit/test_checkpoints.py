"""Checkpoints: the newest complete one counts, whatever was killed while writing."""

import pytest
import torch

from fireworks.store import open_store
from fireworks.workflow.checkpoints import Checkpoints
from fireworks.workflow.endings import Preempted


class Counter:
    """Counts to ten, drawing a random number each time."""

    def __init__(self):
        self.values = []
        self.between = lambda: None

    def watch(self, between):
        self.between = between

    def checkpoint(self):
        return {"values": list(self.values)}

    def resume(self, state):
        self.values = list(state["values"])

    def run(self):
        while len(self.values) < 10:
            self.values.append(float(torch.rand(1)))
            self.between()
        return self.values


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path)


def test_without_a_checkpoint_it_starts_at_the_beginning(store):
    counter = Counter()
    Checkpoints(store, "f", 0).attach([counter])
    assert 10 == len(counter.run())


def stop_at(store, count):
    """Run until asked to stop after `count` iterations."""
    counter = Counter()
    Checkpoints(store, "f", 0, stopping=lambda: len(counter.values) == count).attach([counter])
    with pytest.raises(Preempted):
        counter.run()


def test_asked_to_stop_it_saves_and_the_next_goes_on_with_the_same_numbers(store):
    torch.manual_seed(0)
    expected = Counter().run()
    torch.manual_seed(0)
    stop_at(store, 4)
    torch.manual_seed(99)
    counter = Counter()
    Checkpoints(store, "f", 0).attach([counter])
    assert 4 == len(counter.values)
    assert expected == counter.run()


def test_generators_of_gpus_are_saved_and_set(store, monkeypatch):
    states = [torch.tensor([1, 2], dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(states))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.__setitem__(device, state))
    stop_at(store, 4)
    states[:] = [torch.tensor([8, 8], dtype=torch.uint8)]
    Checkpoints(store, "f", 0).attach([Counter()])
    assert [[1, 2]] == [state.tolist() for state in states]


def test_an_incomplete_or_damaged_checkpoint_is_passed_over(store):
    torch.manual_seed(0)
    stop_at(store, 3)
    stop_at(store, 6)
    store.put("checkpoints/f/00000/000002/state.json", b"torn")
    counter = Counter()
    Checkpoints(store, "f", 0).attach([counter])
    assert 3 == len(counter.values)


def test_only_the_last_two_are_kept_and_none_after_the_commit(store):
    counter = Counter()
    checkpoints = Checkpoints(store, "f", 0, interval_s=0)
    checkpoints.attach([counter])
    counter.run()
    assert ["checkpoints/f/00000/000009", "checkpoints/f/00000/000010"] == store.list_folders("checkpoints/f/00000/")
    checkpoints.clear()
    assert [] == list(store.list("checkpoints/"))
