"""Passage embeddings on disk, so that a passage is embedded once, whichever process does it."""

from __future__ import annotations

from typing import Literal

#: How exactly embeddings are kept: 4, 2 or 1 bytes a number.
Precision = Literal["float32", "float16", "int8"]
DEFAULT_PRECISION: Precision = "float16"
