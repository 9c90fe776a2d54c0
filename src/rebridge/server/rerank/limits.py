"""What one request to the rerank API may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the rerank API.

    Attributes:
        body_bytes: largest body of a request.
        documents: most documents of a request.
        windows: most windows that the passages of a request may be cut into; cutting cannot be ended half way.
        query_characters: longest query.
        queue: most requests that wait for scores at a time; more are refused.
        deadline_s: how long a request may wait for scores that names no deadline of its own.
        retry_after_s: when to come back, for those that are refused because others wait.
    """

    body_bytes: int = 32 * 2**20
    documents: int = 1000
    windows: int = 10_000
    query_characters: int = 32_768
    queue: int = 64
    deadline_s: float = 60.0
    retry_after_s: float = 1.0
