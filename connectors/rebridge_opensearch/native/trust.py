"""Cluster settings that let OpenSearch call a rerank server.

https://docs.opensearch.org/latest/ml-commons-plugin/remote-models/#adding-trusted-endpoints
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rebridge_query_dsl.native import Api, from_template

_TRUSTED = "plugins.ml_commons.trusted_connector_endpoints_regex"
_PRIVATE = "plugins.ml_commons.connector.private_ip_enabled"
#: The sections of cluster settings, the strongest first.
_SECTIONS = ("transient", "persistent", "defaults")


def trust(api: Api, server: str, *, private: bool) -> None:
    """Let OpenSearch call this server; addresses that it trusts already stay trusted.

    Args:
        api: of OpenSearch.
        server: the server's address.
        private: allow private addresses, to all connectors of the cluster.

    Raises:
        EngineError: with cause and cure.
    """
    there = api.read("GET", "/_cluster/settings?include_defaults=true&flat_settings=true")
    pattern = f"^{re.escape(server)}/.*$"
    wanted = from_template("rebridge_opensearch.native", "cluster-settings", trusted=pattern)["persistent"]
    trusted, where = _in_force(there, _TRUSTED, [])
    if any(map(_matcher(f"{server}/v1/rerank"), trusted)):
        api.tell(f"{server} is trusted already.")
    else:
        api.write("PUT", "/_cluster/settings", {where: {_TRUSTED: [*trusted, *wanted[_TRUSTED]]}})
        api.tell(f"{server} is trusted now, besides {len(trusted)} patterns that were before.")
    allowed, where = _in_force(there, _PRIVATE, "false")
    if private and str(allowed).lower() != "true":
        api.write("PUT", "/_cluster/settings", {where: {_PRIVATE: wanted[_PRIVATE]}})
        api.tell("Servers at private addresses may be called now, by all connectors of the cluster.")


def _in_force(settings: Mapping[str, Any], key: str, otherwise: Any) -> tuple[Any, str]:
    """A setting's value, and the section in which a new one is in force."""
    section = next((name for name in _SECTIONS if key in settings.get(name, {})), "defaults")
    return settings.get(section, {}).get(key, otherwise), "transient" if section == "transient" else "persistent"


def _matcher(url: str) -> Any:
    """Whether a pattern, which is Java's, matches the address; one that Python cannot read does not."""

    def matches(pattern: str) -> bool:
        try:
            return re.fullmatch(pattern, url) is not None
        except re.error:
            return False

    return matches
