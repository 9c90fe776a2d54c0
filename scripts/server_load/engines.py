"""The index that clients write to: made, counted and removed at the engine itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen


def emptied(engine: str, address: str, index: str) -> None:
    """Make an empty index."""
    removed(engine, address, index)
    if engine == "solr":
        _ask(f"{address}/solr/admin/cores?action=CREATE&name={index}&configSet=_default")
    else:
        settings = {"settings": {"number_of_shards": 1, "number_of_replicas": 0}}
        _ask(f"{address}/{index}", "PUT", settings)


def counted(engine: str, address: str, index: str) -> int:
    """How many documents it has."""
    if engine == "solr":
        _ask(f"{address}/solr/{index}/update?commit=true", "POST", [])
        return int(_ask(f"{address}/solr/{index}/select?q=*:*&rows=0")["response"]["numFound"])
    _ask(f"{address}/{index}/_refresh", "POST")
    return int(_ask(f"{address}/{index}/_count")["count"])


def removed(engine: str, address: str, index: str) -> None:
    """Remove it, if it is there."""
    if engine != "solr":
        _ask(f"{address}/{index}?ignore_unavailable=true", "DELETE")
    elif index in _ask(f"{address}/solr/admin/cores?indexInfo=false")["status"]:
        _ask(f"{address}/solr/admin/cores?action=UNLOAD&core={index}&deleteInstanceDir=true")


def _ask(url: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if data is not None else {}
    request = Request(url, data, headers, method=method)  # noqa: S310 - an engine that the user named
    with urlopen(request, timeout=60) as reply:  # noqa: S310
        return json.load(reply)
