"""URL queries and form bodies as parameters, and changed parameters back into them.

Bytes that are no UTF-8 travel as surrogate escapes, so they survive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

Params = Mapping[str, Any]

#: Halves of surrogate pairs, which JSON can hold, but for those that stand for bytes; Java writes them so, too.
_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def parsed(query: str) -> dict[str, list[str]]:
    """The parameters, each with all its values in order."""
    found: dict[str, list[str]] = {}
    for piece in _pieces(query):
        name, value = _pair(piece)
        found.setdefault(name, []).append(value)
    return found


def rewritten(query: str, before: Params, after: Params) -> str:
    """The query with changed parameters; those that stay the same, stay as they were written.

    Args:
        query: what came.
        before: the parameters as they were read from it, and maybe from elsewhere.
        after: what they are to be: text, numbers, booleans, or lists of them.
    """
    same = {name for name, value in after.items() if name in before and before[name] is value}
    return "&".join([*kept(query, same), *written({name: after[name] for name in after if name not in same})])


def kept(query: str, names: Iterable[str]) -> list[str]:
    """The pieces of a query that set parameters of these names, as they were written."""
    wanted = frozenset(names)
    return [piece for piece in _pieces(query) if _pair(piece)[0] in wanted]


def written(params: Params) -> list[str]:
    """The pieces of a query that sets these parameters."""
    return [f"{_quoted(name)}={_quoted(text)}" for name, value in params.items() for text in _texts(value)]


def _pieces(query: str) -> list[str]:
    return [piece for piece in query.split("&") if piece]


def _pair(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return unquote_plus(name, errors="surrogateescape"), unquote_plus(value, errors="surrogateescape")


def _quoted(text: str) -> str:
    return quote(_HALVES.sub("?", text), safe="", errors="surrogateescape")


def _texts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _texts(inner)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]
