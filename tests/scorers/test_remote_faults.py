"""Remote scorers and peers that misbehave: each fault ends in scores, or in time with an error that says what came."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import ScorerError
from rebridge.scorers.remote import RemoteScorer

from .peers import (
    PATHS,
    RIGHT,
    TEXTS,
    Handler,
    Open,
    StandIn,
    always,
    answering,
    cut_short,
    failing,
    first,
    free_port,
    serving,
)

PASSING: dict[str, Callable[[Handler], Any]] = {
    "reset": Handler.reset,
    "reset mid-body": cut_short,
    "429": answering(429, {"error": "busy"}, Retry_After="0"),
    "503": answering(503, {"error": {"reason": "starting", "message": "not yet"}}),
    "502": answering(502, b"<html>Bad Gateway</html>", "text/html"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_passing_faults_are_overcome(fault: Callable[[Handler], Any], ask: Open) -> None:
    """A fault that passes costs a little time and no scores."""
    with serving(StandIn(fault=first(2, fault))) as peer:
        assert ask(peer).raw_scores("the query", TEXTS) == RIGHT
        assert len(peer.asked) == 3


LASTING: dict[str, tuple[Callable[[Handler], Any], str]] = {
    "reset": (Handler.reset, "ended the connection"),
    "reset mid-body": (cut_short, ""),
    "429": (answering(429, {"error": "overloaded"}), r"too busy \(429\).*overloaded"),
    "503": (answering(503, {"error": {"message": "no model"}}), r"cannot answer now \(503\).*no model"),
    "500": (answering(500, {"detail": "out of memory"}), r"status 500. It said: out of memory"),
    "401": (answering(401, {"message": "bad key"}), r"`api_key` \(401\).*bad key"),
    "404": (answering(404, {"error": "model not found"}), r"correct `url`, `dialect` or `model`"),
    "422": (answering(422, {"detail": [{"msg": "Field required", "input": TEXTS}]}), "It said: Field required"),
    "redirect": (answering(302, b"", Location="http://elsewhere/"), "status 302"),
    "HTML": (answering(200, b"<html>Welcome</html>", "text/html"), "not answer with JSON, but text/html, 20 bytes"),
    "no JSON": (answering(200, b'{"scores": [[1'), "not answer with JSON"),
    "nothing": (answering(200, b""), "not answer with JSON"),
    "deep": (answering(200, b"[" * 100_000), "not answer with JSON"),
    "wrong encoding": (answering(200, b"hello", content_encoding="gzip"), "decod|gzip|header"),
    "another shape": (answering(200, {"results": []}), "no list of scores, but an object"),
    "a list": (answering(200, []), "no list of scores"),
}


@pytest.mark.parametrize(("fault", "message"), LASTING.values(), ids=LASTING)
def test_lasting_faults_are_told(fault: Callable[[Handler], Any], message: str, ask: Open) -> None:
    """A fault that lasts ends in an error that says what came; never in documents, queries or keys."""
    with serving(StandIn(fault=always(fault))) as peer:
        error = str(failing(ask(peer, api_key="sk-4711")))
        with pytest.raises(ScorerError, match=f"(?s){message}"):
            raise ScorerError(error)
        assert not any(word in error for word in ("4711", "secret", "private", "the query"))


@pytest.mark.parametrize("quoted", ["invalid key sk-4711", f"cannot score {TEXTS[0]!r}", "odd query: the query"])
def test_messages_quote_nothing(quoted: str, ask: Open) -> None:
    """A peer that repeats key, query or documents in its message is not repeated."""
    with serving(StandIn(fault=always(answering(400, {"error": quoted})))) as peer:
        assert "quotes the request" in str(failing(ask(peer, api_key="sk-4711")))


def test_reasons(ask: Open) -> None:
    """A degraded reply tells a model that the peer does not have, and a busy peer, from other failures."""
    missing = {"error": {"reason": "unknown_model", "message": "no such model"}}
    answers = {"unknown_model": (404, missing), "busy": (429, {}), "scorer_failed": (404, {"detail": "Not Found"})}
    for reason, (status, body) in answers.items():
        with serving(StandIn(fault=always(answering(status, body)))) as peer:
            assert failing(ask(peer)).reason == reason


def test_refused(ask: Open) -> None:
    """Where nothing listens, the error names the address and the cure."""
    scorer = ask(StandIn(url=f"http://127.0.0.1:{free_port()}"))
    assert "Nothing listens at http://127.0.0.1" in str(failing(scorer))


def test_no_tls(ask: Open) -> None:
    """Where the peer speaks no TLS, the error says so."""
    with serving(StandIn()) as peer:
        peer.url = peer.url.replace("http:", "https:")
        assert "does not speak TLS" in str(failing(ask(peer)))


def test_unknown_host(ask: Open) -> None:
    """A host that nobody knows is named, with the cure."""
    assert "The host of http://no.such.host.invalid" in str(failing(ask(StandIn(url="http://no.such.host.invalid"))))


ODD: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "too few": ("cohere", lambda a: {"results": a["results"][1:]}, "1 scores for 2 passages"),
    "too many": ("tei", lambda a: [*a, a[0]], "3 scores for 2 passages"),
    "twice": ("jina", lambda a: {"results": [a["results"][0]] * 2}, "two scores for the passage"),
    "index out of range": ("tei", lambda a: [{**one, "index": one["index"] + 1} for one in a], "index is none"),
    "negative index": ("tei", lambda a: [{**one, "index": one["index"] - 1} for one in a], "index is none"),
    "index is a text": (
        "vllm",
        lambda a: {"results": [{**one, "index": "0"} for one in a["results"]]},
        "index is none",
    ),
    "no scores": (
        "infinity",
        lambda a: {"results": [{"index": r["index"]} for r in a["results"]]},
        "no relevance_score",
    ),
    "score is a text": ("tei", lambda a: [{**one, "score": "high"} for one in a], "a score that is a text"),
    "score is a truth": ("tei", lambda a: [{**one, "score": True} for one in a], "a score that is a truth value"),
    "no objects": ("tei", lambda _: [0.1, 0.2], "index is none"),
    "rows of none": ("rebridge", lambda a: {**a, "scores": [[], []]}, "no score of its own for the passage 0"),
    "rows of two": ("rebridge", lambda a: {**a, "scores": [[1.0, 2.0]] * 2}, "no score of its own"),
    "rows are numbers": ("rebridge", lambda a: {**a, "scores": [1.0, 2.0]}, "but a number"),
    "unknown activation": ("rebridge", lambda a: {**a, "activation": "softmax"}, "activation"),
    "nothing finite": (
        "cohere",
        lambda a: {"results": [{**r, "relevance_score": None} for r in a["results"]]},
        "finite",
    ),
}


@pytest.mark.parametrize(("dialect", "change", "message"), ODD.values(), ids=ODD)
def test_odd_answers(dialect: str, change: Callable[[Any], Any], message: str, ask: Open) -> None:
    """An answer that cannot be right is an error, not a wrong order."""
    with serving(StandIn(dialect, change=change)) as peer:
        assert message in str(failing(ask(peer)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["scores", "results", "index", "score", "activation"]), inner, max_size=3)
    ),
)


@pytest.fixture(scope="module", params=PATHS)
def odd(request: pytest.FixtureRequest) -> Iterator[tuple[StandIn, RemoteScorer]]:
    with serving(StandIn(request.param)) as peer, ask_forever(peer) as scorer:
        yield peer, scorer


def ask_forever(peer: StandIn) -> RemoteScorer:
    """A scorer that leaves no peer alone."""
    return RemoteScorer(peer.url, dialect=peer.dialect, recheck_s=0.0)


@settings(max_examples=25)
@given(body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20))
def test_any_answer(odd: tuple[StandIn, RemoteScorer], body: bytes) -> None:
    """Whatever comes, it is either one row for each passage, or a scorer's error."""
    peer, scorer = odd
    peer.fault = always(answering(200, body))
    try:
        rows = scorer.submit("q", ["a"]).result(5)
    except ScorerError:
        return
    assert len(rows) == 1
    assert math.isfinite(rows[0][0])


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_one_score_that_is_none(value: float | None, ask: Open) -> None:
    """A passage without a finite score costs only itself."""
    with serving(StandIn("tei", scores=lambda _, text: value if text == "bad" else 1.0)) as peer:
        rows = ask(peer).submit("q", ["bad", "good"]).result(5)
        assert math.isnan(rows[0][0])
        assert rows[1] == (1.0,)
