"""An inference endpoint in Elasticsearch, put there, changed and removed by its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from rebridge.errors import ConnectorError
from rebridge_query_dsl.native import PROBE_QUERY, PROBE_TEXTS, Api, RerankServer, contains, from_template

Service = Literal["custom", "hugging_face"]
#: Service -> (its template, the route of the rerank API that speaks its dialect, its keys that cannot be read back).
_SERVICES: Mapping[str, tuple[str, str, str]] = {
    "custom": ("inference-custom", "/v2/rerank", "secret_parameters"),
    "hugging_face": ("inference-hugging-face", "/huggingface/rerank", "api_key"),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An inference endpoint that reranks.

    Attributes:
        id: the inference id.
        server: who scores.
        service: which of Elasticsearch's services asks it.
    """

    id: str
    server: RerankServer
    service: Service = "custom"


def install(api: Api, wanted: Endpoint) -> None:
    """Put the endpoint there, and ask it; what is there as wanted already stays.

    Settings of an endpoint cannot be changed, nor its key be read back: it is removed and made anew, in between which
    searches that use it fail.

    Raises:
        ConnectorError: with cause and cure.
    """
    path, body = _path(wanted.id), _body(wanted)
    before = _endpoint(api, wanted.id)
    if before is not None and wanted.server.key is None and contains(before, _shown(body)):
        api.tell(f"Inference endpoint {wanted.id!r} is there already.")
    else:
        if before is not None:
            api.write("DELETE", path)
            api.tell(f"Inference endpoint {wanted.id!r} is removed, to be made anew.")
        api.write("PUT", path, body)
        api.tell(f"Inference endpoint {wanted.id!r} {'made' if before is None else 'made anew'}.")
    if not api.dry:
        _probe(api, wanted)


def remove(api: Api, inference_id: str) -> None:
    """Remove the endpoint of this id; a missing one is no error.

    Raises:
        ConnectorError: with cause and cure.
    """
    if _endpoint(api, inference_id) is None:
        api.tell(f"There is no inference endpoint {inference_id!r}.")
    else:
        api.write("DELETE", _path(inference_id))
        api.tell(f"Inference endpoint {inference_id!r} removed.")


def _path(inference_id: str) -> str:
    return f"/_inference/rerank/{quote(inference_id, safe='')}"


def _body(wanted: Endpoint) -> dict[str, Any]:
    model = wanted.server.model
    slots = {**wanted.server.slots(), "model_query": f"?{urlencode({'model': model})}" if model else ""}
    body: dict[str, Any] = from_template("rebridge_elasticsearch.native", _SERVICES[wanted.service][0], **slots)
    return body


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """What Elasticsearch gives back of an endpoint that was made of this."""
    hidden = _SERVICES[body["service"]][2]
    return {**body, "service_settings": {key: each for key, each in body["service_settings"].items() if key != hidden}}


def _endpoint(api: Api, inference_id: str) -> dict[str, Any] | None:
    """The endpoint of this id; None if there is none.

    Raises:
        ConnectorError: if it does not ask a rerank server.
    """
    found = api.find(_path(inference_id))
    if found is None:
        return None
    endpoint: dict[str, Any] = next(iter(found.get("endpoints", [])), found)
    route = _SERVICES.get(str(endpoint.get("service")), ("", "", ""))[1]
    url = str(endpoint.get("service_settings", {}).get("url", ""))
    if not route or not urlsplit(url).path.endswith(route):
        raise ConnectorError(
            f"{api.place.url} has an inference endpoint {inference_id!r} that this command has not made "
            f"(service {endpoint.get('service')!r}): give another --inference-id."
        )
    return endpoint


def _probe(api: Api, wanted: Endpoint) -> None:
    """Have the endpoint rank two texts, and tell what came."""
    reply = api.read("POST", _path(wanted.id), {"query": PROBE_QUERY, "input": list(PROBE_TEXTS)})
    try:
        scores = {int(each["index"]): float(each["relevance_score"]) for each in reply["rerank"]}
    except (LookupError, TypeError, ValueError):
        scores = {}
    if sorted(scores) != list(range(len(PROBE_TEXTS))):
        api.odd(f"asked {wanted.server.url}, but has not got one score for each of {len(PROBE_TEXTS)} texts", reply)
    first, second = scores[0], scores[1]
    api.tell(f"Elasticsearch asked {wanted.server.url}: the scores of two texts are {first:.4g} and {second:.4g}.")
