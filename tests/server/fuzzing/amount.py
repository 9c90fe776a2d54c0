"""How many requests the tests of this folder make."""

from __future__ import annotations

import os
from collections import Counter

#: All of them together; `scripts/fuzz_server` sets it.
VARIABLE = "REBRIDGE_FUZZ_REQUESTS"
_USUAL = 2_000
#: How many have been made so far, by what they were sent to.
MADE: Counter[str] = Counter()


def share(part: float) -> int:
    """A part of all requests, between 0 and 1."""
    return max(1, round(part * int(os.environ.get(VARIABLE, _USUAL))))
