"""Tables as parts in a store: written by any chunks, read by any rows.

Comes in: `fireworks.core.message`, `fireworks.store`. Goes out: nothing.
"""

import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.core.message import Message, PartWriter, StoredMessage, cat
from fireworks.errors import ColumnNotFound, FormatError, RowNotFound, SchemaError, UnsupportedColumn
from fireworks.store import Store, open_store

N = 200


def table(n: int = N) -> Message:
    return Message(
        {
            "k": np.arange(n),
            "s": [None if i % 9 == 0 else f"é{i}" * (i % 4) for i in range(n)],
            "I": pd.array([None if i % 3 == 0 else i for i in range(n)], dtype="Int32"),
            "flag": np.arange(n) % 3 == 0,
            "c": pd.Categorical([str(i % 4) for i in range(n)], categories=["0", "1", "2", "3"]),
            "by": [bytes([i]) * (i % 3) for i in range(n)],
            "t": torch.arange(3.0 * n).view(n, 3),
            "r": torch.nested.nested_tensor([torch.arange(i % 5) for i in range(n)], layout=torch.jagged),
        }
    )


TABLE = table()


def memory() -> Store:
    return open_store(f"memory://{uuid.uuid4().hex}")


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    return open_store(tmp_path / "store") if request.param == "file" else memory()


def written(store: Store, rows: Message, chunks: list[int], part_size_bytes: int = 3000) -> PartWriter:
    writer = PartWriter(store, f"{uuid.uuid4().hex}/", part_size_bytes)
    start = 0
    for n in [*chunks, len(rows)]:
        writer.write(rows[start : start + n])
        start += n
    writer.close()
    return writer


@pytest.fixture
def stored(store):
    writer = written(store, TABLE, [50])
    return StoredMessage(store, writer.close(), writer.columns)


def test_parts_are_named_counted_and_bounded(store):
    writer = PartWriter(store, "table/", 3000)
    writer.write(TABLE)
    parts = writer.close()
    assert len(parts) > 3
    assert [part.key for part in parts] == [f"table/{i:05d}.arrow" for i in range(len(parts))]
    assert sum(part.rows for part in parts) == writer.rows == N
    assert sum(store.size(part.key) for part in parts) == writer.size_bytes
    assert writer.columns["t"] == "float32[3]"
    assert list(writer.columns) == list(TABLE.columns)
    assert writer.close() == parts


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 60), max_size=8), st.sampled_from([1, 700, 3000, 10**6]))
def test_parts_depend_on_the_rows_alone(chunks, part_size_bytes):
    rows, store = TABLE[:60], memory()
    whole = written(store, rows, [], part_size_bytes).close()
    chunked = written(store, rows, chunks, part_size_bytes).close()
    assert [(part.rows, part.hash) for part in chunked] == [(part.rows, part.hash) for part in whole]


def test_a_row_larger_than_a_part_is_a_part():
    writer = PartWriter(memory(), "x/", 10)
    writer.write({"t": torch.ones(3, 100)})
    assert [part.rows for part in writer.close()] == [1, 1, 1]


def test_written_rows_are_the_writers_own():
    store = memory()
    for repeats in (1, 3):
        writer = PartWriter(store, f"{repeats}/")
        rows = table(5)
        for _ in range(repeats):
            writer.write(rows)
        rows["t"].zero_()
        rows._column("k")[:] = 0
        rows._column("r").values.zero_()
        assert StoredMessage(store, writer.close()).read() == cat([table(5)] * repeats)


def test_rows_that_differ_in_type_are_refused():
    writer = PartWriter(memory(), "x/")
    writer.write({"a": [1], "b": ["x"]})
    writer.write({"b": np.array(["y"], dtype=object), "a": [2]})
    with pytest.raises(SchemaError, match=r"'a': 'int64'.*'a': 'float64'"):
        writer.write({"a": [1.5], "b": ["x"]})
    with pytest.raises(SchemaError, match="'b': None"):
        writer.write({"a": [1]})
    with pytest.raises(UnsupportedColumn, match="'o'"):
        PartWriter(memory(), "x/").write({"o": [1, "a"]})
    writer = PartWriter(memory(), "x/")
    writer.write({"c": pd.Categorical(["a"])})
    with pytest.raises(SchemaError, match="CategoricalDtype"):
        writer.write({"c": pd.Categorical(["b"])})


def test_no_rows_make_no_parts():
    store = memory()
    writer = PartWriter(store, "x/")
    writer.write(Message())
    assert (writer.close(), writer.columns, writer.rows) == ([], {}, 0)
    empty = StoredMessage(store, [])
    assert (len(empty), list(empty.columns), empty.read(), empty[:5], list(empty)) == (0, [], Message(), Message(), [])


def test_a_table_without_rows_is_one_part_that_tells_the_columns():
    store = memory()
    writer = PartWriter(store, "x/")
    # Without a row, an object column of bytes can't be told from one of text.
    table = TABLE[[name for name in TABLE.columns if name != "by"]]
    writer.write(table[:0])
    parts = writer.close()
    assert [0] == [part.rows for part in parts]
    empty = StoredMessage(store, parts, writer.columns)
    assert (0, set(table.columns)) == (len(empty), set(empty.columns))
    assert table[:0] == empty.read() == empty[:] == empty[[]]
    assert [] == list(empty) == list(empty.batches(10))


INDICES = st.one_of(
    st.slices(N),
    st.integers(-N, N - 1),
    st.lists(st.integers(-N, N - 1), max_size=12),
)
MEMORY = memory()
PARTS = written(MEMORY, TABLE, []).close()


@settings(deadline=None, max_examples=60)
@given(INDICES, st.booleans())
def test_rows_by_ranges_equal_the_tables(index, verify):
    assert StoredMessage(MEMORY, PARTS, verify=verify)[index] == TABLE[index]


def test_rows_and_columns_by_index(stored):
    assert len(stored) == N
    assert stored[10:150] == TABLE[10:150]
    assert stored[-1] == TABLE[-1]
    assert stored[[199, 3, 3, 60]] == TABLE[[199, 3, 3, 60]]
    assert stored[TABLE["k"] % 50 == 0] == TABLE[::50]
    assert stored[::-1] == TABLE[::-1]
    assert stored[7:7] == stored[[]] == TABLE[:0]
    assert stored["s"].equals(TABLE["s"])
    assert torch.equal(stored.t, TABLE["t"])
    assert stored[["t", "c"]] == TABLE[["t", "c"]]
    assert list(stored.columns) == list(TABLE.columns)
    assert "t" in stored
    assert Message(stored) == stored.read() == TABLE
    assert stored.to_dict() == TABLE.to_dict()
    with pytest.raises(RowNotFound, match="-200…199"):
        stored[200]
    with pytest.raises(ColumnNotFound, match="Did you mean 'flag'"):
        stored["flags"]
    with pytest.raises(AttributeError, match="no 'absent'"):
        _ = stored.absent


def test_reading_in_order(stored):
    assert [len(batch) for batch in stored.batches(77)] == [77, 77, 46]
    assert cat(stored.batches(33)) == TABLE
    assert cat(list(stored)) == TABLE
    assert [next(stored), next(stored)] == [TABLE[0], TABLE[1]]
    assert next(stored.reset()) == TABLE[0]


def test_it_is_shown_by_its_size_and_first_rows():
    store = memory()
    writer = written(store, Message({"word": ["<b>", *map(str, range(20))]}), [])
    stored = StoredMessage(store, writer.close(), writer.columns)
    assert repr(stored) == f"StoredMessage: 21 rows × 1 column in 1 part of {store.url}"
    shown = stored._repr_html_()
    assert repr(stored) in shown
    assert "&lt;b&gt;" in shown
    assert [">8<" in shown, ">9<" in shown, ">10<" in shown] == [True, True, False]
    assert "0 rows × 0 columns in 0 parts" in StoredMessage(store, [])._repr_html_()


def test_missing_cells_only_are_text_in_a_table_of_parts():
    store = memory()
    writer = PartWriter(store, "x/")
    writer.write({"s": [None]})
    writer.write({"s": ["a"]})
    assert writer.columns == {"s": "str"}
    assert StoredMessage(store, writer.close(), writer.columns).read() == Message({"s": [None, "a"]})


def test_it_pickles_as_its_address(tmp_path):
    store = open_store(tmp_path)
    writer = written(store, TABLE, [])
    stored = StoredMessage(store, writer.close(), writer.columns)
    stored.read()
    data = pickle.dumps(stored)
    assert len(data) < 20_000
    assert pickle.loads(data)[5:9] == TABLE[5:9]


def test_only_the_bytes_asked_for_are_fetched():
    class Counting:
        fetched = 0

        def local_path(self, key: str) -> Path | None:
            return MEMORY.local_path(key)

        def get_ranges(self, key: str, ranges: list[tuple[int, int]]) -> list[bytes]:
            Counting.fetched += sum(end - start for start, end in ranges)
            return MEMORY.get_ranges(key, ranges)

    rows = Message({"t": torch.arange(400_000.0).view(-1, 4), "s": ["word"] * 100_000})
    part = written(MEMORY, rows, [], 10**9).close()
    stored = StoredMessage(Counting(), part)
    assert stored[50_000:50_010] == rows[50_000:50_010]
    assert Counting.fetched < 70_000
    Counting.fetched = 0
    assert stored[[70_000, 10]] == rows[[70_000, 10]]
    assert Counting.fetched < 200


def test_a_shuffled_epoch_costs_little_more_than_the_whole():
    class Counting:
        requests = fetched = 0

        def local_path(self, key: str) -> Path | None:
            return None

        def get_ranges(self, key: str, ranges: list[tuple[int, int]]) -> list[bytes]:
            Counting.requests += 1
            Counting.fetched += sum(end - start for start, end in ranges)
            return MEMORY.get_ranges(key, ranges)

        def stream(self, key: str) -> Iterator[bytes]:
            Counting.requests += 1
            for block in MEMORY.stream(key):
                Counting.fetched += len(block)
                yield block

    rows = Message({"t": torch.arange(800_000.0).view(-1, 4), "s": ["word"] * 200_000})
    parts = written(MEMORY, rows, [], 2_000_000).close()
    assert len(parts) > 2
    stored = StoredMessage(Counting(), parts)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        for batch in order[:20_000].split(1000):
            assert stored[batch] == rows[batch]
    assert Counting.fetched < 2.1 * sum(part.size_bytes for part in parts)
    assert Counting.requests < 10 * len(parts)


def altered(store: Store, part, place: int):
    data = bytearray(store.get(part.key))
    data[place] ^= 4
    store.put(part.key, bytes(data))


def test_altered_parts_are_refused_where_they_are_read_whole(store):
    parts = written(store, TABLE, []).close()
    altered(store, parts[1], 3000)
    stored = StoredMessage(store, parts)
    assert stored[: parts[0].rows] == TABLE[: parts[0].rows]
    with pytest.raises(FormatError, match=f"{parts[1].key}.*altered"):
        stored.read()
    assert len(StoredMessage(store, parts, verify=False).read()) == N
    altered(store, parts[2], parts[2].size_bytes - 40)
    with pytest.raises(FormatError, match="must"):
        StoredMessage(store, parts)[parts[0].rows + parts[1].rows]


def test_torn_and_exchanged_parts_are_refused(store):
    parts = written(store, TABLE, []).close()
    store.put(parts[0].key, store.get(parts[0].key)[:-1])
    for read in (lambda s: s.read(), lambda s: s[0:1]):
        with pytest.raises(FormatError, match=parts[0].key):
            read(StoredMessage(store, parts))
    other = written(store, TABLE[:7], []).close()[0]
    store.put(parts[0].key, store.get(other.key))
    with pytest.raises(FormatError, match=parts[0].key):
        StoredMessage(store, parts)[0:1]
