"""Seeding and settings: the same inside, untouched outside."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from fireworks import Stage, pipeline, run
from fireworks.core.state import pack_state, unpack_state
from fireworks.testing.runners import Noise
from fireworks.workflow.determinism import derive_seed, generators, level_processor, reproducibly, set_generators
from fireworks.workflow.recipes import pull_seed


def draws():
    return float(torch.rand(1)), float(np.random.random()), random.random()


def test_the_same_seed_draws_the_same():
    with reproducibly(5):
        first = draws()
    with reproducibly(5):
        assert first == draws()
    with reproducibly(6):
        assert first != draws()


def fail_inside(threads):
    with reproducibly(5, threads=threads):
        torch.set_grad_enabled(False)
        draws()
        raise ZeroDivisionError


def test_the_callers_generators_and_settings_are_restored():
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = draws()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    threads = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        fail_inside(threads + 1)
    assert expected == draws()
    assert threads == torch.get_num_threads()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs whose generators are lists: what of torch.cuda is used for them, and no more."""
    states = [torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(states))
    monkeypatch.setattr(
        torch.cuda, "manual_seed_all", lambda seed: states.__setitem__(slice(None), [seed] * len(states))
    )
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(states))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.__setitem__(device, state))
    return states


def test_generators_of_gpus_are_seeded_and_restored(gpus):
    before = list(gpus)
    with reproducibly(5):
        assert [5, 5] == gpus
    assert before == gpus


def test_a_gpu_that_comes_into_use_inside_goes_on_from_the_caller_s_seed(gpus, monkeypatch):
    torch.manual_seed(3)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with reproducibly(5):
        assert [5, 5] == gpus
    assert [3, 3] == gpus


def test_states_of_generators_can_be_stored_and_set(gpus):
    saved = unpack_state(pack_state(generators()))
    expected = draws()
    gpus[:] = [torch.tensor([7], dtype=torch.uint8)]
    set_generators(saved)
    assert expected == draws()
    assert [1] == [int(state) for state in gpus]
    set_generators({name: state for name, state in saved.items() if name != "cuda"})
    assert expected == draws()


def test_seeds_depend_on_every_part():
    seeds = {
        derive_seed(0, "a", 1),
        derive_seed(1, "a", 1),
        derive_seed(0, "b", 1),
        derive_seed(0, "a", 2),
        derive_seed("0", "a", 1),
    }
    assert 5 == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_level_that_the_user_chose_is_kept():
    environ = {"ATEN_CPU_CAPABILITY": "default"}
    level_processor(environ)
    assert "default" == environ["ATEN_CPU_CAPABILITY"]


LATE = """
import warnings, torch
torch.ones(3).sum()
import fireworks.workflow
from fireworks.workflow.determinism import warn_of_other_level
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warn_of_other_level({"ATEN_CPU_CAPABILITY": "other"})
    warn_of_other_level({})
print([str(item.message) for item in caught])
"""


def test_a_level_that_was_chosen_too_early_is_warned_of():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert 1 == done.stdout.count("need one processor level, other, but this process computes with")


def named(*names):
    @pipeline
    def noises():
        return [Stage(Noise(), name=name) for name in names]

    return noises


def test_stages_that_differ_by_name_alone_draw_the_same_numbers(tmp_path):
    end = run(named("a", "b"), store=tmp_path / "one")
    assert 1 == len({(stage.fingerprint, stage.hash) for stage in end.stages})
    assert [False, False] == [stage.nondeterministic for stage in end.stages]
    # Whichever of them comes first.
    other = run(named("b", "a"), store=tmp_path / "other")
    assert [stage.hash for stage in end.stages] == [stage.hash for stage in other.stages]


def test_numbers_depend_on_seed_objects_and_shard_but_not_on_code_and_versions():
    ingredients = {"seed": "0", "object Noise": "a", "code noise": "b", "version numpy": "2"}
    changes = [{}, {"code noise": "c", "version numpy": "3", "shards": "4"}, {"seed": "1"}, {"object Noise": "d"}]
    before, same, *others = (pull_seed(ingredients | change, 0) for change in changes)
    assert before == same
    assert 4 == len({before, *others, pull_seed(ingredients, 1)})
