"""Bi-encoders in the layout of sentence-transformers: the cosine of two embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rebridge.errors import UnsupportedModel
from rebridge.scorers.cache import QUERY_BYTES, EmbeddingCache
from rebridge.scorers.dense import load_dense
from rebridge.scorers.family import Family
from rebridge.scorers.settings import Settings
from rebridge.scorers.tokens import TextEncoder
from rebridge.scorers.torch_model import TorchModel, choose_max_length

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rebridge.scorers.checkpoint import Checkpoint
    from rebridge.scorers.tokens import Tokens
    from rebridge.steps import Windows

_NEEDS_MODULES = "a bi-encoder needs a modules.json that begins with Transformer and Pooling; it says how to embed"

_CACHE_BYTES = 256 * 1024 * 1024


def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).float()
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def _first(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 - as the other poolings
    return states[:, 0].float()  # padding is on the right


# (token states, attention mask) -> one embedding per input, in float32.
_POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"mean": _mean, "cls": _first}

# How older versions of sentence-transformers name them.
_OLD_POOLINGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}


class BiEncoder(Family["NDArray[np.float32]"]):
    """Raw score: the cosine of the embeddings of query and passage.

    Args:
        model: the transformer.
        embed: (token states, attention mask) -> embeddings.
        query_prompt: text that is put before a query.
        passage_prompt: text that is put before a passage.
        cache_size: bytes of passage embeddings to keep.
    """

    def __init__(
        self,
        model: TorchModel,
        embed: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        *,
        query_prompt: str,
        passage_prompt: str,
        cache_size: int,
    ) -> None:
        self.store = EmbeddingCache(cache_size)
        self.queries = EmbeddingCache(QUERY_BYTES)
        self._model = model
        self._embed = embed
        self._query_prompt = query_prompt
        self._passage_prompt = passage_prompt

    def cut(self, passage: str, windows: Windows) -> list[str]:
        """Cut a passage by the model's tokens."""
        return self._model.text.cut(passage, windows)

    def encode_query(self, query: str) -> Tokens:
        """The query as an input of its own."""
        return self._model.text.singles([self._query_prompt + query])[0]

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:  # noqa: ARG002 - read apart from it
        """The passages alone."""
        return self._model.text.singles([self._passage_prompt + passage for passage in passages])

    def forward(self, batch: Sequence[Tokens]) -> list[NDArray[np.float32]]:
        """One embedding of length 1 per text, shape (dimensions,)."""

        def head(output: Any, mask: torch.Tensor) -> torch.Tensor:
            embeddings = self._embed(output.last_hidden_state, mask).float()
            return torch.nn.functional.normalize(embeddings, dim=-1)

        return list(self._model.run(batch, head).numpy())

    def finish(self, query: NDArray[np.float32] | None, passage: NDArray[np.float32]) -> float:
        """The dot product, which is the cosine because the embeddings have length 1."""
        if query is None:
            raise ValueError("a bi-encoder needs the query's embedding")
        return float(np.dot(query, passage))


def load(
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    max_length: int | None = None,
    cache_size: int = _CACHE_BYTES,
) -> BiEncoder:
    """Load a bi-encoder.

    Raises:
        UnsupportedModel: if it has a module or a pooling that is not known here.
    """
    from transformers import AutoModel

    if checkpoint.module_types[:2] != ["Transformer", "Pooling"]:
        raise UnsupportedModel(f"{checkpoint.name}: {_NEEDS_MODULES}")
    settings = Settings(checkpoint, checkpoint.transformer_folder + "sentence_bert_config.json")
    embed = _embedder(checkpoint, device)
    # Nobody reads the pooler, so many checkpoints come without it.
    model = checkpoint.load_model(AutoModel, dtype=dtype, device=device, optional=r"pooler\.")
    tokenizer = checkpoint.load_tokenizer(model)
    if settings.get("do_lower_case", False):
        _lower_case(tokenizer)
    query_prompt, passage_prompt = _prompts(checkpoint)
    length = choose_max_length(model.config, tokenizer, max_length, saved=settings.get("max_seq_length", 0) or None)
    return BiEncoder(
        TorchModel(model, TextEncoder(tokenizer, length), device),
        embed,
        query_prompt=query_prompt,
        passage_prompt=passage_prompt,
        cache_size=cache_size,
    )


def _embedder(checkpoint: Checkpoint, device: torch.device) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """What follows the transformer: pooling, then Dense modules. Normalize needs no module of its own here."""
    pool = _POOLINGS[_pooling(checkpoint)]
    layers = torch.nn.Sequential()
    for kind, module in list(zip(checkpoint.module_types, checkpoint.modules, strict=True))[2:]:
        if kind == "Dense":
            layers.append(load_dense(checkpoint, str(module["path"]), device=device))
        elif kind == "Normalize":
            layers.append(_Normalize())
        else:
            raise UnsupportedModel(
                f"{checkpoint.name}: modules.json names {module['type']}; after Transformer and Pooling only Dense "
                f"and Normalize are supported"
            )
    return lambda states, mask: layers(pool(states, mask))


class _Normalize(torch.nn.Module):
    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(embeddings, dim=-1)


def _pooling(checkpoint: Checkpoint) -> str:
    config = checkpoint.read_object(f"{checkpoint.modules[1]['path']}/config.json")
    mode = config.get("pooling_mode")
    if mode is None:
        flags = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        mode = [_OLD_POOLINGS.get(key, key) for key in flags] or "mean"
    modes = mode if isinstance(mode, list) else [mode]
    if len(modes) != 1 or str(modes[0]) not in _POOLINGS:
        found = " + ".join(map(str, modes))
        raise UnsupportedModel(f"{checkpoint.name}: pooling {found} is not supported; known are {', '.join(_POOLINGS)}")
    if config.get("include_prompt", True) is not True:
        raise UnsupportedModel(f"{checkpoint.name}: poolings that leave out the prompt are not supported")
    return str(modes[0])


def _prompts(checkpoint: Checkpoint) -> tuple[str, str]:
    """Prompts of query and passage: those that `encode_query` and `encode_document` of sentence-transformers use."""
    settings = Settings(checkpoint, "config_sentence_transformers.json")
    return settings.prompt("query"), settings.prompt("document")


def _lower_case(tokenizer: Any) -> None:
    """Lower-case before anything else, keeping offsets into the original text."""
    from tokenizers import normalizers

    backend = tokenizer.backend_tokenizer
    steps = [normalizers.Lowercase(), *([backend.normalizer] if backend.normalizer is not None else [])]
    backend.normalizer = normalizers.Sequence(steps)
