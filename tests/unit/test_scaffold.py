"""Scaffold: all states of a graph, as snapshots and as files."""

import pytest
import torch

from fireworks import Junction, Message, Pipe, PyTorch_Model, Scaffold
from fireworks.errors import ParameterError, StateError
from fireworks.toolbox import ShufflerPipe


class Line(PyTorch_Model):
    required_components = ("m",)

    def forward(self, message):
        message["y"] = self.m * message["x"]
        return message


def graph(m, seed):
    shuffler = ShufflerPipe(Message({"x": torch.arange(5.0)}), seed=seed)
    owner = Line({"m": m}, input=shuffler)
    model = Line({"m": (owner, "m"), "size": 3})
    return {"shuffler": shuffler, "owner": owner, "model": model}


def test_a_snapshot_restores_every_object():
    first = graph([1.0, 2.0], seed=1)
    first["shuffler"].shuffle()
    next(first["shuffler"])
    first["model"].size = 4
    snapshot = Scaffold(first).snapshot()
    second = graph([9.0, 9.0], seed=2)
    Scaffold(second).restore(snapshot)
    assert second["owner"].m.tolist() == [1, 2]
    assert second["model"].m is second["owner"].m
    assert second["model"].size == 4
    assert (second["shuffler"].seed, second["shuffler"].epoch, second["shuffler"].position) == (1, 1, 1)
    assert Scaffold(second).snapshot() == snapshot


def test_links_are_saved_by_name():
    first = graph([1.0], seed=1)
    snapshot = Scaffold(first).snapshot()
    second = graph([5.0], seed=1)
    second["model"].m = [7.0]
    Scaffold(second).restore(snapshot)
    assert second["model"].m is second["owner"].m


def test_links_to_objects_that_are_not_attached_stay():
    first = graph([1.0], seed=1)
    snapshot = Scaffold({"model": first["model"]}).snapshot()
    second = graph([5.0], seed=1)
    Scaffold({"model": second["model"]}).restore(snapshot)
    assert second["model"].m is second["owner"].m


def test_components_that_are_attached_are_saved_by_name():
    model = Line({"m": [1.0]})
    junction = Junction({"model": model, "epochs": 3})
    snapshot = Scaffold({"junction": junction, "model": model}).snapshot()
    other = Line({"m": [2.0]})
    twin = Junction({"model": Line({"m": [3.0]}), "epochs": 1})
    Scaffold({"junction": twin, "model": other}).restore(snapshot)
    assert (twin.model is other, other.m.item(), twin.epochs) == (True, 1, 3)


def test_optimizers_and_schedulers_can_be_attached():
    model = Line({"m": [1.0]})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    model.m.sum().backward()
    optimizer.step()
    schedule.step()
    snapshot = Scaffold({"optimizer": optimizer, "schedule": schedule}).snapshot()
    twin = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.1)
    other = torch.optim.lr_scheduler.StepLR(twin, 3)
    Scaffold({"optimizer": twin, "schedule": other}).restore(snapshot)
    assert (twin.param_groups[0]["lr"], other.last_epoch) == (0.05, 1)


def test_a_users_own_state_may_hold_messages():
    class Remembering(Pipe):
        stateful_attributes = ("seen",)
        seen = None

    pipe = Remembering()
    pipe.seen = Message({"x": torch.ones(2), "s": ["a", "b"]})
    twin = Remembering()
    Scaffold({"pipe": twin}).restore(Scaffold({"pipe": pipe}).snapshot())
    assert twin.seen == pipe.seen


def test_what_cannot_be_stored_is_named():
    model = Line({"m": [1.0], "table": {"a": [object()]}})
    with pytest.raises(
        StateError, match=r"the state of 'model' cannot be stored: .*builtins.object at internal.table.a\[0\]"
    ):
        Scaffold({"model": model}).snapshot()


def test_a_message_that_cannot_be_stored_is_named_with_object_place_and_column():
    model = Line({"m": [1.0], "seen": Message({"when": [[1], [2, 3]]})})
    with pytest.raises(
        StateError, match="the state of 'model' cannot be stored: the Message at internal.seen .*column 'when'"
    ):
        Scaffold({"model": model}).snapshot()


def test_objects_without_state_are_refused():
    with pytest.raises(AttributeError, match="'message' is a Message"):
        Scaffold({"message": Message()})


def test_an_object_that_the_snapshot_lacks_is_named():
    snapshot = Scaffold({"a": Pipe()}).snapshot()
    Scaffold({}).restore(snapshot)
    with pytest.raises(StateError, match="lacks b and holds a"):
        Scaffold({"b": Pipe()}).restore(snapshot)


def test_serialize_gives_the_states():
    objects = graph([1.0], seed=1)
    states = Scaffold(objects).serialize()
    assert list(states) == ["shuffler", "owner", "model"]
    assert states["shuffler"]["internal"] == {"seed": 1, "epoch": 0, "position": 0}


@pytest.mark.parametrize("method", ["json", "csv"])
def test_files(tmp_path, method):
    first = graph([1.0, 2.0], seed=1)
    Scaffold(first).save(tmp_path, method)
    (tmp_path / f"stranger.{method}").write_text("not ours")
    assert sorted(path.name for path in tmp_path.glob("[!s]*")) == [f"model.{method}", f"owner.{method}"]
    second = graph([9.0, 9.0], seed=2) | {"unsaved": Pipe()}
    second["model"].more = 1
    Scaffold(second).load(tmp_path, method)
    assert second["owner"].m.tolist() == [1, 2]
    assert second["model"].m is second["owner"].m
    assert second["model"].more == 1
    assert second["shuffler"].seed == 1
    Scaffold(second).load(tmp_path, method, reset=True)
    assert "more" not in second["model"].components


def test_pickle_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="Pickle runs code"):
        Scaffold().save(tmp_path, "pickle")
    with pytest.raises(ParameterError, match="Pickle runs code"):
        Scaffold().load(tmp_path, method="pickle")
