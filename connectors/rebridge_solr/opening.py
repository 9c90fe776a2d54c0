"""Finding or making a core or collection, with a clear word for everything that can be wrong on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rebridge.errors import BadReply, ConnectorError, MissingExtra
from rebridge.remote import NOT_THE_ENGINE, EngineError
from rebridge_solr.admin import MISSING, Admin
from rebridge_solr.engine import SolrEngine
from rebridge_solr.failures import place
from rebridge_solr.settings import SolrSettings

if TYPE_CHECKING:
    import pysolr


def open_solr(settings: SolrSettings, *, create: bool = False) -> SolrEngine:
    """Connect to a core or collection.

    Args:
        settings: where it is, and what it is made of.
        create: make a collection that is missing, and give the core or collection the fields that its schema lacks.
            A core is never made: over the network a new one would share its schema with others.

    Raises:
        MissingExtra: if pysolr is not installed.
        ConnectorError: if Solr cannot be reached, does not let the user in, or has no such core; says what to do.
    """
    try:
        import pysolr
    except ModuleNotFoundError as error:
        raise MissingExtra("The solr connector", "solr") from error
    password = settings.password.get_secret_value() if settings.password else ""
    client = pysolr.Solr(
        settings.address,
        timeout=settings.timeout_s,
        auth=None if settings.user is None else (settings.user, password),
        verify=str(settings.ca_certs) if settings.ca_certs else settings.verify_certs,
        decoder=_Decoder(),
        results_cls=_decoded,
    )
    engine = SolrEngine(client, settings)
    try:
        _find(client, engine, settings, create=create)
    except BaseException:
        engine.close()
        raise
    return engine


class _Decoder(json.JSONDecoder):
    """Decodes objects, and refuses what else may come as JSON."""

    def decode(self, s: str) -> Any:  # type: ignore[override] # its type has one more parameter, for its own use
        """The object in a text."""
        reply = super().decode(s)
        if not isinstance(reply, dict):
            raise BadReply("no JSON object", "solr", reply)
        return reply


def _decoded(reply: Any, _next_page: Any = None) -> Any:
    return reply


def _find(client: pysolr.Solr, engine: SolrEngine, settings: SolrSettings, *, create: bool) -> None:
    admin = Admin(client, settings)
    try:
        engine.count()
    except EngineError as error:
        if error.status_code != MISSING:
            raise
        if not create:
            raise place(settings).missing("core or collection", admin.names()) from error
        admin.make()
        engine.count()
    except (KeyError, TypeError) as error:
        raise ConnectorError(place(settings).says(NOT_THE_ENGINE, f"a reply without {error}")) from error
    if create and settings.fields:
        admin.add_fields(settings.fields)
