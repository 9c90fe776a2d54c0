"""YAML with line numbers, and validation errors that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rebridge.errors import ConfigError

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A YAML file's content and where each key stands.

    Attributes:
        path: the file, for messages.
        data: its content.
        lines: location of a value -> line of its key, from 1.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[Location, int]

    def place(self, location: Location) -> str:
        """``file:line`` of a location, or of the nearest place above it that stands in the file."""
        line = self.line(location)
        return f"{self.path}:{line}" if line else str(self.path)

    def line(self, location: Location) -> int:
        """The line of a location, or of the nearest place above it; 0 if none stands in the file."""
        steps = [location[:length] for length in range(len(location), 0, -1)]
        return next((self.lines[step] for step in steps if step in self.lines), 0)


def read_yaml(path: Path) -> YamlSource:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: if the file cannot be read, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = list(_walk(node, ()))
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise ConfigError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except ValueError as error:  # a date that does not exist
        raise ConfigError(f"{path}: a value cannot be read: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: an anchor refers to itself") from error
    if data is None:
        return YamlSource(path, {}, {})
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold keys and values, like `rank_window: 100`")
    first: dict[Location, int] = {}
    for location, line in lines:
        if location in first:
            name = ".".join(map(str, location))
            raise ConfigError(f"{path}:{line}: {name} is given twice, first on line {first[location]}. Remove one.")
        first[location] = line
    return YamlSource(path, data, first)


def _walk(node: yaml.Node | None, above: Location) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            location = (*above, key.value)
            yield location, key.start_mark.line + 1
            yield from _walk(value, location)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*above, index), item.start_mark.line + 1
            yield from _walk(item, (*above, index))


def valid_keys(schema: Mapping[str, Any], location: Sequence[str | int]) -> list[str]:
    """The keys that a JSON Schema allows at a location; empty if it does not say."""
    node: Mapping[str, Any] = schema
    for step in location:
        found = [child for part in _parts(schema, node) if (child := _child(part, step)) is not None]
        if not found:
            return []
        node = found[0]
    return [key for part in _parts(schema, node) for key in part.get("properties", {})]


def _child(part: Mapping[str, Any], step: str | int) -> Mapping[str, Any] | None:
    """What a schema says of a key, an item of a list, or any key of a free mapping; None if nothing."""
    free = part.get("additionalProperties")
    found = part.get("items") if isinstance(step, int) else part.get("properties", {}).get(step, free)
    return found if isinstance(found, Mapping) else None


def _parts(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A schema node, its references followed and its alternatives laid side by side."""
    if "$ref" in node:
        return _parts(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    alternatives = [*node.get("anyOf", ()), *node.get("allOf", ())]
    return [node] if not alternatives else [part for choice in alternatives for part in _parts(schema, choice)]
