"""Finding or making a core or collection, with a clear word for everything that can be wrong on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rebridge.errors import BadReply, ConnectorError, MissingExtra
from rebridge.remote import NOT_THE_ENGINE, EngineError, FieldType, one_line
from rebridge_solr.engine import SolrEngine
from rebridge_solr.failures import place, translated
from rebridge_solr.settings import SolrSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pysolr

_MISSING = 404
_NO_SOLR = "{url} is not Solr's address: correct `url`, which ends in /solr as a rule. It said: {said}"
_PATIENCE_S = 120.0  # a new collection takes its time
#: Types of Solr's ``_default`` configset for the fields of a new core.
_TYPES: Mapping[FieldType, str] = {
    "keyword": "string",
    "integer": "plong",
    "float": "pdouble",
    "boolean": "boolean",
    "date": "pdate",
}


def open_solr(settings: SolrSettings, *, create: bool = False) -> SolrEngine:
    """Connect to a core or collection, and make it if it is missing and wanted.

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
    try:
        engine.count()
    except EngineError as error:
        if error.status_code != _MISSING:
            raise
        admin = _Admin(client, settings)
        if not create:
            raise place(settings).missing("core or collection", admin.names()) from error
        admin.make()
        engine.count()
    except (KeyError, TypeError) as error:
        raise ConnectorError(place(settings).says(NOT_THE_ENGINE, f"a reply without {error}")) from error


class _Admin:
    """The parts of Solr's administration that are needed to find and make a core or collection.

    https://solr.apache.org/guide/solr/latest/configuration-guide/coreadmin-api.html,
    https://solr.apache.org/guide/solr/latest/deployment-guide/collection-management.html,
    https://solr.apache.org/guide/solr/latest/indexing-guide/schema-api.html
    """

    def __init__(self, client: pysolr.Solr, settings: SolrSettings) -> None:
        self._client, self._settings = client, settings

    def names(self) -> list[str]:
        """The cores or collections that this user may see.

        Raises:
            EngineError: if the address is not Solr's.
        """
        cloud = self._is_cloud()
        try:
            found = self._call("GET", "admin/collections", action="LIST") if cloud else self._cores()
        except EngineError:  # not everybody may ask
            return []
        return sorted(found["collections"] if cloud else found["status"])

    def make(self) -> None:
        """Make the core or collection from a configset, and give it the fields that this lacks.

        Raises:
            ConnectorError: with what to do.
        """
        settings, cloud = self._settings, self._is_cloud()
        try:
            if cloud:
                options = {"numShards": settings.shards, "collection.configName": settings.configset}
                self._call("GET", "admin/collections", action="CREATE", name=settings.index, **options)
            else:
                self._call("GET", "admin/cores", action="CREATE", name=settings.index, configSet=settings.configset)
        except EngineError as error:
            raise ConnectorError(
                f"{settings.index!r} cannot be made: {error} Correct `configset`, or make it on Solr's machine with: "
                f"solr create -c {settings.index}"
            ) from error
        try:
            self._add_fields()
        except EngineError as error:
            raise ConnectorError(
                f"{settings.index!r} was made, but its fields were not: {error} Delete it, and correct `fields` or "
                "`analyzer`."
            ) from error

    def _add_fields(self) -> None:
        path, wanted = f"{self._settings.index}/schema", self._settings.fields or {}
        there = {field["name"] for field in self._call("GET", f"{path}/fields")["fields"]} if wanted else set()
        fields = [
            {"name": name, "type": _TYPES.get(kind, self._settings.analyzer), "multiValued": False}
            for name, kind in wanted.items()
            if name not in there
        ]
        if fields:
            self._call("POST", path, {"add-field": fields})

    def _is_cloud(self) -> bool:
        try:
            return bool(self._call("GET", "admin/info/system").get("mode") == "solrcloud")
        except EngineError as error:
            if error.status_code == _MISSING:
                raise ConnectorError(place(self._settings).says(_NO_SOLR, error.said)) from error
            raise

    def _cores(self) -> dict[str, Any]:
        return self._call("GET", "admin/cores", action="STATUS", indexInfo="false")

    def _call(self, method: str, path: str, body: Any = None, **params: Any) -> dict[str, Any]:
        client, settings = self._client, self._settings
        with translated(settings):
            reply = client.get_session().request(
                method,
                f"{settings.url}/{path}",
                params={**params, "wt": "json"},
                json=body,
                auth=client.auth,
                timeout=max(settings.timeout_s, _PATIENCE_S),
            )
            told = "json" in reply.headers.get("content-type", "")
            found: dict[str, Any] = reply.json() if reply.ok or told else {}
        if not reply.ok:
            error = found.get("error", {})
            said = one_line(str(error.get("details") or error.get("msg") or reply.text))
            raise place(settings).failure(reply.status_code, "", said, told=told)
        return found
