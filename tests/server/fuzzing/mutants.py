"""Many requests and replies out of one, each other in a place or two: drawing each anew would be slow."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

#: Requests that are made of one drawn example: itself, and its mutants.
BURST = 20
_TOKENS = (
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r",
    b" ",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"\\",
    b"\\ud83d",
    b"&",
    b"=",
    b"%",
    b"%00",
    b"+",
    b";",
    b"\xff",
    b"\x00",
    b'"query"',
    b'"size"',
    b'"from"',
    b'"hits"',
    b'"_source"',
    b"9" * 400,
    b"[" * 2000,
    b'{"a":' * 2000,
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    3,
    40,
    2**63,
    10**400,
    0.5,
    "",
    "shoe",
    "_score",
    "title",
    "\ud83d",
    "*",
    "a" * 5000,
    [],
    {},
    [[]],
    [None],
    {"": None},
    ["title"],
    {"query": "shoe"},
    {"title": "shoe"},
    {"match": {"title": "shoe"}},
    {"match_all": {}},
    {"order": "desc"},
)


def mutant(random: Random, text: bytes) -> bytes:
    """The text, changed a little: as JSON if it is some, else as bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        change = _other_json if random.random() < 0.75 else _other_bytes
        text = change(random, text)
    return text


def _other_json(random: Random, text: bytes) -> bytes:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _other_bytes(random, text)
    places = list(_places(value))
    if not places:
        return json.dumps(random.choice(_VALUES)).encode()
    inside, key = random.choice(places)
    how = random.random()
    if how < 0.2:
        del inside[key]
    elif how < 0.5:
        other, place = random.choice(places)
        inside[key] = copy.deepcopy(other[place]) if _has(other, place) else None
    elif how < 0.6 and isinstance(inside, dict):
        inside[str(random.choice(_VALUES))[:20]] = inside.pop(key)
    else:
        inside[key] = random.choice(_VALUES)
    try:
        return json.dumps(value).encode()
    except ValueError:  # it holds itself
        return text


def _has(inside: Any, key: Any) -> bool:
    return key in inside if isinstance(inside, dict) else key < len(inside)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    left = [value]
    while left:
        inside = left.pop()
        if isinstance(inside, dict | list):
            for key in inside if isinstance(inside, dict) else range(len(inside)):
                yield inside, key
                left.append(inside[key])


def _other_bytes(random: Random, text: bytes) -> bytes:
    at = random.randrange(len(text) + 1)
    to = min(len(text), at + random.randrange(8))
    middle = random.choice((b"", random.choice(_TOKENS), random.choice(_TOKENS) + text[at:to], text[at:to] * 2))
    return text[:at] + middle + text[to:]
