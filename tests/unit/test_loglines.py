"""Lines of several logs by time. Neighbours: `fireworks.workflow.loglines`, `tests/formats/test_log_formats.py`."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from fireworks.store import open_store
from fireworks.workflow.history import write_log_chunk
from fireworks.workflow.loglines import Chunk, Line, LogFile, chunks_of, decode_chunk, encode_chunk, interleave, stamp

RUN = "phage-20261121-104512-3fa9"
TIMES = st.integers(1_790_000_000_000_000, 1_790_000_000_000_050).map(lambda micros: micros / 1e6)
TEXTS = st.tuples(
    st.binary(max_size=4).map(lambda text: text.replace(b"\n", b"")), st.sampled_from([b"\n", b"\n", b""])
)
LINES = st.tuples(TIMES, TEXTS.map(b"".join).filter(len)).map(lambda line: Line(*line))
# Logs; each is chunks; each is lines, in order.
LOGS = st.lists(st.lists(st.lists(LINES, min_size=1, max_size=4), max_size=4), max_size=4)


def test_a_chunk_is_a_text_that_a_person_can_read():
    lines = [Line(1_790_000_000.25, b"epoch 1\n"), Line(1_790_000_001.0, b"epo"), Line(1_790_000_001.5, b"ch 2\n")]
    assert (
        b"2026-09-21T14:13:20.250000Z epoch 1\n2026-09-21T14:13:21.000000Z+epo\n2026-09-21T14:13:21.500000Z ch 2\n"
    ) == encode_chunk(lines)


@given(st.lists(LINES))
def test_a_chunk_is_read_as_it_was_written(lines):
    chunk = Chunk(key="x", number=0, time=0.0, timed=True)
    assert lines == list(decode_chunk(chunk, encode_chunk(lines)))


@given(LOGS)
def test_logs_become_one_by_time(logs):
    store = open_store("memory://lines")
    store.delete_prefix("runs")
    files, expected = [], []
    for rank, chunks in enumerate(logs):
        lines = sorted((line for chunk in chunks for line in chunk), key=lambda line: line.time)
        rest = iter(lines)
        for number, chunk in enumerate(chunks):
            write_log_chunk(store, RUN, "train", rank, "a", number, [next(rest) for _ in chunk])
        infos = list(store.list(f"runs/{RUN}/logs/train/{rank:05d}/"))
        files.append(LogFile(stage="train", shard=rank, attempt="a", chunks=chunks_of(infos)))
        expected += [(line.time, rank, place, line.text) for place, line in enumerate(joined(lines))]
    found = [(line.time, file.shard, line.text) for file, line in interleave(store, files)]
    assert [(moment, rank, text) for moment, rank, _, text in sorted(expected)] == found


def joined(lines):
    """Pieces put together, as of the time of the last."""
    whole, text = [], b""
    for line in lines:
        text += line.text
        if text.endswith(b"\n"):
            whole.append(Line(line.time, text))
            text = b""
    return [*whole, Line(lines[-1].time, text)] if text else whole


class Counting:
    """A store that counts how many objects were read and not used up yet."""

    def __init__(self, store):
        self._store, self.reads, self._lock = store, 0, threading.Lock()

    def get(self, key):
        with self._lock:
            self.reads += 1
        return self._store.get(key)


def test_no_more_is_read_than_the_moment_needs(tmp_path):
    store = open_store(tmp_path)
    files = []
    for shard in range(3):
        for number in range(60):
            write_log_chunk(store, RUN, "train", shard, "a", number, [Line(1.8e9 + number, b"x\n")])
        infos = list(store.list(f"runs/{RUN}/logs/train/{shard:05d}/"))
        files.append(LogFile(stage="train", shard=shard, attempt="a", chunks=chunks_of(infos)))
    counting = Counting(store)
    lines = interleave(counting, files)
    for _ in range(30):
        next(lines)
    time.sleep(0.1)
    assert 30 <= counting.reads <= 30 + 3 + 16
    assert 150 == sum(1 for _ in lines)


def test_stamps_sort_as_times_do():
    times = [0.0, 1.5, 999_999_999.999999, 1_790_000_000.000001, 1_790_000_000.1]
    assert times == sorted(times, key=stamp)
