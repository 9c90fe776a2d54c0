"""The ``filter_path`` of a request, applied to a reply on our side.

A reply that is to be reranked must come whole, so the parameter is not sent with the widened request. The behaviour is
that of the engines, tried on both:
https://www.elastic.co/docs/reference/elasticsearch/rest-apis/common-options#common-options-response-filtering
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rebridge_query_dsl.options import texts

_DOT = re.compile(r"(?<!\\)\.")
_GONE = object()


@dataclass(frozen=True, slots=True)
class _State:
    """Where the patterns stand at one place of a reply.

    Attributes:
        patterns: the segments still to come, and whether ``**`` stood before them, which lets them begin deeper too.
        reached: whether a pattern ends here.
    """

    patterns: frozenset[tuple[tuple[str, ...], bool]] = frozenset()
    reached: bool = False

    def step(self, name: str) -> _State:
        """Where a key leads."""
        following = set()
        for segments, anywhere in self.patterns:
            if _glob(segments[0])(name):
                if len(segments) == 1:
                    return _State(reached=True)
                following.add((segments[1:], segments[0] == "**"))
            if anywhere:
                following.add((segments, True))
        return _State(frozenset(following))


def filtered(reply: Mapping[str, Any], filter_path: Any, *, keep_empty: bool) -> Mapping[str, Any]:
    """The part of a reply that ``filter_path`` leaves.

    Args:
        reply: the whole reply.
        filter_path: patterns as text with commas or as a list; those that begin with ``-`` exclude and win.
        keep_empty: whether excluding keeps objects and lists that were empty before. Elasticsearch does; OpenSearch
            drops those that a pattern could have reached into.
    """
    patterns = texts(filter_path)
    includes = [pattern for pattern in patterns if not pattern.startswith("-")]
    excludes = [pattern[1:] for pattern in patterns if pattern.startswith("-") and pattern != "-"]
    value: Any = reply
    if includes:
        value = _include(value, _start(includes))
    if excludes and value is not _GONE:
        value = _exclude(value, _start(excludes), keep_empty=keep_empty)
    return {} if value is _GONE else value


def _start(patterns: list[str]) -> _State:
    return _State(frozenset((_segments(pattern), False) for pattern in patterns))


def _segments(pattern: str) -> tuple[str, ...]:
    return tuple(segment.replace("\\.", ".") for segment in _DOT.split(pattern))


@lru_cache(maxsize=1024)
def _glob(segment: str) -> Callable[[str], object]:
    return re.compile(".*".join(map(re.escape, segment.split("*"))), re.DOTALL).fullmatch


def _include(value: Any, state: _State) -> Any:
    """What the patterns reach; `_GONE` if nothing."""
    if state.reached:
        return value
    left: Any = None
    if isinstance(value, Mapping):
        parts = {key: _include(inner, state.step(key)) for key, inner in value.items()}
        left = {key: inner for key, inner in parts.items() if inner is not _GONE}
    elif isinstance(value, list):
        left = [inner for inner in (_include(item, state) for item in value) if inner is not _GONE]
    return left or _GONE


def _exclude(value: Any, state: _State, *, keep_empty: bool) -> Any:
    """What the patterns do not reach; `_GONE` if nothing is left."""
    if state.reached:
        return _GONE
    if not state.patterns or not isinstance(value, Mapping | list):
        return value
    left: Any
    if isinstance(value, Mapping):
        parts = {key: _exclude(inner, state.step(key), keep_empty=keep_empty) for key, inner in value.items()}
        left = {key: inner for key, inner in parts.items() if inner is not _GONE}
    else:
        items = (_exclude(item, state, keep_empty=keep_empty) for item in value)
        left = [inner for inner in items if inner is not _GONE]
    return left if left or (keep_empty and not value) else _GONE
