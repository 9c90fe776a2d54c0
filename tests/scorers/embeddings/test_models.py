"""Scorers with a store on disk: the same scores cold and warm, and nothing of another model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import ConfigError
from rebridge.scorers.fingerprint import fingerprint
from rebridge.steps import Windows


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_cold_and_warm_scores_are_the_same(
    bi_encoder: Path, open_tiny: Callable[..., Any], passages: list[str], tmp_path: Path, precision: str
) -> None:
    """The first search gives the scores that every later one gives from the disk, to the last bit."""
    options = {"store": tmp_path, "store_dtype": precision}
    cold = open_tiny(bi_encoder, **options)
    first = cold.raw_scores("red shoes", passages)
    cold.close()
    warm = open_tiny(bi_encoder, cache_size=0, **options)
    assert warm.raw_scores("red shoes", passages) == first
    assert warm.counts().kept == len(passages)
    assert warm.counts().inputs == 1  # the query
    assert warm.counts().store_failures == 0
    plain = open_tiny(bi_encoder).raw_scores("red shoes", passages)
    assert first == pytest.approx(plain, abs={"float32": 1e-6, "float16": 2e-3, "int8": 2e-2}[precision])


def test_windows_are_kept_one_by_one(bi_encoder: Path, open_tiny: Callable[..., Any], tmp_path: Path) -> None:
    """A long passage's windows are found again, and a passage that holds one of them too."""
    long, windows = "the river flows through the old town " * 6, Windows(size=8, stride=8, limit=3)
    cold = open_tiny(bi_encoder, store=tmp_path)
    first = cold.submit("red shoes", [long], windows=windows).result()
    cold.close()
    warm = open_tiny(bi_encoder, store=tmp_path)
    assert warm.submit("red shoes", [long], windows=windows).result() == first
    assert warm.counts().kept == len(first[0]) > 1


def test_a_changed_model_reads_nothing_old(
    bi_encoder: Path, open_tiny: Callable[..., Any], tmp_path: Path, edit_json: Callable[..., None]
) -> None:
    """Other files, another length, dtype or precision: each has embeddings of its own; another folder has not."""
    moved, changed = shutil.copytree(bi_encoder, tmp_path / "moved"), shutil.copytree(bi_encoder, tmp_path / "changed")
    edit_json(changed / "config_sentence_transformers.json", prompts={"document": "text: "})
    plain = open_tiny(bi_encoder, store=tmp_path)
    plain.score("red shoes", ["a passage"])
    plain.close()

    def kept(model: Path, **options: Any) -> int:
        scorer = open_tiny(model, store=tmp_path, **options)
        scorer.score("blue hats", ["a passage"])
        scorer.close()
        count: int = scorer.counts().kept
        return count

    assert kept(changed) == 0
    assert kept(bi_encoder, max_length=20) == 0
    assert kept(bi_encoder, dtype="bfloat16") == 0
    assert kept(bi_encoder, store_dtype="int8") == 0
    assert kept(moved) == kept(bi_encoder, cache_size=0) == 1


def test_the_users_own_folder(
    bi_encoder: Path, open_tiny: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`store=True` keeps embeddings in the user's cache folder, and False keeps none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "rebridge" / "embeddings" / "embeddings.sqlite"
    for store in (False, True):
        open_tiny(bi_encoder, store=store).score("red shoes", ["a passage"])
        assert file.is_file() is store


def test_models_that_keep_nothing(
    cross_encoder: Path, bi_encoder: Path, open_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    """A model that reads passage and query together refuses a store, and others refuse values that cannot be."""
    with pytest.raises(ConfigError, match="'cross-encoder' does not know store"):
        open_tiny(cross_encoder, store=tmp_path)
    with pytest.raises(ConfigError, match="store_dtype must be one of float32, float16, int8"):
        open_tiny(bi_encoder, store=tmp_path, store_dtype="int4")
    with pytest.raises(ConfigError, match="store must be true, false or a folder"):
        open_tiny(bi_encoder, store=3)


@pytest.mark.parametrize("options", [{"store_size": 2**30}, {"store_dtype": "int8", "store": False}])
def test_options_of_no_store(bi_encoder: Path, open_tiny: Callable[..., Any], options: dict[str, Any]) -> None:
    """A bound or a precision without a store is refused, with the cure."""
    with pytest.raises(ConfigError, match=f"{next(iter(options))} has no effect without store: add store=True"):
        open_tiny(bi_encoder, **options)


def test_a_relative_folder(
    bi_encoder: Path, open_tiny: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder starts where the scorer is opened, wherever the process goes afterwards."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    first = open_tiny(bi_encoder, store="kept")
    monkeypatch.chdir(elsewhere)
    first.score("red shoes", ["a passage"])
    first.close()
    assert not list(elsewhere.iterdir())
    later = open_tiny(bi_encoder, store=tmp_path / "kept")
    later.score("red shoes", ["a passage"])
    assert later.counts().kept == 1


def test_the_section_of_a_pipeline(tmp_path: Path) -> None:
    """A pipeline says where embeddings are kept, and how many bytes in words; what has no effect is refused."""
    section = ScorerSection.model_validate({"store": "true", "store_size": "5GB", "store_dtype": "int8"})
    assert {key: value for key, value in section.options().items() if key.startswith("store")} == {
        "store": True,
        "store_size": 5_000_000_000,
        "store_dtype": "int8",
    }
    assert ScorerSection.model_validate({"store": str(tmp_path)}).options()["store"] == tmp_path
    with pytest.raises(ValueError, match="store_size has no effect without store"):
        ScorerSection.model_validate({"store_size": "5GB"})
    with pytest.raises(ValueError, match="a scorer of kind remote has no store"):
        ScorerSection.model_validate({"kind": "remote", "url": "http://gpu:8080", "store": True})


def test_rounding_counts_as_another_model(bi_encoder: Path, tmp_path: Path) -> None:
    """Scores that an evaluation kept without a store, or with another precision, are not those of a store."""

    def key(**options: Any) -> str:
        return fingerprint(ScorerSection.model_validate({"model": str(bi_encoder), **options})).key

    assert len({key(), key(store=True), key(store=True, store_dtype="int8")}) == 3
    assert key(store=True) == key(store=tmp_path, store_dtype="float16", store_size="1GB")
    assert key() == key(store=False)
