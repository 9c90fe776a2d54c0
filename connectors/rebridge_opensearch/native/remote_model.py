"""A rerank server as a remote model of ML Commons: a connector and a model, both found by name.

https://docs.opensearch.org/latest/ml-commons-plugin/remote-models/index/
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rebridge.remote import EngineError
from rebridge_query_dsl.native import PROBE_QUERY, PROBE_TEXTS, Api, RerankServer, contains, from_template

_PACKAGE = "rebridge_opensearch.native"
_ML = "/_plugins/_ml"
#: Seconds until a remote model, of which nothing is loaded, must be ready; and between two looks at it.
_READY_WITHIN_S, _LOOK_AGAIN_S = 60, 0.3
#: More connectors or models of one name than anybody makes.
_MANY = 100


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model and its connector.

    Attributes:
        id: the model's; empty for a connector that has none.
        connector_id: the connector's; empty for a model that has none.
        connector: what the connector was made of, without its credential.
        deployed: whether the model can be asked.
    """

    id: str
    connector_id: str
    connector: Mapping[str, Any]
    deployed: bool = False

    def serves(self, connector: Mapping[str, Any]) -> bool:
        """Whether this is ready and agrees with the body of a new connector, as far as that can be read back."""
        (action,) = connector["actions"]
        shown = {key: value for key, value in connector.items() if key != "credential"}
        shown["actions"] = [{**action, "action_type": action["action_type"].upper()}]
        return self.deployed and contains(self.connector, shown)


def connector_of(name: str, server: RerankServer) -> dict[str, Any]:
    """The body of a new connector."""
    body: dict[str, Any] = from_template(_PACKAGE, "connector", name=name, **server.slots())
    return body


def made_here(api: Api, name: str) -> list[RemoteModel]:
    """What was made under this name before, half made things too."""
    connectors, models = _named(api, "connectors", name), _named(api, "models", name)
    found = [
        RemoteModel(
            model_id,
            model.get("connector_id", ""),
            connectors.get(model.get("connector_id", ""), {}),
            _state(api, model_id) == "DEPLOYED",
        )
        for model_id, model in models.items()
    ]
    used = {model.connector_id for model in found}
    return found + [RemoteModel("", each, body) for each, body in connectors.items() if each not in used]


def _state(api: Api, model_id: str) -> str | None:
    """What a model is doing, which a search for it may show too late."""
    state: str | None = (api.find(f"{_ML}/models/{quote(model_id)}") or {}).get("model_state")
    return state


def _named(api: Api, kind: str, name: str) -> dict[str, Any]:
    """Id -> source of connectors, models or model groups of this name which are ours, by their description."""
    description = from_template(_PACKAGE, "model", name=name, connector_id="")["description"]
    query = {"query": {"term": {"name.keyword": name}}, "size": _MANY}
    hits = api.read("POST", f"{_ML}/{kind}/_search", query).get("hits", {}).get("hits", [])
    ours = {hit["_id"]: hit["_source"] for hit in hits}
    return {
        key: each for key, each in ours.items() if (each.get("name"), each.get("description")) == (name, description)
    }


def new_model(api: Api, name: str, connector: Mapping[str, Any], server: RerankServer) -> RemoteModel:
    """Make a connector and a model, and ask it. If it does not answer, both are removed again.

    Raises:
        ConnectorError: with cause and cure.
    """
    connector_id = _id(api, api.write("POST", f"{_ML}/connectors/_create", connector), "connector_id")
    model_id = ""
    try:
        body = from_template(_PACKAGE, "model", name=name, connector_id=connector_id)
        made = api.write("POST", f"{_ML}/models/_register?deploy=true", body)
        model_id = _id(api, made, "model_id")
        if not api.dry:
            _wait(api, model_id)
            probe(api, model_id, server)
    except BaseException:
        with suppress(EngineError):  # the first failure is the one to tell of; the next run finds what is left
            _delete(api, RemoteModel(model_id, connector_id, connector))
        raise
    api.tell(f"Connector {name!r} made: {connector_id}.")
    api.tell(f"Model {name!r} made and deployed: {model_id}.")
    return RemoteModel(model_id, connector_id, connector, deployed=True)


def _id(api: Api, reply: Mapping[str, Any], key: str) -> str:
    found = reply.get(key)
    return found if isinstance(found, str) else api.odd(f"answered without a {key}", reply)


def _wait(api: Api, model_id: str) -> None:
    """Wait until a model is deployed."""
    end = time.monotonic() + _READY_WITHIN_S
    while (state := _state(api, model_id)) != "DEPLOYED":
        if state == "DEPLOY_FAILED" or time.monotonic() > end:
            api.odd("could not deploy the model; see its log. Its state is", state)
        time.sleep(_LOOK_AGAIN_S)


def probe(api: Api, model_id: str, server: RerankServer) -> None:
    """Have the model score two texts, the way the processor `rerank` does, and tell what came.

    Raises:
        ConnectorError: if there are no two scores.
    """
    body = {"query_text": PROBE_QUERY, "text_docs": list(PROBE_TEXTS)}
    reply = api.read("POST", f"{_ML}/_predict/text_similarity/{quote(model_id)}", body)
    try:
        found = [float(each["data"][0]) for result in reply["inference_results"] for each in result["output"]]
    except (LookupError, TypeError, ValueError):
        found = []
    if len(found) != len(PROBE_TEXTS):
        api.odd(f"asked {server.url}, but has not got one score for each of {len(PROBE_TEXTS)} texts", reply)
    api.tell(f"{api.place.product} asked {server.url}: the scores of two texts are {found[0]:.4g} and {found[1]:.4g}.")


def delete_models(api: Api, name: str, models: Iterable[RemoteModel]) -> None:
    """Remove models and their connectors."""
    for model in models:
        _delete(api, model)
        api.tell(f"Connector {model.connector_id} of {name!r}{f' and model {model.id}' if model.id else ''} removed.")


def delete_group(api: Api, name: str) -> None:
    """Remove the group in which OpenSearch keeps a name's models, after the models."""
    for group in _named(api, "model_groups", name):
        api.write("DELETE", f"{_ML}/model_groups/{quote(group)}")


def _delete(api: Api, model: RemoteModel) -> None:
    if model.id:
        api.write("POST", f"{_ML}/models/{quote(model.id)}/_undeploy")
        api.write("DELETE", f"{_ML}/models/{quote(model.id)}")
    if model.connector_id:
        api.write("DELETE", f"{_ML}/connectors/{quote(model.connector_id)}")
