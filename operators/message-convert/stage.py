"""message-convert: a table from one form into another: CSV, Parquet, SQL, Message."""

import fireworks
from fireworks import File, Stage
from fireworks.database import SQLPipe, SQLTargetPipe
from fireworks.errors import ParameterError
from fireworks.workflow.stored import rows_of


@fireworks.pipeline
def message_convert(data: File | None = None, from_table: str = "", to_table: str = "") -> Stage:
    """Read a table in any form; the file that `file` names, or `to_table`, is what it is written to.

    Args:
        data: A stage's output, or a file: .csv, .csv.gz, .parquet, .arrow; with `from_table`, an SQLite file.
        from_table: A table to read, of `data` or else of the database of `connection`.
        to_table: A table to write, of the database of `connection`; replaced if it is there.
    """
    if from_table and not from_table.isidentifier():
        raise ParameterError(f"from_table must be a table's name, but got {from_table!r}. For a query: sql-extract.")
    if data is None and not from_table:
        raise ParameterError("there must be something to convert, but neither data nor from_table is given. Give one.")
    rows = SQLPipe(f'SELECT * FROM "{from_table}"', data) if from_table else rows_of(data)  # noqa: S608 (an identifier)
    if to_table:
        rows = SQLTargetPipe(to_table, input=rows)
    # Nobody can tell when a database's content changes, and a table is written although its rows are known.
    return Stage(
        rows, name="message-convert", cache=data is not None and not to_table, secrets={"DATABASE_URL": "database/url"}
    )
