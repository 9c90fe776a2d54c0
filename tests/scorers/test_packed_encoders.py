"""Encoders without padding give the numbers of transformers' own layers, whatever the lengths in a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import ConfigError
from rebridge.scorers.encoders import packed
from rebridge.scorers.encoders.linear import Kind, Linear

#: Kind of the tiny checkpoint, and what its configuration says besides.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "bert with relu": ("bert", {"hidden_act": "relu"}),
    "bert with gelu by tanh": ("bert", {"hidden_act": "gelu_new"}),
    "xlm-r": ("xlm-roberta", {}),
    "modernbert": ("modernbert", {}),
    "modernbert, mean": ("modernbert", {"classifier_pooling": "mean", "norm_bias": True, "mlp_bias": True}),
    "modernbert, biases in attention": ("modernbert", {"attention_bias": True}),
    "modernbert, all near": ("modernbert", {"layer_types": ["sliding_attention"] * 2}),
    "deberta": ("deberta-v2", {}),
    "deberta, own position keys": ("deberta-v2", {"share_att_key": False}),
    "deberta, only c2p": ("deberta-v2", {"pos_att_type": ["c2p"]}),
    "deberta, only p2c": ("deberta-v2", {"pos_att_type": ["p2c"], "share_att_key": False}),
    "deberta without buckets": ("deberta-v2", {"position_buckets": -1}),
    "deberta, near positions only": ("deberta-v2", {"position_buckets": -1, "max_relative_positions": 8}),
    "deberta with segments": ("deberta-v2", {"type_vocab_size": 2, "position_biased_input": True}),
    "deberta, odd number of heads": ("deberta-v2", {"num_attention_heads": 1}),
}


#: Every variant with the product that wants certain numbers of rows, every architecture with the other one too.
CASES: list[tuple[str, Kind]] = [
    *((name, "onednn") for name in VARIANTS),
    ("bert", "mkl"),
    ("modernbert", "mkl"),
    ("deberta", "mkl"),
]


@pytest.fixture(scope="module", params=CASES, ids=", ".join)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, build_cross_encoder: Callable[..., Path]
) -> tuple[Any, Any]:
    """A model of transformers, and the same one packed."""
    from transformers import AutoModelForSequenceClassification

    name, product = request.param
    kind, more = VARIANTS[name]
    folder = build_cross_encoder(tmp_path_factory.mktemp("variant"), kind, **more)
    plain, other = (AutoModelForSequenceClassification.from_pretrained(folder).eval() for _ in range(2))
    for model in (plain, other):
        _disturb(model)
    found = packed(other, product)
    assert found is not None
    return plain, found


def _disturb(model: torch.nn.Module) -> None:
    """Give biases and norms values of their own: transformers begins with zeros and ones."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=9), data=st.data())
def test_equal_logits(both: tuple[Any, Any], lengths: list[int], data: st.DataObject) -> None:
    """The logits of a batch are those that transformers gives for each input alone."""
    plain, found = both
    ids, mask = _padded(lengths, plain.config, data.draw(st.integers(0, 2**31)))
    with torch.inference_mode():
        logits = found(input_ids=ids, attention_mask=mask).logits
        for row, length in enumerate(lengths):
            alone = plain(input_ids=ids[row : row + 1, :length], attention_mask=mask[row : row + 1, :length]).logits
            assert torch.allclose(logits[row], alone[0], atol=1e-5), (row, length)


def test_states_of_padding_are_zero(both: tuple[Any, Any]) -> None:
    """The base model gives the states of all tokens in their places, and zeros for padding."""
    plain, found = both
    lengths = [7, 3, 3, 1]
    ids, mask = _padded(lengths, plain.config, 3)
    with torch.inference_mode():
        states = found.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        expected = plain.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.allclose(states, expected * mask[..., None], atol=1e-5)


def _padded(lengths: list[int], config: Any, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, config.vocab_size, mask.shape, generator=generator)
    return torch.where(mask.bool(), ids, config.pad_token_id), mask


@pytest.mark.parametrize("bias", [False, True])
def test_both_libraries_multiply_equally(bias: bool) -> None:  # noqa: FBT001
    """Whichever of MKL and oneDNN multiplies, results are equal to 1e-5 and to those of the layers one by one."""
    torch.manual_seed(5)
    layers = [torch.nn.Linear(96, width, bias=bias) for width in (64, 32)]
    states = torch.randn(37, 96)
    with torch.inference_mode():
        expected = torch.cat([layer(states) for layer in layers], dim=1)
        for kind in ("mkl", "onednn"):
            assert torch.allclose(Linear(*layers, kind=kind)(states), expected, atol=1e-5)


def test_the_backend_is_a_choice(
    cross_encoder: Path, open_tiny: Callable[..., Any], passages: list[str], queries: list[str]
) -> None:
    """Scores do not depend on the backend, nor does the memory that is told."""
    own, plain = open_tiny(cross_encoder), open_tiny(cross_encoder, backend="transformers")
    for query in queries:
        assert own.raw_scores(query, passages) == pytest.approx(plain.raw_scores(query, passages), abs=1e-5)
    assert own.memory_bytes() == pytest.approx(plain.memory_bytes(), rel=0.05)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "deberta-v2", "modernbert"])
def test_bfloat16(
    kind: str, tmp_path: Path, build_cross_encoder: Callable[..., Path], open_tiny: Callable[..., Any]
) -> None:
    """With bfloat16 scores are near the exact ones; the head computes in float32."""
    folder = build_cross_encoder(tmp_path / kind, kind)
    texts = ["red running shoes", "water power", "Berlin has 3.7 million inhabitants", "a boat trip takes two hours"]
    exact, rounded = (open_tiny(folder, dtype=each).raw_scores("red shoes", texts) for each in ("float32", "bfloat16"))
    assert rounded != exact
    assert rounded == pytest.approx(exact, abs=0.1 * (max(exact) - min(exact)) + 0.05)
    assert any(score != torch.tensor(score).bfloat16().item() for score in rounded)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_positions_in_reduced_precision(
    dtype: torch.dtype, tmp_path: Path, build_cross_encoder: Callable[..., Path]
) -> None:
    """What ModernBERT knows of positions survives reduced precision."""
    from transformers import AutoModel

    folder = build_cross_encoder(tmp_path / "modernbert", "modernbert")
    ids, mask = torch.tensor([[5, 6, 7, 8, 9, 10]]), torch.ones(1, 6, dtype=torch.long)
    turned = torch.tensor([[10, 9, 8, 7, 6, 5]])

    def states(given: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
        model = AutoModel.from_pretrained(folder).eval()
        with torch.no_grad():
            for layer in model.layers:
                layer.attn.Wqkv.weight *= 20  # else all tokens look at all others alike
        with torch.inference_mode():
            found: torch.Tensor = packed(model.to(kind))(given, mask).last_hidden_state
        return found

    exact, other_order = states(ids, torch.float32), states(turned, torch.float32).flip(1)
    error = (states(ids, dtype) - exact).norm()
    assert 10 * error < (other_order - exact).norm()


def test_unknown_backend(cross_encoder: Path, open_tiny: Callable[..., Any]) -> None:
    """A backend that does not exist is refused by name."""
    with pytest.raises(ConfigError, match="unknown backend 'onyx'"):
        open_tiny(cross_encoder, backend="onyx")


def test_other_architectures_stay() -> None:
    """A model whose layers are not known is left to transformers."""
    assert packed(_electra()) is None


def _electra() -> Any:
    from transformers import ElectraConfig, ElectraForSequenceClassification

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return ElectraForSequenceClassification(ElectraConfig(vocab_size=400, embedding_size=8, num_labels=1, **size))
