"""Logs of every past version are read as they were meant.

The files are never written again: those of version 1 were made once by Fireworks as it was before lines had times,
those of version 2 when they got them. A log that changes gets a new version, a new folder and a new test.

Comes in: `tests/formats/logs-*`. Goes out: nothing.
"""

import os
from pathlib import Path

import pytest

from fireworks.cli import main
from fireworks.errors import FormatError
from fireworks.store import open_store
from fireworks.workflow.history import RunFolder
from recording import Recorder, make_plan

HERE, RUN = Path(__file__).parent, "phage-20261121-104512-3fa9"
SHARD_0 = [b"epoch 1\n", b"epoch 2 \xe2\x9c\x93\n", b"\xff\r 50 %\r100 %\n"]
SHARD_1 = b"epoch 1 of the second shard\n"
# Seconds since the epoch at which stores took the chunks of version 1.
TAKEN = {"00000/a1/00000.log": 1_795_258_005, "00000/a1/00001.log": 1_795_258_015, "00001/b1/00000.log": 1_795_258_010}


@pytest.fixture
def folder(tmp_path):
    """A run whose logs are still to be put."""
    Recorder(open_store(tmp_path), RUN, make_plan("train", shards=2)).begin().end()
    return RunFolder(open_store(tmp_path), RUN)


def put(folder, version):
    for file in sorted((HERE / version).rglob("*.log")):
        folder.store.put(f"{folder.prefix}logs/{file.relative_to(HERE / version)}", file.read_bytes())


def test_version_1_has_the_times_at_which_it_was_stored(folder, tmp_path, capfdbinary):
    put(folder, "logs-v1")
    for name, taken in TAKEN.items():
        os.utime(tmp_path / folder.prefix / "logs" / "train" / name, (taken, taken))
    expected = [
        (0, 1_795_258_005, SHARD_0[0]),
        (1, 1_795_258_010, SHARD_1),
        *((0, 1_795_258_015, text) for text in SHARD_0[1:]),
    ]
    assert expected == [(file.shard, line.time, line.text) for file, line in folder.logs()]
    assert 0 == main(["logs", RUN, "--store", str(tmp_path)])
    assert (
        b"==> train/0 attempt a1 <==\nepoch 1\n\n==> train/1 attempt b1 <==\nepoch 1 of the second shard\n"
        b"\n==> train/0 attempt a1 <==\nepoch 2 \xe2\x9c\x93\n\xff\r 50 %\r100 %\n"
    ) == capfdbinary.readouterr().out


def test_version_2_has_the_times_of_its_lines(folder):
    put(folder, "logs-v2")
    expected = [
        (0, 1_795_258_000.5, SHARD_0[0]),
        (1, 1_795_258_004.75, SHARD_1),
        (1, 1_795_258_004.75, b"no end"),
        *((0, 1_795_258_010.5, text) for text in SHARD_0[1:]),
    ]
    assert expected == [(file.shard, line.time, line.text) for file, line in folder.logs()]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("00000.zst", b"", "must be named as number.log or number-time.log"),
        ("00000-20261121T104640.500000Z.log", b"2026-11-21T10:46:4 x\n", "must begin with a time, but .*10:46:4 x"),
    ],
)
def test_what_no_version_wrote_is_refused_by_name(folder, name, data, message):
    folder.store.put(f"{folder.prefix}logs/train/00000/a1/{name}", data)
    with pytest.raises(FormatError, match=message):
        list(folder.logs())
