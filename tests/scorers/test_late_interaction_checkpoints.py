"""What ColBERT checkpoints may say, and what makes them unusable."""

# ruff: noqa: PLR0917 - fixtures fill many parameters
from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rebridge.errors import ScorerError, UnsupportedModel

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))["HERE"] / "models"
EDGE, ANSWERAI = MODELS / "edge-colbert", MODELS / "answerai-colbert"
SETTINGS, METADATA = "config_sentence_transformers.json", "artifact.metadata"
QUERY = "Which planet is red?"
PASSAGES = ["Mars is red.", "", "Jupiter has a red spot, and many moons.", "[Q] [D] [MASK] [unused0] mars"]


@pytest.fixture
def changed(tmp_path: Path, edit_json: Callable[..., None]) -> Callable[..., Path]:
    """(checkpoint, file, keys) -> a copy in which these keys of the file are changed."""

    def change(source: Path, file: str = SETTINGS, **keys: Any) -> Path:
        path = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(source, path, copy_function=shutil.copyfile)
        if keys:
            edit_json(path / file, **keys)
        return path

    return change


def rows(scorer: Any, text: str) -> int:
    """How many tokens of a passage are compared."""
    [matrix] = scorer.family.forward(scorer.family.encode("", [text]))
    return len(matrix)


def test_settings_may_be_missing(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """What a checkpoint does not say is as in PyLate: 32 and 180 tokens, expansion, no punctuation."""
    keys = ("query_prefix", "document_prefix", "skiplist_words", "query_length", "document_length")
    path = changed(EDGE, **dict.fromkeys((*keys, "do_query_expansion", "attend_to_expansion_tokens")))
    scorer = open_tiny(path)
    [query] = scorer.family.forward([scorer.family.encode_query("mars")])
    assert len(query) == 32
    assert rows(scorer, "mars " * 300) == 180
    assert rows(scorer, "...") == 3
    assert all(np.isfinite(scorer.raw_scores(QUERY, PASSAGES)))


def test_stanford_without_metadata(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """Without artifact.metadata nobody knows how long texts may be, so somebody has to say it."""
    path = changed(ANSWERAI)
    (path / METADATA).unlink()
    for options in ({}, {"query_length": 32}):
        with pytest.raises(UnsupportedModel, match=r"artifact\.metadata is missing.*give both query_length and doc"):
            open_tiny(path, **options)
    lengths = {"query_length": 32, "document_length": 300}
    expected = open_tiny(ANSWERAI, **lengths).raw_scores(QUERY, PASSAGES)
    assert open_tiny(path, **lengths).raw_scores(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-6)


def test_stanford_may_compare_punctuation(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """A model that was trained with punctuation compares it."""
    assert rows(open_tiny(ANSWERAI), "mars ...") + 3 == rows(
        open_tiny(changed(ANSWERAI, METADATA, mask_punctuation=False)), "mars ..."
    )


def test_attending_to_expansion_is_the_checkpoints_choice(
    changed: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """With attention to the expansion tokens the words of the query are read differently."""
    path = changed(ANSWERAI, METADATA, attend_to_mask_tokens=True)
    assert open_tiny(path).raw_scores(QUERY, PASSAGES) != pytest.approx(
        open_tiny(ANSWERAI).raw_scores(QUERY, PASSAGES), abs=1e-3
    )


def test_no_markers(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """An empty prefix stands for no marker."""
    scorer = open_tiny(changed(EDGE, query_prefix="", document_prefix=""))
    assert rows(scorer, "") == 2
    assert rows(scorer, "mars " * 700) == 512


def test_prompts(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """Saved prompts stand before the texts; where they repeat the marker it is inserted once."""
    prompted = open_tiny(changed(EDGE, prompts={"query": "[Q] red ", "document": "the planet "}))
    expected = open_tiny(EDGE).raw_scores("red mars", ["the planet mars"])
    assert prompted.raw_scores("mars", ["mars"]) == pytest.approx(expected, abs=1e-6)


def test_only_the_skiplist_is_left_out(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """Words of the skiplist that are no tokens leave out nothing, above all not what the tokenizer does not know."""
    unknown = "\U0001fa90"
    path = changed(EDGE, skiplist_words=["no such token", "!"])
    scorer = open_tiny(path)
    assert rows(scorer, "!!") < rows(scorer, "..")
    assert rows(scorer, unknown) > rows(scorer, "")


def test_nothing_to_compare(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """A passage that the skiplist leaves without a token is not scored; the others are."""
    scorer = open_tiny(changed(EDGE, skiplist_words=["[CLS]", "[SEP]", "[D] ", "."]))
    scores = scorer.submit(QUERY, ["", "Mars is red.", "."]).result(30)
    assert [bool(np.isnan(score)) for (score,) in scores] == [True, False, True]
    with pytest.raises(ScorerError, match="no finite score"):
        scorer.raw_scores(QUERY, [""])


def test_weights_in_shards(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """The projection of Stanford's layout is found in whichever file has it."""
    path = changed(ANSWERAI)
    weights = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    shards = {"linear.weight": "b.safetensors"}
    shards |= {name: "a.safetensors" for name in weights if name != "linear.weight"}
    for file in ("a.safetensors", "b.safetensors"):
        part = {name: weights[name] for name in weights if shards[name] == file}
        save_file(part, path / file, metadata={"format": "pt"})
    (path / "model.safetensors.index.json").write_text(
        f'{{"metadata": {{}}, "weight_map": {str(shards).replace(chr(39), chr(34))}}}', encoding="utf-8"
    )
    expected = open_tiny(ANSWERAI).raw_scores(QUERY, PASSAGES)
    assert open_tiny(path).raw_scores(QUERY, PASSAGES) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "file", "keys", "message"),
    [
        (EDGE, SETTINGS, {"query_prefix": "[QUERY] "}, r"no token '\[QUERY\] '"),
        (EDGE, SETTINGS, {"document_prefix": 7}, "document_prefix must be of type str, not 7"),
        (EDGE, SETTINGS, {"query_length": "48"}, "query_length must be of type int"),
        (EDGE, SETTINGS, {"document_length": 2}, "document_length of 2 leaves no room"),
        (EDGE, SETTINGS, {"skiplist_words": "!?"}, "skiplist_words must be of type list"),
        (EDGE, SETTINGS, {"do_query_expansion": "yes"}, "do_query_expansion must be of type bool"),
        (EDGE, "sentence_bert_config.json", {"do_lower_case": 1}, "do_lower_case must be of type bool"),
        (EDGE, "1_Dense/config.json", {"in_features": 33}, "1_Dense cannot be loaded"),
        (EDGE, "2_Dense/config.json", {"bias": True}, "2_Dense cannot be loaded"),
        (EDGE, "1_Dense/config.json", {"activation_function": "os.system"}, "unknown activation 'os.system'"),
        (ANSWERAI, METADATA, {"doc_token_id": "[unused9999]"}, "no token '.unused9999.'"),
    ],
)
def test_odd_settings_are_refused(
    source: Path,
    file: str,
    keys: dict[str, Any],
    message: str,
    changed: Callable[..., Path],
    open_tiny: Callable[..., Any],
) -> None:
    """A setting that cannot be, or that would have to be guessed, is refused with its name."""
    with pytest.raises(UnsupportedModel, match=message):
        open_tiny(changed(source, file, **keys))


def test_missing_dense_weights(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """A Dense module without weights is refused, with its folder."""
    path = changed(EDGE)
    (path / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match=r"2_Dense.* has no model\.safetensors"):
        open_tiny(path)


def test_dense_modules_that_do_not_follow(
    changed: Callable[..., Path], open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """Dense modules whose widths do not fit together are refused when the model is loaded, not at the first query."""
    path = changed(EDGE)
    edit_json(path / "2_Dense" / "config.json", in_features=65)
    save_file({"linear.weight": torch.zeros(16, 65)}, path / "2_Dense" / "model.safetensors")
    with pytest.raises(UnsupportedModel, match="2_Dense reads 65 features, but gets 64"):
        open_tiny(path)


@pytest.mark.parametrize("kind", ["Pooling", "MultiVectorMask"])
def test_unknown_module_is_refused(
    kind: str, changed: Callable[..., Path], open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """A module of another class cannot be skipped silently."""
    path = changed(EDGE)
    text = (path / "modules.json").read_text(encoding="utf-8")
    cut = text.rindex("pylate.models.Dense.Dense")
    changed_text = text[:cut] + f"some.{kind}" + text[cut + len("pylate.models.Dense.Dense") :]
    (path / "modules.json").write_text(changed_text, encoding="utf-8")
    with pytest.raises(UnsupportedModel, match=kind):
        open_tiny(path)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (None, "has no linear.weight"),
        (torch.zeros(16, 31), r"shape \(16, 31\), but must read 32 features"),
        (torch.zeros(16), r"shape \(16,\)"),
        (torch.full((16, 32), float("nan")), "not finite"),
    ],
)
def test_stanford_projection_that_does_not_fit(
    weight: torch.Tensor | None, message: str, changed: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """A projection that is missing, odd or of another width is refused."""
    path = changed(ANSWERAI)
    weights = load_file(path / "model.safetensors")
    del weights["linear.weight"]
    if weight is not None:
        weights["linear.weight"] = weight
    (path / "model.safetensors").unlink()
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnsupportedModel, match=message):
        open_tiny(path)


def test_expansion_on_the_left_is_refused(
    changed: Callable[..., Path], open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """Tokenizers that fill up on the left would put the marker elsewhere."""
    path = changed(EDGE, do_query_expansion=True)
    edit_json(path / "tokenizer_config.json", padding_side="left")
    with pytest.raises(UnsupportedModel, match="expanding queries on the left"):
        open_tiny(path)


def test_the_unreadable_is_refused(changed: Callable[..., Path], open_tiny: Callable[..., Any]) -> None:
    """A damaged artifact.metadata is an error, not a reason to take defaults."""
    path = changed(ANSWERAI)
    (path / METADATA).write_text("{", encoding="utf-8")
    with pytest.raises(UnsupportedModel, match=r"artifact\.metadata cannot be read"):
        open_tiny(path)
