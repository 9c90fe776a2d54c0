"""Products in 8 bits are near the exact ones, whatever a batch holds, and are refused where they would not be."""

from __future__ import annotations

import runpy
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ElectraConfig, ElectraForSequenceClassification

from rebridge.errors import ConfigError
from rebridge.scorers.encoders.eight_bits import EightBits, ranges
from rebridge.scorers.encoders.linear import Linear
from rebridge.scorers.placing import _int8_steps

CASES = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))
multiplies = pytest.mark.skipif(ranges() is None, reason="this build of torch cannot multiply in 8 bits")

TEXTS = ["red running shoes", "water power", "Berlin has 3.7 million inhabitants", "a boat trip takes two hours"]


def off(exact: list[float], found: list[float]) -> float:
    """The largest difference, as a share of how far apart the exact numbers are."""
    return max(abs(one - other) for one, other in zip(exact, found, strict=True)) / (max(exact) - min(exact))


@multiplies
@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "modernbert"])
def test_scores(
    kind: str, tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """With int8 scores are near the exact ones, but not the same, and hardly depend on what else is scored."""
    folder = build_cross_encoder(tmp_path / kind, kind, hidden_size=64, intermediate_size=128)
    exact, rounded = (open_tiny(folder, dtype=dtype).raw_scores("red shoes", TEXTS) for dtype in ("float32", "int8"))
    assert rounded != exact
    assert off(exact, rounded) <= 0.3
    scorer = open_tiny(folder, dtype="int8")
    # Rounding may take another step where a product of another shape differs in its last digit.
    assert off(rounded, [scorer.raw_scores("red shoes", [text])[0] for text in TEXTS]) <= 0.03


@multiplies
@pytest.mark.parametrize(
    ("key", "recipe"),
    [("qwen2", "mxbai-rerank-v2"), ("gemma", "bge-reranker-gemma"), ("minicpm", "bge-reranker-layerwise")],
)
def test_language_models(key: str, recipe: str, open_tiny: Callable[..., Any]) -> None:
    """Their scores are near the exact ones too, and the same for the next search, which runs less of the prompt."""
    opened = [open_tiny(CASES["model_folder"](key), recipe=recipe, dtype=dtype) for dtype in ("float32", "int8")]
    exact, rounded = (scorer.raw_scores("red shoes", TEXTS) for scorer in opened)
    assert rounded != exact
    assert off(exact, rounded) <= 0.3
    assert off(rounded, opened[1].raw_scores("red shoes", TEXTS)) <= 0.03


@multiplies
def test_large_features(
    tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """A model of whose features a few are 50 times as large as the others is rounded no more coarsely for it."""
    folder = build_cross_encoder(tmp_path, "bert", hidden_size=64, intermediate_size=128)
    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if "LayerNorm.weight" in name:
            weight[[5, 40]] *= 50
        if name.endswith(("query.weight", "key.weight", "value.weight", "intermediate.dense.weight")):
            weight[:, [5, 40]] /= 50  # so that they matter no more than others
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    exact, rounded = (open_tiny(folder, dtype=dtype).raw_scores("red shoes", TEXTS) for dtype in ("float32", "int8"))
    assert off(exact, rounded) <= 0.3


@multiplies
def test_a_product() -> None:
    """A product is off by 3 % at most, in the norm, also with states of one sign and with a row of zeros."""
    torch.manual_seed(6)
    layer = torch.nn.Linear(128, 48)
    with torch.inference_mode():
        layer.weight[3] = 0
        for states in (torch.randn(33, 128), torch.rand(33, 128), -torch.rand(33, 128), torch.zeros(2, 128)):
            expected = layer(states)
            product = EightBits(Linear(layer, kind="mkl"), torch.ones(128))(states)
            assert (product - expected).norm() <= 0.03 * expected.norm()


@multiplies
@pytest.mark.parametrize("features", [96, 97])
def test_extreme_weights(features: int) -> None:
    """Nothing overflows where all states and weights are as large as they can be."""
    layer = torch.nn.Linear(features, 64)
    with torch.inference_mode():
        layer.weight[:32], layer.weight[32:] = 1, -1
        layer.weight[:, ::3] = 0.5
        states = torch.ones(40, features)
        states[:, 0] = 0
        product, expected = EightBits(Linear(layer, kind="mkl"), torch.ones(features))(states), layer(states)
        assert (product - expected).norm() <= 0.03 * expected.norm()


@multiplies
@pytest.mark.parametrize("bias", [False, True])
def test_large_features_of_a_product(bias: bool) -> None:  # noqa: FBT001
    """Large features of the states are multiplied exactly: the others lose nothing to them, and no row to another."""
    torch.manual_seed(7)
    layer = torch.nn.Linear(128, 48, bias=bias)
    states = torch.randn(33, 128)
    states[:, [7, 99]] *= 100
    with torch.inference_mode():
        eight_bits = EightBits(Linear(layer, kind="mkl"), states.abs().amax(dim=0))
        product, expected = eight_bits(states), layer(states)
        assert (product - expected).norm() <= 0.03 * layer(torch.randn(33, 128)).norm()
        assert torch.allclose(eight_bits(states[4:5]), product[4:5], atol=1e-4)


def test_it_is_refused_elsewhere(cross_encoder: Path, tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """int8 is refused where it would silently be something else: other layers than ours, and unknown architectures."""
    with pytest.raises(ConfigError, match="int8 is for a CPU and backend auto, not for cpu and transformers"):
        open_tiny(cross_encoder, dtype="int8", backend="transformers")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = ElectraConfig(vocab_size=400, embedding_size=8, num_labels=1, **size)
    ElectraForSequenceClassification(config).save_pretrained(tmp_path)
    for file in cross_encoder.glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    with pytest.raises(ConfigError, match="int8 is for BERT"):
        open_tiny(tmp_path, dtype="int8")


def test_a_build_that_cannot_is_told_so(
    cross_encoder: Path, open_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried once, in the thread that loads models: one that computes and ends can slow down all later ones."""
    threads = []
    monkeypatch.setattr(
        "rebridge.scorers.encoders.eight_bits.ranges", lambda: threads.append(threading.current_thread().name)
    )
    _int8_steps.cache_clear()
    try:
        for _ in range(2):
            with pytest.raises(ConfigError, match="this build of torch cannot multiply in 8 bits"):
                open_tiny(cross_encoder, dtype="int8")
    finally:
        _int8_steps.cache_clear()
    assert threads == ["rebridge-loader"]
