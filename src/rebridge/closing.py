"""What is closed at the end of a ``with`` statement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """A base for what holds something that must be freed: ``with`` gives it, and closes it in the end."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held. Calling it twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
