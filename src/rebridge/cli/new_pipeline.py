"""Pipeline files for new indices, with field types guessed from the first documents."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rebridge.ingest import FieldType

EngineName = Literal["tantivy", "elasticsearch", "opensearch", "solr"]

_SAMPLE = 500
#: Engine -> (address if none is given, address -> the keys of the connector section that name it).
_SERVERS: dict[EngineName, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "elasticsearch": ("http://localhost:9200", lambda url: {"hosts": [url]}),
    "opensearch": ("http://localhost:9200", lambda url: {"hosts": [url]}),
    "solr": ("http://localhost:8983/solr", lambda url: {"url": url}),
}


def place(engine: EngineName, index: str, url: str | None) -> dict[str, Any]:
    """The connector section for an index: its engine and where that is.

    Raises:
        typer.BadParameter: if there is no use for the address, it is none, or it holds a password.
    """
    from rebridge.remote import address_parts

    if engine not in _SERVERS:
        if url is not None:
            raise typer.BadParameter("the embedded engine has no address: say --engine too", param_hint="--url")
        return {"name": engine, "path": str(Path("indexes", index).absolute())}
    if "@" in urlsplit(url or "").netloc:
        raise typer.BadParameter("user and password come from the environment, not in the address", param_hint="--url")
    default, keys = _SERVERS[engine]
    try:
        address_parts(url or default, default)
    except ValueError as error:
        raise typer.BadParameter(f"{url!r} is none: {error}", param_hint="--url") from None
    return {"name": engine, **keys(url or default)}


def guessed_fields(source: Path, id_field: str | None) -> dict[str, FieldType]:
    """The types of the fields of a source's first documents.

    Raises:
        ConfigError: if there are none, or none of the fields is text.
    """
    from rebridge.errors import ConfigError
    from rebridge.ingest import Record, Reject, infer_fields, read

    items = list(islice(read(source, id_field=id_field), _SAMPLE))
    sample = [item.fields for item in items if isinstance(item, Record)]
    first = next((item for item in items if isinstance(item, Reject)), None)
    if first and not sample:
        where = f"{first.source} line {first.line}"
        raise ConfigError(f"None of the first {len(items)} documents can be indexed. {where}: {first.problem}.")
    fields = infer_fields(sample, numbers_are_text=source.name.removesuffix(".gz").endswith((".csv", ".tsv")))
    if "text" not in fields.values():
        found = f"its fields: {', '.join(fields)}" if fields else "there are no documents in it"
        raise ConfigError(f"{source} has no text to search in its first {_SAMPLE} documents; {found}.")
    return fields


def pipeline_file(index: str, source: Path, connector: dict[str, Any], fields: dict[str, FieldType]) -> str:
    """The text of a pipeline file for the documents of a source. It holds no credentials, and says where they go."""
    import yaml

    from rebridge.config_files import env_prefix

    texts = [name for name, kind in fields.items() if kind == "text"]
    content = {"connector": {**connector, "fields": dict(fields)}, "query_fields": dict.fromkeys(texts, 1)}
    template = json.dumps("\n".join(f"{{{name}}}" for name in texts), ensure_ascii=False)
    note = f"# Written by `rebridge index` from the first documents of {source.name}. Keys: rebridge config schema\n"
    if connector["name"] in _SERVERS:
        variable = f"{env_prefix(index)}CONNECTOR__"
        note += f"# User and password come from the environment: {variable}USER and ...PASSWORD\n"
    return note + yaml.safe_dump(content, sort_keys=False, allow_unicode=True) + f"passage:\n  template: {template}\n"
