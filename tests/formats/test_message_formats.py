"""Files of every past version of the Message format are read as they were meant.

The files are never written again: `message-v1.arrow` was made once, by saving `version_1()` with pandas 3.1, torch 2.15
and pyarrow 26. A format that changes gets a new version, a new file and a new function; this one stays.

Comes in: `tests/formats/*.arrow`. Goes out: nothing.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fireworks.core.message import Message, read_message, verify_message

VERSION_1 = Path(__file__).parent / "message-v1.arrow"


def version_1() -> Message:
    """One column of every kind and most dtypes."""
    columns = {
        **{name: np.array([0, 1, 100], dtype=name) for name in ("int8", "int16", "int32", "int64")},
        **{name: np.array([0, 1, 200], dtype=name) for name in ("uint8", "uint16", "uint32", "uint64")},
        **{name: np.array([0.5, -1, np.nan], dtype=name) for name in ("float16", "float32", "float64")},
        **{
            f"tensor {name}": torch.tensor([0, 1, 3]).to(getattr(torch, name)) for name in ("int64", "uint16", "uint64")
        },
        **{f"tensor {name}": torch.tensor([0, 1.5, -3]).to(getattr(torch, name)) for name in ("float16", "bfloat16")},
        "bool": np.array([True, False, True]),
        "tensor bool": torch.tensor([True, False, True]),
        "matrix": torch.arange(12, dtype=torch.float32).view(3, 2, 2),
        "nothing": torch.zeros(3, 0),
        "ragged": torch.nested.nested_tensor([torch.ones(2), torch.ones(0), torch.ones(1)], layout=torch.jagged),
        "ragged rows": torch.nested.nested_tensor(
            [torch.ones(2, 2), torch.ones(1, 2), torch.ones(1, 2)], layout=torch.jagged
        ),
        "text": pd.array(["", None, "größer"], dtype="str"),
        "string": pd.array(["a", None, "b"], dtype="string"),
        "bytes": np.array([b"\x00\xff", None, b""], dtype=object),
        "nullable": pd.array([1, None, -3], dtype="Int16"),
        "nullable float": pd.array([1.5, None, -3], dtype="Float32"),
        "boolean": pd.array([True, None, False], dtype="boolean"),
        "time": np.array(["2020-02-29T12:00:00", "NaT", "1969-01-01"], dtype="datetime64[ms]"),
        "zoned": pd.Series(pd.to_datetime(["2020-02-29T12:00:00", None, "2021-01-01T00:00:00"]))
        .dt.tz_localize("Europe/Berlin")
        .dt.as_unit("us"),
        "category": pd.Categorical(["b", None, "a"], categories=["b", "a", "unused"]),
        "grade": pd.Categorical([3, 1, 3], categories=[1, 2, 3], ordered=True),
    }
    return Message(columns)


def test_version_1_is_read():
    verify_message(VERSION_1)
    found, expected = read_message(VERSION_1, verify=True), version_1()
    assert list(found.columns) == list(expected.columns)
    assert found.describe_columns() == expected.describe_columns()
    assert [name for name in expected.columns if found[[name]] != expected[[name]]] == []
