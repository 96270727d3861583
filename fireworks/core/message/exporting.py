"""Tables as files that other programs read.

Comes in: a stored table. Goes out: a Message file, CSV or Parquet, for ``fireworks get`` and the ready-made stages.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .stored import StoredMessage
from .writing import write_message

__all__ = ["WRITERS"]

_BATCH_ROWS = 65_536


def _write_arrow(table: StoredMessage, target: Path) -> None:
    write_message(table.read(), target)


def _write_csv(table: StoredMessage, target: Path) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        for index, batch in enumerate(table.batches(_BATCH_ROWS)):
            batch.to_dataframe().df.to_csv(file, index=False, header=index == 0)


def _write_parquet(table: StoredMessage, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    try:
        for batch in table.batches(_BATCH_ROWS):
            frame, schema = batch.to_dataframe().df, writer.schema if writer else None
            rows = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
            writer = writer or pq.ParquetWriter(target, rows.schema)
            writer.write_table(rows)
        if writer is None:
            pq.write_table(pa.table({}), target)
    finally:
        if writer is not None:
            writer.close()


WRITERS: dict[str, Callable[[StoredMessage, Path], None]] = {
    ".arrow": _write_arrow,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
"""How a table is written, by the ending of the file's name."""
