"""Damaged and misleading files are refused in our words, before a library reads them or follows them elsewhere."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import UnsupportedModel
from rebridge.scorers.checkpoint import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INDEX = "model.safetensors.index.json"


@pytest.fixture
def model(cross_encoder: Path, tmp_path: Path) -> Path:
    """A cross-encoder that the test may spoil."""
    return shutil.copytree(cross_encoder, tmp_path / "model")


@pytest.fixture
def embedder(bi_encoder: Path, tmp_path: Path) -> Path:
    """A bi-encoder that the test may spoil."""
    return shutil.copytree(bi_encoder, tmp_path / "embedder")


@pytest.mark.parametrize("shard", ["pytorch_model.bin", "../outside.safetensors", "/x.safetensors", "a\\b.safetensors"])
def test_shards_stay_in_the_folder_and_are_safetensors(
    shard: str, model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """An index cannot bring in a pickle or a file from elsewhere, though it is there."""
    shutil.copy(model / "model.safetensors", model.parent / "outside.safetensors")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    edit_json(model / INDEX, weight_map={"classifier.weight": shard})
    with pytest.raises(UnsupportedModel, match=r"index\.json names .* not a safetensors file of the same folder"):
        open_tiny(model)


def test_links_of_the_hub_cache_are_followed(model: Path, tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """A snapshot consists of links to files elsewhere, and loads."""
    (tmp_path / "snapshot").mkdir()
    for file in model.iterdir():
        (tmp_path / "snapshot" / file.name).symlink_to(file)
    expected = open_tiny(model).score("red", ["a"])
    assert open_tiny(tmp_path / "snapshot").score("red", ["a"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("path", ["../elsewhere", "/elsewhere", "a/../../b", "..\\b"])
def test_modules_stay_in_the_folder(path: str, embedder: Path, open_tiny: Callable[..., Any]) -> None:
    """A module's folder is one of the model's."""
    modules = json.loads((embedder / "modules.json").read_text("utf-8"))
    modules[1]["path"] = path
    (embedder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(UnsupportedModel, match=r"leads out of the model's folder"):
        open_tiny(embedder)


@pytest.mark.parametrize(
    "settings",
    [
        {"attn_implementation": "kernels-community/flash-attn"},
        {"text_config": {"_attn_implementation": "kernels-community/flash-attn"}},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
        {"transformers_weights": "other.safetensors"},
    ],
)
def test_config_chooses_no_code(
    settings: dict[str, Any], model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """A configuration cannot ask for kernels of the hub, other number formats or other files."""
    edit_json(model / "config.json", **settings)
    with pytest.raises(UnsupportedModel, match=r"in config\.json is not supported"):
        open_tiny(model)


def test_weights_of_more_layers_than_the_config_says(
    model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """A layer that the configuration does not mention means that it is the wrong one."""
    edit_json(model / "config.json", num_hidden_layers=1)
    with pytest.raises(UnsupportedModel, match=r"does not use.*encoder\.layer\.1\."):
        open_tiny(model)


def test_unused_layers_of_a_bi_encoder(
    embedder: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """The same holds for a model without a head."""
    edit_json(embedder / "config.json", num_hidden_layers=1)
    with pytest.raises(UnsupportedModel, match=r"does not use.*encoder\.layer\.1\."):
        open_tiny(embedder)


def add_weight(model: Path, name: str) -> None:
    """Put one more weight into the file."""
    import torch
    from safetensors.torch import load, save_file

    weights = load((model / "model.safetensors").read_bytes())
    save_file(weights | {name: torch.ones(2)}, model / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["bert.embeddings.position_ids", "cls.predictions.bias", "lm_head.weight"])
def test_harmless_weights(name: str, model: Path, open_tiny: Callable[..., Any]) -> None:
    """Heads for other tasks and what models compute themselves may be left over."""
    expected = open_tiny(model).score("red", ["red shoes"])
    add_weight(model, name)
    assert open_tiny(model).score("red", ["red shoes"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["classifier.dense.weight", "bert.encoder.layer.0.adapter.weight", "projection.weight"]
)
def test_unused_weights(name: str, model: Path, open_tiny: Callable[..., Any]) -> None:
    """Other weights that the model does not use mean that it is the wrong one."""
    add_weight(model, name)
    with pytest.raises(UnsupportedModel, match=f"does not use.*{name}"):
        open_tiny(model)


DAMAGE: list[tuple[str, Any]] = [
    ("config.json", {"architectures": {"a": 1}}),
    ("config.json", {"architectures": "BertForSequenceClassification"}),
    ("config.json", {"sbert_ce_default_activation_function": 3}),
    (INDEX, {"weight_map": ["model.safetensors"]}),
    (INDEX, {"weight_map": {"classifier.weight": 1}}),
    (INDEX, {"weight_map": {}}),
]


@pytest.mark.parametrize(("file", "content"), DAMAGE)
def test_values_of_the_wrong_type(
    file: str, content: dict[str, Any], model: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """Damaged JSON is an error of ours that names the file or the setting."""
    edit_json(model / file, **content)
    with pytest.raises(UnsupportedModel, match=r"architectures|activation|index\.json"):
        open_tiny(model)


def test_deep_nesting(model: Path, open_tiny: Callable[..., Any]) -> None:
    """JSON nested too deeply to be read is refused like other damage."""
    (model / "config.json").write_text("[" * 200_000 + "]" * 200_000, encoding="utf-8")
    with pytest.raises(UnsupportedModel, match=r"config\.json cannot be read"):
        open_tiny(model)


@pytest.mark.parametrize("module", [{"type": "Pooling"}, {"type": "Pooling", "path": 1}, {"type": 1, "path": ""}, 1])
def test_damaged_modules(module: Any, embedder: Path, open_tiny: Callable[..., Any]) -> None:
    """A module needs a type and a path."""
    modules = json.loads((embedder / "modules.json").read_text("utf-8"))
    (embedder / "modules.json").write_text(json.dumps([modules[0], module]), encoding="utf-8")
    with pytest.raises(UnsupportedModel, match="each with a type and a path"):
        open_tiny(embedder)


def test_bi_encoder_without_modules(model: Path, open_tiny: Callable[..., Any]) -> None:
    """The recipe needs to be told how to embed."""
    with pytest.raises(UnsupportedModel, match=r"needs a modules\.json"):
        open_tiny(model, recipe="bi-encoder")


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("config_sentence_transformers.json", {"prompts": ["a"]}),
        ("sentence_bert_config.json", {"max_seq_length": "many"}),
        ("1_Pooling/config.json", {"pooling_mode": 3}),
    ],
)
def test_damaged_settings_of_a_bi_encoder(
    file: str, settings: Any, embedder: Path, open_tiny: Callable[..., Any], edit_json: Callable[..., None]
) -> None:
    """Settings of the wrong type are refused."""
    edit_json(embedder / file, **settings)
    with pytest.raises(UnsupportedModel, match=r"must be of type|pooling 3 is not supported"):
        open_tiny(embedder)


def test_positions_without_padding(tmp_path: Path, build_cross_encoder: Any, open_tiny: Callable[..., Any]) -> None:
    """Where positions are counted from the padding id, a missing one is refused."""
    path = build_cross_encoder(tmp_path, "xlm-roberta")
    config = json.loads((path / "config.json").read_text("utf-8"))
    (path / "config.json").write_text(json.dumps(config | {"pad_token_id": None}), encoding="utf-8")
    with pytest.raises(UnsupportedModel, match="pad_token_id"):
        open_tiny(path)


def test_panics_of_libraries(tmp_path: Path) -> None:
    """A panic in Rust, which is no Exception in Python, is translated; an interrupt is not."""

    class PanicException(BaseException):
        pass

    checkpoint = Checkpoint(tmp_path, "model")
    message = "cannot be loaded: PanicException: index out of bounds"
    with pytest.raises(UnsupportedModel, match=message), checkpoint.translated("cannot be loaded"):
        raise PanicException("index out of bounds")
    with pytest.raises(KeyboardInterrupt), checkpoint.translated("cannot be loaded"):
        raise KeyboardInterrupt
