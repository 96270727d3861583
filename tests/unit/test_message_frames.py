"""The DataFrame face of a Message.

Comes in: `fireworks.core.message`. Goes out: nothing.
"""

import io
import sqlite3

import numpy as np
import pandas as pd
import pytest
import torch

from fireworks.core.message import Message


def message() -> Message:
    return Message({"name": ["a", "b"], "k": [1, 2], "t": torch.tensor([0.5, 1.5])})


@pytest.mark.parametrize(
    ("method", "suffix"),
    [("csv", "csv"), ("json", "json"), ("parquet", "parquet"), ("feather", "arrow"), ("pickle", "pkl")],
)
def test_tables_written_are_read_again(tmp_path, method, suffix):
    path = tmp_path / f"table.{suffix}"
    message().to(method, path=path)
    found = Message.read(method, path)
    assert sorted(found.columns) == ["k", "name", "t"]
    assert found.to_dict() == message().to_dict()
    assert getattr(Message, f"read_{method}")(path) == found
    assert Message.read(method, path=path) == Message.read(method, path_or_buf=path) == found


def test_stata_under_both_names(tmp_path):
    message().to("state", path=tmp_path / "x.dta")
    assert Message.read("state", tmp_path / "x.dta").to_dict() == Message.read("stata", tmp_path / "x.dta").to_dict()


def test_sql():
    connection = sqlite3.connect(":memory:")
    message().to_sql("things", connection)
    assert Message.read("sql_query", "select k from things order by k desc", connection)["k"].tolist() == [2, 1]
    connection.close()


def test_text_is_returned_without_a_path():
    assert message().to_csv() == "k,name,t\n1,a,0.5\n2,b,1.5\n"
    assert Message.read_json(io.StringIO(message().to_json())).to_dict() == message().to_dict()
    assert message().to("csv", path_or_buf=None) == message().to_csv()
    assert "name" in message().to_string()
    assert message().to_dict() == {"k": [1, 2], "name": ["a", "b"], "t": [0.5, 1.5]}
    assert message().to_dict(orient="records")[1] == {"k": 2, "name": "b", "t": 1.5}


def test_records_have_no_row_numbers():
    assert message().to_records().tolist() == [(1, "a", 0.5), (2, "b", 1.5)]


def test_writing_leaves_the_message_as_it_was():
    m = message()
    m.to_csv()
    assert m == message()


def test_unknown_methods_are_named():
    with pytest.raises(TypeError, match=r"got 'cvs'.*Did you mean 'csv'"):
        Message.read("cvs", "x")
    with pytest.raises(ValueError, match="got 'msgpack'"):
        message().to("msgpack")


def test_df_shares_memory_and_new_columns_stay_there():
    array = np.arange(3)
    m = Message({"x": array})
    frame = m.df
    frame["y"] = 1
    assert "y" not in m
    assert np.shares_memory(frame["x"].to_numpy(), array)
    assert isinstance(m["x"], pd.Series)
    assert m["x"].name == "x"
