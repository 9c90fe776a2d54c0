"""Late interaction (ColBERT): every token of the query looks for its best match among the tokens of the passage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rebridge.errors import UnsupportedModel
from rebridge.scorers.cache import QUERY_BYTES, EmbeddingCache
from rebridge.scorers.dense import PROJECTION, load_dense, load_projection
from rebridge.scorers.family import Family
from rebridge.scorers.late_interaction.rules import sides
from rebridge.scorers.late_interaction.text import MarkedTokens, SideEncoder
from rebridge.scorers.torch_model import TorchModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rebridge.scorers.checkpoint import Checkpoint
    from rebridge.scorers.tokens import Tokens
    from rebridge.steps import Windows

# A passage of 300 tokens in 96 dimensions takes 115 kB.
_CACHE_BYTES = 256 * 1024 * 1024

# Multiplications in a matrix product up to which OpenBLAS stays in the calling thread. Waking its threads for products
# as small as these costs more than it gains, and ten times as much where other threads are busy, as torch's are.
_ONE_THREAD = 1 << 18


class LateInteraction(Family["NDArray[np.float32]"]):
    """Raw score: the sum, over the tokens of the query, of the highest cosine with a token of the passage (MaxSim).

    The formula is that of Khattab and Zaharia, ColBERT (SIGIR 2020), equation 3. The sum is not divided by the number
    of query tokens, so scores compare within a query only.

    Args:
        model: the transformer, with a `SideEncoder` as its text.
        project: token states -> token embeddings, of shape (..., dimensions).
        queries: reads queries.
        documents: reads passages.
        cache_size: bytes of passage embeddings to keep.
    """

    def __init__(
        self,
        model: TorchModel,
        project: Callable[[torch.Tensor], torch.Tensor],
        *,
        queries: SideEncoder,
        documents: SideEncoder,
        cache_size: int,
    ) -> None:
        self.store = EmbeddingCache(cache_size)
        self.queries = EmbeddingCache(QUERY_BYTES)
        self._model = model
        self._project = project
        self._queries = queries
        self._documents = documents

    def cut(self, passage: str, windows: Windows) -> list[str]:
        """Cut a passage by the model's tokens."""
        return self._documents.cut(passage, windows)

    def encode_query(self, query: str) -> Tokens:
        """The query as an input of its own."""
        return self._queries.singles([query])[0]

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:  # noqa: ARG002 - read apart from it
        """The passages alone."""
        return self._documents.singles(passages)

    def forward(self, batch: Sequence[Tokens]) -> list[NDArray[np.float32]]:
        """One matrix per text, shape (compared tokens, dimensions), rows of length 1."""

        def head(output: Any, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 - rows are chosen below
            return torch.nn.functional.normalize(self._project(output.last_hidden_state.float()), dim=-1)

        matrices = self._model.run(batch, head).numpy()
        return [_compared(matrix, tokens) for matrix, tokens in zip(matrices, batch, strict=True)]

    def finish(self, query: NDArray[np.float32] | None, passage: NDArray[np.float32]) -> float:
        """MaxSim; NaN for a passage that has nothing to compare."""
        if query is None:
            raise ValueError("late interaction needs the query's embeddings")
        return max_sim(query, passage) if len(passage) else math.nan


def max_sim(query: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    """The sum, over the rows of the query, of the highest dot product with a row of the passage.

    Args:
        query: shape (query tokens, dimensions).
        passage: shape (passage tokens, dimensions), at least one token.
    """
    best = np.full(len(query), -np.inf, dtype=np.float32)
    step = max(1, _ONE_THREAD // max(1, query.size))
    for start in range(0, len(passage), step):
        np.maximum(best, (query @ passage[start : start + step].T).max(axis=1), out=best)
    return float(best.sum(dtype=np.float64))


def _compared(matrix: NDArray[np.float32], tokens: Tokens) -> NDArray[np.float32]:
    if not isinstance(tokens, MarkedTokens):
        raise TypeError(f"not an input of late interaction: {type(tokens).__name__}")
    return matrix[: len(tokens)][tokens.compared]


def load(  # noqa: PLR0913 - the recipe's options
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    query_length: int | None = None,
    document_length: int | None = None,
    cache_size: int = _CACHE_BYTES,
) -> LateInteraction:
    """Load a ColBERT model.

    Args:
        checkpoint: in PyLate's layout (Transformer and Dense in modules.json) or Stanford's (``HF_ColBERT``).
        device: where to run it.
        dtype: of the weights; scores are computed in float32.
        query_length: most tokens of a query, special tokens and marker included; None for what the checkpoint says.
        document_length: the same for passages.
        cache_size: bytes of passage embeddings to keep.

    Raises:
        UnsupportedModel: if it has a module that is not known here, or lacks a weight or a token.
        ConfigError: if a length leaves no room or is more than the model can read.
    """
    from transformers import AutoModel

    # Nobody reads the pooler, so many checkpoints come without it; the projection is read for itself.
    model = checkpoint.load_model(AutoModel, dtype=dtype, device=device, optional=r"pooler\.", unread=PROJECTION)
    project = _projection(checkpoint, model.config, device)
    tokenizer = checkpoint.load_tokenizer(model)
    query, document = sides(
        checkpoint, tokenizer, model.config, query_length=query_length, document_length=document_length
    )
    documents = SideEncoder(tokenizer, document)
    return LateInteraction(
        TorchModel(model, documents, device),
        project,
        queries=SideEncoder(tokenizer, query),
        documents=documents,
        cache_size=cache_size,
    )


def _projection(checkpoint: Checkpoint, config: Any, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """What follows the transformer: Dense modules, or the one linear layer of Stanford's layout."""
    width = getattr(config, "hidden_size", None)
    if width is None:
        raise UnsupportedModel(
            f"{checkpoint.name}: {config.model_type} is no encoder of tokens (it has no hidden_size)"
        )
    if "Dense" not in checkpoint.module_types:
        return load_projection(checkpoint, width, device=device)
    layers = torch.nn.Sequential()
    for kind, module in list(zip(checkpoint.module_types, checkpoint.modules, strict=True))[1:]:
        if kind != "Dense":
            raise UnsupportedModel(
                f"{checkpoint.name}: modules.json names {module['type']}; after Transformer only Dense is supported"
            )
        folder = str(module["path"])
        dense = load_dense(checkpoint, folder, device=device)
        if dense.linear.in_features != width:
            raise UnsupportedModel(
                f"{checkpoint.name}: {folder} reads {dense.linear.in_features} features, but gets {width}"
            )
        width = dense.linear.out_features
        layers.append(dense)
    return layers
