"""Perceptron learns from tables, and its state says all there is to know of it."""

import numpy as np
import pytest
import torch

from fireworks import Fit, Message
from fireworks.core.state import pack_state, unpack_state
from fireworks.errors import GraphError, SchemaError
from fireworks.training import Perceptron
from fireworks.workflow.determinism import reproducibly


def table(n=400):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(1))
    total = x.sum(1)
    labels = np.where(total.numpy() > 0, "up", "down")
    # Far from zero and of unequal size: only standardised columns are learned from.
    return Message({"a": (x[:, 0] * 1e4 + 1e6).numpy(), "b": x[:, 1:], "label": labels, "total": total})


def fitted(target, task, **options):
    with reproducibly(7):
        model = Perceptron(("a", "b"), target, task, (16,))
        fit = Fit(model, table(), model.loss, **({"epochs": 25, "lr": 0.01} | options))
        losses = [float(row["loss"]) for row in fit]
    return model, losses


def test_it_learns_classes():
    model, losses = fitted("label", "classification")
    rows = model(table())
    assert losses[-1] < losses[0] / 4
    assert 0.97 < (np.asarray(rows["prediction"]) == np.asarray(rows["label"])).mean()
    assert (400, 2) == tuple(rows["scores"].shape)
    assert torch.allclose(rows["scores"].sum(1), torch.ones(400))
    assert not rows["scores"].requires_grad
    assert "output" not in rows


def test_it_learns_numbers():
    model, losses = fitted("total", "regression")
    rows = model(table())
    assert losses[-1] < 0.05 < losses[0]
    assert 0.05 > float((rows["prediction"] - rows["total"]).square().mean())


def test_classes_may_be_numbers():
    rows = table()
    rows["label"] = (rows["total"] > 0).long() * 7
    model = Perceptron(("b",), "label", "classification", ())
    list(Fit(model, rows, model.loss, epochs=1))
    assert {0, 7} >= set(model(rows)["prediction"].tolist())


@pytest.mark.parametrize(("target", "task"), [("label", "classification"), ("total", "regression")])
def test_a_state_is_enough_to_make_the_model_again(target, task):
    model, _ = fitted(target, task, epochs=2)
    state = unpack_state(pack_state(model.get_state()))
    again = Perceptron(input=table())
    again.set_state(state)
    again.eval()
    expected = model(table())
    found = again[0:400]
    assert list(expected.columns) == list(found.columns)
    assert expected["prediction"].tolist() == found["prediction"].tolist()


def test_interrupted_and_resumed_it_ends_the_same():
    expected, losses = fitted("label", "classification", epochs=4)
    with reproducibly(7):
        model = Perceptron(("a", "b"), "label", "classification", (16,))
        first = Fit(model, table(), model.loss, epochs=4, lr=0.01)
        rows = iter(first)
        next(rows)
        next(rows)
        state = unpack_state(pack_state(first.checkpoint()))
        model = Perceptron(("a", "b"), "label", "classification", (16,))
        second = Fit(model, table(), model.loss, epochs=4, lr=0.01)
        second.resume(state)
        assert losses == [float(row["loss"]) for row in second]
    assert torch.equal(expected.layers[0].weight, model.layers[0].weight)


def test_rows_are_predicted_alone():
    model, _ = fitted("total", "regression", epochs=1)
    model.input = table()
    assert model.row_local
    assert model.random_access
    assert torch.allclose(model[0:400]["prediction"][5:9], model[5:9]["prediction"])


@pytest.mark.parametrize(
    ("features", "change", "message"),
    [
        ((), {}, "`features` names none"),
        (("label",), {}, "'label' must hold numbers"),
        (("a",), {"a": [1.0, np.nan] * 200}, "'a' must hold finite numbers"),
    ],
)
def test_what_cannot_be_learned_from_is_named(features, change, message):
    rows = table()
    for name, values in change.items():
        rows[name] = values
    model = Perceptron(features, "total")
    with pytest.raises(SchemaError, match=message):
        list(Fit(model, rows, model.loss))


def test_no_rows_are_named():
    model = Perceptron(("a",), "total")
    with pytest.raises(SchemaError, match="needs rows to learn from"):
        list(Fit(model, table()[0:0], model.loss))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"task": "clasification"}, "Did you mean 'classification'"), ({"hidden": (8, 0)}, "positive whole numbers")],
)
def test_settings_are_checked(options, message):
    with pytest.raises(GraphError, match=message):
        Perceptron(("a",), "total", **options)
