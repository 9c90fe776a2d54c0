"""What each dialect answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from fastapi.testclient import TestClient

from rebridge.scorers import FakeScorer

from .reranking import SCORES, client

DOCUMENTS = ["low", {"text": "high", "id": 7, "none": None}, "middle"]


@pytest.fixture(scope="module")
def api() -> TestClient:
    return client(FakeScorer(SCORES), also=["rerank-*", "other"])


def post(api: TestClient, path: str, **body: Any) -> Any:
    answer = api.post(path, json={"query": "q", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_cohere_gets_index_and_score_and_no_document(api: TestClient) -> None:
    """Cohere's v2 has results with index and relevance_score, best first, an id and meta."""
    told = post(api, "/v2/rerank", model="rerank-v3.5", documents=DOCUMENTS, max_tokens_per_doc=4096, priority=0)
    assert told.pop("id")
    assert told == {
        "results": [
            {"index": 1, "relevance_score": 2.0},
            {"index": 2, "relevance_score": 0.5},
            {"index": 0, "relevance_score": -1.0},
        ],
        "meta": {"api_version": {"version": "2"}},
    }


def test_jina_gets_documents_by_default(api: TestClient) -> None:
    """Jina's results hold documents: objects as they came, texts as objects; usage is there."""
    told = post(api, "/v1/rerank", documents=DOCUMENTS, top_n=2)
    assert told["results"] == [
        {"index": 1, "document": {"text": "high", "id": 7, "none": None}, "relevance_score": 2.0},
        {"index": 2, "document": {"text": "middle"}, "relevance_score": 0.5},
    ]
    assert told["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert told["model"] == "fake"
    assert "document" not in post(api, "/v1/rerank", documents=DOCUMENTS, return_documents=False)["results"][0]


def test_a_field_of_objects_can_be_ranked(api: TestClient) -> None:
    """Cohere's rank_fields choose what is read of objects."""
    documents = [{"title": "low", "text": "high"}, {"title": "middle", "text": "low"}]
    told = post(api, "/v1/rerank", documents=documents, rank_fields=["title"])
    assert [result["index"] for result in told["results"]] == [1, 0]


def test_vllm_always_gets_documents_and_0_stands_for_all(api: TestClient) -> None:
    """The results for vLLM always hold an object with the text, and top_n 0 gives all of them."""
    told = post(api, "/rerank", model="other", documents=DOCUMENTS, top_n=0, truncate_prompt_tokens=-1)
    assert [result["document"] for result in told["results"]] == [{"text": "high"}, {"text": "middle"}, {"text": "low"}]
    assert told["id"].startswith("rerank-")
    assert told.keys() == {"id", "model", "usage", "results"}
    assert len(post(api, "/rerank", documents=DOCUMENTS, top_n=-1)["results"]) == 3


def test_infinity_gets_documents_as_texts() -> None:
    """A body with return_documents or raw_scores is Infinity's: documents are plain texts, scores may be raw."""
    api = client(FakeScorer(SCORES, activation="sigmoid"))
    told = post(api, "/rerank", documents=DOCUMENTS, return_documents=True, raw_scores=True, top_n=1)
    assert told["object"] == "rerank"
    assert told["results"] == [{"relevance_score": 2.0, "index": 1, "document": "high"}]
    plain = post(api, "/rerank", documents=DOCUMENTS, return_documents=False)
    assert plain["results"][0] == {"relevance_score": pytest.approx(0.8807970779), "index": 1, "document": None}


def test_tei_gets_a_root_array() -> None:
    """A body with texts is TEI's: a root array, official or raw scores, with the texts on demand."""
    api = client(FakeScorer(SCORES, activation="sigmoid"))
    ranks = post(api, "/rerank", texts=["low", "high"], truncate=True, truncation_direction="Right")
    assert ranks == [{"index": 1, "score": pytest.approx(0.88079708)}, {"index": 0, "score": pytest.approx(0.26894142)}]
    raw = post(api, "/rerank", texts=["low", "high"], raw_scores=True, return_text=True)
    assert raw == [{"index": 1, "score": 2.0, "text": "high"}, {"index": 0, "score": -1.0, "text": "low"}]


def test_tei_tells_of_itself(api: TestClient) -> None:
    """TEI's clients find the model and the largest request."""
    assert api.get("/health").content == b""
    info = api.get("/info").json()
    assert (info["model_id"], info["max_client_batch_size"]) == ("fake", 1000)
    assert info["model_type"] == {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}}


def test_elasticsearch_gets_every_score_in_a_root_array(api: TestClient) -> None:
    """The hugging_face service gets keys that it knows, and all scores even if it asks for fewer."""
    ranks = post(api, "/huggingface/rerank?model=other", documents=["low", "high"], top_n=1)
    assert ranks == [{"index": 1, "relevance_score": 2.0}, {"index": 0, "relevance_score": -1.0}]
    texts = post(api, "/huggingface/rerank", documents=["low"], return_documents=True)
    assert texts == [{"index": 0, "relevance_score": -1.0, "text": "low"}]


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    ("body", "scores"),
    [
        ({"text_1": "q", "text_2": "high"}, [2.0]),
        ({"text_1": "q", "text_2": ["low", "high"]}, [-1.0, 2.0]),
        ({"text_1": ["q", "r"], "text_2": ["low", "high"]}, [-1.0, 2.0]),
        ({"queries": ["q"], "documents": [{"content": [{"type": "text", "text": "high"}]}]}, [2.0]),
    ],
)
def test_pairs_are_scored_in_order(api: TestClient, path: str, body: Any, scores: list[float]) -> None:
    """Scores pair one text with one, with each of several, or several with as many, and nothing is sorted."""
    told = api.post(path, json=body).json()
    assert told["data"] == [{"index": index, "object": "score", "score": score} for index, score in enumerate(scores)]
    assert told["object"] == "list"


def test_pairs_go_with_their_own_query() -> None:
    """Of several texts, each is scored with the one at its place."""
    scorer = FakeScorer(lambda query, passage: float(query == passage))
    told = client(scorer).post("/score", json={"text_1": ["a", "b"], "text_2": ["a", "c"]}).json()
    assert [pair["score"] for pair in told["data"]] == [1.0, 0.0]


def test_raw_scores_of_windows_are_our_own_dialect() -> None:
    """Our dialect gives raw scores of every window, null where there is none, and says how they become official."""
    scorer = FakeScorer(lambda _, text: float(len(text.split())) if text else float("nan"), activation="sigmoid")
    windows = {"size": 8, "stride": 8, "limit": 4}
    told = post(client(scorer), "/rebridge/v1/scores", passages=["w " * 20, ""], windows=windows, deadline_ms=5000)
    scores = [[8.0, 8.0, 4.0], [None]]
    assert told == {"model": "fake", "activation": "sigmoid", "scores": scores, "reads_queries": False}


def test_scores_of_layers_are_our_own_dialect() -> None:
    """A model that is read after several layers gives the scores of all of them on demand."""

    class Layered(FakeScorer):
        def submit_layers(self, query: str, passages: Sequence[str]) -> Future[list[tuple[float, ...]]]:
            future: Future[list[tuple[float, ...]]] = Future()
            future.set_result([(1.0, float("-inf"), 3.0) for _ in passages])
            return future

    told = post(client(Layered()), "/rebridge/v1/scores", passages=["p"], layers=True)
    assert told["scores"] == [[1.0, None, 3.0]]


def test_a_query_without_passages_is_announced() -> None:
    """In our own dialect, which says of a model that it helps; the deadline is told."""
    heard: list[tuple[str, float]] = []

    class Reads(FakeScorer):
        reads_queries = True

        def announce(self, query: str, *, deadline: float | None = None) -> None:
            assert deadline is not None
            heard.append((query, deadline - time.monotonic()))

    api = client(Reads())
    assert post(api, "/rebridge/v1/scores", passages=["p"])["reads_queries"]
    assert post(api, "/v2/rerank", documents=[])["results"] == []
    assert not heard
    assert post(api, "/rebridge/v1/scores", passages=[], deadline_ms=5000)["scores"] == []
    [(query, left)] = heard
    assert query == "q"
    assert 0 < left <= 5


def test_documents_can_be_cut(api: TestClient) -> None:
    """Cohere's max_tokens_per_doc reads the start of a document only."""
    scorer = FakeScorer(lambda _, text: float(len(text.split())))
    told = post(client(scorer), "/v2/rerank", documents=["w " * 20], max_tokens_per_doc=10)
    assert told["results"][0]["relevance_score"] == 10.0


def test_the_models_and_their_aliases_are_listed(api: TestClient) -> None:
    """Every name that a request may give is listed, but for patterns."""
    told = api.get("/v1/models").json()
    assert [(card["id"], card["root"], card["loaded"]) for card in told["data"]] == [
        ("fake", "fake", True),
        ("other", "fake", True),
    ]


def test_no_documents_are_no_results(api: TestClient) -> None:
    """An empty list is answered with an empty one."""
    assert post(api, "/v2/rerank", documents=[])["results"] == []
    assert post(api, "/huggingface/rerank", documents=[]) == []
    assert post(api, "/rebridge/v1/scores", passages=[])["scores"] == []


def test_models_are_told_apart_by_name() -> None:
    """A request is answered by the model that it names; the first one is the default."""
    api = client({"one": FakeScorer(default=1.0), "two": FakeScorer(default=2.0)})
    scores = [
        post(api, "/v2/rerank", documents=["d"], model=name)["results"][0]["relevance_score"]
        for name in (None, "one", "two")
    ]
    assert scores == [1.0, 1.0, 2.0]
