"""Bi-encoders give the cosines of sentence-transformers, and compute a passage once."""

# ruff: noqa: PLR0917 - fixtures fill many parameters
from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import UnsupportedModel
from rebridge.steps import Windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def reference(path: Path, query: str, passages: list[str]) -> list[float]:
    """Cosines of sentence-transformers, one text at a time."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import cos_sim

    model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
    embedded = model.encode_document(passages, batch_size=1, show_progress_bar=False)
    return [float(value) for value in cos_sim(model.encode_query(query, show_progress_bar=False), embedded)[0]]


LAYOUTS: dict[str, dict[str, Any]] = {
    "mean": {},
    "cls": {"pooling": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}},
    "new pooling key": {"pooling": {"pooling_mode": "cls"}},
    "xlm-roberta": {"kind": "xlm-roberta"},
    "modernbert": {"kind": "modernbert"},
    "no normalize": {"after": ()},
    "dense": {"after": ("Dense", "Normalize")},
    "two dense": {"after": ("Normalize", "Dense")},
    "lower case": {"settings": {"max_seq_length": 20, "do_lower_case": True}},
    "no maximal length": {"settings": {"do_lower_case": False}},
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_equals_sentence_transformers(
    layout: str,
    tmp_path: Path,
    build_bi_encoder: Callable[..., Path],
    open_tiny: Callable[..., Any],
    passages: list[str],
    queries: list[str],
) -> None:
    """The score is the cosine that sentence-transformers gives, in every layout that is supported."""
    path = build_bi_encoder(tmp_path, **LAYOUTS[layout])
    scorer = open_tiny(path)
    assert scorer.activation == "identity"
    for query in queries:
        assert scorer.score(query, passages) == pytest.approx(reference(path, query, passages), abs=1e-5)


def test_saved_prompts(
    bi_encoder: Path, tmp_path: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None], passages: list[str]
) -> None:
    """Prompts that the model was saved with stand before query and passages."""
    path = shutil.copytree(bi_encoder, tmp_path / "model")
    edit_json(path / "config_sentence_transformers.json", prompts={"query": "red: ", "document": "wind: "})
    expected = reference(path, "shoes", passages)
    assert expected != pytest.approx(reference(bi_encoder, "shoes", passages), abs=1e-3)
    assert open_tiny(path).score("shoes", passages) == pytest.approx(expected, abs=1e-5)


def test_second_query_computes_only_the_query(
    bi_encoder: Path, open_tiny: Callable[..., Any], passages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passages that were embedded once are not embedded again for another query; scores stay the same."""
    scorer = open_tiny(bi_encoder)
    forward = scorer.family.forward
    counts: list[int] = []

    def counted(batch: Any) -> Any:
        counts.append(len(batch))
        return forward(batch)

    monkeypatch.setattr(scorer.family, "forward", counted)
    scorer.score("red shoes", passages)
    first = sum(counts)
    again = scorer.score("wind energy", passages)
    assert first == len(passages) + 1
    assert sum(counts) == first + 1
    assert again == pytest.approx(open_tiny(bi_encoder, cache_size=0).score("wind energy", passages), abs=1e-6)


def test_cache_can_be_switched_off(bi_encoder: Path, open_tiny: Callable[..., Any], passages: list[str]) -> None:
    """A cache of 0 bytes keeps nothing."""
    scorer = open_tiny(bi_encoder, cache_size=0)
    scorer.score("red shoes", passages)
    assert len(scorer.family.store) == 0


def test_windows(bi_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """Each window is scored as its own text."""
    scorer = open_tiny(bi_encoder)
    windows = Windows(size=4, stride=4, limit=2)
    text = "red running shoes for men and women"
    pieces = scorer.family.cut(text, windows)
    [scores] = scorer.submit("red", [text], windows=windows).result(30)
    assert list(scores) == pytest.approx(scorer.raw_scores("red", pieces), abs=1e-6)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pooling lasttoken is not supported"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling mean .* is not supported"),
        ("1_Pooling/config.json", {"include_prompt": False}, "leave out the prompt"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "unknown activation 'os.system'"),
        ("2_Dense/config.json", {"out_features": 13}, "2_Dense cannot be loaded"),
    ],
)
def test_unsupported_modules_are_refused(
    file: str,
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    build_bi_encoder: Callable[..., Path],
    open_tiny: Callable[..., Any],
    edit_json: Callable[..., None],
) -> None:
    """A layout that would be scored wrongly is refused with its name."""
    path = build_bi_encoder(tmp_path, after=("Dense", "Normalize"))
    edit_json(path / file, **changes)
    with pytest.raises(UnsupportedModel, match=message):
        open_tiny(path)


def test_unknown_module_is_refused(
    tmp_path: Path, build_bi_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """A module of another class cannot be skipped silently."""
    with pytest.raises(UnsupportedModel, match="LayerNorm"):
        open_tiny(build_bi_encoder(tmp_path, after=("LayerNorm",)))
