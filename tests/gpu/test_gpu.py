"""What only a GPU shows: its generators, fits on it, columns that come from it. Neighbours: `make test-gpu`."""

from pathlib import Path

import pytest
import torch

from fireworks import Message, load_pipeline, run
from fireworks.core.state import pack_state, unpack_state
from fireworks.store import open_store
from fireworks.testing.runners import output_hashes
from fireworks.toolbox import TensorPipe
from fireworks.workflow.checkpoints import Checkpoints
from fireworks.workflow.determinism import generators, reproducibly, set_generators
from fireworks.workflow.endings import Preempted
from projects.networks.networks import BATCH, EPOCHS, ROWS, Points, fit

pytestmark = pytest.mark.gpu

NETWORKS = Path(__file__).parents[1] / "projects" / "networks" / "networks.py"
DEVICE = "cuda"


def trained(made):
    losses = [float(row["loss"]) for row in made]
    files = pack_state(made.components["model"].get_state()["internal"])
    return losses, {name: bytes(data) for name, data in files.items()}


def test_states_of_its_generator_are_stored_and_set():
    torch.cuda.init()
    saved = unpack_state(pack_state(generators()))
    expected = torch.rand(5, device="cuda").tolist()
    assert expected != torch.rand(5, device="cuda").tolist()
    set_generators(saved)
    assert expected == torch.rand(5, device="cuda").tolist()


def test_it_is_seeded_and_restored():
    torch.cuda.manual_seed_all(1)
    expected = torch.rand(10, device="cuda").tolist()
    torch.cuda.manual_seed_all(1)
    drawn = torch.rand(5, device="cuda").tolist()
    with reproducibly(5):
        inside = torch.rand(5, device="cuda").tolist()
    drawn += torch.rand(5, device="cuda").tolist()
    with reproducibly(5):
        assert inside == torch.rand(5, device="cuda").tolist()
    assert len(expected) == len(drawn)
    assert expected[:5] == drawn[:5]
    torch.cuda.manual_seed_all(1)
    assert drawn == torch.rand(5, device="cuda").tolist() + torch.rand(5, device="cuda").tolist()


@pytest.mark.parametrize("stop_after", [1, 9, ROWS // BATCH * EPOCHS - 1])
def test_a_fit_that_is_stopped_goes_on_with_the_same_numbers(tmp_path, stop_after):
    store = open_store(tmp_path)
    with reproducibly(7):
        expected = trained(fit(Points(), DEVICE))
    with reproducibly(7):
        asked = iter(range(1, 1000))
        stopped = fit(Points(), DEVICE)
        Checkpoints(store, "f", 0, stopping=lambda: next(asked) == stop_after).attach([stopped])
        with pytest.raises(Preempted):
            list(stopped)
    with reproducibly(99):
        again = fit(Points(), DEVICE)
        Checkpoints(store, "f", 0).attach([again])
        assert expected == trained(again)


def test_the_model_of_a_stage_is_scored_on_the_processor(tmp_path):
    fitted = load_pipeline(f"{NETWORKS}:fitted")
    first = run(fitted, {"device": DEVICE}, store=tmp_path / "first")
    assert "succeeded" == first.status
    second = run(fitted, {"device": DEVICE}, store=tmp_path / "second", runner="processes")
    assert output_hashes(first) == output_hashes(second)


def test_columns_go_there_and_back_and_into_a_store(tmp_path):
    here = Points()[:]
    there = Message(here).cuda()
    assert {"cuda"} == {there[name].device.type for name in ("x", "y")}
    assert Message(there).cpu() == here
    assert {"cuda"} == {TensorPipe(Points(), [name])[:][name].device.type for name in ("x", "y")}
    [hash_here, hash_there] = output_hashes(run(load_pipeline(f"{NETWORKS}:moved"), store=tmp_path)).values()
    assert hash_here == hash_there
