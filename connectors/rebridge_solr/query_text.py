"""The words that a user asked for, read out of a Solr query when nobody gave them explicitly.

Parsers: https://solr.apache.org/guide/solr/latest/query-guide/other-parsers.html and
https://solr.apache.org/guide/solr/latest/query-guide/json-query-dsl.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rebridge.lucene import lucene_text, simple_text
from rebridge.models import Doubt
from rebridge_solr.effective import Effective
from rebridge_solr.local_params import local_params

#: How deep queries may point to each other; Solr itself refuses loops.
_DEPTH = 12
_DISMAX = frozenset({"dismax", "edismax"})

_EMBEDDED = re.compile(r"""_query_:\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)')|\{!""", re.DOTALL)
_FIELD = re.compile(r"""(?<![\w.*])([\w.*-]+):("(?:[^"\\]|\\.)*"|\([^()]*\)|[\[{][^\]}]*[\]}]|[^\s()"\[{]+)""")
# By Solr's own suffixes for dynamic fields, and by what people call the fields of exact values.
_EXACT_NAME = re.compile(
    r"(?:.*_)?(?:ids?|uuid|key|sku|isbn|ean|code|slug|url)|.*_(?:s|ss|i|is|l|ls|f|fs|d|ds|b|bs|dt|dts|p)"
)


class Words(NamedTuple):
    """Words of a query, and whether they are only exact values."""

    text: str
    exact: bool = False


def query_words(asked: Effective, unique_key: str) -> tuple[str | None, tuple[Doubt, ...]]:
    """The words of a request's query: each text once, in the order of the query; and what makes them doubtful.

    Words of filters count only if the query itself has none.
    """
    reader = _Reader(asked, unique_key)
    found = list(reader.query())
    doubts: tuple[Doubt, ...] = ()
    if not found:
        found = [words for query in asked.params.get("fq", ()) for words in reader.text(query, "lucene")]
        doubts = ("filter_text",)
    plain = [words for words in found if not words.exact]
    if found and not plain:
        doubts = (*doubts, "term_query")
    return " ".join(dict.fromkeys(words.text for words in plain or found)) or None, doubts if found else ()


def explicit_text(asked: Effective, given: str | None) -> str | None:
    """The words that the request itself names for the scorer; None if it does not.

    They are the caller's ``rerank_query``, the parameter ``rq.text``, or ``rq={!rebridge text="..."}``.
    """
    named = given or asked.first("rq.text")
    for query in asked.params.get("rq", ()):
        params = local_params(query, lambda name: asked.params.get(name, ()))
        if params is not None and params.first("type") == "rebridge":
            named = named or params.first("text") or params.first("v")
    return named or None


Args = Mapping[str, Sequence[Any]]


class _Reader:
    """Reads queries of one request, which may point to its other parameters."""

    def __init__(self, asked: Effective, unique_key: str) -> None:
        self._asked = asked
        self._unique_key = unique_key
        queries = asked.body.get("queries")
        self._queries: Mapping[str, Any] = queries if isinstance(queries, Mapping) else {}

    def query(self) -> Iterator[Words]:
        """The words of the main query."""
        kind, main = self._asked.first("defType", "lucene"), self._asked.body.get("query")
        if not isinstance(main, Mapping):
            main = self._asked.first("q")
            if kind in _DISMAX and not main.strip():
                kind, main = "lucene", self._asked.first("q.alt")
        yield from self.text(main, kind)

    def text(self, query: Any, kind: str, depth: int = 0) -> Iterator[Words]:
        """The words of a query: text for the parser ``kind``, or an object of the JSON Query DSL, or a list of both."""
        if depth > _DEPTH:
            return
        if isinstance(query, Mapping):
            yield from self._object(query, depth + 1)
        elif isinstance(query, list | tuple):
            for clause in query:
                yield from self.text(clause, kind, depth + 1)
        elif isinstance(query, str):
            # Only these parsers look for local parameters; for the others braces are text.
            params = local_params(query, self._lookup) if kind in {"lucene", "func"} else None
            if params is None:
                yield from self._parsed(kind, {"v": (query,)}, depth + 1)
            else:
                yield from self._parsed(params.first("type", kind), params.values, depth + 1)

    def _lookup(self, name: str) -> Sequence[str]:
        if name in self._queries and isinstance(self._queries[name], str):
            return (self._queries[name],)
        return self._asked.params.get(name, ())

    def _object(self, query: Mapping[str, Any], depth: int) -> Iterator[Words]:
        for kind, inner in query.items():
            if kind.startswith("#"):  # a name for the clause
                yield from self.text(inner, "lucene", depth)
            elif kind == "param":
                named = self._queries.get(inner) if isinstance(inner, str) else None
                yield from self.text(named or list(self._lookup(str(inner))), "lucene", depth)
            else:
                inside = inner if isinstance(inner, Mapping) else {"v": inner}
                args = {("v" if key == "query" else key): _listed(value) for key, value in inside.items()}
                yield from self._parsed(kind, args, depth)

    def _parsed(self, kind: str, args: Args, depth: int) -> Iterator[Words]:
        if kind in _CLEAN:
            for value in args.get("v", ()):
                if isinstance(value, str):
                    yield from _words(_CLEAN[kind](value))
        elif kind in _LUCENE:
            for value in args.get("v", ()):
                yield from self._lucene(value, depth) if isinstance(value, str) else self.text(value, "lucene", depth)
        elif kind in _INSIDE:
            default = next((str(value) for value in args.get("defType", ())), "lucene")
            for key in _INSIDE[kind]:
                yield from self.text(list(args.get(key, ())), default, depth)
        elif kind in _EXACT:
            field = next((str(value) for value in args.get("f", ())), "")
            exact = kind != "field" or self._is_exact(field)
            for value in args.get("v", ()):
                yield from _words(str(value), exact=exact)

    def _lucene(self, query: str, depth: int) -> Iterator[Words]:
        plain = self._without_embedded(query, depth)
        # A filter and a constant score say nothing about what is wanted.
        plain = re.sub(r"\^=[\d.]+", " ", re.sub(r"(?<!\w)filter\(", "-(", plain))
        rest = _FIELD.sub(lambda match: " " if self._is_exact(match[1]) else match[0], plain)
        wanted = lucene_text(rest)
        yield from _words(wanted) if re.search(r"\w", wanted) else _words(lucene_text(plain), exact=True)

    def _is_exact(self, field: str) -> bool:
        return field == self._unique_key or _EXACT_NAME.fullmatch(field) is not None

    def _without_embedded(self, query: str, depth: int) -> str:
        """The query with a phrase in place of every query inside it that is for another parser."""
        parts, place = [], 0
        for match in _EMBEDDED.finditer(query):
            if match.start() < place:
                continue
            quoted = match["double"] if match["double"] is not None else match["single"]
            if quoted is not None:
                inner, end = re.sub(r"\\(.)", r"\1", quoted), match.end()
            else:
                params = local_params(query[match.start() :], self._lookup)
                if params is None:
                    break
                end = match.start() + params.end
                # What stands behind the braces belongs to them up to the next space or bracket.
                end += len(re.match(r"[^\s(){]*", query[end:])[0])  # type: ignore[index]
                inner = query[match.start() : end]
            words = " ".join(found.text for found in self.text(inner, "lucene", depth + 1))
            parts += [query[place : match.start()], '"', re.sub(r'(["\\])', r"\\\1", words), '"']
            place = end
        return "".join([*parts, query[place:]])


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _words(text: str, *, exact: bool = False) -> Iterator[Words]:
    if re.search(r"\w", text):
        yield Words(" ".join(text.split()), exact)


def _edismax_text(query: str) -> str:
    """The words of an Extended DisMax query, for which a colon is one only behind the name of a field."""
    return lucene_text(re.sub(r"(?<!\S)(\d+):(?=\d)", r"\1\\:", query))


def _dismax_text(query: str) -> str:
    """The words of a DisMax query, which knows ``+``, ``-`` and phrases and no other operators."""
    wanted = re.sub(r'(?<!\S)-(?:"[^"]*"|\S+)', " ", query)
    return re.sub(r'"|(?<!\S)\+', " ", wanted)


def _surround_text(query: str) -> str:
    """The words of a query such as ``3w(red, shoe)``."""
    return " ".join(
        re.sub(r"\b(?:\d*[wn]|and|or|not)\b(?=\s*\()|\b(?:AND|OR|NOT|\d*[WNwn])\b|[(),]", " ", query).split()
    )


_CLEAN: dict[str, Callable[[str], str]] = {
    "dismax": _dismax_text,
    "edismax": _edismax_text,
    "simple": simple_text,
    "surround": _surround_text,
    "payload_score": str,
    "payload_check": str,
    "knn_text_to_vector": str,
}
_LUCENE = frozenset({"lucene", "standard", "complexphrase", "maxscore"})
#: Parsers whose words are those of the queries under these keys.
_INSIDE: dict[str, tuple[str, ...]] = {
    "boost": ("v",),
    "bool": ("must", "should"),
    "child": ("v",),
    "parent": ("v",),
    "query": ("v",),
}
_EXACT = frozenset({"term", "terms", "prefix", "raw", "field"})
