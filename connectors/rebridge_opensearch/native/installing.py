"""A remote model and a search pipeline in OpenSearch, put there, changed and removed by name.

A change makes a new model, tries it, points the pipeline at it and then removes the old one: searches go on meanwhile,
and if the new model does not work, everything stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rebridge.errors import ConnectorError
from rebridge_opensearch.native.remote_model import (
    connector_of,
    delete_group,
    delete_models,
    made_here,
    new_model,
    probe,
)
from rebridge_opensearch.native.trust import trust
from rebridge_query_dsl.native import Api, RerankServer, from_template

_TAG = "rebridge"


@dataclass(frozen=True, slots=True)
class RerankPipeline:
    """A search pipeline that reranks.

    Attributes:
        name: the pipeline's, and that of its connector and model.
        server: who scores.
        fields: the fields of documents that are scored, in this order.
        ignore_failure: answer in OpenSearch's own order if scoring fails; else the search fails.
        allow_private_ip: let OpenSearch call servers at private addresses.
    """

    name: str
    server: RerankServer
    fields: tuple[str, ...]
    ignore_failure: bool = True
    allow_private_ip: bool = False


def install(api: Api, wanted: RerankPipeline) -> None:
    """Put everything there; what is there as wanted already stays.

    A key cannot be read back, so with one the model is made anew each time.

    Raises:
        ConnectorError: with cause and cure. The pipeline then is as it was.
    """
    path = _path(wanted.name)
    before = _pipeline(api, wanted.name)
    trust(api, wanted.server.url, private=wanted.allow_private_ip)
    body = connector_of(wanted.name, wanted.server)
    there = made_here(api, wanted.name)
    same = [model for model in there if wanted.server.key is None and model.serves(body)]
    if same:
        model = same[0]
        probe(api, model.id, wanted.server)
        api.tell(f"Model {wanted.name!r} is there already: {model.id}.")
    else:
        model = new_model(api, wanted.name, body, wanted.server)
    pipeline = _with_reranker(before, _body(wanted, model.id))
    if pipeline == before:
        api.tell(f"Search pipeline {wanted.name!r} is there already.")
    else:
        api.write("PUT", path, pipeline)
        api.tell(f"Search pipeline {wanted.name!r} {'made' if before is None else 'changed'}.")
    delete_models(api, wanted.name, [each for each in there if each.id != model.id])


def remove(api: Api, name: str) -> None:
    """Remove pipeline, model and connector of this name; what is missing is no error. Trusted addresses stay.

    Raises:
        ConnectorError: with cause and cure.
    """
    pipeline = _pipeline(api, name)
    there = made_here(api, name)
    if pipeline is not None:
        rest = _others(pipeline)
        if rest or set(pipeline) - {"description", "response_processors"}:
            api.write("PUT", _path(name), {**pipeline, "response_processors": rest})
            api.tell(f"Search pipeline {name!r} has no reranker any more; its other processors stay.")
        else:
            api.write("DELETE", _path(name))
            api.tell(f"Search pipeline {name!r} removed.")
    delete_models(api, name, there)
    delete_group(api, name)
    if pipeline is None and not there:
        api.tell(f"There is nothing of the name {name!r}.")


def _path(name: str) -> str:
    return f"/_search/pipeline/{quote(name, safe='')}"


def _pipeline(api: Api, name: str) -> dict[str, Any] | None:
    """The pipeline of this name, which has our reranker; None if there is none."""
    found: dict[str, Any] | None = (api.find(_path(name)) or {}).get(name)
    if found is not None and len(_others(found)) == len(found.get("response_processors", [])):
        raise ConnectorError(
            f"{api.place.url} has a search pipeline {name!r} that this command has not made: give another --pipeline."
        )
    return found


def _body(wanted: RerankPipeline, model_id: str) -> dict[str, Any]:
    body: dict[str, Any] = from_template(
        "rebridge_opensearch.native",
        "search-pipeline",
        model_id=model_id,
        fields=list(wanted.fields),
        ignore_failure=wanted.ignore_failure,
    )
    return body


def _with_reranker(before: Mapping[str, Any] | None, body: dict[str, Any]) -> dict[str, Any]:
    """The pipeline with our reranker in its place; processors that its owner has added stay."""
    if before is None:
        return body
    (ours,) = body["response_processors"]
    processors = [ours if _is_ours(each) else each for each in before["response_processors"]]
    return {**before, "response_processors": processors}


def _others(pipeline: Mapping[str, Any]) -> list[Any]:
    return [each for each in pipeline.get("response_processors", []) if not _is_ours(each)]


def _is_ours(processor: Mapping[str, Any]) -> bool:
    return bool(processor.get("rerank", {}).get("tag") == _TAG)
