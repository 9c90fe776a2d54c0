"""Official clients against a server that listens."""

from __future__ import annotations

from collections.abc import Iterator

import cohere
import pytest
from cohere.errors import NotFoundError, UnprocessableEntityError

from rebridge.scorers import FakeScorer
from rebridge.server.rerank import Limits

from .reranking import SCORES, application, serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(application(FakeScorer(SCORES), Limits(documents=5), also=["rerank-*"])) as address:
        yield address


def test_the_cohere_client_reranks(url: str) -> None:
    """Cohere's own client gets typed results from a server that answers to its models' names."""
    with cohere.ClientV2("no key", base_url=url) as client:
        told = client.rerank(model="rerank-v3.5", query="q", documents=["low", "high", "middle"], top_n=2)
    assert [(result.index, result.relevance_score) for result in told.results] == [(1, 2.0), (2, 0.5)]
    assert told.id


def test_the_old_cohere_client_gets_documents(url: str) -> None:
    """The client of API v1 may send objects and ask for them."""
    with cohere.Client("no key", base_url=url) as client:
        told = client.rerank(query="q", documents=[{"text": "low"}, {"text": "high"}], return_documents=True)
    assert [result.document.text for result in told.results if result.document] == ["high", "low"]


def test_the_cohere_client_understands_refusals(url: str) -> None:
    """Refusals become the client's own errors, with our words."""
    with cohere.ClientV2("no key", base_url=url) as client:
        with pytest.raises(NotFoundError) as unknown:
            client.rerank(model="command", query="q", documents=["low"])
        with pytest.raises(UnprocessableEntityError):
            client.rerank(model="rerank-v3.5", query="q", documents=["low"] * 6)
    assert unknown.value.body["message"] == "unknown model 'command'. Valid: fake, rerank-*."
