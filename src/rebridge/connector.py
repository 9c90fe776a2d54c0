"""The plugin contract: everything a search engine needs to take part.

A connector is a *pure translator* between the engine's own requests and replies and rebridge's values. It does no
I/O and never changes what it is given. An engine does the I/O: for the command line and for evaluation it is opened
by `Connector.open`; under a wrapped client it is the user's own client.

A connector registers an instance under the entry-point group ``rebridge.connectors``; ours do it the same way::

    [project.entry-points."rebridge.connectors"]
    tantivy = "rebridge_tantivy:CONNECTOR"

`rebridge.testing.MemoryConnector` is a complete connector for an engine in memory, as an example.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from rebridge.errors import ConfigError, ConnectorError, unknown
from rebridge.models import Candidate, PagePlan, RankedHit, SearchRequest, Summary

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")
SentT_contra = TypeVar("SentT_contra", contravariant=True)
ReceivedT_co = TypeVar("ReceivedT_co", covariant=True)

GROUP = "rebridge.connectors"


#: What `IndexFacts.fields` calls a field that is searched by words, whatever the engine's own name of its type is.
TEXT = "text"


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What an engine says about itself and its index, for checks before the first search.

    Attributes:
        product: engine and version, e.g. ``"Elasticsearch 9.2.4"``.
        fields: field -> `TEXT`, or the engine's own name of its type. It holds every field that a query or a passage
            may name, so objects and fields that are only stored too. A ``*`` in a name stands for any characters.
        max_window: the most hits that offset and size together can reach; None for no limit.
    """

    product: str
    fields: Mapping[str, str] = field(default_factory=dict)
    max_window: int | None = None


class Engine(Protocol[SentT_contra, ReceivedT_co]):
    """An open connection to one index."""

    def search(self, request: SentT_contra) -> ReceivedT_co:
        """Answer a native request with a native reply."""

    def validate(self, doc_id: str, fields: Mapping[str, Any]) -> str | None:
        """What keeps a document from being added, in a sentence; None if nothing does."""

    def add(self, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
        """Add or replace documents, given as (id, fields), durably; returns how many.

        Raises:
            ConnectorError: if a document is not valid or the engine refuses it.
        """

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Remove documents by id, durably; ids that are not there are ignored. Returns how many were there."""

    def get(self, doc_id: str) -> Mapping[str, Any] | None:
        """The fields of one document, or None."""

    def scan(self, fields: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every document once, in no particular order, as (id, source); the source holds at least these fields.

        They look as in the hits of a search, so that the same passages are made of them.

        Raises:
            ConnectorError: if the engine cannot give all documents.
        """

    def count(self) -> int:
        """How many documents the index holds."""

    def check(self) -> list[str]:
        """Problems of this connection or index, each a sentence with its cure; empty if all is well."""

    def facts(self) -> IndexFacts:
        """What the engine and the index are, as they are now.

        Raises:
            ConnectorError: if the engine cannot be asked.
        """

    def close(self) -> None:
        """Free what the connection holds. Calling it twice is allowed."""


class Connector(Protocol[RequestT, ReplyT]):
    """A pure translator for one engine."""

    #: Name under which pipelines choose it, e.g. ``"tantivy"``.
    name: str
    #: The keys that a pipeline's ``connector:`` section may hold besides ``name``. The pipeline's own name comes in as
    #: ``index`` unless the section has one. Credentials must be `pydantic.SecretStr`, so that they are never shown.
    settings: type[BaseModel]

    def read(self, request: RequestT) -> SearchRequest:
        """Find query text and page in a native request, and decide whether it can be reranked.

        Raises:
            ConnectorError: if it is not a request of this engine.
        """

    def widen(self, request: RequestT, plan: PagePlan) -> RequestT:
        """The same request for the slice ``plan.fetch_offset``/``fetch_size``, with ``plan.fields`` in each hit."""

    def parse(self, reply: ReplyT, plan: PagePlan) -> Sequence[Candidate]:
        """The reply's hits in the engine's order, ranks counted from ``plan.fetch_offset + 1``.

        Raises:
            BadReply: if this is not a search reply.
        """

    def refusal(self, answer: ReplyT | Exception) -> str | None:
        """Why the answer to a widened request may not be what the user's own request would have got, in a word.

        ``window_refused`` for an error that the size or the added fields may have caused, ``shard_failures`` for a
        reply that lacks a part of the index; None for a sound reply, and for any error that has another cause. The
        user's own request is sent then, and its answer stands.
        """

    def render(self, request: RequestT, reply: ReplyT, page: Sequence[RankedHit], best: float | None) -> ReplyT:
        """A copy of the reply with exactly these hits and scores; all else as it was.

        ``request`` is the user's own: fields that only `widen` asked for are removed again. ``best`` is the highest
        final score of all hits, for engines that tell it; None if the engine's own scores stand.
        """

    def annotate(self, reply: ReplyT, summary: Summary, page: Sequence[RankedHit]) -> ReplyT:
        """A copy of the reply that also says what was done: a summary, and one note on each hit of ``page``.

        With an empty page it takes whatever the engine answered, since bypassed requests may be of any kind.
        """

    def request(
        self, text: str, *, fields: Mapping[str, float], offset: int, size: int, filters: Mapping[str, Any]
    ) -> RequestT:
        """A native request for plain words over weighted fields; ``filters`` is field -> value, values or range."""

    def open(self, settings: Any, *, create: bool = False) -> Engine[RequestT, ReplyT]:
        """Connect to an index, with settings of the type `settings`.

        Args:
            settings: the validated ``connector:`` section.
            create: make the index if it does not exist.

        Raises:
            ConnectorError: if the index does not exist or cannot be reached.
        """


def names() -> list[str]:
    """The connectors that are registered, by name, in alphabetical order; none is loaded."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(name: str) -> Connector[Any, Any]:
    """Load the one connector that is named.

    Raises:
        ConfigError: if no connector has that name.
        MissingExtra: if the engine's client library is not installed.
        ConnectorError: if the connector cannot be imported.
    """
    for point in entry_points(group=GROUP, name=name):
        try:
            connector: Connector[Any, Any] = point.load()
        except ImportError as error:
            owner = point.dist.name if point.dist is not None else point.module
            raise ConnectorError(f"The connector {name!r} of {owner} cannot be imported: {error}") from error
        return connector
    raise ConfigError(unknown("connector", name, names()))
