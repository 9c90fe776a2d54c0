"""Pipelines that differ only in how they keep scores have one model between them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from rebridge.config import ScorerSection
from rebridge.shared_scorers import LazyScorer, SharedScorers

if TYPE_CHECKING:
    from pathlib import Path


def test_one_model_with_and_without_caches(cross_encoder: Path) -> None:
    """Each cache has its own entries; closing ends the model for all, and a later use loads one for all again."""
    section = ScorerSection(model=str(cross_encoder), device="cpu")
    small, large = (ScorerSection(**section.model_dump(exclude_unset=True), score_cache={"size": n}) for n in (9, 99))
    with closing(SharedScorers()) as models:
        plain, *keeping = (models.get(each) for each in (section, small, large))
        assert isinstance(plain, LazyScorer)
        for _ in range(2):
            models.load()
            expected = plain.submit("q", ["a", "b"]).result(10)
            for scorer in keeping:
                assert isinstance(scorer, LazyScorer)
                assert [scorer.submit("q", ["a", "b"]).result(10) for _ in range(3)] == [expected] * 3
                assert scorer.load().counts().score_hits == 4
            assert plain.load().counts().inputs == 6
            models.close()


def test_only_the_cached_one_is_wanted(cross_encoder: Path) -> None:
    """Where all pipelines keep scores, the first search loads the model."""
    section = ScorerSection(model=str(cross_encoder), device="cpu", score_cache={"size": 9})
    with closing(SharedScorers()) as models:
        assert len(models.get(section).submit("q", ["a", "b"]).result(10)) == 2
