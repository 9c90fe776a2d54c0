"""The words of queries in Lucene's syntax, without the syntax: for engines whose users may type operators."""

from __future__ import annotations

import re

# A term of Lucene's query syntax: what stands before it (+ - !), a field with a colon, then a phrase, a regular
# expression, a range, or a word; then boosts and fuzziness. Also brackets and the word operators.
_LUCENE = re.compile(
    r"""
    (?P<operator>\b(?:AND|OR|TO)\b|&&|\|\|)
    | (?P<not>\bNOT\b|!|(?<!\S)-|(?<=\()-)
    | (?P<open>\() | (?P<close>\))
    | (?P<field>[^\s()\[\]{}"^~:/+\-!\\]+(?:\\.[^\s()\[\]{}"^~:/\\]*)*:(?=\S))
    | "(?P<phrase>(?:[^"\\]|\\.)*)"
    | (?P<regex>/(?:[^/\\\s]|\\.)+/(?=\s|\)|$))
    | (?P<range>[\[{][^\]}]*\bTO\b[^\]}]*[\]}] | [<>]=?\S+)
    | (?P<suffix>[\^~][\d.]*)
    | (?P<word>(?:[^\s()\[\]{}"^~\\]|\\.)+)
    """,
    re.VERBOSE,
)


def lucene_text(query: str) -> str:
    """The words of a query in Lucene's syntax: no fields, operators, ranges or boosts, and nothing that is excluded.

    Syntax: https://lucene.apache.org/core/9_12_0/queryparser/org/apache/lucene/queryparser/classic/package-summary.html
    """
    words: list[str] = []
    excluded = [False]  # one entry per open bracket
    negated = False
    for match in _LUCENE.finditer(query):
        kind = match.lastgroup
        if kind == "not":
            negated = True
        elif kind == "open":
            excluded.append(excluded[-1] or negated)
            negated = False
        elif kind == "close":
            if len(excluded) > 1:
                excluded.pop()
            negated = False
        elif kind in {"phrase", "word", "range", "regex"}:
            text = _unescaped(match.group(kind)).lstrip("+") if kind in {"phrase", "word"} else ""
            text = text.strip("*?&|") if kind == "word" else text
            if text and not (negated or excluded[-1]):
                words.append(text)
            negated = False
    return " ".join(words)


def simple_text(query: str) -> str:
    """The words of a query in the syntax of ``simple_query_string``, without operators and what ``-`` excludes."""
    kept = re.sub(r"""(?<![^\s(|+])-(?:"[^"]*"|\([^)]*\)|\S+)""", " ", query)
    kept = re.sub(r"~\d*", " ", kept)
    return " ".join(re.sub(r'["()|+*\\]', " ", kept).split())


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
