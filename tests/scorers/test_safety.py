"""Checkpoints that are unsafe, broken or of an unknown kind are refused with the reason; nothing is executed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import ConfigError, UnsupportedModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def model(cross_encoder: Path, tmp_path: Path) -> Path:
    """A cross-encoder that the test may spoil."""
    return shutil.copytree(cross_encoder, tmp_path / "model")


def change_weights(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the weights."""
    from safetensors.torch import load, save_file

    file = path / "model.safetensors"
    weights = load(file.read_bytes())
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def test_pickles_are_refused(model: Path, open_tiny: Callable[..., Any]) -> None:
    """Weights that are there only as a pickle are named and not opened."""
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(UnsupportedModel, match=r"pytorch_model\.bin.*never loaded.*safetensors"):
        open_tiny(model)


def test_no_weights(model: Path, open_tiny: Callable[..., Any]) -> None:
    """A folder without any weights says so."""
    (model / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match=r"has no model\.safetensors"):
        open_tiny(model)


def test_missing_shard(model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]) -> None:
    """A sharded checkpoint names the shard that is missing."""
    edit_json(
        model / "model.safetensors.index.json", weight_map={"classifier.weight": "model-00002-of-00002.safetensors"}
    )
    with pytest.raises(UnsupportedModel, match=r"lacks model-00002-of-00002\.safetensors"):
        open_tiny(model)


def test_truncated_weights(model: Path, open_tiny: Callable[..., Any]) -> None:
    """Half a download is an error of ours, not a stack trace of a library."""
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UnsupportedModel, match="weights cannot be loaded"):
        open_tiny(model)


def test_missing_head(model: Path, open_tiny: Callable[..., Any]) -> None:
    """A checkpoint without its head would score at random, so it is refused."""
    change_weights(model, lambda weights: weights.pop("classifier.weight"))
    with pytest.raises(UnsupportedModel, match=r"lacks classifier\.weight, so its scores would be random"):
        open_tiny(model)


def test_wrong_shape(model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]) -> None:
    """A configuration that does not fit the weights is refused."""
    edit_json(model / "config.json", intermediate_size=32)
    with pytest.raises(UnsupportedModel):
        open_tiny(model)


def test_wrong_shape_of_the_head(model: Path, open_tiny: Callable[..., Any]) -> None:
    """Weights of another number of labels are refused, not replaced by random ones."""

    def double(weights: dict[str, Any]) -> None:
        weights["classifier.weight"] = weights["classifier.weight"].repeat(2, 1)

    change_weights(model, double)
    with pytest.raises(UnsupportedModel, match=r"wrong shape for classifier\.weight \(2, 16\), not \(1, 16\)"):
        open_tiny(model)


def test_shards(model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]) -> None:
    """A sharded checkpoint scores as a whole one; without one of its shards it is refused, and the shard named."""
    from safetensors.torch import load, save_file

    expected = open_tiny(model).raw_scores("red", ["red shoes"])
    weights = load((model / "model.safetensors").read_bytes())
    (model / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    places = {key: names[number % 2] for number, key in enumerate(weights)}
    for name in names:
        part = {key: weight for key, weight in weights.items() if places[key] == name}
        save_file(part, model / name, metadata={"format": "pt"})
    edit_json(model / "model.safetensors.index.json", metadata={"total_size": 1}, weight_map=places)
    assert open_tiny(model).raw_scores("red", ["red shoes"]) == pytest.approx(expected)
    (model / names[1]).unlink()
    with pytest.raises(UnsupportedModel, match=rf"lacks {names[1]}"):
        open_tiny(model)


def test_nan_weights(model: Path, open_tiny: Callable[..., Any]) -> None:
    """Weights that are no numbers are refused, and named."""
    change_weights(model, lambda weights: weights["classifier.bias"].fill_(float("nan")))
    with pytest.raises(UnsupportedModel, match=r"not finite numbers in classifier\.bias"):
        open_tiny(model)


def test_missing_tokenizer(model: Path, open_tiny: Callable[..., Any]) -> None:
    """A folder without a vocabulary is refused."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()
    with pytest.raises(UnsupportedModel, match="has no tokenizer"):
        open_tiny(model)


def test_foreign_tokenizer(
    model: Path, tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """A vocabulary larger than the model's would crash in the middle of a search, so it is refused at once."""
    build_cross_encoder(tmp_path / "other", vocab_size=50)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tmp_path / "other" / name, model)
    with pytest.raises(UnsupportedModel, match="the model only 50"):
        open_tiny(model)


@pytest.mark.parametrize("content", ["", "[]", "{", "\ufffd"])
def test_broken_config(content: str, model: Path, open_tiny: Callable[..., Any]) -> None:
    """A configuration that is no JSON object is refused."""
    (model / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(UnsupportedModel, match=r"config\.json"):
        open_tiny(model)


def test_missing_config(tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """An empty folder is no model."""
    with pytest.raises(UnsupportedModel, match=r"config\.json is missing"):
        open_tiny(tmp_path)


@pytest.mark.parametrize("architecture", ["EvilForSequenceClassification", "EvilModel"])
def test_remote_code_is_never_run(
    architecture: str, model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """A model that needs its own code is refused; the code that lies beside it is not executed."""
    (model / "modeling.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    auto_map = {"AutoConfig": "modeling.Config", "AutoModelForSequenceClassification": f"modeling.{architecture}"}
    edit_json(model / "config.json", architectures=[architecture], auto_map=auto_map, model_type="evil")
    with pytest.raises(UnsupportedModel, match="code from the hub"):
        open_tiny(model)
    assert not (model / "ran").exists()


def test_weights_for_remote_code(model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]) -> None:
    """A known architecture's name on weights for other code, as of jina-reranker-v2, is refused with the reason."""

    def rename(weights: dict[str, Any]) -> None:
        for key in [key for key in weights if ".attention." in key]:
            weights[key.replace(".attention.", ".mixer.")] = weights.pop(key)

    change_weights(model, rename)
    edit_json(model / "config.json", auto_map={"AutoModelForSequenceClassification": "modeling.Model"})
    with pytest.raises(UnsupportedModel, match=r"lacks .*attention.*code of its own .*never run"):
        open_tiny(model)


def test_remote_code_beside_a_known_architecture(
    model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """Where transformers knows the architecture itself, code of the checkpoint is ignored, not executed."""
    (model / "modeling.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    expected = open_tiny(model).score("red", ["red shoes"])
    auto_map = {"AutoConfig": "modeling.Config", "AutoModelForSequenceClassification": "modeling.Model"}
    edit_json(model / "config.json", auto_map=auto_map)
    edit_json(model / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "modeling.Tokenizer"]})
    assert open_tiny(model).score("red", ["red shoes"]) == expected
    assert not (model / "ran").exists()


def test_unknown_kind_lists_the_supported_ones(
    model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """A model of another kind is refused with what would work."""
    edit_json(model / "config.json", architectures=["BertForMaskedLM"])
    with pytest.raises(UnsupportedModel, match=r"(?s)BertForMaskedLM.*cross-encoder.*bi-encoder"):
        open_tiny(model)


def test_loading_is_quiet(
    cross_encoder: Path, open_tiny: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Loading prints nothing, and leaves the logging of transformers as it was."""
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    open_tiny(cross_encoder).score("red", ["red shoes " * 500])
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"cache_size": 5},
            r"'cross-encoder' does not know cache_size. Its options are: max_length, normalize, token_budget",
        ),
        ({"colour": "red"}, "does not know colour"),
        ({"max_length": 97}, "more than this model can read: 96"),
        ({"max_length": 3}, "leaves no room"),
        ({"max_length": "12"}, "whole number"),
        ({"token_budget": 0}, "at least 1"),
        ({"token_budget": True}, "whole number"),
        ({"normalize": "yes"}, "normalize must be true or false, not 'yes'"),
        ({"dtype": "int4"}, "dtype 'int4' is not one of auto, float32"),
    ],
)
def test_impossible_options(
    options: dict[str, Any], message: str, cross_encoder: Path, open_tiny: Callable[..., Any]
) -> None:
    """An option that the family does not know, or a value that cannot be, names what is possible."""
    with pytest.raises(ConfigError, match=message):
        open_tiny(cross_encoder, **options)


def test_impossible_device(cross_encoder: Path) -> None:
    """A device that is not there is named."""
    from rebridge.scorers import open_scorer

    with pytest.raises(ConfigError, match="device 'warp' cannot be used"):
        open_scorer(cross_encoder, device="warp")


def test_half_precision_checkpoint_loads_in_float32(
    model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """On a CPU a checkpoint saved in 16 bits is computed in 32, whatever transformers' own default is."""
    import torch

    def halve(weights: dict[str, Any]) -> None:
        weights.update({name: weight.half() for name, weight in weights.items()})

    change_weights(model, halve)
    edit_json(model / "config.json", dtype="float16")
    assert next(open_tiny(model).family._model._model.parameters()).dtype == torch.float32
