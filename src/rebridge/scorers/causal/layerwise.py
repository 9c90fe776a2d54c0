"""bge-reranker-v2-minicpm-layerwise: a language model with a head after each of its later layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.causal.decoder import Decoder, DecoderModel
from rebridge.scorers.causal.family import Causal
from rebridge.scorers.causal.loading import bge_prompt
from rebridge.scorers.causal.prompts import Limits, PairTexts
from rebridge.scorers.causal.weights import read_rows
from rebridge.scorers.tokens import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rebridge.scorers.checkpoint import Checkpoint

# Settings without which nothing can be planned.
_COUNTS = ("start_layer", "num_hidden_layers", "max_position_embeddings")


class _Granite:
    """GraniteModel with a given configuration, in the form in which checkpoints load models.

    MiniCPM is Llama with scaled embeddings, residuals and attention, and so is Granite, which transformers has.

    Args:
        config: of MiniCPM.
        layers: how many layers to load, counted from the first.
    """

    def __init__(self, config: dict[str, Any], layers: int) -> None:
        from transformers import GraniteConfig

        same = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
                "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta")  # fmt: skip
        width = int(config["hidden_size"]) // int(config["num_attention_heads"])
        self._config = GraniteConfig(
            **{name: config[name] for name in same},
            num_hidden_layers=layers,
            embedding_multiplier=float(config["scale_emb"]),
            # The published depth, however many layers are read.
            residual_multiplier=float(config["scale_depth"]) / math.sqrt(int(config["num_hidden_layers"])),
            attention_multiplier=1.0 / math.sqrt(width),
            attention_bias=bool(config.get("attention_bias", False)),
            tie_word_embeddings=False,
        )

    def from_pretrained(self, folder: Path, **options: Any) -> Any:
        """As that of transformers."""
        from transformers import GraniteModel

        return GraniteModel.from_pretrained(folder, config=self._config, **options)


def load(  # noqa: PLR0913 - the recipe's settings and options
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    texts: PairTexts,
    cutoff_layers: int | Sequence[int] | None = None,
    max_length: int = 512,
    query_max_length: int | None = None,
    normalize: bool = False,
) -> Causal:
    """Load it as ``LayerWiseFlagLLMReranker`` of FlagEmbedding 1.4.2 does, without the checkpoint's own code.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        texts: the prompt.
        cutoff_layers: after how many layers to read a score, one number or several; layers behind the last of them
            are not even loaded. None for the model's last layer. Numbers without a head are left out.
        max_length: most tokens of query and passage together, and a little more as the official code counts.
        query_max_length: most tokens of the query, at most ``max_length``; None for three quarters of it.
        normalize: whether scores are sigmoids of the logits.

    Raises:
        ConfigError: if no cutoff layer has a head, or ``query_max_length`` is above ``max_length``.
        UnsupportedModel: if it cannot be loaded safely and correctly.
    """
    _check(checkpoint)
    config = checkpoint.config
    first, depth, positions = (config[name] for name in _COUNTS)
    layers = _layers(cutoff_layers, first, depth)
    with checkpoint.translated("its config.json is not that of a layerwise MiniCPM"):
        granite = _Granite(config, layers[-1])
    later = "|".join(str(layer) for layer in range(layers[-1], depth))
    unread = rf"(model\.)?layers\.({later})\." if later else ""
    model = checkpoint.load_model(granite, dtype=dtype, device=device, unread=unread)
    tokenizer = checkpoint.load_tokenizer(model)
    heads = [
        read_rows(checkpoint, f"lm_head.{layer - first}.linear_head.weight", [0], features=model.config.hidden_size)
        for layer in layers
    ]
    text = TextEncoder(tokenizer, positions)
    prompt = bge_prompt(tokenizer, text, texts, Limits(positions, max_length, query_max_length))
    decoder = DecoderModel(Decoder(model, early=layers[:-1]), text, device)
    return Causal(decoder, torch.cat(heads).to(device), prompt, normalize=normalize)


def _check(checkpoint: Checkpoint) -> None:
    """Refuse variants of the model that nobody has published."""
    config = checkpoint.config
    wanted = {"head_multi": True, "head_type": "simple", "rope_scaling": None}
    odd = [name for name, value in wanted.items() if config.get(name) != value]
    odd += [name for name in _COUNTS if not isinstance(config.get(name), int) or config[name] < 1]
    if odd:
        raise UnsupportedModel(f"{checkpoint.name}: this {odd[0]} is not supported: {config.get(odd[0])!r}")


def _layers(wanted: int | Sequence[int] | None, first: int, depth: int) -> list[int]:
    if wanted is None:
        return [depth]
    numbers = [wanted] if isinstance(wanted, int) else wanted
    layers = sorted({number for number in numbers if first <= number <= depth})
    if not layers:
        raise ConfigError(f"cutoff_layers={wanted} has no layer with a head: use numbers from {first} to {depth}")
    return layers
