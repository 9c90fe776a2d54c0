"""A scorer whose model runs elsewhere."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import time
import weakref
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from rebridge.errors import ConfigError, DeadlineExceeded, NoScores, ScorerError, unknown
from rebridge.remote import address_parts
from rebridge.scorers.base import Scorer, checked_passages
from rebridge.scorers.remote.breaker import circuit_breaker
from rebridge.scorers.remote.channel import Channel, Peer
from rebridge.scorers.remote.dialects import DIALECTS, Ask, Row
from rebridge.scorers.remote.failures import RemoteError
from rebridge.scorers.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rebridge.steps import Windows

_TOO_LARGE = 413

_log = logging.getLogger("rebridge")


@dataclass(frozen=True, slots=True)
class _Work:
    """What one call of `RemoteScorer.submit` asks for."""

    channel: Channel
    ask: Ask
    deadline: float | None


class RemoteScorer(Scorer):
    """Scores with a model behind HTTP; safe to use from any number of threads.

    Passages go out in batches, several at a time. Requests that fail in passing (connection, 429, 502, 503) are
    repeated, as long as the deadline allows and as the peer asks in ``Retry-After``. A peer that takes no batch of a
    size gets smaller ones. After five failures in a row everything fails at once for a while.

    Args:
        url: the peer's address; the dialect's path is added unless it ends with ``/rerank`` or ``/scores`` already.
        dialect: a name in `DIALECTS`.
        model: the model's name at the peer; None for the peer's default.
        api_key: sent as a bearer token.
        batch_size: most passages in a request; None for the dialect's own.
        connections: most requests at a time.
        timeout_s: seconds that one request may take.
        ca_certs: file with the certificates of the authority that signed the peer's.
        uds: path of a Unix socket to connect to instead of the address's host.
        recheck_s: seconds until a peer that failed several times in a row is tried again.

    Attributes:
        activation: that of the dialect; a rebridge says which its model has with its first answer.
        layers: 1, until a rebridge has answered with the scores of more.
        reads_queries: false, until a rebridge has answered that its model does.

    Raises:
        ConfigError: if the address or the dialect is none, or the certificates cannot be read.
    """

    def __init__(  # noqa: PLR0913 - keyword options of a public entry point
        self,
        url: str,
        *,
        dialect: str = "rebridge",
        model: str | None = None,
        api_key: str | None = None,
        batch_size: int | None = None,
        connections: int = 4,
        timeout_s: float = 30.0,
        ca_certs: Path | None = None,
        uds: str | None = None,
        recheck_s: float = 5.0,
    ) -> None:
        if dialect not in DIALECTS:
            raise ConfigError(unknown("dialect", dialect, DIALECTS))
        self._dialect = DIALECTS[dialect]
        self.name = model or dialect
        self.activation = self._dialect.activation
        self._model = model
        self._cap = self._dialect.batch_size if batch_size is None else batch_size
        trust = _trust(url, ca_certs)
        peer = Peer(_address(url, self._dialect.path), api_key, connections, timeout_s, trust, uds)
        self._session = Session(f"rebridge remote {self.name}", partial(Channel, peer, circuit_breaker(recheck_s)))
        weakref.finalize(self, self._session.close)

    def submit(
        self, query: str, passages: Sequence[str], *, windows: Windows | None = None, deadline: float | None = None
    ) -> Future[list[Row]]:
        """Send passages for scoring; see `Scorer.submit`. Cancelling the future ends the requests that are out."""
        if windows is not None and not self._dialect.cuts:
            raise ScorerError(f"{self.name} cuts no passages into windows: only a rebridge can be told to")
        return self._sent(Ask(query, checked_passages(passages), self._model, windows), deadline)

    def announce(self, query: str, *, deadline: float | None = None) -> None:
        """Send the query alone, if that spares time; see `Scorer.announce`."""
        if self.reads_queries:
            ask = Ask(query, (), self._model)
            with suppress(ScorerError):  # closed: `submit` says so
                self._session.run(lambda channel: channel.tell(self._dialect, ask, deadline))

    def submit_layers(self, query: str, passages: Sequence[str]) -> Future[list[Row]]:
        """Send passages for the scores of every layer, which only a rebridge tells; others tell those of the last."""
        return self._sent(Ask(query, checked_passages(passages), self._model, layers=True), None)

    def close(self) -> None:
        """End all connections; work that is not done fails."""
        self._session.close()

    def _sent(self, ask: Ask, deadline: float | None) -> Future[list[Row]]:
        if not ask.texts:
            done: Future[list[Row]] = Future()
            done.set_result([])
            return done
        return self._session.run(lambda channel: self._scored(_Work(channel, ask, deadline)))

    async def _scored(self, work: _Work) -> list[Row]:
        late = f"the deadline passed before {len(work.ask.texts)} passages were scored"
        if work.deadline is not None and time.monotonic() >= work.deadline:
            raise DeadlineExceeded(late)
        try:
            async with asyncio.timeout_at(work.deadline):
                rows = await self._all(work)
        except TimeoutError as error:
            raise DeadlineExceeded(late) from error
        except RemoteError as error:
            if work.deadline is not None and time.monotonic() >= work.deadline:
                raise DeadlineExceeded(f"{late}: {error}") from error
            raise
        if not any(math.isfinite(score) for row in rows for score in row):
            raise NoScores(f"{self.name} gave no finite score for any of {len(rows)} passages")
        return rows

    async def _all(self, work: _Work) -> list[Row]:
        """The rows of all passages, in batches."""
        texts, size = work.ask.texts, self._cap
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        if len(parts) == 1:
            return await self._batch(work)
        return await self._together([replace(work, ask=replace(work.ask, texts=part)) for part in parts])

    async def _together(self, works: Sequence[_Work]) -> list[Row]:
        """Several batches at once. The first that fails ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._batch(work)) for work in works]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [row for task in tasks for row in task.result()]

    async def _batch(self, work: _Work) -> list[Row]:
        """One request; two smaller ones if the peer takes none of this size."""
        texts = work.ask.texts
        try:
            reading = await work.channel.post(self._dialect, work.ask, work.deadline)
        except RemoteError as error:
            if not error.too_many or (len(texts) == 1 and error.status != _TOO_LARGE):
                raise
            if len(texts) == 1:
                # One document that is too long must not cost the others.
                _log.warning("a passage of %d characters was not scored: %s", len(texts[0]), error)
                return [(math.nan,)]
        else:
            self.activation, self.reads_queries = reading.activation or self.activation, reading.reads_queries
            if work.ask.layers:
                self.layers = len(reading.rows[0])
            return reading.rows
        half = (len(texts) + 1) // 2
        halves = [replace(work, ask=replace(work.ask, texts=part)) for part in (texts[:half], texts[half:])]
        rows = await self._together(halves)
        if all(math.isfinite(row[0]) for row in rows) and half < self._cap:
            _log.warning("%s takes no %d passages at once: batches are now %d", self.name, len(texts), half)
            self._cap = half
        return rows


def _trust(url: str, ca_certs: Path | None) -> ssl.SSLContext:
    """Whose certificates are believed: those of the system, unless the user says otherwise."""
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody's, since reading the system's takes a while
    try:
        return ssl.create_default_context(cafile=ca_certs)
    except OSError as error:
        raise ConfigError(f"The scorer's ca_certs {ca_certs} cannot be read: {error}") from error


def _address(url: str, path: str) -> str:
    try:
        parts = address_parts(url, "https://scorer.example:8080")
    except ValueError as error:
        raise ConfigError(f"The scorer's url cannot be used: {error}.") from error
    given = parts.path.rstrip("/")
    return parts._replace(path=given if given.endswith(("/rerank", "/scores")) else given + path).geturl()
