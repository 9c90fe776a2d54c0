"""The parts of Solr's administration that are needed to find or make a core or collection and give it fields.

https://solr.apache.org/guide/solr/latest/configuration-guide/coreadmin-api.html,
https://solr.apache.org/guide/solr/latest/configuration-guide/configsets-api.html,
https://solr.apache.org/guide/solr/latest/deployment-guide/collection-management.html,
https://solr.apache.org/guide/solr/latest/indexing-guide/schema-api.html
"""

from __future__ import annotations

from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConnectorError
from rebridge.remote import EngineError, FieldType, one_line
from rebridge_solr.failures import place, translated
from rebridge_solr.settings import SolrSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pysolr

#: The status for a core or collection that is not there.
MISSING = 404
_CLOSED = frozenset({401, 403})
_NO_SOLR = "{url} is not Solr's address: correct `url`, which ends in /solr as a rule. It said: {said}"
_PATIENCE_S = 120.0  # a new collection takes its time
#: Types of Solr's ``_default`` configset for the fields that are added.
_TYPES: Mapping[FieldType, str] = {
    "keyword": "string",
    "integer": "plong",
    "float": "pdouble",
    "boolean": "boolean",
    "date": "pdate",
}
#: What Solr itself calls a configset of a collection's own, which it removes together with the collection.
_OWN = ".AUTOCREATED"
_DEFAULT = "_default"


class Admin:
    """Solr's administration, as far as it concerns one core or collection.

    Args:
        client: a client for the core or collection, whose session and authentication are used.
        settings: the pipeline's ``connector:`` section.
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
        """Make the collection, with a copy of the configset that no other collection uses.

        Raises:
            ConnectorError: with what to do; always for a core.
        """
        settings = self._settings
        if not self._is_cloud():
            raise ConnectorError(
                f"Solr at {settings.url} has no core {settings.index!r}, and one with a schema of its own can only be "
                f"made on Solr's machine: `docker exec NAME solr create -c {settings.index}`, or `bin/solr create -c "
                f"{settings.index}`. Then run the same command again."
            )
        try:
            if settings.configset == _DEFAULT:  # Solr copies it by itself if none is named
                self._make_collection()
            else:
                self._make_from_copy()
        except EngineError as error:
            raise ConnectorError(
                f"{settings.index!r} cannot be made: {error} Correct `configset`, or make it on Solr's machine with: "
                f"solr create -c {settings.index}"
            ) from error

    def _make_from_copy(self) -> None:
        own = f"{self._settings.index}{_OWN}"
        self._call("GET", "admin/configs", action="CREATE", name=own, baseConfigSet=self._settings.configset)
        try:
            self._make_collection(**{"collection.configName": own})
        except EngineError:
            with suppress(EngineError):
                self._call("GET", "admin/configs", action="DELETE", name=own)
            raise

    def _make_collection(self, **options: str) -> None:
        settings = self._settings
        self._call(
            "GET", "admin/collections", action="CREATE", name=settings.index, numShards=settings.shards, **options
        )

    def add_fields(self, wanted: Mapping[str, FieldType]) -> None:
        """Give the core or collection the fields that its schema lacks; they may hold several values.

        Nothing is done for a user who may not look at the schema: what is missing shows when documents are added.

        Raises:
            ConnectorError: with what to do, also if other collections have the same schema.
        """
        index, path = self._settings.index, f"{self._settings.index}/schema"
        try:
            patterns = self._patterns(path)
        except EngineError as error:
            if error.status_code in _CLOSED:
                return
            raise
        try:
            fields: list[dict[str, Any]] = [
                {"name": name, "type": _TYPES.get(kind, self._settings.analyzer), "multiValued": True}
                for name, kind in wanted.items()
                if not any(fnmatchcase(name, pattern) for pattern in patterns)
            ]
            lacking = ", ".join(field["name"] for field in fields)
            if fields and (shared := self._shared_configset()):
                raise ConnectorError(
                    f"The schema of {index!r} lacks the fields {lacking}, and they are not added because its configset "
                    f"{shared!r} is not its own: add them yourself, or give the collection a configset of its own."
                )
            if fields:
                self._call("POST", path, {"add-field": fields})
        except EngineError as error:
            raise ConnectorError(
                f"{index!r} is there, but the fields that its schema lacks cannot be added: {error} Correct `fields` "
                "or `analyzer`, or add them yourself, and run the same command again."
            ) from error

    def _patterns(self, schema: str) -> list[str]:
        """The names of a schema's fields, and the patterns of its dynamic ones."""
        named = self._call("GET", f"{schema}/fields")["fields"]
        return [field["name"] for field in (*named, *self._call("GET", f"{schema}/dynamicfields")["dynamicFields"])]

    def _shared_configset(self) -> str | None:
        """The configset that this collection shares with others, now or later; None for one of its own, or a core."""
        if not self._is_cloud():
            return None  # Solr does not tell which configset a core is made from; `solr create` copies it
        there = self._call("GET", "admin/collections", action="CLUSTERSTATUS")["cluster"]
        index = there.get("aliases", {}).get(self._settings.index, self._settings.index)
        used = {name: each.get("configName") for name, each in there["collections"].items()}
        own = used.get(index)
        return own if own == _DEFAULT or list(used.values()).count(own) > 1 else None

    def _is_cloud(self) -> bool:
        try:
            return bool(self._call("GET", "admin/info/system").get("mode") == "solrcloud")
        except EngineError as error:
            if error.status_code == MISSING:
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
