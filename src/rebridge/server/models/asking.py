"""Questions to the process of the models, over its Unix socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx

from rebridge.errors import ScorerError


class ModelsClient:
    """Asks the process how it does; safe to use from several threads.

    Args:
        path: where the process listens.
        timeout: how long an answer may take, seconds.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = str(path)
        self._timeout = timeout
        transport = httpx.HTTPTransport(uds=self._path)
        self._client = httpx.Client(transport=transport, base_url="http://models", timeout=timeout)

    def get(self, path: str) -> dict[str, Any] | None:
        """The JSON object at a path, whatever its status; None if there is no such answer."""
        if not self._listening():
            return None
        try:
            told = self._client.get(path).json()
        except (httpx.HTTPError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def put(self, path: str, value: Any) -> bool:
        """Send a JSON value; whether somebody took it.

        Raises:
            ScorerError: if it was refused.
        """
        if not self._listening():
            return False
        try:
            answer = self._client.put(path, json=value)
        except httpx.TransportError:
            return False
        if answer.is_error:
            raise ScorerError(f"the process of the models refuses {path}: {answer.status_code}")
        return True

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def _listening(self) -> bool:
        """Whether somebody listens; httpx leaves a socket open if nobody does."""
        with socket.socket(socket.AF_UNIX) as tried:
            tried.settimeout(self._timeout)
            try:
                tried.connect(self._path)
            except OSError:
                return False
        return True
