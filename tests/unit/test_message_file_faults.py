"""Torn, altered, hostile and foreign files: each is refused by a named error, before anything is allocated.

Comes in: `fireworks.core.message`. Goes out: nothing.
"""

import io
import json
import struct
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import torch

from fireworks.core.message import Message, read_message
from fireworks.core.message.layout import LAYOUT_KEY, dump, parse
from fireworks.core.message.reading import InMemory, open_layout
from fireworks.core.message.writing import _tail
from fireworks.errors import FormatError
from messages import small, stored


def test_every_truncation_is_refused():
    data = stored(small())
    for size in range(len(data)):
        with pytest.raises(FormatError, match="must"):
            read_message(data[:size], verify=True)
    with pytest.raises(FormatError, match="must"):
        read_message(data + b"\0", verify=True)


def test_every_flipped_bit_is_found():
    data = stored(Message({"t": torch.ones(2, dtype=torch.int8), "s": ["a", None], "c": pd.Categorical(["u", "u"])}))
    assert len(data) < 5000
    for bit in range(8 * len(data)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            read_message(bytes(altered), verify=True)


def test_an_altered_value_is_named():
    data = bytearray(stored(small()))
    layout = open_layout(InMemory(memoryview(data), "x"))
    data[layout.columns[3].buffers["values"][0]] ^= 1
    assert read_message(bytes(data))["t"].shape == (2, 3)
    with pytest.raises(FormatError, match="values of column 't'"):
        read_message(bytes(data), verify=True)


def test_a_truncated_file_is_refused_when_mapped(tmp_path):
    path = tmp_path / "m.arrow"
    small().save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="torn"):
        Message.load(path)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="has 0"):
        Message.load(path)


def forged(change) -> bytes:
    """A small file whose layout was changed and sealed again: what only a hostile writer could make."""
    data = stored(small())
    layout = open_layout(InMemory(memoryview(bytearray(data)), "x"))
    schema = data[16 : 16 + struct.unpack_from("<i", data, 12)[0]]
    tail_start = max(start + -(-size // 64) * 64 for start, size, _ in layout.extents())
    return data[:tail_start] + _tail(schema, {2: [], 3: []}, change(dump(layout)))


def edited(path: list[Any], value: Any):
    def change(text: str) -> str:
        layout = json.loads(text)
        inner = layout
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return json.dumps(layout)

    return change


def test_a_forgery_that_changes_nothing_is_read():
    assert read_message(forged(lambda text: text)) == small()


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["version"], 2, "must have format version 1, but got 2"),
        (["version"], True, "format version"),
        (["version"], None, "format version"),
        (["rows"], 10**15, "must have 1000000000000000 rows"),
        (["rows"], -1, "must have -1 rows"),
        (["columns", 3, "shape"], [2**62, 3], "must be in"),
        (["columns", 3, "shape"], [-3], "must be in"),
        (["columns", 3, "shape"], [2**32, 2**32], "must be in"),
        (["columns", 3, "shape"], [4], "must have 16 bytes"),
        (["columns", 3, "dtype"], "object", "dtype of this format"),
        (["columns", 3, "kind"], "pickle", "kind must be one of"),
        (["columns", 3, "buffers", "values", 0], 1, "gap or an overlap"),
        (["columns", 3, "buffers", "values", 0], 2**70, "gap or an overlap"),
        (["columns", 3, "buffers", "values", 0], -64, "gap or an overlap"),
        (["columns", 3, "buffers", "values", 1], 2**50, "must have 12 bytes"),
        (["columns", 3, "buffers"], {}, "must have buffers"),
        (["columns", 3, "name"], "s", "unique"),
        (["columns", 4, "items"], 2**61, "must have"),
        (["columns", 1, "categories"], None, "plain categories"),
        (["columns", 1, "storage"], "int3", "codes and plain categories"),
        (["columns", 0, "dtype"], "Int128", "dtype of this format"),
        (["columns"], [], "must have no rows"),
        (["columns"], 5, "must follow its schema"),
        (["heads"], [], "gap or an overlap"),
    ],
)
def test_a_hostile_layout_is_refused_before_anything_is_allocated(path, value, text):
    with pytest.raises(FormatError, match=text):
        read_message(forged(edited(path, value)))


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("[" * 700, "strict JSON"),
        ('{"version":NaN}', "NaN is no JSON number"),
        ('{"version":1,"version":1}', "comes twice"),
        ("{", "strict JSON"),
        ("[]", "version"),
        ('{"version":1,"rows":1' + "0" * 300 + "}", "must follow its schema"),
    ],
)
def test_hostile_json_is_refused(layout, text):
    with pytest.raises(FormatError, match=text):
        read_message(forged(lambda _: layout))


def test_deep_json_is_refused():
    with pytest.raises(FormatError, match="strict JSON"):
        parse(b"[" * 10**6)


def test_offsets_that_lead_outside_are_refused():
    data = bytearray(stored(small()))
    layout = open_layout(InMemory(memoryview(data), "x"))
    for column in (2, 4):
        start = layout.columns[column].buffers["offsets"][0]
        altered = bytearray(data)
        struct.pack_into("<q", altered, start + 8, 2**40)
        with pytest.raises(FormatError, match="offsets of column"):
            read_message(bytes(altered))


def test_codes_and_text_that_mean_nothing_are_refused():
    data = bytearray(stored(Message({"c": pd.Categorical(["u", "v"]), "s": ["ab", "c"]})))
    layout = open_layout(InMemory(memoryview(data), "x"))
    for column, text in ((0, "codes need to be"), (1, "UTF-8")):
        altered = bytearray(data)
        altered[layout.columns[column].buffers["values"][0]] = 0x7F if column == 0 else 0xFF
        with pytest.raises(FormatError, match=text):
            read_message(bytes(altered))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04N." * 50,
        b"PK\x03\x04" + bytes(300),
        b"ARROW1\0\0" + bytes(40) + struct.pack("<i", 2**31 - 1) + b"ARROW1",
        b"ARROW1\0\0" + bytes(40) + struct.pack("<i", -1) + b"ARROW1",
        b"ARROW1\0\0" + b"\xff" * 80 + struct.pack("<i", 64) + b"ARROW1",
    ],
    ids=["pickle", "torch", "long footer", "negative footer", "wild offsets"],
)
def test_other_files_under_our_name_are_refused(data):
    with pytest.raises(FormatError, match="must"):
        read_message(data)


def test_other_arrow_files_are_told_where_to_go():
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, pa.schema([("x", pa.int64())])) as writer:
        writer.write(pa.record_batch({"x": [1]}))
    with pytest.raises(FormatError, match=r"another program.*Message.read"):
        read_message(sink.getvalue())


def test_the_layout_is_under_its_key():
    assert LAYOUT_KEY.encode() in stored(small())
