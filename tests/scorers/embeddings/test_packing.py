"""Embeddings as bytes: what comes out is what was scored, and damage is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rebridge.scorers.embeddings.packing import pack, rounded, unpack

PRECISIONS = ("float32", "float16", "int8")


def unit_rows(seed: int, tokens: int = 50, dimensions: int = 96) -> Any:
    """Rows of length 1, as models give them."""
    rows = np.random.default_rng(seed).normal(size=(tokens, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


finite = st.floats(-1, 1, width=32)


@given(arrays(np.float32, array_shapes(max_dims=2, max_side=20), elements=finite), st.sampled_from(PRECISIONS))
def test_what_is_unpacked_is_what_was_scored(output: Any, precision: Any) -> None:
    """An embedding comes back exactly as it was rounded before, with its shape, and in float32 as it was."""
    found = unpack(b"key", pack(b"key", output, precision), precision)
    assert found.dtype == np.float32
    assert np.array_equal(found, rounded(output, precision))
    assert found.shape == output.shape
    if precision == "float32":
        assert np.array_equal(found, output)


@pytest.mark.parametrize(("precision", "error", "size"), [("float16", 1e-3, 2), ("int8", 1 / 254 + 1e-6, 1)])
@given(seed=st.integers(0, 2**32 - 1))
def test_rounding_is_bounded(precision: Any, error: float, size: int, seed: int) -> None:
    """Numbers change by less than a step of their format, and take a half or a quarter of the room."""
    rows = unit_rows(seed)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    assert (np.abs(rounded(rows, precision) - rows) <= error * largest).all()
    assert len(pack(b"", rows, precision)) < size * rows.size + 4 * len(rows) + 32


@given(st.data())
def test_damage_is_seen(data: st.DataObject) -> None:
    """An entry with a changed byte, a part of one, and one of another key are refused."""
    packed = pack(b"key", unit_rows(1, 5, 8), "float16")
    place = data.draw(st.integers(0, len(packed) - 1))
    changed = bytes([packed[place] ^ data.draw(st.integers(1, 255))])
    for damaged in (packed[:place] + changed + packed[place + 1 :], packed[:place]):
        with pytest.raises(ValueError, match="entry"):
            unpack(b"key", damaged, "float16")
    with pytest.raises(ValueError, match="checksum"):
        unpack(b"other", packed, "float16")
