"""Snippets of a hit's text with the words of the query marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tantivy import Document, Index, Query, Searcher, SnippetGenerator

from rebridge_tantivy.documents import convert, values
from rebridge_tantivy.query import count_words, field_query, parsed_query, require_text, searched_fields
from rebridge_tantivy.request import Request
from rebridge_tantivy.schema import Layout


class Highlighter:
    """Marks the words of one request in its hits.

    Args:
        request: the request.
        layout: how documents lie in the index.
        index: the index, to parse tantivy's query language.
        searcher: the state of the index that the hits come from.

    Raises:
        ConnectorError: if a field to highlight is not a text field.
    """

    def __init__(self, request: Request, layout: Layout, index: Index, searcher: Searcher) -> None:
        self._generators = {
            name: SnippetGenerator.create(searcher, _marked(request, name, layout, index), layout.schema, name)
            for name in _fields(request, layout)
        }

    def highlight(self, fields: Mapping[str, Any]) -> dict[str, list[str]]:
        """Field name -> one snippet in HTML for every value that holds a word of the query."""
        snippets = {
            name: [html for value in values(fields, name) if (html := _snippet(generator, name, value))]
            for name, generator in self._generators.items()
        }
        return {name: found for name, found in snippets.items() if found}


def _fields(request: Request, layout: Layout) -> Iterable[str]:
    if request.query is None or not request.highlight:
        return ()
    if request.highlight is True:
        return searched_fields(request, layout)
    for name in request.highlight.fields:
        require_text(name, layout)
    return request.highlight.fields


def _marked(request: Request, name: str, layout: Layout, index: Index) -> Query:
    query = request.query or ""
    if request.syntax == "tantivy":
        return parsed_query(query, {name: 1.0}, index)
    return field_query(count_words(query, layout), name, layout)


def _snippet(generator: SnippetGenerator, name: str, value: Any) -> str:
    document = Document()
    document.add_text(name, convert("text", value))
    snippet = generator.snippet_from_doc(document)
    return snippet.to_html() if snippet.highlighted() else ""
