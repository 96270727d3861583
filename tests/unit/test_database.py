"""SQL tables as sources and targets, on a real SQLite. Neighbour: `fireworks.database`."""

import sqlite3
from contextlib import closing

import pytest
import torch

import fireworks
from fireworks import File, Message, Stage
from fireworks.database import SQLPipe, SQLTargetPipe
from fireworks.errors import CutError, DatabaseError, DatabaseUnavailable, GraphError
from fireworks.testing import pipes as conformance


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "samples.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE samples (name TEXT, n INTEGER, share REAL)")
        connection.executemany("INSERT INTO samples VALUES (?, ?, ?)", [("a", 1, 0.5), ("b", 2, None), ("c'", 3, 1.5)])
    return path


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/target.sqlite")
    return tmp_path / "target.sqlite"


def rows_in(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("remote", [False, True])
def test_a_query_gives_rows(database, remote):
    pipe = SQLPipe("SELECT name, n FROM samples ORDER BY n", File(database.as_uri() if remote else database))
    assert (["a", "b", "c'"], [1, 2, 3]) == (list(pipe[:]["name"]), list(pipe[:]["n"]))
    conformance.check_random_access(pipe)
    conformance.check_reset(pipe)
    conformance.check_state(lambda: SQLPipe("SELECT * FROM samples", File(database)), n_items=2, resumes=True)


def test_values_are_bound_and_not_pasted(database):
    query = "SELECT n FROM samples WHERE name = :name AND n > :least"
    assert [3] == list(SQLPipe(query, File(database), {"name": "c'", "least": 1})[:]["n"])
    assert 0 == len(SQLPipe(query, File(database), {"name": "' OR 1 = 1 --", "least": 0})[:])


def test_the_environment_leads_to_a_database(database, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    assert 3 == len(SQLPipe("SELECT * FROM samples"))


def test_rows_are_written_and_written_again(target):
    rows = Message({"n": torch.arange(5000), "name": ["x"] * 5000})
    for _ in range(2):
        passed = fireworks.cat(list(SQLTargetPipe("copied", rows)))
        assert list(range(5000)) == passed["n"].tolist()
        assert [(number, "x") for number in range(5000)] == sorted(
            (row if isinstance(row[0], int) else row[::-1]) for row in rows_in(target, "copied")
        )


def test_half_a_table_is_never_seen(target):
    list(SQLTargetPipe("copied", Message({"n": torch.arange(3)})))

    class Torn(Message):
        def __getitem__(self, index):
            if isinstance(index, slice) and index.start:
                raise RuntimeError("torn")
            return super().__getitem__(index)

    with pytest.raises(RuntimeError, match="torn"):
        list(SQLTargetPipe("copied", Torn({"n": torch.arange(9000)})))
    assert [(0,), (1,), (2,)] == rows_in(target, "copied")


def test_no_rows_make_an_empty_table(target):
    list(SQLTargetPipe("copied", Message({"n": torch.arange(0)})))
    assert [] == rows_in(target, "copied")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM sample", "must take the statement, but: no such table: sample"),
        ("DROP TABLE samples", "attempt to write a readonly database"),
        ("SELEKT 1", "syntax error"),
        ("SELECT * FROM samples WHERE n > :least", "least"),
    ],
)
def test_what_the_database_refuses_is_told_in_one_line(database, query, message):
    with pytest.raises(DatabaseError, match=message) as caught:
        SQLPipe(query, File(database))[:]
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_text("no database" * 100)
    with pytest.raises(DatabaseError, match="file is not a database"):
        SQLPipe("SELECT 1 FROM x", File(path))[:]


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("", DatabaseError, "it is not set"),
        ("nonsense", DatabaseError, "must be a URL such as"),
        ("oracle://me:hunter2@host/x", DatabaseError, "must be a URL such as"),
        ("postgresql://me:hunter2@127.0.0.1:1/x", DatabaseUnavailable, "me:\\*\\*\\*@127.0.0.1:1/x must answer"),
    ],
)
def test_where_the_url_leads_is_told_without_its_password(url, kind, message, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(kind, match=message) as caught:
        SQLPipe("SELECT 1")[:]
    error = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SQLPipe(" "), "rows come from a query"),
        (lambda: SQLTargetPipe("a b; drop table x"), "a table's name must be"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_the_content_of_a_file_counts_and_the_query_too(database, tmp_path):
    @fireworks.pipeline
    def asked(query: str, database: File):
        return Stage(SQLPipe(query, database), name="asked")

    def recipe(query="SELECT 1 AS n"):
        return fireworks.cut(asked, {"query": query, "database": str(database)}).stage("asked").recipe

    before = recipe()
    assert before == recipe()
    assert before != recipe("SELECT 2 AS n")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM samples")
    assert before != recipe()
    database.unlink()
    with pytest.raises(CutError, match="nothing is at"):
        recipe()
