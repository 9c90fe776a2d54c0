"""Cross-encoders give the numbers of their reference implementation."""

# ruff: noqa: PLR0917 - fixtures fill many parameters
from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import UnsupportedModel
from rebridge.steps import Windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = ["bert", "xlm-roberta", "modernbert", "deberta-v2"]


def reference(path: Path, query: str, passages: list[str], **options: Any) -> list[float]:
    """What sentence-transformers answers, one passage at a time."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(path), device="cpu", local_files_only=True, **options)
    rows = model.predict([(query, passage) for passage in passages], batch_size=1, show_progress_bar=False)
    return [float(row) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_equals_sentence_transformers(
    kind: str,
    tmp_path: Path,
    build_cross_encoder: Callable[..., Path],
    open_tiny: Callable[..., Any],
    passages: list[str],
    queries: list[str],
) -> None:
    """The score is that of `CrossEncoder.predict` for odd texts, over-long ones and long queries alike."""
    from torch.nn import Identity

    path = build_cross_encoder(tmp_path / kind, kind)
    scorer = open_tiny(path)
    assert scorer.activation == "sigmoid"
    for query in queries:
        expected = reference(path, query, passages, max_length=96)
        assert scorer.score(query, passages) == pytest.approx(expected, abs=1e-5)
        logits = reference(path, query, passages, max_length=96, activation_fn=Identity())
        assert scorer.raw_scores(query, passages) == pytest.approx(logits, abs=1e-5)


def test_scores_differ_between_passages(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """The tiny checkpoints tell texts apart, so that equality with the reference means something."""
    raw = open_tiny(cross_encoder).raw_scores("red shoes", ["red running shoes", "water power", "Berlin", "a"])
    assert max(raw) - min(raw) > 1e-2  # two of them may be close: tokenisers number words differently in each process


def test_five_hundred_passages_and_one(cross_encoder: Path, open_tiny: Callable[..., Any], passages: list[str]) -> None:
    """Batches, padding and order do not change a score: 500 at once equal each one alone."""
    scorer = open_tiny(cross_encoder)
    many = [f"{passage} {number}" for number in range(42) for passage in passages][:500]
    together = scorer.raw_scores("red shoes", many)
    for index in range(0, 500, 37):
        assert scorer.raw_scores("red shoes", [many[index]])[0] == pytest.approx(together[index], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_does_not_change_a_score(
    kind: str, tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """A short passage beside one twice as long has the score that it has alone."""
    scorer = open_tiny(build_cross_encoder(tmp_path, kind))
    short, long = "the river flows through the old town", "the river flows through the old town " * 2
    together = scorer.raw_scores("red shoes", [short, long])[0]
    assert scorer.raw_scores("red shoes", [short])[0] == pytest.approx(together, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "same_as"),
    [("red \ud800 shoes", "red \ufffd shoes"), ("red \ud83d\ude00 shoes", "red \U0001f600 shoes")],
)
def test_surrogates(text: str, same_as: str, cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """Lone surrogates count as U+FFFD and pairs as their character, in query and passage, instead of crashing."""
    scorer = open_tiny(cross_encoder)
    assert scorer.score("red", [text, "a"]) == scorer.score("red", [same_as, "a"])
    assert scorer.score(text, ["a"]) == scorer.score(same_as, ["a"])


def test_limit_of_positions_counts_the_padding_offset(
    tmp_path: Path,
    build_cross_encoder: Callable[..., Path],
    open_tiny: Callable[..., Any],
    edit_json: Callable[..., None],
) -> None:
    """XLM-R with 98 positions reads 96 tokens even where the tokenizer names no limit, and does not crash."""
    path = build_cross_encoder(tmp_path, "xlm-roberta")
    edit_json(path / "tokenizer_config.json", model_max_length=10**30)
    long = "red running shoes " * 200
    assert open_tiny(path).score("red", [long]) == pytest.approx(
        reference(path, "red", [long], max_length=96), abs=1e-5
    )


def test_max_length(cross_encoder: Path, open_tiny: Callable[..., Any], passages: list[str]) -> None:
    """A maximal length of the user's is used instead of the model's."""
    expected = reference(cross_encoder, "red shoes", passages, max_length=12)
    assert open_tiny(cross_encoder, max_length=12).score("red shoes", passages) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("where", ["new", "old"])
@pytest.mark.parametrize(("name", "activation"), [("linear.Identity", "identity"), ("activation.Sigmoid", "sigmoid")])
def test_saved_activation(
    where: str,
    name: str,
    activation: str,
    cross_encoder: Path,
    tmp_path: Path,
    open_tiny: Callable[..., Any],
    edit_json: Callable[..., None],
) -> None:
    """The activation that sentence-transformers saved, under its new or its old key, makes the official score."""
    path = shutil.copytree(cross_encoder, tmp_path / "model")
    saved = f"torch.nn.modules.{name}"
    if where == "new":
        edit_json(path / "config.json", sentence_transformers={"activation_fn": saved, "version": "5.0.0"})
    else:
        edit_json(path / "config.json", sbert_ce_default_activation_function=saved)
    scorer = open_tiny(path)
    assert scorer.activation == activation
    assert scorer.score("red", ["red shoes"]) == pytest.approx(reference(path, "red", ["red shoes"]), abs=1e-5)


def test_unknown_activation_is_refused(
    cross_encoder: Path, tmp_path: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """A saved activation is looked up, never imported."""
    path = shutil.copytree(cross_encoder, tmp_path / "model")
    edit_json(path / "config.json", sentence_transformers={"activation_fn": "os.system"})
    with pytest.raises(UnsupportedModel, match=r"unknown activation 'os\.system'"):
        open_tiny(path)


def test_two_labels(
    tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any], passages: list[str]
) -> None:
    """With two labels the score is the logit of the second, without softmax."""
    from sentence_transformers import CrossEncoder

    path = build_cross_encoder(tmp_path, labels=2)
    pairs = [("red shoes", passage) for passage in passages]
    logits = CrossEncoder(str(path), device="cpu").predict(pairs, batch_size=1, show_progress_bar=False)
    scorer = open_tiny(path)
    assert scorer.activation == "identity"
    assert scorer.score("red shoes", passages) == pytest.approx([float(row[1]) for row in logits], abs=1e-5)


def test_three_labels_are_refused(
    tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """A classifier with more than two labels is no reranker."""
    with pytest.raises(UnsupportedModel, match="has 3 labels"):
        open_tiny(build_cross_encoder(tmp_path, labels=3))


def test_windows(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """Windows are cut by the model's tokens; each is scored as its own text and short passages stay whole."""
    scorer = open_tiny(cross_encoder)
    text = "red running shoes for men and women , light and fast"
    long, short, empty = scorer.submit(
        "red", [text, "red shoes", ""], windows=Windows(size=4, stride=2, limit=3)
    ).result(30)
    pieces = scorer.family.cut(text, Windows(size=4, stride=2, limit=3))
    assert len(pieces) == 3
    assert pieces[0] == text[: len(pieces[0])]
    assert all(piece in text for piece in pieces)
    assert list(long) == pytest.approx(scorer.raw_scores("red", pieces), abs=1e-6)
    assert short == pytest.approx(scorer.raw_scores("red", ["red shoes"]), abs=1e-6)
    assert len(empty) == 1
    assert math.isfinite(empty[0])


def test_windows_reach_the_end(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """Without a limit in the way, every character is in some window."""
    scorer = open_tiny(cross_encoder)
    text = "red running shoes for men and women , light and fast"
    pieces = scorer.family.cut(text, Windows(size=5, stride=5, limit=100))
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_no_passages_and_one_text(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """No passages give no scores."""
    scorer = open_tiny(cross_encoder)
    assert scorer.score("red", []) == []
    assert scorer.submit("red", []).result(1) == []
