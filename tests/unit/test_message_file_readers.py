"""Message files on the disk: how they are written and mapped, and who else can open them.

Comes in: `fireworks.core.message`, polars, pyarrow, pandas, duckdb. Goes out: nothing.
"""

import io

import pandas as pd
import pyarrow as pa
import pytest
import torch

from fireworks.core.message import Message, read_message, verify_message, write_message
from fireworks.core.message.reading import InMemory, open_layout
from fireworks.errors import SchemaError, UnsupportedColumn
from messages import jagged, small, stored

# Files


def test_a_path_is_mapped_writable_and_the_file_stays(tmp_path):
    path = tmp_path / "m.arrow"
    small().save(path)
    before = path.read_bytes()
    found = Message.load(path)
    found["t"].add_(1)
    found[0] = found[1]
    assert path.read_bytes() == before
    assert found["t"].data_ptr() % 64 == 0
    verify_message(path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.arrow"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.arrow"
    small().save(path)
    with pytest.raises(UnsupportedColumn):
        write_message(Message({"x": [object()]}), path)
    assert Message.load(str(path)) == small()


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match=f"folder of a file must exist, but {tmp_path}/absent does not"):
        small().save(tmp_path / "absent" / "m.arrow")
    for path in (tmp_path / "file" / "m.arrow", tmp_path):
        with pytest.raises(OSError, match=f"'{path}'") as caught:
            small().save(path)
        assert ".tmp" not in str(caught.value)
    assert [path.name for path in tmp_path.parent.glob("*.tmp")] == []


def test_buffers():
    buffer = io.BytesIO()
    small().save(buffer)
    assert Message.load(buffer) == small()
    assert read_message(buffer.getvalue(), columns=["s", "t"]) == small()[["s", "t"]]
    with pytest.raises(SchemaError, match=r"'tt' was asked for.*Did you mean 't'"):
        read_message(buffer, columns=["tt"])


def test_every_buffer_is_aligned_in_the_file():
    layout = open_layout(InMemory(memoryview(bytearray(stored(small()))), "x"))
    assert all(start % 64 == 0 for column in layout.columns for start, _, _ in column.buffers.values())
    assert [column.name for column in layout.columns] == ["I", "c", "s", "t", "r"]


# Other readers


def open_columns() -> Message:
    return Message(
        {
            "n": [1, 2, 3],
            "word": ["a", "", None],
            "flag": [True, False, True],
            "when": pd.to_datetime(["2020-01-01", None, "2021-06-01"]),
            "kind": pd.Categorical(["x", "y", "x"]),
            "maybe": pd.array([1, None, 3], dtype="Int64"),
            "vector": torch.arange(6.0).view(3, 2),
            "number": torch.tensor([1.5, 2.5, 3.5]),
            "list": jagged(torch.tensor([1, 2]), torch.tensor([], dtype=torch.int64), torch.tensor([3])),
        }
    )


def test_pyarrow_opens_it():
    file = pa.ipc.open_file(pa.BufferReader(stored(open_columns())))
    assert file.num_record_batches == 1
    batch = file.get_batch(0)
    batch.validate(full=True)
    assert batch.schema.field("vector").type == pa.fixed_shape_tensor(pa.float32(), [2])
    assert batch.schema.field("word").type == pa.large_string()
    assert batch["vector"].to_numpy_ndarray().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert batch["kind"].to_pylist() == ["x", "y", "x"]
    assert batch["list"].to_pylist() == [[1, 2], [], [3]]
    assert batch["maybe"].to_pylist() == [1, None, 3]
    stream = pa.ipc.open_stream(pa.BufferReader(stored(open_columns())[8:]))
    assert stream.read_all().num_rows == 3


def test_polars_opens_it(tmp_path):
    polars = pytest.importorskip("polars")
    open_columns().save(tmp_path / "m.arrow")
    frame = polars.read_ipc(
        tmp_path / "m.arrow", columns=["n", "word", "flag", "kind", "maybe", "number", "list", "when"]
    )
    assert frame["word"].to_list() == ["a", "", None]
    assert frame["flag"].to_list() == [True, False, True]
    assert frame["kind"].cast(polars.String).to_list() == ["x", "y", "x"]
    assert frame["list"].to_list() == [[1, 2], [], [3]]
    assert frame["when"].is_null().to_list() == [False, True, False]
    assert frame["number"].to_list() == [1.5, 2.5, 3.5]
    assert polars.scan_ipc(tmp_path / "m.arrow").filter(polars.col("n") > 1).select("maybe").collect()[
        "maybe"
    ].to_list() == [None, 3]


def test_pandas_opens_it(tmp_path):
    open_columns().save(tmp_path / "m.arrow")
    frame = pd.read_feather(tmp_path / "m.arrow")
    assert frame["n"].tolist() == [1, 2, 3]
    assert frame["kind"].dtype == "category"
    assert frame["number"].tolist() == [1.5, 2.5, 3.5]


def test_duckdb_queries_it_through_arrow():
    duckdb = pytest.importorskip("duckdb")
    table = pa.ipc.open_file(pa.BufferReader(stored(open_columns()))).read_all().drop_columns(["vector"])
    with duckdb.connect() as connection:
        connection.register("file", table)
        assert connection.sql("select sum(n), count(maybe), max(number) from file").fetchall() == [(6, 2, 3.5)]
