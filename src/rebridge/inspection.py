"""Whether a pipeline fits the index that is really there: pure comparisons of its keys with `IndexFacts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rebridge.connector import TEXT, IndexFacts
from rebridge.errors import nearest

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig

#: What `IndexFacts.fields` calls a field that documents have and no query finds.
NOT_INDEXED = "not indexed"
#: Types of one exact value, such as a part number, that words can be compared with; the engines' own names.
_EXACT = {"keyword", "constant_keyword", "wildcard", "flattened", "string"}


def misfits(config: PipelineConfig, facts: IndexFacts) -> list[tuple[str, str]]:
    """The keys of a pipeline that do not fit its index, as (dotted key, what is wrong and the cure)."""
    return [*_query_fields(config, facts), *_passage_fields(config, facts), *_window(config, facts)]


def names_in(document: Any, name: str = "") -> set[str]:
    """The dotted names of everything in a document: of objects and of single values."""
    if isinstance(document, Mapping):
        inner = [names_in(value, f"{name}.{key}" if name else str(key)) for key, value in document.items()]
        return set().union({name} - {""}, *inner)
    if isinstance(document, Sequence) and not isinstance(document, str):
        return set().union({name}, *(names_in(item, name) for item in document))
    return {name}


def _query_fields(config: PipelineConfig, facts: IndexFacts) -> Iterator[tuple[str, str]]:
    for name in config.query_fields:
        kind = _kind(name, facts)
        if kind is None:
            yield f"query_fields.{name}", _absent(name, [key for key, kind in facts.fields.items() if kind == TEXT])
        elif not {TEXT, *_EXACT} & set(kind.split("/")):
            texts = ", ".join(sorted(key for key, kind in facts.fields.items() if kind == TEXT)) or "none"
            yield f"query_fields.{name}", f"is {kind}, which is not searched by words. Fields that are: {texts}."


def _passage_fields(config: PipelineConfig, facts: IndexFacts) -> Iterator[tuple[str, str]]:
    for name in config.passage.fields:
        if _kind(name, facts) is None:
            yield "passage.template", f"{{{name}}} {_absent(name, facts.fields)}"


def _window(config: PipelineConfig, facts: IndexFacts) -> Iterator[tuple[str, str]]:
    if facts.max_window is not None and config.rank_window > facts.max_window:
        cure = "lower it, or raise the index's own limit (index.max_result_window)"
        yield "rank_window", f"is {config.rank_window}, but the index answers at most {facts.max_window} hits: {cure}."


def _kind(name: str, facts: IndexFacts) -> str | None:
    """The type of a field, by its name or by a pattern on either side; None if there is no such field."""
    if name in facts.fields:
        return facts.fields[name]
    found = {kind for field, kind in facts.fields.items() if fnmatchcase(name, field) or fnmatchcase(field, name)}
    return "/".join(sorted(found)) or None


def _absent(name: str, known: Sequence[str] | Mapping[str, str]) -> str:
    return f"is not in the index. {nearest(name, known)}"
