"""How many tokens a batch may have: fewer once memory ran out, and by and by more again."""

from __future__ import annotations

# Batches that must succeed before a reduced budget is tried a little larger, and the most that this can become.
_PATIENCE = 32
_MOST_PATIENCE = 2048


class Budget:
    """Most tokens in a batch, padding included.

    Memory may be short because of the batch, or because of another program that is gone a minute later. So after some
    successes a reduced budget grows by a quarter. If memory runs out at once after that, the next try comes later.

    Args:
        most: what it starts with and never exceeds.
    """

    def __init__(self, most: int) -> None:
        self.tokens = most
        self._most = most
        self._patience = _PATIENCE
        self._successes = 0
        self._trying = False

    def failed(self, fitting: int) -> None:
        """Memory ran out.

        Args:
            fitting: a number of tokens that may fit.
        """
        if self._trying:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self.tokens = min(self.tokens, fitting)
        self._successes = 0
        self._trying = False

    def succeeded(self) -> None:
        """A batch went through."""
        if self.tokens == self._most and not self._trying:
            return
        self._successes += 1
        if self._successes >= self._patience:
            self._trying = self.tokens < self._most
            self.tokens = min(self._most, self.tokens + max(1, self.tokens // 4))
            self._successes = 0
