"""Bodies of the rerank API that are nearly right, by the ten thousand: every answer is one that is described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from .amount import MADE, share
from .asking import Loop, ask, loop
from .checking import PHASES
from .mutants import BURST, mutant
from .shapes import JSON, TEXT, damaged, keyed, text_of
from .test_fuzz_api import served

pytestmark = pytest.mark.slow

APP = served()
DESCRIPTION = APP.openapi()
DOCUMENTS = st.lists(st.one_of(TEXT, TEXT, st.builds(lambda text: {"text": text}, TEXT), JSON), max_size=6)
TEXTS = st.lists(TEXT, max_size=6)
MODEL = st.sampled_from(["fake", "other", "", None])
COUNT = st.integers(-1, 9)
COHERE = {
    "query": TEXT,
    "documents": DOCUMENTS,
    "model": MODEL,
    "top_n": COUNT,
    "return_documents": st.booleans(),
    "rank_fields": TEXTS,
    "max_chunks_per_doc": COUNT,
    "max_tokens_per_doc": COUNT,
}
PAIRS = {
    "text_1": st.one_of(TEXT, TEXTS),
    "text_2": st.one_of(TEXT, TEXTS),
    "queries": TEXTS,
    "documents": DOCUMENTS,
    "items": JSON,
    "model": MODEL,
    "activation": JSON,
}
WINDOWS = keyed({"size": COUNT, "stride": COUNT, "limit": COUNT, "pool": TEXT, "top_k": COUNT})
KEYS: dict[str, dict[str, Any]] = {
    "/v2/rerank": COHERE,
    "/v1/rerank": COHERE | {"truncation": JSON},
    "/rerank": COHERE
    | {"texts": TEXTS, "raw_scores": st.booleans(), "return_text": st.booleans(), "truncate": st.booleans()},
    "/score": PAIRS,
    "/v1/score": PAIRS,
    "/huggingface/rerank": {
        "query": TEXT,
        "documents": DOCUMENTS,
        "texts": TEXTS,
        "return_text": st.booleans(),
        "top_n": COUNT,
    },
    "/rebridge/v1/scores": {
        "query": TEXT,
        "passages": TEXTS,
        "model": MODEL,
        "windows": WINDOWS,
        "layers": st.booleans(),
        "deadline_ms": st.integers(0, 99_999),
    },
}


@pytest.fixture(scope="module")
def running() -> Iterator[Loop]:
    with loop() as made:
        yield made


def described() -> dict[tuple[str, str], Draft202012Validator]:
    """What checks the body of an answer, by route and status."""
    found = {}
    for path in KEYS:
        for status, answer in DESCRIPTION["paths"][path]["post"]["responses"].items():
            schema = answer["content"]["application/json"]["schema"]
            found[path, status] = Draft202012Validator({**schema, "components": DESCRIPTION["components"]})
    return found


CHECKERS = described()


@st.composite
def requests(draw: Any) -> tuple[str, list[tuple[bytes, bytes]], bytes]:
    """Route, headers and body."""
    path = draw(st.sampled_from(sorted(KEYS)))
    known = KEYS[path]
    least = [name for name in ("query", "documents", "passages", "text_1", "text_2") if name in known]
    some = draw(st.lists(st.sampled_from(sorted(known)), max_size=2))
    more = {name: known[name] for name in some if name not in least}
    plain = st.fixed_dictionaries({name: known[name] for name in least}, optional=more)
    body = draw(plain.map(text_of) | damaged(st.one_of(plain, keyed(known), JSON).map(text_of)))
    kind = draw(st.sampled_from([b"application/json"] * 5 + [b"text/plain", b"application/json; charset=utf-16", b""]))
    late = draw(st.sampled_from([None] * 5 + [b"1", b"-1", b"soon", b"99999999999", b"5000"]))
    headers = [(b"content-type", kind), *([(b"x-rerank-deadline-ms", late)] if late else [])]
    return path, headers, body


@settings(max_examples=share(0.35 / BURST), suppress_health_check=list(HealthCheck), phases=PHASES)
@given(request=requests(), random=st.randoms(use_true_random=False))
def test_answers_are_as_described(running: Loop, request: Any, random: Random) -> None:
    """Every status is a described one with a body of the described form; none is a failure of ours."""
    path, headers, body = request
    for text in (body, *(mutant(random, body) for _ in range(BURST - 1))):
        MADE["api"] += 1
        answer = running.run(ask(APP, "POST", path, headers, [text]))
        event(str(answer.status))
        assert answer.status < 500 or (answer.status == 504 and (b"deadline" in text or len(headers) > 1)), (
            text,
            answer,
        )
        checker = CHECKERS.get((path, str(answer.status)))
        assert checker is not None, (text, answer)
        checker.validate(json.loads(answer.body))
