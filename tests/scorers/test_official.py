"""Cross-encoders give the scores of their official packages, on every case that these were asked."""

from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.scorers import open_scorer

sys.path.append(str(Path(__file__).parents[1] / "fixtures"))

import cases
import official

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rebridge.scorers import Scorer

KEYS = ("deberta", "xlm-r", "bce", "japanese", "amberoad", "minilm", "gte-modernbert", "qwen3-seq-cls")
FIXTURES = {key: cases.load(key)["cases"] for key in KEYS}
CASES = [pytest.param(key, case, id=f"{key}: {case['name']}") for key in KEYS for case in FIXTURES[key]]


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[..., Scorer]]:
    """(fixture, options) -> a scorer by the recipe of the models that the fixture stands for, opened once."""
    scorers: dict[str, Scorer] = {}

    def open_it(key: str, **options: Any) -> Scorer:
        recipe = official.recipe(key)
        assert recipe is not None
        name = json.dumps([key, options], sort_keys=True)
        if name not in scorers:
            # Large batches, because one of a tiny model costs the same at any size.
            given = {"recipe": recipe.name, "device": "cpu", "dtype": "float32", "token_budget": 8192, **options}
            scorers[name] = open_scorer(cases.model_folder(key), **given)
        return scorers[name]

    yield open_it
    for scorer in scorers.values():
        scorer.close()


@pytest.mark.parametrize(("key", "case"), CASES)
def test_equals_the_official_score(key: str, case: dict[str, Any], opened: Callable[..., Scorer]) -> None:
    """Within 1e-5; where the official code raises or drops a passage, there is a finite score all the same."""
    ours = opened(key, **official.options(case)).score(case["query"], case["passages"])
    assert len(ours) == len(case["passages"])
    assert all(map(math.isfinite, ours))
    assert official.difference(case, ours) < official.TOLERANCE


@pytest.mark.parametrize("key", KEYS)
def test_scores_tell_passages_apart(key: str) -> None:
    """The official scores of the fixtures differ between passages, so that equality with them means something."""
    (basic,) = (case for case in FIXTURES[key] if case["name"].endswith("basic") and "rerank" not in case["name"])
    scores = sorted(basic["scores"])
    assert min(after - before for before, after in pairwise(scores)) > 1e-4


@pytest.mark.parametrize("key", KEYS)
def test_raw_and_official_score(key: str, opened: Callable[..., Scorer]) -> None:
    """Both are there: the logit whatever the option says, and its sigmoid where normalize is on."""
    passages = FIXTURES[key][0]["passages"]
    plain, normal = opened(key, normalize=False), opened(key, normalize=True)
    logits = plain.raw_scores("red planet", passages)
    assert plain.score("red planet", passages) == logits == normal.raw_scores("red planet", passages)
    expected = [1 / (1 + math.exp(-logit)) for logit in logits]
    assert normal.score("red planet", passages) == pytest.approx(expected, abs=1e-12)


def test_bce_passages_without_tokens(opened: Callable[..., Scorer]) -> None:
    """A passage that the official rerank drops or stumbles over has the score 0, as in its LangChain wrapper."""
    assert opened("bce").score("red planet", ["", " \n", "\u200b"])[:2] == [0.0, 0.0]
    assert min(opened("bce", method="compute_score").score("red planet", ["", " \n"])) > 0


def test_bce_passages_that_fit(opened: Callable[..., Scorer]) -> None:
    """Both methods of bce-reranker give the same score to a passage that needs no window."""
    passages = [text for text in FIXTURES["bce"][0]["passages"] if text]
    windowed = opened("bce").score("red planet", passages)
    assert windowed == pytest.approx(opened("bce", method="compute_score").score("red planet", passages), abs=1e-6)


def test_bce_long_query(opened: Callable[..., Scorer]) -> None:
    """A query that the official code refuses loses its end, and so leaves the passage its 101 tokens."""
    scorer: Any = opened("bce")
    (tokens,) = scorer.family.encode("planet " * 2000, ["red " * 2000])
    windows = scorer.family.split(tokens)
    assert {len(window) for window in windows[:-1]} == {512}
    assert len(windows[0]) - int((tokens.types == 0).sum()) == 101
    assert sum(len(window) for window in windows) >= len(tokens)


def test_qwen_keeps_its_question(opened: Callable[..., Scorer]) -> None:
    """However long the texts are, an input ends with the chat's end and keeps within the limit."""
    scorer: Any = opened("qwen3-seq-cls", max_length=200)
    short, long = (scorer.family.encode(query, ["red"])[0].ids for query in ("planet", "planet " * 500))
    assert len(long) == 200
    assert long[-5:].tolist() == short[-5:].tolist()
