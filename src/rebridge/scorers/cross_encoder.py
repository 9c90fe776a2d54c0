"""Cross-encoders: sequence classification over query and passage together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.errors import UnsupportedModel
from rebridge.scorers.family import Family
from rebridge.scorers.tokens import TextEncoder
from rebridge.scorers.torch_model import TorchModel, choose_max_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.base import Activation
    from rebridge.scorers.checkpoint import Checkpoint
    from rebridge.scorers.tokens import Tokens
    from rebridge.steps import Windows

# Saved activations are paths of classes; they are looked up here and never imported.
_ACTIVATIONS: dict[str, Activation] = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.Identity": "identity",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.Sigmoid": "sigmoid",
}

# With two labels (irrelevant, relevant) the score is the logit of the second, without softmax.
_RELEVANT = 1
_MOST_LABELS = 2


class CrossEncoder(Family[float]):
    """Raw score: the logit of relevance.

    Args:
        model: the model.
        label: column of the logits that is the score.
        activation: what turns it into the official score.
    """

    def __init__(self, model: TorchModel, label: int, activation: Activation) -> None:
        self.activation = activation
        self._model = model
        self._label = label

    def cut(self, passage: str, windows: Windows) -> list[str]:
        """Cut a passage by the model's tokens."""
        return self._model.text.cut(passage, windows)

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        """Query and passage as a pair."""
        return self._model.text.pairs(query, passages)

    def forward(self, batch: Sequence[Tokens]) -> list[float]:
        """One logit per pair."""
        logits: list[float] = self._model.run(batch, lambda output, _: output.logits[:, self._label]).tolist()
        return logits

    def finish(self, query: float | None, passage: float) -> float:  # noqa: ARG002 - the pair has one output
        """The logit is the score."""
        return passage


def load(checkpoint: Checkpoint, *, device: Any, dtype: Any, max_length: int | None = None) -> CrossEncoder:
    """Load a cross-encoder.

    Raises:
        UnsupportedModel: if it has more than two labels, an unknown activation or an unknown architecture.
    """
    from transformers import AutoModelForSequenceClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    if checkpoint.architecture not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values():
        raise UnsupportedModel(
            f"{checkpoint.name}: transformers has no {checkpoint.architecture}, and code from the hub is never run"
        )
    model = checkpoint.load_model(AutoModelForSequenceClassification, dtype=dtype, device=device)
    labels = int(model.config.num_labels)
    if labels > _MOST_LABELS:
        raise UnsupportedModel(f"{checkpoint.name}: has {labels} labels; a reranker has 1, or 2 (irrelevant, relevant)")
    tokenizer = checkpoint.load_tokenizer(model)
    text = TextEncoder(tokenizer, choose_max_length(model.config, tokenizer, max_length))
    return CrossEncoder(
        TorchModel(model, text, device),
        label=_RELEVANT if labels == _MOST_LABELS else 0,
        activation=_activation(checkpoint, labels),
    )


def _activation(checkpoint: Checkpoint, labels: int) -> Activation:
    """The saved setting of sentence-transformers; else sigmoid for one label and nothing for two."""
    saved = checkpoint.config.get("sentence_transformers")
    path = saved.get("activation_fn") if isinstance(saved, dict) else None
    path = path or checkpoint.config.get("sbert_ce_default_activation_function")
    if path is None:
        return "sigmoid" if labels == 1 else "identity"
    if path not in _ACTIVATIONS:
        raise UnsupportedModel(f"{checkpoint.name}: unknown activation {path!r}; known are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[path]
