"""Late interaction gives the scores of PyLate, computes a passage once, and refuses what it would score wrongly."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import ConfigError
from rebridge.scorers.cache import text_key
from rebridge.scorers.late_interaction.family import max_sim
from rebridge.steps import Windows

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))
KEYS = ["edge-colbert", "edge-colbert-residual", "answerai-colbert"]
OFFICIAL = [
    pytest.param(key, case, id=f"{key}: {case['name']}") for key in KEYS for case in CASES["load"](key)["cases"]
]
QUERY = "Which planet is known as the Red Planet?"
PASSAGES = [
    "Mars is red.",
    "",
    "...",
    "Jupiter, the largest planet, has a red spot.",
    "mars " * 600,
    "MARS",
    "[SEP] \u4e00",
]


def model_folder(key: str) -> Path:
    """A tiny checkpoint."""
    folder: Path = CASES["model_folder"](key)
    return folder


@pytest.fixture(scope="module")
def opened(open_once: Callable[..., Any]) -> Callable[..., Any]:
    """(key, options) -> scorer, opened once for all tests of this file."""
    # Models as tiny as these are faster in large batches.
    return lambda key, **options: open_once(model_folder(key), **{"token_budget": 8192, **options})


def embed(scorer: Any, text: str, *, query: bool = False) -> Any:
    """The matrix of a text, alone in its batch."""
    family = scorer.family
    [matrix] = family.forward([family.encode_query(text) if query else family.encode("", [text])[0]])
    return matrix


@pytest.mark.parametrize(("key", "case"), OFFICIAL)
def test_official_scores(key: str, case: dict[str, Any], opened: Callable[..., Any]) -> None:
    """The scores are those of PyLate, one passage at a time, for every case."""
    scorer = opened(key, **case["options"])
    assert scorer.activation == "identity"
    assert scorer.score(case["query"], case["passages"]) == pytest.approx(case["scores"], abs=1e-5)


@pytest.mark.parametrize("key", KEYS)
def test_chosen_by_configuration(key: str, opened: Callable[..., Any]) -> None:
    """A checkpoint without a known name is recognised by its files."""
    assert type(opened(key).family).__name__ == "LateInteraction"


@given(
    order=st.lists(st.sampled_from(range(len(PASSAGES))), min_size=1, max_size=12),
    budget=st.sampled_from([1, 64, 100_000]),
    key=st.sampled_from(KEYS),
)
@settings(max_examples=12)
def test_batch_mates_never_change_a_score(opened: Callable[..., Any], order: list[int], budget: int, key: str) -> None:
    """Whatever else is scored, in whatever batches, a passage gets the score that it has alone."""
    scorer = opened(key, cache_size=0, token_budget=budget)
    alone = [max_sim(embed(scorer, QUERY, query=True), embed(scorer, text)) for text in PASSAGES]
    assert scorer.raw_scores(QUERY, [PASSAGES[i] for i in order]) == pytest.approx([alone[i] for i in order], abs=1e-5)


@pytest.mark.parametrize("key", KEYS)
def test_second_query_computes_only_the_query(
    key: str, open_tiny: Callable[..., Any], opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passages that were embedded once are not embedded again for another query; scores stay the same."""
    scorer = open_tiny(model_folder(key))
    forward = scorer.family.forward
    counts: list[int] = []

    def counted(batch: Any) -> Any:
        counts.append(len(batch))
        return forward(batch)

    monkeypatch.setattr(scorer.family, "forward", counted)
    scorer.score("red", PASSAGES)
    first = sum(counts)
    again = scorer.score(QUERY, PASSAGES)
    assert first == len(PASSAGES) + 1
    assert sum(counts) == first + 1
    assert again == pytest.approx(opened(key, cache_size=0).score(QUERY, PASSAGES), abs=1e-5)
    assert scorer.score(QUERY, PASSAGES) == again


def test_kept_matrices_are_counted_in_bytes(open_tiny: Callable[..., Any]) -> None:
    """What is kept of a passage is a float32 matrix of its compared tokens, and counts with all its bytes."""
    scorer = open_tiny(model_folder("edge-colbert"))
    scorer.score(QUERY, PASSAGES)
    store = scorer.family.store
    kept = [store.get(text_key(text)) for text in PASSAGES]
    assert {(matrix.dtype, matrix.shape[1]) for matrix in kept} == {(np.dtype("float32"), 16)}
    assert store.used_bytes == sum(4 * matrix.size + 256 for matrix in kept)


def test_a_small_cache_forgets(open_tiny: Callable[..., Any], opened: Callable[..., Any]) -> None:
    """With room for a few passages only, nothing but speed is lost."""
    scorer = open_tiny(model_folder("edge-colbert"), cache_size=2000)
    for _ in range(2):
        assert scorer.score(QUERY, PASSAGES) == pytest.approx(opened("edge-colbert").score(QUERY, PASSAGES), abs=1e-5)
    assert 0 < scorer.family.store.used_bytes <= 2000


@pytest.mark.parametrize("text", [QUERY, "", "a", "mars " * 200])
def test_rows_of_a_query(text: str, opened: Callable[..., Any]) -> None:
    """A query has a row for each of its tokens, the special ones and the marker; with expansion always the same."""
    scorer = opened("edge-colbert")
    count = len(scorer.family._queries.ids([text.strip().lower()])[0])
    assert embed(scorer, text, query=True).shape == (min(count + 3, 48), 16)
    assert embed(opened("answerai-colbert"), text, query=True).shape == (32, 16)


@pytest.mark.parametrize("key", KEYS)
def test_rows_have_length_1(key: str, opened: Callable[..., Any]) -> None:
    """Dot products are cosines."""
    for matrix in (embed(opened(key), QUERY, query=True), embed(opened(key), PASSAGES[3])):
        assert np.linalg.norm(matrix, axis=1) == pytest.approx(np.ones(len(matrix)), abs=1e-6)


def test_punctuation_is_read_but_not_compared(opened: Callable[..., Any]) -> None:
    """Punctuation in a passage changes what its words mean, but has no rows of its own; in a query it has."""
    scorer = opened("edge-colbert")
    plain, marked = embed(scorer, "mars red"), embed(scorer, "mars, red!")
    assert plain.shape == marked.shape
    assert not np.allclose(plain, marked, atol=1e-3)
    assert len(embed(scorer, "mars, red!", query=True)) == len(embed(scorer, "mars red", query=True)) + 2


@pytest.mark.parametrize("dimensions", [1, 96, 300_000])
@pytest.mark.parametrize("rows", [1, 7, 700])
def test_max_sim(dimensions: int, rows: int) -> None:
    """Computing in blocks gives the sum of the highest products, negative ones included."""
    random = np.random.default_rng(rows)
    query = random.standard_normal((3, dimensions), dtype=np.float32)
    passage = random.standard_normal((rows if dimensions < 1000 else min(rows, 7), dimensions), dtype=np.float32)
    passage -= 3 * np.sign(query[:1]) / dimensions
    expected = (query.astype(float) @ passage.astype(float).T).max(axis=1).sum()
    assert max_sim(query, passage) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_an_undefined_product_is_not_hidden() -> None:
    """A NaN in any block makes the score NaN, which marks the passage as not scored."""
    passage = np.zeros((5000, 64), dtype=np.float32)
    passage[1, 2] = np.nan
    assert np.isnan(max_sim(np.ones((32, 64), dtype=np.float32), passage))


@pytest.mark.parametrize("key", KEYS)
def test_windows(key: str, opened: Callable[..., Any]) -> None:
    """Each window is scored as its own text, and together they are the text as the model reads it."""
    scorer = opened(key)
    text = "  MARS is the fourth planet from the sun, \u0130stanbul is a city.  "
    pieces = scorer.family.cut(text, Windows(size=8, stride=8, limit=9))
    assert len(pieces) > 1
    whole = text.strip() if key == "answerai-colbert" else text.strip().lower()
    assert "".join(pieces).replace(" ", "") == whole.replace(" ", "")
    [scores] = scorer.submit(QUERY, [text], windows=Windows(size=8, stride=8, limit=9)).result(30)
    assert list(scores) == pytest.approx(scorer.raw_scores(QUERY, pieces), abs=1e-5)


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("edge-colbert", {"query_length": 3}, "query_length=3 leaves no room for a text: at least 4 tokens"),
        ("edge-colbert", {"document_length": 8000}, "document_length=8000 is more than this model can read: 7999"),
        ("answerai-colbert", {"query_length": 513}, "query_length=513 is more than this model can read: 512"),
        ("edge-colbert", {"document_length": True}, "document_length must be a whole number"),
        ("edge-colbert", {"query_length": "12"}, "query_length must be a whole number"),
        ("edge-colbert", {"max_length": 12}, "cache_size, document_length, query_length"),
    ],
)
def test_impossible_options(key: str, options: dict[str, Any], message: str, open_tiny: Callable[..., Any]) -> None:
    """A length that cannot work is refused with what can."""
    with pytest.raises(ConfigError, match=message):
        open_tiny(model_folder(key), **options)


def test_shortest_lengths(open_tiny: Callable[..., Any]) -> None:
    """With the least possible lengths there is still a token of the text."""
    scorer = open_tiny(model_folder("edge-colbert"), query_length=4, document_length=4)
    one, other = scorer.raw_scores("mars", ["a", "1"])
    assert embed(scorer, "mars is red", query=True).shape == (4, 16)
    assert one != pytest.approx(other, abs=1e-3)
