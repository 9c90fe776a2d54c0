"""From a document's fields to the text that the model reads."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import ConfigDict

from rebridge.steps import Windows


@dataclass(frozen=True, slots=True)
class Passage:
    """The text of one candidate.

    Attributes:
        text: what the model reads; empty if the document has none of the fields.
        flags: ``no_passage`` if there is no text, ``replaced_characters`` if some could not be encoded.
    """

    text: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PassageTemplate:
    r"""How the passages of an index are made.

    Attributes:
        template: text with field names in braces, e.g. ``"{title}\n{body}"``; ``{author.name}`` reaches into
            objects, ``{{`` is a brace. A line whose fields are all missing is left out.
        strip_html: remove markup from field values.
        windows: how passages longer than the model reads are cut; None leaves truncation to the model.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    template: str = "{title}\n{text}"
    strip_html: bool = False
    windows: Windows | None = None

    def __post_init__(self) -> None:
        """Refuse a template that cannot be filled."""
        try:
            fields = self.fields
        except ValueError as error:
            raise ValueError(f"the template {self.template!r} is not valid: {error}") from error
        if not fields:
            raise ValueError(f"the template {self.template!r} names no field; write field names in braces: {{title}}")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the template names, each once, in order."""
        return _fields(self.template)

    def build(self, source: Mapping[str, Any]) -> Passage:
        """The passage of one document; never fails, whatever the fields hold."""
        try:
            values = {name: self._value(source, name) for name in self.fields}
        except RecursionError:  # JSON may be nested deeper than Python can follow; nobody reads such text
            return Passage("", ("no_passage",))
        if not any(values.values()):
            return Passage("", ("no_passage",))
        lines = [
            "".join([text + values[name] if name is not None else text for text, name in parts])
            for parts, names in _lines(self.template)
            if not names or any(values[name] for name in names)
        ]
        return _checked("\n".join(lines).strip())

    def _value(self, source: Mapping[str, Any], name: str) -> str:
        found = _lookup(source, name)
        text = found if isinstance(found, str) else "\n".join(texts_in(found))
        return (_without_markup(text) if self.strip_html else text).strip()


# A template is read once, not once for every document.
@lru_cache
def _lines(template: str) -> tuple[tuple[list[tuple[str, str | None]], list[str]], ...]:
    """The lines of a template, each as its parts and the names of its fields."""
    lines = [_parts(line) for line in template.split("\n")]
    return tuple((parts, [name for _, name in parts if name is not None]) for parts in lines)


@lru_cache
def _fields(template: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, names in _lines(template) for name in names))


def _parts(line: str) -> list[tuple[str, str | None]]:
    """Pairs of (text, field that follows it or None). Raises ValueError where the braces are wrong."""
    parts = []
    for text, name, spec, conversion in string.Formatter().parse(line):
        if name is not None and (not name.strip() or conversion):
            raise ValueError("a pair of braces must hold a field name and nothing else")
        field = f"{name}:{spec}" if spec else name  # some engines have colons in field names
        parts.append((text, field.strip() if field is not None else None))
    return parts


def _lookup(value: Any, path: str) -> Any:
    """The value at a dotted path; a literal dotted key wins, lists are searched element by element."""
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        head, _, rest = path.partition(".")
        while rest:
            if head in value:
                found = _lookup(value[head], rest)
                if found is not None:
                    return found
            step, _, rest = rest.partition(".")
            head = f"{head}.{step}"
        return None
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        found = [item for item in (_lookup(element, path) for element in value) if item is not None]
        return found or None
    return None


def texts_in(value: Any) -> list[str]:
    """The texts inside a field value: numbers are written out, lists and objects flattened, the rest left out."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in texts_in(item)]
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [text for item in value for text in texts_in(item)]
    return []


def _without_markup(text: str) -> str:
    if "<" not in text and "&" not in text:
        return text
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    tree.strip_tags(["script", "style"])
    return tree.body.text(separator=" ", strip=True) if tree.body is not None else ""


def _checked(text: str) -> Passage:
    clean = text.encode("utf-8", "replace").decode()  # lone surrogates come from broken JSON and stop tokenisers
    return Passage(clean, () if clean == text else ("replaced_characters",))
