"""What a score is kept under: a few bytes that stand for all that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rebridge.steps import Windows


def score_keys(
    fingerprint: str, query: str, passages: Sequence[str], windows: Windows | None, *, layers: bool = False
) -> list[bytes]:
    """The keys of the scores of passages, 16 bytes each.

    How windows are pooled does not matter: each has its own score.

    Args:
        fingerprint: what the scores depend on besides texts and windows; see `rebridge.scorers.fingerprint`.
        query: the query text.
        passages: the passages.
        windows: how these are cut.
        layers: whether it is the scores after each of the model's layers.
    """
    cut = None if windows is None else (windows.size, windows.stride, windows.limit)
    # No tuple as Python writes it begins another one, so that it is plain where the passage begins.
    told = (fingerprint, cut, query, "layers") if layers else (fingerprint, cut, query)
    beginning = hashlib.blake2b(repr(told).encode(), digest_size=16)
    keys = []
    for passage in passages:
        whole = beginning.copy()
        whole.update(passage.encode("utf-8", "surrogatepass"))
        keys.append(whole.digest())
    return keys
