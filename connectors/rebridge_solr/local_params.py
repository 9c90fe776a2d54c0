"""Solr's local parameters, ``{!edismax qf="title text" v=$qq}``.

Syntax: https://solr.apache.org/guide/solr/latest/query-guide/local-params.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_START = re.compile(r"\s*\{!")
_ENTRY = re.compile(
    r"""
    \s* (?P<name>[^\s=}"']+) (?: =
      (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)' | \$(?P<ref>[^\s}]*) | (?P<bare>[^\s}]*) )
    )?
    """,
    re.VERBOSE | re.DOTALL,
)
_END = re.compile(r"\s*\}")

#: Gives the values of the request's parameter of this name.
Lookup = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class LocalParams:
    """A query's local parameters.

    Attributes:
        values: name -> values, references resolved; ``type`` is the parser, ``v`` what stands behind the braces if
            there is no such key.
        end: where the braces end in the text.
    """

    values: Mapping[str, tuple[str, ...]]
    end: int

    def first(self, name: str, default: str = "") -> str:
        """The first value of this name."""
        return next(iter(self.values.get(name, ())), default)


def local_params(query: str, lookup: Lookup) -> LocalParams | None:
    """Read the local parameters that a query begins with; None if it begins with none, or they are not valid."""
    start = _START.match(query)
    if start is None:
        return None
    values: dict[str, tuple[str, ...]] = {}
    place = start.end()
    while not (end := _END.match(query, place)):
        entry = _ENTRY.match(query, place)
        if entry is None:
            return None
        place = entry.end()
        name, found = _entry(entry, lookup)
        values[name] = (*values.get(name, ()), *found)
    values.setdefault("v", (query[end.end() :],))
    return LocalParams(values, end.end())


def _entry(entry: re.Match[str], lookup: Lookup) -> tuple[str, Sequence[str]]:
    name = entry["name"]
    if entry["ref"] is not None:
        return name, lookup(entry["ref"])
    if entry["bare"] is not None:
        return name, (entry["bare"],)
    quoted = entry["double"] if entry["double"] is not None else entry["single"]
    if quoted is not None:
        return name, (re.sub(r"\\(.)", r"\1", quoted),)
    return "type", (name,)  # the short form, {!edismax}
