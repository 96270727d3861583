"""Packed states: files without pickle, equal bytes for equal states, everything back as it was."""

import json
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks import Message
from fireworks.core.state import pack_state, unpack_state
from fireworks.core.statefile import read_state, write_state
from fireworks.errors import FormatError, StateError
from messages import jagged, nested, quantized

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False) | st.tuples(st.integers())
STATES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple),
    max_leaves=12,
)


def same(left, right):
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right or (isinstance(left, float) and math.isnan(left) and math.isnan(right))


@given(state=STATES)
@settings(max_examples=150, deadline=None)
def test_plain_states_go_round(state):
    packed = pack_state(state)
    assert same(unpack_state(packed), state)
    assert pack_state(unpack_state(packed)) == packed


@pytest.mark.parametrize(
    "dtype",
    [
        torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
        torch.float32, torch.float64, torch.float8_e4m3fn, torch.complex64,
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)], ids=str)
def test_tensors_go_round(dtype, shape):
    tensor = (torch.rand(shape) * 3).to(dtype)
    back = unpack_state(pack_state({"t": tensor}))["t"]
    assert (back.dtype, back.shape) == (dtype, tensor.shape)
    assert torch.equal(back.view(torch.uint8) if shape else back, tensor.view(torch.uint8) if shape else tensor)


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3).T, np.float32(2.5), np.array(True), np.array([1, 2], dtype=">i4"), np.ones((0, 2))],
    ids=str,
)
def test_arrays_go_round(array):
    back = unpack_state(pack_state([array]))[0]
    assert type(back) is type(array)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array)
    assert back.shape == array.shape


def test_messages_bytes_and_structures_go_round():
    message = Message({"x": torch.ones(2, 3), "s": ["a", "b"]})
    state = {"m": message, "l": [message[:1], b"\x00\xff"], 3: ("t", OrderedDict(a=1)), "size": torch.Size([2])}
    packed = pack_state(state)
    assert sorted(packed) == ["messages/0.arrow", "messages/1.arrow", "state.json"]
    back = unpack_state(packed)
    assert back["m"] == message
    assert back["l"] == [message[:1], b"\x00\xff"]
    assert (back[3], back["size"]) == (("t", {"a": 1}), (2,))


def test_tensors_are_detached_dense_copies_on_the_cpu():
    base = torch.arange(10.0, requires_grad=True)
    state = {"view": base[2:4], "step": base[::2], "conj": torch.tensor([1 + 2j]).conj()}
    packed = pack_state(state)
    assert len(packed["tensors.safetensors"]) < 400
    back = unpack_state(packed)
    assert back["view"].tolist() == [2, 3]
    assert back["step"].tolist() == [0, 2, 4, 6, 8]
    assert back["conj"].tolist() == [1 - 2j]
    assert not back["view"].requires_grad
    back["view"] += 1
    assert unpack_state(packed)["view"].tolist() == [2, 3]


def test_a_tensor_in_two_places_is_stored_once():
    tensor = torch.ones(1000)
    assert len(pack_state([tensor, tensor])["tensors.safetensors"]) < 5000
    assert [item.sum().item() for item in unpack_state(pack_state([tensor, tensor]))] == [1000, 1000]


def test_names_that_look_alike_do_not_collide():
    state = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}
    back = unpack_state(pack_state(state))
    assert (back["a.b"].item(), back["a"]["b"].item()) == (0, 1)


def test_optimizers_go_round():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    parameter.sum().backward()
    optimizer.step()
    twin = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
    twin.load_state_dict(unpack_state(pack_state(optimizer.state_dict())))
    assert pack_state(twin.state_dict()) == pack_state(optimizer.state_dict())


def cyclic():
    state = {"a": []}
    state["a"].append(state)
    return state


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"model": {"layers": [1, object()]}}, r"got builtins.object at model.layers\[1\]"),
        ({1, 2}, "got builtins.set at its root"),
        ({"f": len}, "builtin_function_or_method at f"),
        ({"s": np.array(["a"])}, "numpy.ndarray at s"),
        ({"o": np.array([None])}, "numpy.ndarray at o"),
        ({"t": torch.ones(2, 2).to_sparse()}, "must be dense, but is torch.sparse_coo at t"),
        ({"n": nested(torch.ones(1))}, "is nested at n. Put it into a column of a Message"),
        ({"n": jagged(torch.ones(1))}, "is nested at n"),
        ({"q": [quantized()]}, r"is quantized at q\[0\]. Call dequantize"),
        ({"e": torch.ones(2, device="meta")}, "on the device meta, without values at e"),
        ({"a": {"m": Message({"x": [object()]})}}, "the Message at a.m cannot be stored: .*column 'x'"),
        (Message({"x": torch.ones(1, device="meta")}), "Message at its root cannot be stored: .*'x' is on"),
        (cyclic(), "contains itself at a"),
        ({"d": torch.float32}, "torch.dtype at d"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_the_rest_is_refused_by_place_and_type(state, match):
    with pytest.raises(StateError, match=match):
        pack_state(state)


@pytest.mark.parametrize(
    "damage",
    [
        lambda files: files.pop("state.json"),
        lambda files: files.pop("tensors.safetensors"),
        lambda files: files.pop("messages/0.arrow"),
        lambda files: files.update({"state.json": files["state.json"][:-9]}),
        lambda files: files.update({"state.json": b"[]"}),
        lambda files: files.update({"state.json": files["state.json"].replace(b'"version": 1', b'"version": 2')}),
        lambda files: files.update({"state.json": files["state.json"].replace(b'"tensor"', b'"pickle"')}),
        lambda files: files.update({"tensors.safetensors": files["tensors.safetensors"][:-1]}),
        lambda files: files.update({"messages/0.arrow": files["messages/0.arrow"][:-1]}),
    ],
)
def test_damage_is_a_format_error(damage):
    files = pack_state({"t": torch.ones(2), "m": Message({"x": torch.ones(2)})})
    damage(files)
    with pytest.raises(FormatError):
        unpack_state(files)


def test_state_json_can_be_read_by_people():
    document = json.loads(pack_state({"lr": 0.1, "w": torch.ones(1), "t": (1,)})["state.json"])
    assert document["state"] == {"lr": 0.1, "w": {"$": "tensor", "name": "w"}, "t": {"$": "tuple", "items": [1]}}


@pytest.mark.parametrize("method", ["json", "csv"])
def test_state_files_keep_arrays_and_tensors(tmp_path, method):
    state = {
        "a": np.arange(4, dtype=np.int16).reshape(2, 2),
        "t": torch.tensor([1.5, math.nan], dtype=torch.bfloat16),
        "n": {"deep": [1, (2.5, "x", None)], "flag": np.bool_(True)},
    }
    path = tmp_path / f"x.{method}"
    write_state(state, path, method)
    back = read_state(path, method)
    assert back["a"].dtype == np.int16
    assert back["a"].tolist() == [[0, 1], [2, 3]]
    assert (back["t"].dtype, back["t"][0].item(), math.isnan(back["t"][1])) == (torch.bfloat16, 1.5, True)
    assert back["n"] == {"deep": [1, (2.5, "x", None)], "flag": True}
    assert type(back["n"]["flag"]) is np.bool_
