"""How each dialect says no."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rebridge.errors import Busy, ScorerError
from rebridge.scorers import FakeScorer, Scorer
from rebridge.server.rerank import Limits

from .reranking import application, client

BODIES: dict[str, dict[str, Any]] = {
    "/v2/rerank": {"query": "q", "documents": ["d", "e"]},
    "/v1/rerank": {"query": "q", "documents": ["d", "e"]},
    "/rerank": {"query": "q", "documents": ["d", "e"]},
    "/rerank tei": {"query": "q", "texts": ["d", "e"]},
    "/score": {"text_1": "q", "text_2": ["d", "e"]},
    "/v1/score": {"text_1": "q", "text_2": ["d", "e"]},
    "/huggingface/rerank": {"query": "q", "documents": ["d", "e"]},
    "/rebridge/v1/scores": {"query": "q", "passages": ["d", "e"]},
}
#: What the error says -> form of the body.
FORMS = {
    "/v2/rerank": {"message", "detail"},
    "/v1/rerank": {"message", "detail"},
    "/rerank": {"error"},
    "/rerank tei": {"error", "error_type"},
    "/score": {"error"},
    "/v1/score": {"error"},
    "/huggingface/rerank": {"error", "error_type"},
    "/rebridge/v1/scores": {"error"},
}
#: Statuses of the problems of this order: no_json, invalid, too_many, too_large, unknown, busy, failed, deadline.
USUAL = (400, 422, 422, 413, 404, 429, 503, 504)
STATUSES = {
    "/v2/rerank": USUAL,
    "/v1/rerank": USUAL,
    "/rerank": (400, 400, 400, 413, 404, 429, 503, 504),
    "/rerank tei": (400, 422, 413, 413, None, 429, 424, 504),
    "/score": (400, 400, 400, 413, 404, 429, 503, 504),
    "/v1/score": (400, 400, 400, 413, 404, 429, 503, 504),
    "/huggingface/rerank": USUAL,
    "/rebridge/v1/scores": (400, 422, 413, 413, 404, 429, 503, 504),
}
LIMITS = Limits(body_bytes=500, documents=2, query_characters=20, deadline_s=0.05)
JSON = {"Content-Type": "application/json"}


class Lossy(FakeScorer):
    """Leaves out the last passage."""

    def submit(self, query: str, passages: Any, **options: Any) -> Any:
        """All but one."""
        return super().submit(query, passages[:-1], **options)


#: What is served, by the word that `api` takes.
SERVED: dict[str, Callable[[], Mapping[str, Scorer] | Scorer]] = {
    "plain": FakeScorer,
    "nothing": dict,
    "busy": lambda: FakeScorer(error=Busy("much to do", 2.5)),
    "failing": lambda: FakeScorer(error=ScorerError("no memory")),
    "broken": lambda: FakeScorer(error=RuntimeError("secret")),
    "lossy": Lossy,
    "hanging": lambda: FakeScorer(hangs=True),
}


@cache
def api(word: str, *, limited: bool = False) -> TestClient:
    """One application for all tests that need the same, since making one takes time."""
    return client(SERVED[word](), LIMITS if limited else None, also=["other"])


@cache
def documented() -> Any:
    """The paths of the OpenAPI document."""
    return application(FakeScorer()).openapi()["paths"]


def message(answer: Any) -> str:
    told = answer.json()
    error = told.get("error")
    text = told["message"] if error is None else error if isinstance(error, str) else error["message"]
    assert isinstance(text, str)
    return text


@pytest.fixture(params=BODIES)
def route(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refused(route: str, place: int, answer: Any) -> str:
    """Check status and form; the message."""
    assert answer.status_code == STATUSES[route][place], answer.text
    assert answer.headers["content-type"] == "application/json"
    # What cannot be read may be meant for any dialect of its path.
    if not (route == "/rerank tei" and place in {0, 3}):
        assert answer.json().keys() == FORMS[route]
    assert str(answer.status_code) in documented()[path(route)]["post"]["responses"]
    return message(answer)


def path(route: str) -> str:
    return route.split(maxsplit=1)[0]


def longer(route: str, **changes: Any) -> dict[str, Any]:
    """The body of a route with other documents or another query."""
    names = {"query": "text_1", "documents": "text_2"} if "text_1" in BODIES[route] else {}
    key = next(key for key in ("documents", "texts", "passages", "text_2") if key in BODIES[route])
    return BODIES[route] | {names.get(name, key if name == "documents" else name): v for name, v in changes.items()}


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 400, b'{"query": NaN}', b'{"a": ' + b"1" * 450])
def test_what_is_no_json_is_refused(route: str, body: bytes) -> None:
    """Broken JSON, bytes that are no UTF-8, and numbers that are none are a mistake of the client."""
    answer = api("plain", limited=True).post(path(route), content=body, headers=JSON)
    assert "JSON" in refused(route, 0, answer)


def test_wrong_keys_are_named(route: str) -> None:
    """The message says which key is wrong."""
    said = refused(route, 1, api("plain").post(path(route), json=longer(route, query=5)))
    assert ("text_1" if route[-5:] == "score" else "query") in said


def test_a_body_without_its_content_type_is_refused_with_the_cure(route: str) -> None:
    """A browser's form must not reach the models; the message names the header."""
    answer = api("plain").post(path(route), content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code in {400, 422}
    assert "application/json" in message(answer)


def test_too_many_documents_are_refused_with_the_bound(route: str) -> None:
    """The message says how many there may be."""
    answer = api("plain", limited=True).post(path(route), json=longer(route, documents=["d"] * 3))
    assert "2" in refused(route, 2, answer)


def test_too_long_a_query_is_refused(route: str) -> None:
    """The message says how long it may be."""
    answer = api("plain", limited=True).post(path(route), json=longer(route, query="q" * 21))
    assert "20" in refused(route, 2, answer)


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body_is_refused_unread(route: str, *, chunked: bool) -> None:
    """A body above the bound is refused, whether its size is announced or not."""

    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 100] * 6

    content = chunks() if chunked else b"x" * 600
    answer = api("plain", limited=True).post(path(route), content=content, headers=JSON)
    assert "500 bytes" in refused(route, 3, answer)
    assert answer.headers["connection"] == "close"


def test_an_unknown_model_is_refused_with_the_known_ones(route: str) -> None:
    """The message names the models that there are, the nearest first."""
    if STATUSES[route][4] is None:
        return  # this API knows no models' names
    query = "?model=fakir" if "huggingface" in route else ""
    answer = api("plain").post(path(route) + query, json=BODIES[route] | {"model": "fakir"})
    assert "Did you mean 'fake'? Valid: fake, other." in refused(route, 4, answer)


def test_a_busy_scorer_is_told_with_the_time_to_come_back(route: str) -> None:
    """Who is refused because others wait hears when to come back."""
    answer = api("busy").post(path(route), json=BODIES[route])
    assert refused(route, 5, answer) == "much to do"
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(("model", "told"), [("failing", "no memory"), ("broken", "the model failed: RuntimeError")])
def test_a_model_that_fails_is_told(route: str, model: str, told: str) -> None:
    """What the model says is passed on, what Python says is not."""
    assert refused(route, 6, api(model).post(path(route), json=BODIES[route])) == told


def test_too_few_scores_are_no_answer(route: str) -> None:
    """A model that leaves out documents has failed."""
    answer = api("lossy").post(path(route), json=BODIES[route])
    assert "1 scores for 2 passages" in refused(route, 6, answer)


def test_a_deadline_that_passes_is_told(route: str) -> None:
    """A model that never answers costs the client no more than its deadline, or the server's."""
    patient = api("hanging")
    hurried = api("hanging", limited=True)
    assert refused(route, 7, hurried.post(path(route), json=BODIES[route]))
    header = {"X-Rerank-Deadline-Ms": "20"}
    assert refused(route, 7, patient.post(path(route), json=BODIES[route], headers=header))


def test_too_many_windows_are_refused() -> None:
    """However long its passages are, a request cannot keep a model busy with any number of windows."""
    windows = {"size": 8, "stride": 1, "limit": 5001}
    body = {"query": "q", "passages": ["d"], "windows": windows}
    api = client(FakeScorer(lambda _, text: float(len(text))))
    assert api.post("/rebridge/v1/scores", json=body).status_code == 200
    refused = api.post("/rebridge/v1/scores", json=body | {"passages": ["d", "e"]})
    assert refused.status_code == 413  # upon which a remote scorer asks for half of them
    assert "10002 windows" in refused.json()["error"]["message"]


def test_a_deadline_beyond_all_measure() -> None:
    """It is none: the answer comes as soon as it can."""
    body = {"query": "q", "passages": ["d"], "deadline_ms": 10**400}
    answer = client(FakeScorer(lambda _, text: float(len(text)))).post("/rebridge/v1/scores", json=body)
    assert answer.json()["scores"] == [[1.0]]


def test_a_deadline_that_is_none_is_refused(route: str) -> None:
    """The header must hold milliseconds."""
    header = {"X-Rerank-Deadline-Ms": "soon"}
    answer = api("plain").post(path(route), json=BODIES[route], headers=header)
    told = refused(route, 1, answer)
    assert told.count("X-Rerank-Deadline-Ms: Input should be a valid integer") == told.count("Input should be") == 1


def test_tei_wants_texts() -> None:
    """An empty list is an error for TEI."""
    answer = api("plain").post("/rerank", json={"query": "q", "texts": []})
    assert (answer.status_code, answer.json()["error_type"]) == (400, "empty")


def test_pairs_that_do_not_match_are_refused() -> None:
    """Two texts cannot be paired with three."""
    answer = api("plain").post("/score", json={"text_1": ["a", "b"], "text_2": ["c", "d", "e"]})
    assert answer.status_code == 400
    assert "N to N" in message(answer)


def test_without_models_every_request_says_so(route: str) -> None:
    """A server without models answers that there is none."""
    if STATUSES[route][4] is not None:
        assert "names no model" in refused(route, 4, api("nothing").post(path(route), json=BODIES[route]))
