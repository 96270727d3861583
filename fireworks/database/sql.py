"""Rows out of a database, and into one.

A URL with a password is no parameter of a pipeline, since parameters can be read by all who see a run: it is taken
from the environment, in a pod from a Secret.

Comes in: queries, rows. Goes out: Messages, tables.
"""

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any

from ..core.message import Message
from ..core.pipe import Pipe
from ..core.source import File
from ..core.source_pipe import SourcePipe
from ..errors import DatabaseError, DatabaseUnavailable, GraphError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["SQLPipe", "SQLTargetPipe"]

_VARIABLE = "DATABASE_URL"
_ROWS_AT_ONCE = 4096


class SQLPipe(SourcePipe):
    """The rows that a query gives; held in memory.

    Args:
        query: One statement that gives rows, with ``:name`` where values go.
        database: An SQLite file. None for the database of which the environment variable DATABASE_URL has the URL;
            nobody can tell when that changes, so its stage needs ``cache=False``.
        values: What goes into the query. Never put them into its text.
        input: Ignored.

    Raises:
        GraphError: If there is no query.
        DatabaseError: At first use, if the database refuses the query, or there is no URL.
        DatabaseUnavailable: At first use, if it does not answer.
    """

    def __init__(
        self, query: str, database: File | None = None, values: Mapping[str, Any] | None = None, input: Any = None
    ) -> None:
        super().__init__(input)
        if not query.strip():
            raise GraphError("rows come from a query, but got none. Write one: SELECT name, length FROM samples.")
        self.query, self.database, self.values = query, database, dict(values or {})

    def _load(self) -> Message:
        import pandas as pd

        with _connected(self.database) as connection:
            from sqlalchemy import text

            return Message(pd.read_sql_query(text(self.query), connection, params=self.values))


class SQLTargetPipe(Pipe):
    """Passes rows on and writes them into a table of the database that DATABASE_URL leads to, in one transaction.

    The table is replaced: whoever runs this again finds the same rows there, not twice as many. Its stage needs
    ``cache=False``, or the table is not written where the rows are in the cache.

    Args:
        table: Its name.
        input: The rows; columns with one value a row.

    Raises:
        GraphError: If the name is none.
        DatabaseError: While it is read, if the database refuses the rows.
        DatabaseUnavailable: While it is read, if the database does not answer.
    """

    def __init__(self, table: str, input: Any = None) -> None:
        super().__init__(input)
        if not table.isidentifier():
            raise GraphError(f"a table's name must be letters, digits and underscores, but got {table!r}. Rename it.")
        self.table = table

    def __iter__(self) -> Iterator[Message]:
        rows = self._needed("write")
        with _connected(None) as connection:
            for start in range(0, max(len(rows), 1), _ROWS_AT_ONCE):
                batch = Message(rows[start : start + _ROWS_AT_ONCE])
                frame = batch.to_dataframe().df
                frame.to_sql(self.table, connection, if_exists="append" if start else "replace", index=False)
                yield batch


@contextmanager
def _connected(database: File | None) -> Iterator["Connection"]:
    """A transaction. What the database answers, it answers without our URL."""
    import pandas.errors

    try:
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError
    except ImportError as error:
        raise DatabaseError(
            "databases need the package sqlalchemy, which is not installed. Run: pip install 'fireworks-ml[database]'"
        ) from error
    with _engine(database) as engine:
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(
                f"{_shown(engine)} must answer, but: {_reason(error)} Check its URL, and whether it is up."
            ) from error
        with connection:
            try:
                with connection.begin():
                    yield connection
            except (SQLAlchemyError, pandas.errors.DatabaseError) as error:
                # Pandas wraps what SQLAlchemy raises.
                cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error
                lost = isinstance(cause, DBAPIError) and cause.connection_invalidated
                kind = DatabaseUnavailable if lost else DatabaseError
                raise kind(f"{_shown(engine)} must take the statement, but: {_reason(cause)} Correct it.") from error


@contextmanager
def _engine(database: File | None) -> Iterator["Engine"]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    with tempfile.TemporaryDirectory(prefix="fireworks-") as scratch:
        if database is not None:
            engine = create_engine("sqlite://", creator=_opener(database, Path(scratch)))
        else:
            url = os.environ.get(_VARIABLE, "").strip()
            if not url:
                raise DatabaseError(
                    f"the URL of a database must be in the environment variable {_VARIABLE}, but it is not set. "
                    "Set it, in a pod by a Secret; or give an SQLite file."
                )
            try:
                # psycopg, which the extra brings, is not SQLAlchemy's own choice.
                engine = create_engine(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
            except (SQLAlchemyError, ImportError) as error:
                # Not the text of the error, which may have the URL, nor the error itself.
                reason = type(error).__name__
                raise DatabaseError(
                    f"{_VARIABLE} must be a URL such as postgresql://user:password@host/name, but: {reason}."
                ) from None
        if engine.dialect.name == "sqlite":
            _begin_at_once(engine)
        try:
            yield engine
        finally:
            engine.dispose()


def _begin_at_once(engine: "Engine") -> None:
    """Python's driver of SQLite would begin a transaction only after tables were dropped and made.

    Source: SQLAlchemy's documentation of pysqlite, "Enabling Non-Legacy SQLite Transactional Modes".
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def leave_transactions_alone(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: "Connection") -> None:
        connection.exec_driver_sql("BEGIN")


def _opener(database: File, scratch: Path) -> Any:
    """Opens a copy: a file in use could change under the query, and one in a store is not a file."""
    copy = scratch / "database.sqlite"
    with database.open() as source, copy.open("wb") as target:
        copyfileobj(source, target)
    return lambda: sqlite3.connect(f"file:{copy}?mode=ro", uri=True)


def _shown(engine: "Engine") -> str:
    return f"the database {engine.url.render_as_string(hide_password=True)}" if engine.url.host else "the database"


def _reason(error: BaseException) -> str:
    """What the driver said, on one line, without the statement and its values."""
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    return said if said.endswith((".", "?")) else f"{said}."
