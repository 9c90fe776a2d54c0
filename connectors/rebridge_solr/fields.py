"""Which fields a request asks for: Solr's ``fl`` in all its forms, and what must be added to it.

Syntax: https://solr.apache.org/guide/solr/latest/query-guide/common-query-parameters.html#fl-field-list-parameter
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

# A word, with everything that stands in brackets or quotes.
_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "\"'"
_ALIAS = re.compile(r"(?P<alias>[^\s:()\[\]{}\"'*?]+):(?P<source>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FieldList:
    """A parsed ``fl``.

    Attributes:
        names: fields that are named as they are.
        globs: patterns such as ``*`` and ``title_*``.
        aliases: name in the reply -> field, function or transformer.
    """

    names: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def score_keys(self) -> frozenset[str]:
        """The keys of a document that hold its score."""
        own = {"score"} & self.names
        return frozenset(own | {alias for alias, source in self.aliases.items() if source == "score"})

    def matches(self, name: str) -> bool:
        """Whether a pattern brings this field."""
        return any(fnmatchcase(name, glob) for glob in self.globs)

    def shows(self, name: str) -> bool:
        """Whether the field stands in the reply under its own name. With patterns, an alias renames a field."""
        if name in self.aliases:
            return False
        return name in self.names or (self.matches(name) and name not in self.aliases.values())


def parse_fl(values: Sequence[str]) -> FieldList:
    """Read an ``fl``, given by its values; an empty one asks for all fields."""
    words = [word for value in values for word in _words(value)]
    if not any(value.strip() for value in values):
        words = ["*"]
    aliases = {m["alias"]: m["source"] for word in words if (m := _ALIAS.fullmatch(word))}
    plain = [word for word in words if not _ALIAS.fullmatch(word) and word[0] not in _OPEN]
    globs = tuple(word for word in plain if {"*", "?"} & set(word) and "(" not in word)
    return FieldList(frozenset(word for word in plain if word not in globs), globs, aliases)


def additions(asked: FieldList, wanted: Iterable[tuple[str, str]]) -> list[str]:
    """What to add to an ``fl`` so that fields can be read and nothing that was shown is hidden.

    Solr gives a field under its own name and an alias if both are named, but an alias beside a pattern *renames* the
    field. So a field that a pattern brings is named too.

    Args:
        asked: the user's own list.
        wanted: pairs of (our name, field).
    """
    added: list[str] = []
    for alias, name in wanted:
        if asked.matches(name) and asked.shows(name):
            added.append(name)
        added.append(f"{alias}:{name}")
    return list(dict.fromkeys(added))


def _words(value: str) -> Iterator[str]:
    word, depth, quote, escaped = "", 0, "", False
    for character in value:
        if not depth and not quote and (character == "," or character.isspace()):
            if word:
                yield word
            word = ""
            continue
        word += character
        if escaped or character == "\\":
            escaped = not escaped
        elif quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        else:
            depth += (character in _OPEN) - (character in _CLOSE and depth > 0)
    if word:
        yield word
