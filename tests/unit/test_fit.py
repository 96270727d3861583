"""Fit trains, tells its history, and can stop and go on anywhere."""

import pytest
import torch

from fireworks import Fit, Message, PyTorch_Model
from fireworks.core.state import pack_state, unpack_state
from fireworks.errors import GraphError, ParameterizationError
from fireworks.workflow.determinism import reproducibly


class Line(PyTorch_Model):
    def init_default_components(self):
        self.components["slope"] = torch.zeros(1)

    def forward(self, message):
        noise = 0.01 * torch.randn(len(message))
        return Message({"error": self.slope * message["x"] + noise - message["y"]})


def squared(message):
    return message["error"].square().mean()


def points(n_rows=100):
    x = torch.linspace(0, 1, n_rows)
    return Message({"x": x, "y": 3 * x})


def make(**options):
    return Fit(Line(), points(), squared, **({"optimizer": "Adam", "lr": 0.1, "epochs": 3, "batch_size": 32} | options))


def test_history_has_a_row_an_epoch_and_the_loss_falls():
    rows = list(make(epochs=30))
    assert [0, 1, 2] == [int(row["epoch"]) for row in rows[:3]]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 10


def test_the_model_learns_the_slope():
    fit = make(epochs=60)
    list(fit)
    assert 3 == pytest.approx(fit.components["model"].slope.item(), abs=0.1)


def test_closures_reach_optimizers_that_need_them():
    fit = make(optimizer="LBFGS", lr=1, epochs=1, batch_size=100)
    list(fit)
    assert 3 == pytest.approx(fit.components["model"].slope.item(), abs=0.1)


def result(fit):
    losses = [float(row["loss"]) for row in fit]
    return losses, fit.components["model"].slope.item()


@pytest.mark.parametrize("stop_after", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("optimizer", [{}, {"optimizer": "SGD", "momentum": 0.9}])
def test_resumed_at_any_iteration_it_ends_the_same(stop_after, optimizer):
    class Stopped(Exception):
        pass

    with reproducibly(1):
        expected = result(make(**optimizer))
    saved = {}
    with reproducibly(1):
        fit = make(**optimizer)

        def between():
            saved["count"] = saved.get("count", 0) + 1
            if saved["count"] == stop_after:
                saved["files"] = pack_state(fit.checkpoint())
                saved["generator"] = torch.get_rng_state()
                raise Stopped

        fit.watch(between)
        with pytest.raises(Stopped):
            list(fit)
    with reproducibly(2):
        other = make(**optimizer)
        other.resume(unpack_state(saved["files"]))
        torch.set_rng_state(saved["generator"])
        assert expected == result(other)


def test_schedule_is_stepped_each_epoch():
    fit = make(schedule=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5))
    list(fit)
    assert 0.1 / 8 == pytest.approx(fit.checkpoint()["optimizer"]["param_groups"][0]["lr"])


def test_unknown_optimizer_is_suggested():
    with pytest.raises(GraphError, match=r"'Adamm'\. Did you mean 'Adam"):
        make(optimizer="Adamm")


def test_unknown_setting_is_named():
    with pytest.raises(GraphError, match="momentumm"):
        make(optimizer="SGD", momentumm=1)


def test_frozen_model_is_refused():
    model = Line()
    model.freeze()
    with pytest.raises(ParameterizationError, match="Unfreeze"):
        list(Fit(model, points(), squared))


def test_a_bare_module_is_refused_with_the_way_to_wrap_it():
    with pytest.raises(GraphError, match=r"got a Linear.*model_from_module\(Module\)"):
        Fit(torch.nn.Linear(1, 1), points(), squared)


def test_no_rows_are_refused():
    with pytest.raises(GraphError, match="`train_on` has none"):
        list(Fit(Line(), points(0), squared))
