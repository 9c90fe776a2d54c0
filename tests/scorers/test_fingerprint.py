"""What a model's scores depend on, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.config import ScorerSection
from rebridge.scorers.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_what_a_models_scores_depend_on(
    cross_encoder: Path, build_cross_encoder: Callable[..., Path], tmp_path: Path
) -> None:
    """Other weights, options or a peer are another model; keeping scores, or the room for that, makes no other."""

    def key(**section: Any) -> str:
        return fingerprint(ScorerSection(**{"model": str(cross_encoder), **section})).key

    peer = {"kind": "remote", "url": "http://gpu:1"}
    different = [
        key(),
        key(model=str(build_cross_encoder(tmp_path / "other", initializer_range=0.3))),
        key(max_length=32),
        key(dtype="bfloat16"),
        key(**peer, model=""),
        key(**peer, model="large"),
        key(**peer | {"url": "http://gpu:2"}, model=""),
        key(**peer, dialect="cohere", model=""),
    ]
    assert len(set(different)) == len(different)
    assert {key(score_cache=True), key(token_budget=7), key(score_cache={"size": 1})} == {key()}
