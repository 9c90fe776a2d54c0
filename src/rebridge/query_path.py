"""Where an index's requests hold the words for the scorer, as a JSONPath (RFC 9535)."""

from __future__ import annotations

from typing import Any

import jsonpath


class QueryPath:
    """A compiled JSONPath.

    Args:
        path: e.g. ``$.query.bool.must[0].match.title.query``.

    Raises:
        ValueError: if it is no JSONPath; shows the place.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._compiled = jsonpath.compile(path)
        except jsonpath.JSONPathError as error:
            raise ValueError(f"{path!r} is not a JSONPath: {error}") from error

    def text(self, document: Any) -> str | None:
        """The texts at this path, put together with spaces; None if there are none."""
        if document is None:
            return None
        try:
            found = self._compiled.findall(document)
        except (jsonpath.JSONPathError, RecursionError):  # a request nested deeper than can be followed
            return None
        texts = [text.strip() for text in found if isinstance(text, str)]
        return " ".join(filter(None, texts)) or None
