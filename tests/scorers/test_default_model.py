"""The default model, from its package: the numbers of sentence-transformers, and common sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rebridge.scorers import DEFAULT_MODEL, bundled, open_scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rebridge.scorers import Scorer

pytestmark = pytest.mark.skipif(bundled.folder() is None, reason=f"{bundled.PACKAGE} is not installed")

QUERY = "How many people live in Berlin?"


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    """The default model on the CPU, without the network."""
    with open_scorer(device="cpu", local_files_only=True) as opened:
        yield opened


def test_equals_sentence_transformers(scorer: Scorer, passages: list[str]) -> None:
    """Scores are the cosines of sentence-transformers on real and odd text, cut at 256 tokens."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import cos_sim

    model = SentenceTransformer(str(bundled.folder()), device="cpu", local_files_only=True)
    texts = [*passages, "Berlin is a city. " * 200]
    embedded = model.encode_document(texts, batch_size=1, show_progress_bar=False)
    for query in (QUERY, "r", "Berlin inhabitants " * 200):
        expected = cos_sim(model.encode_query(query, show_progress_bar=False), embedded)[0]
        assert scorer.score(query, texts) == pytest.approx([float(value) for value in expected], abs=1e-5)


def test_common_sense(scorer: Scorer) -> None:
    """The passage that answers stands above those that do not, without sharing a word with the query."""
    answers, mentions, other = scorer.score(
        QUERY,
        [
            "The German capital has about 3.7 million inhabitants.",
            "The train to Hamburg leaves every hour.",
            "Bake the bread for forty minutes.",
        ],
    )
    assert answers > mentions
    assert answers > other
    assert answers > 0.3


def test_says_what_it_is(scorer: Scorer) -> None:
    """Its name is the hub's and its score needs no activation."""
    assert (scorer.name, scorer.activation) == (DEFAULT_MODEL, "identity")
