"""Message against pandas, its file against torch.save and parquet: medians of one run, and their ratios.

``python benchmarks/message.py [ROWS]``. A ratio above 1 says how many times faster Message is.

Comes in: synthetic rows. Goes out: a table on standard output.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fireworks.core.message import Message, cat, read_message, write_message

WIDTH = 16
REPEATS = 7


def median_s(action: Callable[[], Any], loops: int = 1) -> float:
    """Seconds that one call takes."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(loops):
            action()
        times.append((time.perf_counter() - start) / loops)
    return statistics.median(times)


def report(what: str, ours: float, other: str, theirs: float) -> None:
    print(f"{what:34} {ours * 1e6:12,.1f} µs   {other:12} {theirs * 1e6:12,.1f} µs   ×{theirs / ours:.1f}")


def rows(n: int) -> tuple[Message, pd.DataFrame]:
    """The same table twice: WIDTH float columns (one tensor with us), a label and a word."""
    values = np.random.default_rng(0).random((n, WIDTH), dtype=np.float32)
    label, word = np.arange(n), pd.array(np.arange(n).astype(str), dtype="str")
    message = Message({"x": torch.from_numpy(values), "label": label, "word": word})
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(WIDTH)])
    return message, frame.assign(label=label, word=word)


def in_memory(message: Message, frame: pd.DataFrame) -> None:
    n = len(message)
    batch = torch.randint(0, n, (256,), generator=torch.Generator().manual_seed(0))
    listed = batch.numpy()
    report(
        "slice of 256 rows", median_s(lambda: message[256:512], 1000), "pandas", median_s(lambda: frame[256:512], 1000)
    )
    ours, theirs = median_s(partial(taken, message, batch), 200), median_s(lambda: frame.take(listed), 200)
    report("take 256 rows, all columns", ours, "pandas", theirs)
    ours, theirs = median_s(lambda: message[batch]["x"], 200), median_s(lambda: frame.take(listed), 200)
    report("take 256 rows, one column", ours, "pandas", theirs)
    part, piece = message[:256], frame[:256]
    ours, theirs = median_s(partial(grown, part)), median_s(partial(concatenated, piece))
    report("append 256 rows, 64 times", ours, "pandas", theirs)
    halves, parts = [message, message], [frame, frame]
    ours, theirs = median_s(lambda: cat(halves)), median_s(lambda: pd.concat(parts, ignore_index=True))
    report(f"cat of 2 × {n:,} rows", ours, "pandas", theirs)


def taken(message: Message, batch: torch.Tensor) -> Message:
    return message[batch].touch()


def summed(path: Path, n: int | None = None) -> torch.Tensor:
    total: torch.Tensor = read_message(path)["x"][:n].sum()
    return total


def loaded(path: Path) -> torch.Tensor:
    total: torch.Tensor = torch.load(path)["x"].sum()
    return total


def grown(part: Message) -> Message:
    message = part
    for _ in range(64):
        message = message.append(part)
    return message.touch()


def concatenated(part: pd.DataFrame) -> pd.DataFrame:
    frame = part
    for _ in range(64):
        frame = pd.concat([frame, part], ignore_index=True)
    return frame


def on_disk(message: Message, frame: pd.DataFrame, folder: Path) -> None:
    ours, tensors, parquet = folder / "m.arrow", folder / "m.pt", folder / "m.parquet"
    saved = {"x": message["x"]}
    ours_s, theirs_s = median_s(partial(write_message, message, ours)), median_s(partial(frame.to_parquet, parquet))
    report("write, synced, against parquet", ours_s, "parquet", theirs_s)
    torch.save(saved, tensors)
    only = Message(saved)
    write_message(only, folder / "x.arrow")
    ours_s = median_s(partial(summed, folder / "x.arrow"))
    report("read one tensor and sum", ours_s, "torch.load", median_s(partial(loaded, tensors)))
    ours_s = median_s(partial(summed, ours, 10))
    report("open all, touch 10 rows", ours_s, "parquet", median_s(lambda: pd.read_parquet(parquet)[:10]))
    ours_s = median_s(partial(read_message, ours, verify=True))
    report("read all, every byte verified", ours_s, "parquet", median_s(partial(pd.read_parquet, parquet)))


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    message, frame = rows(n)
    print(f"{n:,} rows, {message.nbytes / 2**20:.0f} MiB, {torch.get_num_threads()} threads, medians of {REPEATS}")
    in_memory(message, frame)
    with tempfile.TemporaryDirectory() as folder:
        on_disk(message, frame, Path(folder))


if __name__ == "__main__":
    main()
