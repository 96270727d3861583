"""The DataFrame face of a Message: every ``to_*`` and ``read_*`` that pandas has.

Comes in: files and tables that pandas reads. Goes out: files and texts that pandas writes; `Message` inherits it.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import SchemaError, UnsupportedColumn, did_you_mean

if TYPE_CHECKING:
    from .message import Message

__all__ = ["Frames"]

_SYNONYMS = {"state": "stata", "sql_table": "sql"}
# Rows have no index, so none is written.
_NO_INDEX: dict[str, dict[str, Any]] = {
    **{name: {"index": False} for name in ("csv", "excel", "parquet", "records", "sql", "html", "latex", "markdown")},
    "stata": {"write_index": False},
    "dict": {"orient": "list"},
}


def _path_first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments with a path in front that was given by name, under whichever name."""
    path = kwargs.pop("path_or_buf", kwargs.pop("path", None))
    return args if path is None else (path, *args)


class Reader:
    """``Message.read_csv(path, …)``: pandas' reader of that name, its columns made a Message."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __get__(self, message: Any, kind: "type[Message]") -> "Callable[..., Message]":
        return partial(kind.read, self.method)


class Writer:
    """``message.to_csv(path, …)``: pandas' writer of that name, tensors made columns first."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __get__(self, message: "Message | None", kind: "type[Message]") -> Callable[..., Any]:
        return partial(kind.to, method=self.method) if message is None else partial(message.to, self.method)


class Frames:
    """Reading and writing through pandas. Tables are read to array columns, in pandas' order of names."""

    __slots__ = ()

    @classmethod
    def read(cls, method: str, *args: Any, **kwargs: Any) -> Any:
        """Read a table with ``pandas.read_<method>``.

        Args:
            method: csv, json, excel, hdf, parquet, feather, pickle, sql, sql_table, sql_query, stata, table, fwf, …
            args: What that function takes; ``path=`` and ``path_or_buf=`` both name its first argument. pandas'
                ``pickle`` runs code: read only what you trust.

        Raises:
            UnsupportedColumn: (a TypeError) if pandas has no such reader.
        """
        import pandas as pd

        name = "stata" if method == "state" else method
        read: Any = getattr(pd, f"read_{name}", None)
        if read is None:
            known = [reader[5:] for reader in dir(pd) if reader.startswith("read_")]
            raise UnsupportedColumn(
                f"tables are read with one of {known}, but got {method!r}.{did_you_mean(method, known)}"
            )
        make: Any = cls
        return make(read(*_path_first(args, kwargs), **kwargs))

    def to(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Write with ``DataFrame.to_<method>``; without a path csv and json give the text.

        Args:
            method: csv, json, dict, string, excel, pickle, sql, parquet, feather, hdf, stata, html, …
            args: What that method takes; ``path=`` and ``path_or_buf=`` both name its first argument.

        Raises:
            SchemaError: (a ValueError) if pandas has no such writer.
        """
        import pandas as pd

        name = _SYNONYMS.get(method, method)
        if not hasattr(pd.DataFrame, f"to_{name}"):
            known = [writer[3:] for writer in dir(pd.DataFrame) if writer.startswith("to_")]
            raise SchemaError(
                f"tables are written with one of {known}, but got {method!r}.{did_you_mean(method, known)}"
            )
        args = _path_first(args, kwargs)
        options = {**_NO_INDEX.get(name, {}), **kwargs}
        if name == "dict" and args:
            options.pop("orient", None)
        frame: Any = self.to_dataframe().df  # type: ignore[attr-defined]
        return getattr(frame, f"to_{name}")(*args, **options)

    read_csv = Reader("csv")
    read_excel = Reader("excel")
    read_feather = Reader("feather")
    read_fwf = Reader("fwf")
    read_hdf = Reader("hdf")
    read_html = Reader("html")
    read_json = Reader("json")
    read_orc = Reader("orc")
    read_parquet = Reader("parquet")
    read_pickle = Reader("pickle")
    read_sas = Reader("sas")
    read_spss = Reader("spss")
    read_sql = Reader("sql")
    read_sql_query = Reader("sql_query")
    read_sql_table = Reader("sql_table")
    read_stata = Reader("stata")
    read_table = Reader("table")
    read_xml = Reader("xml")

    to_clipboard = Writer("clipboard")
    to_csv = Writer("csv")
    to_dict = Writer("dict")
    to_excel = Writer("excel")
    to_feather = Writer("feather")
    to_hdf = Writer("hdf")
    to_html = Writer("html")
    to_json = Writer("json")
    to_latex = Writer("latex")
    to_markdown = Writer("markdown")
    to_numpy = Writer("numpy")
    to_orc = Writer("orc")
    to_parquet = Writer("parquet")
    to_pickle = Writer("pickle")
    to_records = Writer("records")
    to_sql = Writer("sql")
    to_stata = Writer("stata")
    to_string = Writer("string")
    to_xarray = Writer("xarray")
    to_xml = Writer("xml")
