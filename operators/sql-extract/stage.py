"""sql-extract: the rows that an SQL query gives."""

import fireworks
from fireworks import File, Stage
from fireworks.database import SQLPipe


@fireworks.pipeline
def sql_extract(query: str, database: File | None = None, values: dict[str, str | int | float] | None = None) -> Stage:
    """Ask an SQLite file, or the database of `connection`.

    Args:
        query: One statement that gives rows, with :name where values go.
        database: An SQLite file; without one, the database of `connection` is asked, every time anew.
        values: What goes into the query, as JSON: {"name": value}.
    """
    rows = SQLPipe(query, database, values)
    return Stage(rows, name="sql-extract", cache=database is not None, secrets={"DATABASE_URL": "database/url"})
