"""Cross-encoders: sequence classification over query and passage together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rebridge.errors import UnsupportedModel
from rebridge.scorers.family import Family
from rebridge.scorers.settings import Settings
from rebridge.scorers.tokens import TextEncoder, Tokens
from rebridge.scorers.torch_model import OFFSET_POSITIONS, TorchModel, choose_max_length

if TYPE_CHECKING:
    from rebridge.scorers.base import Activation
    from rebridge.scorers.checkpoint import Checkpoint
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

# How query and passages become inputs, one per passage.
Encode = Callable[[str, Sequence[str]], list[Tokens]]


class CrossEncoder(Family[float]):
    """Raw score: the logit of relevance.

    Args:
        model: the model.
        label: column of the logits that is the score.
        activation: what turns it into the official score.
        encode: how query and passages become inputs; None for pairs.
    """

    def __init__(self, model: TorchModel, label: int, activation: Activation, encode: Encode | None = None) -> None:
        self.activation = activation
        self._model = model
        self._label = label
        self._encode = encode or model.text.pairs

    def cut(self, passage: str, windows: Windows) -> list[str]:
        """Cut a passage by the model's tokens."""
        return self._model.text.cut(passage, windows)

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        """Query and passage as one input."""
        return self._encode(query, passages)

    def forward(self, batch: Sequence[Tokens]) -> list[float]:
        """One logit per input."""
        logits: list[float] = self._model.run(batch, lambda output, _: output.logits[:, self._label]).tolist()
        return logits

    def finish(self, query: float | None, passage: float) -> float:  # noqa: ARG002 - the pair has one output
        """The logit is the score."""
        return passage


def load(  # noqa: PLR0913 - where to put the model, and the options
    checkpoint: Checkpoint,
    *,
    device: Any,
    dtype: Any,
    max_length: int | None = None,
    default_max_length: int | None = None,
    normalize: bool | None = None,
) -> CrossEncoder:
    """Load a cross-encoder that reads pairs, as `CrossEncoder` of sentence-transformers does.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        max_length: most tokens of an input.
        default_max_length: what stands for ``max_length`` if that is None; None for the tokenizer's own limit.
        normalize: whether the score is the sigmoid of the logit; None for what the checkpoint says.

    Raises:
        UnsupportedModel: if it has more than two labels, an unknown activation or architecture, or a damaged setting.
    """
    model, tokenizer, labels = load_classifier(checkpoint, device=device, dtype=dtype)
    text = TextEncoder(tokenizer, choose_max_length(model.config, tokenizer, max_length, saved=default_max_length))
    prompt = _saved_prompt(checkpoint)

    def encode(query: str, passages: Sequence[str]) -> list[Tokens]:
        return text.pairs(prompt + query, passages)

    return CrossEncoder(
        TorchModel(model, text, device),
        label=_RELEVANT if labels == _MOST_LABELS else 0,
        activation=_saved_activation(checkpoint, labels) if normalize is None else sigmoid_if(normalize),
        encode=encode,
    )


def load_classifier(checkpoint: Checkpoint, *, device: Any, dtype: Any, labels: int | None = None) -> tuple[Any, ...]:
    """A sequence classification model, its tokenizer and its number of labels.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        labels: how many it must have; None for 1 or 2.

    Raises:
        UnsupportedModel: if it has another number of labels or an unknown architecture.
    """
    from transformers import AutoModelForSequenceClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    if checkpoint.architecture not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values():
        raise UnsupportedModel(
            f"{checkpoint.name}: {checkpoint.architecture} is no sequence classification of transformers, and code "
            f"from the hub is never run"
        )
    model = checkpoint.load_model(AutoModelForSequenceClassification, dtype=dtype, device=device)
    found = int(model.config.num_labels)
    if labels is not None and found != labels:
        raise UnsupportedModel(f"{checkpoint.name}: has {found} labels; this recipe is for {labels}")
    if found > _MOST_LABELS:
        raise UnsupportedModel(f"{checkpoint.name}: has {found} labels; a reranker has 1, or 2 (irrelevant, relevant)")
    tokenizer = checkpoint.load_tokenizer(model)
    _agree_on_padding(model.config, tokenizer)
    return model, tokenizer, found


def _agree_on_padding(config: Any, tokenizer: Any) -> None:
    """Pad with the id by which the model knows padding: a decoder looks for the last token that is another one."""
    if config.model_type in OFFSET_POSITIONS:
        return
    if isinstance(config.pad_token_id, int) and 0 <= config.pad_token_id < len(tokenizer):
        tokenizer.pad_token_id = config.pad_token_id
    else:
        config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0


def sigmoid_if(normalize: bool) -> Activation:  # noqa: FBT001 - the option's value
    """The activation that the option ``normalize`` asks for."""
    return "sigmoid" if normalize else "identity"


def _saved_prompt(checkpoint: Checkpoint) -> str:
    """What sentence-transformers puts before every query of this model; empty if nothing."""
    settings = Settings(checkpoint, "config_sentence_transformers.json")
    return settings.prompt(settings.get("default_prompt_name", ""))


def _saved_activation(checkpoint: Checkpoint, labels: int) -> Activation:
    """The saved setting of sentence-transformers; else sigmoid for one label and nothing for two."""
    path = checkpoint.saved_activation
    if path is None:
        return "sigmoid" if labels == 1 else "identity"
    if path not in _ACTIVATIONS:
        raise UnsupportedModel(f"{checkpoint.name}: unknown activation {path!r}; known are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[path]
