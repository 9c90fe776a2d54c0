"""Embeddings as bytes: in full, half, or a quarter of the room.

An entry is a header (CRC-32 of all that follows and of its key, whether it is a matrix, rows, columns), then the
numbers, little-endian. The checksum tells a damaged entry from a sound one, which SQLite itself does not.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rebridge.scorers.embeddings import Precision

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Rows = NDArray[float32]

_HEADER = struct.Struct("<I?II")
_CHECKSUM_BYTES = 4
_MOST_INT8 = 127


@dataclass(frozen=True, slots=True)
class _Packing:
    """How rows of numbers, shape (rows, columns), become bytes and are made of them again."""

    pack: Callable[[Rows], bytes]
    unpack: Callable[[memoryview, int, int], Rows]


def _pack_float32(rows: Rows) -> bytes:
    return rows.astype("<f4").tobytes()


def _unpack_float32(packed: memoryview, rows: int, columns: int) -> Rows:
    return np.frombuffer(packed, dtype="<f4").reshape(rows, columns).astype(np.float32)


def _pack_float16(rows: Rows) -> bytes:
    """By torch, which does in a tenth of numpy's time what each search waits for."""
    import torch

    packed: bytes = torch.from_numpy(np.array(rows)).half().numpy().tobytes()
    return packed


def _unpack_float16(packed: memoryview, rows: int, columns: int) -> Rows:
    import torch

    if not rows * columns:
        return np.zeros((rows, columns), dtype=np.float32)
    # A copy, since torch warns of what it may not write to.
    found: Rows = torch.frombuffer(bytearray(packed), dtype=torch.float16).float().numpy()
    return found.reshape(rows, columns)


def _pack_int8(rows: Rows) -> bytes:
    """The scale of each row, which makes its largest number 127, then all numbers."""
    scales = (np.abs(rows).max(axis=1, initial=0) / _MOST_INT8).astype("<f4")
    steps = np.where(scales > 0, scales, 1)[:, None]
    whole = np.clip(np.rint(rows / steps), -_MOST_INT8, _MOST_INT8)
    return b"".join([scales.tobytes(), whole.astype(np.int8).tobytes()])


def _unpack_int8(packed: memoryview, rows: int, columns: int) -> Rows:
    scales = np.frombuffer(packed, dtype="<f4", count=rows).astype(np.float32)
    whole = np.frombuffer(packed, dtype=np.int8, offset=scales.nbytes).reshape(rows, columns)
    return whole.astype(np.float32) * scales[:, None]


_PACKINGS: Mapping[str, _Packing] = {
    "float32": _Packing(_pack_float32, _unpack_float32),
    "float16": _Packing(_pack_float16, _unpack_float16),
    "int8": _Packing(_pack_int8, _unpack_int8),
}


def rounded(output: NDArray[float32], precision: Precision) -> NDArray[float32]:
    """An embedding as it will be after it was packed and unpacked."""
    rows, packing = _rows(output), _PACKINGS[precision]
    return packing.unpack(memoryview(packing.pack(rows)), *rows.shape).reshape(output.shape)


def pack(key: bytes, output: NDArray[float32], precision: Precision) -> bytes:
    """An embedding as bytes.

    Args:
        key: what it is stored under.
        output: shape (dimensions,), or (tokens, dimensions).
        precision: of its numbers. ``int8`` has one scale for each row.
    """
    rows = _rows(output)
    body = _PACKINGS[precision].pack(rows)
    shape = _HEADER.pack(0, output.ndim > 1, *rows.shape)[_CHECKSUM_BYTES:]
    return struct.pack("<I", _checksum(key, shape, body)) + shape + body


def unpack(key: bytes, packed: bytes, precision: Precision) -> NDArray[float32]:
    """The embedding that `pack` made bytes of.

    Raises:
        ValueError: if the bytes are not what was packed under this key.
    """
    if len(packed) < _HEADER.size:
        raise ValueError("an entry that is cut off")
    checksum, is_matrix, rows, columns = _HEADER.unpack_from(packed)
    view = memoryview(packed)
    body = view[_HEADER.size :]
    if _checksum(key, view[_CHECKSUM_BYTES : _HEADER.size], body) != checksum:
        raise ValueError("an entry whose checksum is wrong")
    found = _PACKINGS[precision].unpack(body, rows, columns)
    return found if is_matrix else found.reshape(columns)


def _rows(output: NDArray[float32]) -> Rows:
    return output if output.ndim > 1 else output.reshape(1, len(output))


def _checksum(key: bytes, shape: bytes | memoryview, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(shape, zlib.crc32(key)))
