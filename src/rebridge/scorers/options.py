"""What users may say to a recipe: names, kinds of values, messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from rebridge.errors import ConfigError
from rebridge.scorers.embeddings import Precision


@dataclass(frozen=True, slots=True)
class Kind:
    """What an option's value may be.

    Attributes:
        allows: whether a value will do.
        describes: what will do, for messages.
    """

    allows: Callable[[Any], bool]
    describes: str


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _at_least(least: int) -> Kind:
    return Kind(lambda value: _whole(value, least), f"a whole number of at least {least}")


def _is_layers(value: Any) -> bool:
    layers = value if isinstance(value, list | tuple) else [value]
    return bool(layers) and all(_whole(layer, 1) for layer in layers)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_place(value: Any) -> bool:
    return isinstance(value, bool | os.PathLike) or (isinstance(value, str) and bool(value))


_PRECISIONS = get_args(Precision)
_TEXT = Kind(lambda value: isinstance(value, str), "a text")

# Named as the models' own packages name them. What a value means is documented where it is used: in the loaders.
OPTIONS: dict[str, Kind] = {
    "token_budget": _at_least(1),
    "max_length": _at_least(1),
    "query_max_length": _at_least(1),
    "query_length": _at_least(1),
    "document_length": _at_least(1),
    "cache_size": _at_least(0),
    "store": Kind(_is_place, "true, false or a folder"),
    "store_size": _at_least(2**20),
    "store_dtype": Kind(lambda value: value in _PRECISIONS, f"one of {', '.join(_PRECISIONS)}"),
    "cutoff_layers": Kind(_is_layers, "a whole number, or a list of whole numbers, of at least 1"),
    "estimated_max": Kind(_is_number, "a number"),
    "normalize": Kind(lambda value: isinstance(value, bool), "true or false"),
    **dict.fromkeys(("instruction", "method", "template", "positive", "negative"), _TEXT),
}

#: Without a store these say nothing.
_OF_A_STORE = frozenset({"store_size", "store_dtype"})
#: Of recipes whose models read passages apart from the query, so that what they make of them can be kept.
KEEPING = frozenset({"cache_size", "store", "store_size", "store_dtype"})


def check_options(recipe: str, known: frozenset[str], options: Mapping[str, Any]) -> None:
    """Refuse options that a recipe does not have, values that cannot be, and options without effect.

    Args:
        recipe: its name.
        known: the names of its options.
        options: what the user gave.

    Raises:
        ConfigError: names the option and what is possible.
    """
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(
            f"the recipe {recipe!r} does not know {', '.join(unknown)}. Its options are: {', '.join(sorted(known))}"
        )
    for name, value in options.items():
        kind = OPTIONS.get(name)
        if kind is not None and not kind.allows(value):
            raise ConfigError(f"{name} must be {kind.describes}, not {value!r}")
    useless = sorted(set(options) & _OF_A_STORE)
    if useless and not options.get("store"):
        raise ConfigError(f"{useless[0]} has no effect without store: add store=True, or a folder")
