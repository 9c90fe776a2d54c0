"""A scorer says how much of a passage its model reads; the scores themselves are the witnesses."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import ScorerError
from rebridge.steps import Windows
from rebridge.testing import FakeScorer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# No two words are the same, so that a part of the text is found in one place only; all letters are in the vocabularies.
LONG = " ".join("".join(pair) for pair in product("abdefhilmnorstuw", repeat=2))


def scored(scorer: Any, passage: str, windows: Windows | None = None) -> tuple[float, ...]:
    scores: tuple[float, ...] = scorer.submit("red shoes", [passage], windows=windows).result()[0]
    return scores


@pytest.fixture(params=["bert", "xlm-roberta", "bi-encoder"])
def scorer(request: pytest.FixtureRequest, tmp_path: Path, open_tiny: Callable[..., Any]) -> Any:
    """Models that read pairs, with either kind of tokenizer, and one that reads passages alone."""
    if request.param == "bi-encoder":
        return open_tiny(request.getfixturevalue("build_bi_encoder")(tmp_path))
    return open_tiny(request.getfixturevalue("build_cross_encoder")(tmp_path, request.param))


def test_what_is_cut_off(scorer: Any) -> None:
    """Without what is said to be unread the score is the same; without a little more it is another."""
    reading = scorer.reading("red shoes", LONG)
    assert reading.windows == (reading.tokens,)
    assert 0 < reading.read[0] < reading.tokens
    assert reading.unread == reading.tokens - reading.read[0]
    kept = LONG[: LONG.index(reading.unread_text)]
    assert scored(scorer, kept) == pytest.approx(scored(scorer, LONG), abs=1e-6)
    assert scored(scorer, kept.rstrip()[:-1]) != pytest.approx(scored(scorer, LONG), abs=1e-4)


def test_short_passages_are_read_whole(scorer: Any) -> None:
    """Of a passage that fits nothing is unread."""
    reading = scorer.reading("red shoes", "red running shoes")
    assert reading.read == reading.windows == (reading.tokens,)
    assert (reading.unread, reading.unread_text) == (0, "")


def test_windows(scorer: Any) -> None:
    """Windows reach further, and what lies behind the last of them is unread."""
    windows = Windows(size=20, stride=10, limit=4)
    reading = scorer.reading("red shoes", LONG, windows=windows)
    assert len(reading.windows) == len(scored(scorer, LONG, windows)) == 4
    assert reading.read == reading.windows
    assert reading.unread == reading.tokens - reading.windows[-1] - 30
    kept = LONG[: LONG.index(reading.unread_text)]
    assert scored(scorer, kept, windows) == pytest.approx(scored(scorer, LONG, windows), abs=1e-6)


def test_windows_that_the_model_cannot_hold(scorer: Any) -> None:
    """A window that is longer than the model reads loses its end."""
    reading = scorer.reading("red shoes", LONG, windows=Windows(size=120, stride=120, limit=2))
    assert len(reading.windows) == 2
    assert all(read < length for read, length in zip(reading.read, reading.windows, strict=True))


def test_a_closed_scorer_refuses(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """After `close` there is an error instead of an answer."""
    scorer = open_tiny(cross_encoder)
    scorer.close()
    with pytest.raises(ScorerError, match="closed"):
        scorer.reading("red shoes", LONG)


def test_scorers_that_cannot_tell() -> None:
    """A scorer without a tokenizer says that it does not know."""
    assert FakeScorer().reading("red shoes", LONG) is None
