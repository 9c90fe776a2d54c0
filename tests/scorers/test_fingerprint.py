"""What a model's scores depend on, and what they do not."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.config import ScorerSection
from rebridge.scorers.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable


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
        key(dtype="int8"),
        # The recipe may be chosen by the name of the folder.
        key(model=str(shutil.copytree(cross_encoder, tmp_path / "bge-reranker-base"))),
    ]
    assert len(set(different)) == len(different)
    assert {key(score_cache=True), key(token_budget=7), key(score_cache={"size": 1})} == {key()}


def test_a_models_files_are_read_once(
    bi_encoder: Path,
    open_tiny: Callable[..., Any],
    edit_json: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process reads a model's files once, however often it is opened and kept, and again what has changed."""
    read: list[str] = []
    digest = hashlib.file_digest

    def noted(stream: Any, name: str) -> Any:
        read.append(Path(stream.name).name)
        return digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    model = shutil.copytree(bi_encoder, tmp_path / "model")
    section = ScorerSection(model=str(model))
    first = fingerprint(section)
    assert "model.safetensors" in read
    read.clear()
    assert fingerprint(section) == first
    open_tiny(model, store=tmp_path / "kept")
    assert not read
    edit_json(model / "config_sentence_transformers.json", prompts={"document": "text: "})
    assert fingerprint(section).key != first.key
    assert read == ["config_sentence_transformers.json"]
