"""A native request of the embedded engine: a plain dictionary, checked strictly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import tantivy
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from rebridge.errors import ConnectorError

# tantivy's parser recurses; some thousand open groups overflow the stack of a thread and end the process.
_MOST_GROUPS = 64


def _as_text(value: object) -> object:
    """Text that came with lone surrogates, which JSON can hold, is searched without them."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


UserText = Annotated[str, BeforeValidator(_as_text)]
Operator = Literal["or", "and"]
Boost = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Highlight(BaseModel):
    """Which fields to highlight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: list[str] = Field(min_length=1)


class Request(BaseModel):
    """A search.

    Attributes:
        query: what to search for; None matches every document.
        syntax: ``words`` takes the query as plain words; ``tantivy`` is tantivy's query language, and strict. There
            ``a -b`` leaves out b, while ``a AND NOT b`` matches nothing.
        operator: whether one word is enough (``or``) or all are needed (``and``).
        fields: text field -> weight; None searches all text fields with the weights of the index.
        filter: field -> value, list of values, or range with ``gte``, ``gt``, ``lte``, ``lt``. Never changes a score.
        sort: a field to sort by, or ``{field: "asc"}`` or ``{field: "desc"}``; None sorts by score.
        from: how many hits to skip. In Python the attribute is ``offset``.
        size: how many hits to answer at most.
        highlight: true for all fields searched, or ``{"fields": [...]}``: snippets in HTML, words in ``<b>``.
        source: false for hits without ``_source``, or a list of dotted names to keep of it.
        rerank_query: query text for the scorer, if it is not the query.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: UserText | None = None
    syntax: Literal["words", "tantivy"] = "words"
    operator: Operator = "or"
    fields: dict[str, Boost] | None = Field(default=None, min_length=1)
    filter: dict[str, Any] = Field(default_factory=dict)
    sort: str | dict[str, Literal["asc", "desc"]] | None = None
    offset: int = Field(default=0, ge=0, alias="from")
    size: int = Field(default=10, ge=0)
    highlight: bool | Highlight = False
    source: StrictBool | list[str] = True
    rerank_query: UserText | None = None

    @property
    def query_text(self) -> str | None:
        """The words that the user asked for, without query language.

        Raises:
            ConnectorError: if the query is not valid in its syntax.
        """
        if self.rerank_query is not None or self.query is None or self.syntax == "words":
            return self.query if self.rerank_query is None else self.rerank_query
        return " ".join(_wanted_phrases(syntax_tree(self.query)))


KEYS = tuple(field.alias or name for name, field in Request.model_fields.items())


def parse_request(request: Mapping[str, Any]) -> Request:
    """Check a native request.

    Raises:
        ConnectorError: with one line for every problem.
    """
    try:
        return Request.model_validate(dict(request))
    except ValidationError as error:
        problems = "\n  ".join(_problem(detail["type"], detail["loc"], detail["msg"]) for detail in error.errors())
        raise ConnectorError(f"This is not a search request of the tantivy connector:\n  {problems}") from error


def _problem(kind: str, place: tuple[int | str, ...], message: str) -> str:
    key = ".".join(map(str, place))
    if kind != "extra_forbidden" or len(place) > 1:
        return f"{key}: {message}"
    near = get_close_matches(key, KEYS, n=1)
    return f"{key}: unknown key. " + (f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(KEYS)}.")


def syntax_tree(query: str) -> Mapping[str, Any]:
    """A query in tantivy's language as a tree.

    Raises:
        ConnectorError: if it is not valid; shows the query and the place.
    """
    if query.count("(") + query.count("NOT") > _MOST_GROUPS:
        raise ConnectorError(f"A query in tantivy's syntax may hold at most {_MOST_GROUPS} groups and negations.")
    try:
        return tantivy.parse_query(query)
    except ValueError as error:
        problems = tantivy.parse_query_lenient(query)[1]
        place = f"{problems[0]['message']} at character {problems[0]['pos']}" if problems else "it cannot be parsed"
        raise ConnectorError(
            f"Syntax error in the query {query!r}: {place}. Use syntax: words for text that people type."
        ) from error


def _wanted_phrases(node: Mapping[str, Any]) -> Iterator[str]:
    """The words and phrases of a query that a hit should hold: no negated ones, no ranges, sets or patterns."""
    match node["type"]:
        case "literal":
            yield node["phrase"]
        case "boost":
            yield from _wanted_phrases(node["underlying"])
        case "bool":
            for occur, clause in node["clauses"]:
                if occur != "must_not":
                    yield from _wanted_phrases(clause)
