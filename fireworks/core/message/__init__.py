"""Message: the table that flows through every graph, and its file.

Comes in: tensors, arrays, DataFrames, files of format version 1. Goes out: to every Pipe, to stores, to other readers
of Arrow.
"""

from .converting import extract_tensors
from .joining import cat, merge
from .message import Message, TensorMessage
from .parts import PartWriter
from .reading import read_message, verify_message
from .rows import complement
from .stored import StoredMessage
from .table import compute_length
from .writing import write_message

__all__ = [
    "Message",
    "PartWriter",
    "StoredMessage",
    "TensorMessage",
    "cat",
    "complement",
    "compute_length",
    "extract_tensors",
    "merge",
    "read_message",
    "verify_message",
    "write_message",
]
