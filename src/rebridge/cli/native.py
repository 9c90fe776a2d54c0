"""``rebridge native``: let an engine rerank by itself, with a rerank server."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rebridge.cli.output import print_json

if TYPE_CHECKING:
    from pydantic import BaseModel

    from rebridge_query_dsl.native import Api, DryRun, RerankServer

    S = TypeVar("S", bound=BaseModel)

#: Variables that say how to get into the engine: REBRIDGE_ENGINE__ and a key of the connector's settings.
_PREFIX = "REBRIDGE_ENGINE__"
#: Seconds for a request. An engine that cannot reach the server may need a while to find out.
_TIMEOUT_S = 90

app = typer.Typer(
    help="Let an engine rerank by itself, with `rebridge serve`.", no_args_is_help=True, rich_markup_mode=None
)
_install = typer.Typer(help="Put what it takes into an engine.", no_args_is_help=True, rich_markup_mode=None)
_remove = typer.Typer(help="Remove it again.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(_install, name="install")
app.add_typer(_remove, name="remove")


class ServiceName(StrEnum):
    """Services of Elasticsearch that can ask a rerank server."""

    custom = "custom"
    hugging_face = "hugging_face"


Url = Annotated[str, typer.Option(help="Address of the engine.")]
Server = Annotated[
    str, typer.Option(help="Address of `rebridge serve` as the engine reaches it, e.g. http://bridge:8080.")
]
Model = Annotated[str | None, typer.Option(help="A model's name there. [default: the server's default model]")]
KeyVariable = Annotated[
    str | None, typer.Option(metavar="VAR", help="Environment variable that holds the server's API key.")
]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Print the requests as JSON and change nothing.")]
PipelineName = Annotated[str, typer.Option(help="Name of the search pipeline, and of its connector and model.")]
InferenceId = Annotated[str, typer.Option(help="Id of the inference endpoint.")]
_DEFAULT_URL = "http://localhost:9200"


@_install.command("opensearch")
def install_opensearch(
    server: Server,
    pipeline: PipelineName,
    field: Annotated[list[str], typer.Option(help="Field of documents to score; repeatable, read in this order.")],
    url: Url = _DEFAULT_URL,
    model: Model = None,
    api_key_env: KeyVariable = None,
    ignore_failure: Annotated[
        bool, typer.Option(help="If scoring fails, answer in OpenSearch's order; else the search fails.")
    ] = True,
    allow_private_ip: Annotated[
        bool, typer.Option("--allow-private-ip", help="Let all connectors of the cluster call private addresses.")
    ] = False,
    dry_run: DryRunFlag = False,
) -> None:
    """Make a remote model and a search pipeline with a reranker.

    Needs OpenSearch 2.15 or later with ML Commons and neural-search. Run again, it changes what is different. How to
    get in comes from REBRIDGE_ENGINE__USER, __PASSWORD, __CA_CERTS, __VERIFY_CERTS.

    \b
    Example:
      rebridge native install opensearch --server http://bridge:8080 --pipeline rerank --field title --field body
    """
    from rebridge_opensearch import OpenSearchSettings
    from rebridge_opensearch.native import RerankPipeline, install, open_api

    wanted = RerankPipeline(
        pipeline, _server(server, model, api_key_env, shown=dry_run), tuple(field), ignore_failure, allow_private_ip
    )
    _run(open_api, _engine(OpenSearchSettings, url), lambda api: install(api, wanted), dry_run=dry_run)


@_install.command("elasticsearch")
def install_elasticsearch(
    server: Server,
    inference_id: InferenceId,
    url: Url = _DEFAULT_URL,
    service: Annotated[ServiceName, typer.Option(help="Service of Elasticsearch that asks.")] = ServiceName.custom,
    model: Model = None,
    api_key_env: KeyVariable = None,
    dry_run: DryRunFlag = False,
) -> None:
    """Make an inference endpoint, for the retriever text_similarity_reranker.

    Needs Elasticsearch 8.19, or 9.1 and later, with an Enterprise licence or its trial. Run again, it changes what is
    different. How to get in comes from REBRIDGE_ENGINE__USER and __PASSWORD or __API_KEY, __CA_CERTS, __VERIFY_CERTS.

    \b
    Example:
      rebridge native install elasticsearch --server http://bridge:8080 --inference-id bridge
    """
    from rebridge_elasticsearch import ElasticsearchSettings
    from rebridge_elasticsearch.native import Endpoint, install, open_api

    wanted = Endpoint(inference_id, _server(server, model, api_key_env, shown=dry_run), service.value)
    _run(open_api, _engine(ElasticsearchSettings, url), lambda api: install(api, wanted), dry_run=dry_run)


@_remove.command("opensearch")
def remove_opensearch(pipeline: PipelineName, url: Url = _DEFAULT_URL, dry_run: DryRunFlag = False) -> None:
    """Remove search pipeline, model and connector of a name. Cluster settings stay: other connectors may need them."""
    from rebridge_opensearch import OpenSearchSettings
    from rebridge_opensearch.native import open_api, remove

    _run(open_api, _engine(OpenSearchSettings, url), lambda api: remove(api, pipeline), dry_run=dry_run)


@_remove.command("elasticsearch")
def remove_elasticsearch(inference_id: InferenceId, url: Url = _DEFAULT_URL, dry_run: DryRunFlag = False) -> None:
    """Remove an inference endpoint."""
    from rebridge_elasticsearch import ElasticsearchSettings
    from rebridge_elasticsearch.native import open_api, remove

    _run(open_api, _engine(ElasticsearchSettings, url), lambda api: remove(api, inference_id), dry_run=dry_run)


def _run(
    open_api: Callable[..., AbstractContextManager[Any]],
    settings: BaseModel,
    act: Callable[[Api], None],
    *,
    dry_run: bool,
) -> None:
    """Do it and print what was done; or print the requests that would do it."""
    from rebridge_query_dsl.native import Api, DryRun

    if not dry_run:
        with open_api(settings, typer.echo, Api) as api:
            act(api)
        return
    dry: DryRun
    with open_api(settings, lambda _: None, DryRun) as dry:
        act(dry)
    print_json(dry.requests)


def _engine(kind: type[S], url: str) -> S:
    """The engine's settings: its address, and what the environment says.

    Raises:
        ConfigError: without any values, which may be secrets.
    """
    from pydantic import ValidationError

    from rebridge.errors import ConfigError

    given = {name[len(_PREFIX) :].lower(): value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    try:
        return kind.model_validate({"timeout_s": _TIMEOUT_S, **given, "hosts": [url]})
    except ValidationError as error:
        names = (
            (
                "--url" if mistake["loc"][:1] == ("hosts",) else "".join((_PREFIX, *map(str, mistake["loc"]))).upper(),
                mistake,
            )
            for mistake in error.errors(include_input=False)
        )
        problems = (f"{name}: {mistake['msg'].removeprefix('Value error, ')}" for name, mistake in names)
        raise ConfigError("; ".join(problems)) from None


def _server(url: str, model: str | None, key_variable: str | None, *, shown: bool) -> RerankServer:
    """The rerank server.

    Args:
        url: its address.
        model: a model's name.
        key_variable: the variable that holds its key.
        shown: the name of the variable stands for the key, because it will be printed.
    """
    from pydantic import SecretStr

    from rebridge.remote import address_parts
    from rebridge_query_dsl.native import RerankServer

    try:
        parts = address_parts(url, "http://bridge:8080")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--server") from error
    if parts.query or parts.fragment:
        raise typer.BadParameter("an address is like http://bridge:8080, without ? and #", param_hint="--server")
    if key_variable is None:
        return RerankServer(url.rstrip("/"), model)
    key = f"${{{key_variable}}}" if shown else os.environ.get(key_variable)
    if not key:
        raise typer.BadParameter(f"the environment has no variable {key_variable!r}", param_hint="--api-key-env")
    return RerankServer(url.rstrip("/"), model, SecretStr(key))
