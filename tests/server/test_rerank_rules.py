"""What every dialect keeps to: one result per document, right indices, the best first, floats as floats."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.scorers import FakeScorer
from rebridge.scorers.base import activate

from .reranking import client

#: Path -> key of the documents, key of the score.
RANKED = {
    "/v2/rerank": ("documents", "relevance_score"),
    "/v1/rerank": ("documents", "relevance_score"),
    "/rerank": ("documents", "relevance_score"),
    "/huggingface/rerank": ("documents", "relevance_score"),
    "/rerank ": ("texts", "score"),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "content", "x"]), inner),
    max_leaves=5,
)
RAW = st.floats(-1e300, 1e300) | st.sampled_from(
    [0.0, 1.0, -3.0, 40.0, 50.0, 1e-7, 1e16, math.nan, math.inf, -math.inf]
)


class Settable(FakeScorer):
    """Gives the scores that are set; one application serves all examples."""

    def __init__(self, activation: Any = "identity") -> None:
        self.given: list[float] = []
        super().__init__(lambda _, text: self.given[int(text)], activation=activation)


SETTABLE = {name: Settable(name) for name in ("identity", "sigmoid")}
APIS = {name: client(scorer) for name, scorer in SETTABLE.items()}
CONSTANT = FakeScorer(default=1.0)
CONSTANT_API = client(CONSTANT)


def ranked(api: Any, path: str, documents: list[Any]) -> list[tuple[int, Any]]:
    """Index and score of each result; whole numbers stay apart from floats."""
    documents_key, score_key = RANKED[path]
    answer = api.post(path.strip(), json={"query": "q", documents_key: documents})
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.text)
    results = told if isinstance(told, list) else told["results"]
    return [(result["index"], result[score_key]) for result in results]


@pytest.mark.parametrize("path", RANKED)
@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
@settings(max_examples=15)
@given(raw=st.lists(RAW, min_size=1, max_size=12))
def test_each_document_has_one_result_and_the_best_come_first(path: str, activation: Any, raw: list[float]) -> None:
    """Results are a permutation of the documents, ordered by score, equal ones by raw score and index."""
    SETTABLE[activation].given = raw
    results = ranked(APIS[activation], path, [str(index) for index in range(len(raw))])
    scores = [score for _, score in results]
    assert all(isinstance(score, float) and math.isfinite(score) for score in scores)
    assert scores == sorted(scores, reverse=True)
    finite = [index for index, score in enumerate(raw) if math.isfinite(score)]
    odd = [index for index in range(len(raw)) if index not in finite]
    assert [index for index, _ in results] == sorted(finite, key=lambda index: (-raw[index], index)) + odd
    official = {index: activate(raw[index], activation) for index in finite}
    assert all(math.isclose(score, official[index], rel_tol=1e-10) for index, score in results if index in finite)


@pytest.mark.parametrize("path", RANKED)
@settings(max_examples=15)
@given(documents=st.lists(JSON, min_size=1, max_size=6))
def test_odd_documents_cost_nobody_a_score(path: str, documents: list[Any]) -> None:
    """Whatever a document is, it and all others get their results."""
    assert sorted(ranked(CONSTANT_API, path, documents)) == [(index, 1.0) for index in range(len(documents))]
    assert all(isinstance(passage, str) for passage in CONSTANT.calls[-1][1])


def test_half_a_surrogate_pair_costs_nobody_a_score() -> None:
    """Text that no tokenizer takes is mended; pairs that are whole stay as they are."""
    scorer = FakeScorer()
    body = b'{"query": "q", "documents": ["\\ud83d\\ude00", "a\\ud83d"]}'
    answer = client(scorer).post("/v2/rerank", content=body, headers={"Content-Type": "application/json"})
    assert len(answer.json()["results"]) == 2
    assert scorer.calls == [("q", ("\N{GRINNING FACE}", "a?"))]


def test_whole_scores_are_written_as_floats() -> None:
    """A score of 1 is written 1.0, since OpenSearch takes no whole number for a float."""
    api = CONSTANT_API
    for path, (key, score) in RANKED.items():
        assert f'"{score}":1.0' in api.post(path.strip(), json={"query": "q", key: ["d"]}).text
    assert "[[1.0]]" in api.post("/rebridge/v1/scores", json={"query": "q", "passages": ["p"]}).text
    assert '"score":1.0' in api.post("/score", json={"text_1": "q", "text_2": ["p"]}).text


@given(score=st.floats(-1e14, 1e14))
def test_scores_are_short_enough_for_opensearch(score: float) -> None:
    """No score has more than 18 characters, since OpenSearch takes a longer number for none."""
    SETTABLE["identity"].given = [score]
    told = APIS["identity"].post("/v1/rerank", json={"query": "q", "documents": ["0"]}).text
    found = re.search(r'"relevance_score":([^,}]*)', told)
    assert found is not None
    assert len(found[1]) <= 18


@given(scores=st.lists(st.floats(-5, 5), min_size=1, max_size=8), top_n=st.integers(0, 10))
@settings(max_examples=15)
def test_top_n_is_the_start_of_the_whole(scores: list[float], top_n: int) -> None:
    """Fewer results are the best of all results; 0 stands for all."""
    SETTABLE["identity"].given = scores
    api = APIS["identity"]
    body = {"query": "q", "documents": [str(index) for index in range(len(scores))]}
    whole = api.post("/v2/rerank", json=body).json()["results"]
    assert api.post("/v2/rerank", json={**body, "top_n": top_n}).json()["results"] == whole[: top_n or None]
