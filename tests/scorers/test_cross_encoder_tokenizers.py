"""Tokenizers are read as their files have them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "fixtures"))

import cases

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def minilm(tmp_path: Path) -> Path:
    """A BERT that the test may change; its `tokenizer.json` lower-cases."""
    return shutil.copytree(cases.model_folder("minilm"), tmp_path / "model")


def encoded(scorer: Any, query: str, passage: str) -> Any:
    """The only input."""
    (tokens,) = scorer.family.encode(query, [passage])
    return tokens


@pytest.mark.parametrize("key", ["deberta", "xlm-r", "minilm", "gte-modernbert"])
def test_ids_are_those_of_tokenizer_json(key: str, open_tiny: Callable[..., Any]) -> None:
    """Odd blanks and full-width letters too, which AutoTokenizer of transformers 5 reads otherwise for DeBERTa."""
    from tokenizers import Tokenizer

    scorer = open_tiny(cases.model_folder(key), recipe="cross-encoder")
    tokenizer = Tokenizer.from_file(str(cases.model_folder(key) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for text in (
        "Mars\u200bis\u00a0red\ufeff",
        "\uff2d\uff41\uff52\uff53\u3000is red",
        "Cafe\u0301 \ufb01nd",
        " a  b ",
    ):
        assert encoded(scorer, text, "Mars " + text).ids.tolist() == tokenizer.encode(text, "Mars " + text).ids


def test_segments(open_tiny: Callable[..., Any]) -> None:
    """BERT is told query and passage apart, with or without `tokenizer.json`; models without segments are not."""
    for key in ("minilm", "amberoad"):
        tokens = encoded(open_tiny(cases.model_folder(key)), "red", "Mars")
        types = tokens.types.tolist()
        assert types == sorted(types)
        assert (types[0], types[-1]) == (0, 1)
    for key in ("deberta", "xlm-r", "gte-modernbert"):
        assert encoded(open_tiny(cases.model_folder(key)), "red", "Mars").types is None


def test_saved_inputs_count(minilm: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]) -> None:
    """A tokenizer that was saved without segments gives none."""
    edit_json(minilm / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    assert encoded(open_tiny(minilm), "red", "Mars").types is None


@pytest.mark.parametrize("lower", [True, False])
def test_settings_of_bert_count(
    lower: bool,  # noqa: FBT001 - pytest's parameter
    minilm: Path,
    open_tiny: Callable[..., Any],
    edit_json: Callable[..., None],
) -> None:
    """Where BERT's settings and `tokenizer.json` differ, the settings count, as in transformers."""
    from transformers import AutoTokenizer

    edit_json(minilm / "tokenizer_config.json", do_lower_case=lower)
    tokens = encoded(open_tiny(minilm), "red", "MARS and mars")
    assert tokens.ids.tolist() == AutoTokenizer.from_pretrained(minilm)("red", "MARS and mars")["input_ids"]
    same = encoded(open_tiny(minilm), "red", "mars and mars").ids.tolist()
    assert (tokens.ids.tolist() == same) == lower


def test_truncation_and_padding_in_the_file(minilm: Path, open_tiny: Callable[..., Any]) -> None:
    """Settings for batches in `tokenizer.json` change nothing."""
    long = "the red planet " * 100
    expected = encoded(open_tiny(minilm), "red", long).ids.tolist()
    content = json.loads((minilm / "tokenizer.json").read_text("utf-8"))
    content["truncation"] = {"direction": "Right", "max_length": 12, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    (minilm / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    assert encoded(open_tiny(minilm), "red", long).ids.tolist() == expected
    assert len(encoded(open_tiny(minilm), "red", "Mars")) < 20
