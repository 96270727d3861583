"""Tensor columns in a file: fixed rows as ``arrow.fixed_shape_tensor``, ragged rows as lists.

torch.bool takes a byte a value, and bfloat16 goes as int16, so that a mapped file is the tensor's memory.

Comes in: tensors and `Ragged` columns. Goes out: the same, sharing memory with what was read.
"""

from math import prod
from typing import Any

import torch

from ...errors import FormatError, UnsupportedColumn
from .kind import Decoder, Encoded, Kind, expect_bytes
from .layout import TORCH_DTYPES, ColumnLayout
from .ragged import Ragged

__all__ = ["RaggedKind", "TensorKind", "check_offsets", "offsets_of"]

_STORAGE = {"bool": "uint8", "bfloat16": "int16"}


class TensorKind(Kind):
    """Rows of one shape."""

    name = "tensor"

    def accepts(self, column: Any) -> bool:
        return isinstance(column, torch.Tensor)

    def encode(self, name: str, column: torch.Tensor) -> Encoded:
        import pyarrow as pa

        dtype, n, shape = _dtype_name(name, column), column.shape[0], tuple(column.shape[1:])
        item, size = _arrow_item(dtype), prod(shape)
        if shape:
            arrow_type = pa.fixed_shape_tensor(item, shape)
            nodes, empty = [(n, 0), (n * size, 0)], [("", memoryview(b""))] * 2
        else:
            arrow_type, nodes, empty = item, [(n, 0)], [("", memoryview(b""))]
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": dtype, "shape": shape},
            rows=n,
            arrow_type=arrow_type,
            nodes=nodes,
            buffers=[*empty, ("values", _bytes(column))],
            metadata={"torch": dtype},
        )

    def check(self, layout: ColumnLayout) -> None:
        width = _known(layout).itemsize * prod(layout.shape)
        expect_bytes(layout, {"values": layout.rows * width})

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        dtype = TORCH_DTYPES[layout.dtype]
        width = dtype.itemsize * prod(layout.shape)
        base = layout.buffers["values"][0]
        (data,) = yield [(base + start * width, base + stop * width)]
        return _tensor(data, dtype, (stop - start, *layout.shape))


class RaggedKind(Kind):
    """Rows of any number of items, each of one shape."""

    name = "ragged"

    def accepts(self, column: Any) -> bool:
        return isinstance(column, Ragged)

    def encode(self, name: str, column: Ragged) -> Encoded:
        import pyarrow as pa

        column = column.compact()
        dtype, shape = _dtype_name(name, column.values), tuple(column.values.shape[1:])
        n, items, size = len(column), column.values.shape[0], prod(shape)
        item, nodes = _arrow_item(dtype), [(n, 0), (items, 0)]
        empty = ("", memoryview(b""))
        buffers = [empty, ("offsets", _bytes(column.offsets)), empty]
        if shape:
            item = pa.list_(item, size)
            nodes.append((items * size, 0))
            buffers.append(empty)
        return Encoded(
            facts={"name": name, "kind": self.name, "dtype": dtype, "shape": shape, "items": items},
            rows=n,
            arrow_type=pa.large_list(item),
            nodes=nodes,
            buffers=[*buffers, ("values", _bytes(column.values))],
            metadata={"torch": dtype},
        )

    def check(self, layout: ColumnLayout) -> None:
        width = _known(layout).itemsize * prod(layout.shape)
        expect_bytes(layout, {"offsets": (layout.rows + 1) * 8, "values": layout.items * width})

    def decode(self, layout: ColumnLayout, start: int, stop: int) -> Decoder:
        dtype = TORCH_DTYPES[layout.dtype]
        width = dtype.itemsize * prod(layout.shape)
        base = layout.buffers["offsets"][0]
        (data,) = yield [(base + start * 8, base + (stop + 1) * 8)]
        offsets = _tensor(data, torch.int64, (stop - start + 1,))
        first, last = check_offsets(layout, offsets, start, stop, layout.items)
        base = layout.buffers["values"][0]
        (data,) = yield [(base + first * width, base + last * width)]
        return Ragged(_tensor(data, dtype, (last - first, *layout.shape)), offsets - first if first else offsets)


def offsets_of(data: memoryview, rows: int) -> torch.Tensor:
    """The int64 offsets (rows + 1,) in `data`."""
    return _tensor(data, torch.int64, (rows + 1,))


def check_offsets(layout: ColumnLayout, offsets: torch.Tensor, start: int, stop: int, total: int) -> tuple[int, int]:
    """Refuse offsets that fall, or lead out of their `total` items; return the first and the last."""
    first, last = int(offsets[0]), int(offsets[-1])
    good = 0 <= first <= last <= total and bool((offsets[1:] >= offsets[:-1]).all())
    if not good or (start == 0 and first != 0) or (stop == layout.rows and last != total):
        raise FormatError(f"offsets of column {layout.name!r} must rise from 0 to {total}. Fetch the file again.")
    return first, last


def _dtype_name(name: str, tensor: torch.Tensor) -> str:
    if tensor.is_meta:
        raise UnsupportedColumn(
            f"a Message file holds values, but {name!r} is on the device meta and has none. Fill it: `torch.empty_like`"
            " on another device."
        )
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype in TORCH_DTYPES:
        return dtype
    remedy = "Convert it: `.to(torch.bfloat16)`."
    if tensor.is_complex():
        remedy = "Store `torch.view_as_real` of it."
    elif tensor.is_quantized:
        remedy = "Use `.dequantize()`, or `.int_repr()` with its scale."
    raise UnsupportedColumn(
        f"a Message file holds tensors of {', '.join(TORCH_DTYPES)}, but {name!r} is {dtype}. {remedy}"
    )


def _known(layout: ColumnLayout) -> torch.dtype:
    if layout.dtype not in TORCH_DTYPES:
        raise FormatError(f"column {layout.name!r} must have a dtype of this format, but has {layout.dtype!r}.")
    return TORCH_DTYPES[layout.dtype]


def _arrow_item(dtype: str) -> Any:
    import pyarrow as pa

    return pa.type_for_alias(_STORAGE.get(dtype, dtype))


def _bytes(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    if flat.stride(0) != 1:
        # To torch a single number is contiguous whatever its stride, but only with one of 1 can it be seen as bytes.
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy().data


def _tensor(data: memoryview, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    if not len(data):
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).view(shape)
