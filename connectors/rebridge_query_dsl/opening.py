"""Finding or making an index, with a clear word for everything that can be wrong on the way."""

from __future__ import annotations

from urllib.parse import quote

from rebridge.errors import ConnectorError
from rebridge.remote import NOT_THE_ENGINE, EngineError, Place, one_line
from rebridge_query_dsl.engine import Client, QueryDslEngine
from rebridge_query_dsl.failures import translated
from rebridge_query_dsl.mapping import new_index
from rebridge_query_dsl.settings import ClusterSettings

_REFUSED, _MISSING = 400, 404


def open_index(client: Client, place: Place, settings: ClusterSettings, *, create: bool) -> QueryDslEngine:
    """Ask for the index, and make it if it is missing and wanted. The client is closed if that fails.

    Raises:
        ConnectorError: if the engine cannot be reached, does not let the user in, is another product, or has no such
            index; the message says what to do.
    """
    engine = QueryDslEngine(client, place, settings)
    try:
        _find(client, place, settings, create=create)
    except BaseException:
        engine.close()
        raise
    return engine


def _find(client: Client, place: Place, settings: ClusterSettings, *, create: bool) -> None:
    index = quote(settings.index, safe=",*")
    try:
        # A search needs no other right than those of searching. Without `allow_no_indices` a pattern finds nothing.
        with translated(place):
            reply = client.perform("GET", f"/{index}/_search?size=0&allow_no_indices=false")
    except EngineError as error:
        if error.status_code != _MISSING or "index" not in error.kind:
            raise
        names = _names(client, place)
        if not create:
            raise place.missing("index", names) from error
        _create(client, place, settings)
        return
    if not isinstance(reply, dict) or "hits" not in reply:
        raise ConnectorError(place.says(NOT_THE_ENGINE, one_line(str(reply))))


def _create(client: Client, place: Place, settings: ClusterSettings) -> None:
    if settings.fields is None:
        raise ConnectorError(
            f"A new index {settings.index!r} needs `fields`: name -> text, keyword, integer, float, boolean or date."
        )
    try:
        with translated(place):
            client.perform("PUT", f"/{quote(settings.index)}", new_index(settings))
    except EngineError as error:
        if error.kind != "resource_already_exists_exception":  # another process was faster
            raise ConnectorError(f"Index {settings.index!r} cannot be made. {error}") from error


def _names(client: Client, place: Place) -> set[str]:
    """Indices and aliases that this user may see."""
    try:
        with translated(place):
            reply = client.perform("GET", "/_alias")
    except EngineError as error:
        if error.status_code is None or error.status_code < _REFUSED:  # it is not the product that it is taken for
            raise
        return set()
    aliases = {alias for value in reply.values() for alias in value.get("aliases", ())}
    return {name for name in reply if not name.startswith(".")} | aliases
