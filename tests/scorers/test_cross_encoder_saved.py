"""What sentence-transformers saved with a cross-encoder is heeded, and padding never decides about a score."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import UnsupportedModel

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))["HERE"] / "models"
PASSAGES = ["Mars is red.", "", "Jupiter has a red spot, and many moons, and is no star."]
SETTINGS = "config_sentence_transformers.json"


def official(path: Path, **options: Any) -> Any:
    """The model in sentence-transformers."""
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(path), device="cpu", local_files_only=True, model_kwargs={"dtype": "float32"}, **options)


def reference(path: Path, passages: list[str]) -> list[float]:
    """What sentence-transformers answers, one passage at a time."""
    pairs = [("red planet", passage) for passage in passages]
    return [float(row) for row in official(path).predict(pairs, batch_size=1, show_progress_bar=False)]


@pytest.mark.parametrize("key", ["gte-modernbert", "deberta", "xlm-r"])
@pytest.mark.parametrize("activation", ["Identity", "Sigmoid"])
def test_activation_saved_by_the_library_itself(
    key: str, activation: str, tmp_path: Path, open_tiny: Callable[..., Any]
) -> None:
    """A model that sentence-transformers saved is scored as it scores it, even under a known model's name."""
    import torch
    from sentence_transformers import CrossEncoder

    path = tmp_path / "bge-reranker-base"
    kind = getattr(torch.nn, activation)
    CrossEncoder(str(MODELS / key), device="cpu", activation_fn=kind(), local_files_only=True).save_pretrained(
        str(path)
    )
    scorer = open_tiny(path)
    assert scorer.choice.recipe.name == "cross-encoder"
    assert scorer.score("red planet", PASSAGES) == pytest.approx(reference(path, PASSAGES), abs=1e-5)


def test_default_prompt(cross_encoder: Path, tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """The prompt that a model names as its default stands before every query; other prompts do not."""
    prompts = {"search": "wind energy and water: ", "other": "Berlin "}
    plain = open_tiny(cross_encoder)
    for name, query in ((None, "red planet"), ("search", "wind energy and water: red planet")):
        path = tmp_path / str(name)
        official(cross_encoder, prompts=prompts, default_prompt_name=name).save_pretrained(str(path))
        scores = open_tiny(path).score("red planet", PASSAGES)
        assert scores == pytest.approx(plain.score(query, PASSAGES), abs=1e-6)
        assert scores == pytest.approx(reference(path, PASSAGES), abs=1e-5)


@pytest.mark.parametrize("settings", [{"prompts": ["a"]}, {"default_prompt_name": 7}, {"activation_fn": ["a"]}])
def test_damaged_settings(
    settings: dict[str, Any],
    cross_encoder: Path,
    tmp_path: Path,
    open_tiny: Callable[..., Any],
    edit_json: Callable[..., None],
) -> None:
    """A setting of the wrong type is refused."""
    path = shutil.copytree(cross_encoder, tmp_path / "model")
    edit_json(path / SETTINGS, **{"default_prompt_name": "a", **settings})
    with pytest.raises(UnsupportedModel, match=r"must be of type|not the path of a class"):
        open_tiny(path)


@pytest.mark.parametrize("padding", [5, None])
def test_a_decoders_score_does_not_depend_on_its_batch(
    padding: int | None, tmp_path: Path, open_tiny: Callable[..., Any]
) -> None:
    """A decoder whose padding differs from its tokenizer's, or is not named, reads the last token all the same."""
    path = shutil.copytree(MODELS / "qwen3-seq-cls", tmp_path / "model")
    config = json.loads((path / "config.json").read_text("utf-8"))
    (path / "config.json").write_text(json.dumps(config | {"pad_token_id": padding}), encoding="utf-8")
    family = open_tiny(path, recipe="cross-encoder").family
    inputs = family.encode("red planet", PASSAGES)
    together = family.forward(inputs)
    assert [family.forward([one])[0] for one in inputs] == pytest.approx(together, abs=1e-5)
    assert len({round(score, 4) for score in together}) == len(PASSAGES)
