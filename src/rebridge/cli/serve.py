"""``rebridge serve``: the rerank API, and proxies in front of engines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import say

if TYPE_CHECKING:
    from rebridge.server.settings import ServerSettings

#: What the server is made of; looked for at once, not when the first worker fails.
_PACKAGES = ("aiohttp", "fastapi", "fastapi_offline", "httpx", "opentelemetry", "prometheus_client", "uvicorn")


def serve(
    config: Annotated[Path | None, typer.Option(help="File of the server's settings (docs/server.md).")] = None,
    configs: Configs = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of the rerank API. [default: 127.0.0.1:8080]")] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ENGINE=URL@HOST:PORT", help="An engine, and where to stand in for it; repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model of the rerank API: a hub id or a folder; repeatable.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Front processes. [default: 1]")] = None,
    check: Annotated[bool, typer.Option("--check", help="Check settings and pipelines, and serve nothing.")] = False,
) -> None:
    """Serve reranking over HTTP.

    The rerank API speaks the dialects of Cohere, Jina, Text Embeddings Inference, vLLM and Elasticsearch's
    hugging_face. A proxy stands in front of an engine: its clients change the port, and searches come back reranked.
    Flags override REBRIDGE_SERVER__... variables, which override the file. SIGTERM lets running requests end; SIGHUP
    reads the pipeline files again.

    \b
    Examples:
      rebridge serve
      rebridge serve --proxy elasticsearch=http://localhost:9200@127.0.0.1:9280
      rebridge serve --config server.yaml --workers 4
      rebridge serve --config server.yaml --check
    """
    from importlib.util import find_spec

    from rebridge.errors import MissingExtra

    settings = _settings(config, listen=listen, proxies=proxy, models=model, workers=workers)
    if not all(map(find_spec, _PACKAGES)):
        raise MissingExtra("rebridge serve", "server")
    from rebridge.server.serving import Server

    server = Server(settings, configs)
    if check:
        say("The settings and pipelines are right.")
        return
    server.run(partial(typer.echo, err=True))  # `say` would end the server where nobody reads it


def _settings(
    config: Path | None, *, proxies: list[str] | None, models: list[str] | None, **values: Any
) -> ServerSettings:
    """The settings of file, environment and flags."""
    from pydantic import ValidationError

    from rebridge.errors import ConfigError
    from rebridge.server.settings import ModelSettings, changed, load_settings

    settings = load_settings(config)
    try:
        return changed(
            settings,
            proxies=[*settings.proxies, *map(_proxy, proxies)] if proxies else None,
            models=settings.models | {name: ModelSettings(model=name) for name in models} if models else None,
            **values,
        )
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        )
        raise ConfigError("; ".join(problem.removeprefix(": ") for problem in problems)) from error


def _proxy(text: str) -> dict[str, str]:
    """The settings of ``ENGINE=URL@HOST:PORT``."""
    engine, equals, rest = text.partition("=")
    url, at, listen = rest.rpartition("@")
    if not equals or not at:
        raise typer.BadParameter(
            f"{text!r} is no ENGINE=URL@HOST:PORT, like elasticsearch=http://localhost:9200@127.0.0.1:9280",
            param_hint="--proxy",
        )
    return {"engine": engine, "url": url, "listen": listen}
