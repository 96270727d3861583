"""A small Message with a column of most kinds, and its file in memory, for the tests of the file format.

Comes in: nothing. Goes out: what those tests store, tear and open with other readers.
"""

import warnings

import pandas as pd
import torch

from fireworks.core.message import Message
from fireworks.core.message.writing import pack

__all__ = ["jagged", "kept", "nested", "quantized", "small", "stored"]


def stored(message: Message) -> bytes:
    return b"".join(bytes(piece) for piece in pack(message))


def kept(message: Message) -> dict[str, tuple[str, list]]:
    """Name → type and values of each column."""
    types = message.describe_columns()
    return {name: (types[name], values) for name, values in message.to_dict().items()}


def jagged(*rows: torch.Tensor) -> torch.Tensor:
    return torch.nested.nested_tensor(list(rows), layout=torch.jagged)


def nested(*rows: torch.Tensor) -> torch.Tensor:
    """A NestedTensor of the older, strided kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor(list(rows), layout=torch.strided)


def quantized() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(1), 0.1, 0, torch.qint8)


def small() -> Message:
    return Message(
        {
            "t": torch.arange(6, dtype=torch.int16).view(2, 3),
            "r": jagged(torch.ones(2), torch.ones(1)),
            "s": ["é", None],
            "c": pd.Categorical(["u", None]),
            "I": pd.array([1, None], dtype="Int8"),
        }
    )
