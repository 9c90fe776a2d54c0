"""bce-reranker: a passage that is too long is read in overlapping windows, and the best one counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rebridge.errors import ConfigError
from rebridge.scorers.cross_encoder.family import CrossEncoder, load_classifier, sigmoid_if
from rebridge.scorers.tokens import TextEncoder, Tokens
from rebridge.scorers.torch_model import TorchModel, choose_max_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.base import Activation
    from rebridge.scorers.checkpoint import Checkpoint

_MAX_LENGTH = 512
_MOST_CHARACTERS = 128_000

# Fewest tokens of a passage that a window must hold, and most tokens that two windows share.
_LEAST_ROOM = 101
_OVERLAP = 80

_METHODS = ("rerank", "compute_score")


class WindowedCrossEncoder(CrossEncoder):
    """Raw score: the highest logit of a passage's windows. A passage without tokens has none, and so no score.

    What is cut into windows is ``<s> query </s> </s> passage </s>`` of any length, with types 0 for what stands in
    each window, and 1 for the passage.

    Source: BCEmbedding 0.1.5, BCEmbedding/models/utils.py, `reranker_tokenize_preproc`.

    Args:
        model: the model.
        activation: what turns the logit into the official score.
        separator: id of ``</s>``.
    """

    def __init__(self, model: TorchModel, activation: Activation, separator: int) -> None:
        super().__init__(model, label=0, activation=activation)
        self._separator = separator

    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        """Query and passage in full; the query loses its end where the official code would refuse it as too long."""
        text = self._model.text
        start, *rest, end = text.singles([query])[0].ids
        most = text.max_length - _LEAST_ROOM - 2
        head = np.asarray([start, *rest[: most - 2], end, self._separator], np.int32)
        tail = np.asarray([self._separator], np.int32)
        inputs = []
        for ids in text.ids([passage[:_MOST_CHARACTERS] for passage in passages]):
            types = np.zeros(len(head) + len(ids) + 1, np.int32)
            types[len(head) : -1] = 1
            inputs.append(Tokens(np.concatenate((head, ids, tail)), types))
        return inputs

    def split(self, tokens: Tokens) -> list[Tokens]:
        """Windows of at most 512 tokens that cover the passage.

        There is none for a passage without tokens: the official code drops or refuses it, and its LangChain wrapper
        gives it the score 0.
        """
        inside = tokens.types == 1
        passage = tokens.ids[inside]
        head, tail = tokens.ids[~inside][:-1], tokens.ids[-1:]
        room = self._model.text.max_length - len(head) - 1
        step = room - min(_OVERLAP, room // 4)
        starts = range(0, max(len(passage) - room, 0) + step, step) if len(passage) else ()
        return [Tokens(np.concatenate((head, passage[start : start + room], tail))) for start in starts]

    def join(self, outputs: Sequence[float]) -> float:
        """The logit of the best window; NaN if one of them is."""
        return float(np.max(outputs))


def load(
    checkpoint: Checkpoint,
    *,
    device: Any,
    dtype: Any,
    method: str = _METHODS[0],
    normalize: bool | None = None,
) -> CrossEncoder:
    """Load bce-reranker; scores are those of `RerankerModel` in BCEmbedding.

    Args:
        checkpoint: the model's files.
        device: where to put it.
        dtype: of the weights.
        method: ``rerank`` reads long passages in windows; ``compute_score`` cuts them. Both give the same score to a
            passage that fits.
        normalize: whether the score is the sigmoid of the logit; None for the sigmoid.

    Raises:
        ConfigError: if the method is unknown.
        UnsupportedModel: if the model has more than one label.
    """
    if method not in _METHODS:
        raise ConfigError(f"method {method!r} is not one of {', '.join(_METHODS)}")
    model, tokenizer, _ = load_classifier(checkpoint, device=device, dtype=dtype, labels=1)
    text = TextEncoder(tokenizer, choose_max_length(model.config, tokenizer, None, saved=_MAX_LENGTH))
    activation = sigmoid_if(normalize is not False)
    if method == "compute_score":
        return CrossEncoder(TorchModel(model, text, device), label=0, activation=activation)
    return WindowedCrossEncoder(TorchModel(model, text, device), activation, separator=tokenizer.sep_token_id)
