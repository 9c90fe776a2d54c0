"""Encoders of transformers whose layers run without padding."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.encoders import bert, deberta, modernbert
from rebridge.scorers.encoders.eight_bits import EightBits
from rebridge.scorers.encoders.layout import Layout
from rebridge.scorers.encoders.linear import Linear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rebridge.scorers.encoders.linear import Kind


def packed(model: Any, kind: Kind | None = None) -> Any:
    """The model with its encoder exchanged for one that computes the same without padding; None if it is not known how.

    Heads (poolers, classifiers) stay those of transformers, in float32 whatever the encoder computes in. The model that
    is given must not be used any more: it may share its weights with the new one.

    Args:
        model: a model of transformers in evaluation mode.
        kind: what multiplies; None for the faster one.
    """
    base = getattr(model, "base_model", None)
    supports, encoder = _ENCODERS.get(type(base).__name__, (None, None))
    if base is None or supports is None or encoder is None or not supports(base.config):
        return None
    with torch.inference_mode():
        own = encoder(base, kind).eval()
        own.look()
    if base is model:
        return own
    for part in model.children():
        if part is not base:
            part.float()
    setattr(model, model.base_model_prefix, own)
    return model


class Encoder(torch.nn.Module):
    """What transformers' base models do for those that call them.

    Args:
        base: a base model of transformers.

    Attributes:
        fills: whether its products fill up rows, so that this is better done once for all of them.
    """

    fills = False

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.config = base.config
        self.embeddings = base.embeddings
        pooler = getattr(base, "pooler", None)
        self.pooler = None if pooler is None else pooler.float()

    def look(self) -> None:
        """Find out whether products fill up rows."""
        self.fills = any(isinstance(part, Linear | EightBits) and part.fills for part in self.modules())

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        lengths: Sequence[int] | None = None,
        **_: Any,
    ) -> Any:
        """States of all tokens, in float32, those of padding 0.

        Args:
            input_ids: shape (inputs, length).
            attention_mask: same shape; 1 for tokens that are attended to, then 0.
            token_type_ids: same shape.
            lengths: tokens of each input, where some are not attended to; None if all are.
        """
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        layout = Layout(attention_mask, lengths, filled=self.fills)
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self._layers(layout.pack(self.embeddings(input_ids=input_ids, **segments)), layout)
        states = layout.unpack(states).float()
        pooled = None if self.pooler is None else self.pooler(states)
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=pooled)

    @abstractmethod
    def _layers(self, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        """What the layers make of the embeddings, both of shape (rows, features)."""


class _Bert(Encoder):
    def __init__(self, base: Any, kind: Kind | None) -> None:
        super().__init__(base)
        self.layers = torch.nn.ModuleList(
            bert.BertLayer(layer, base.config, kind) for layer in _taken(base.encoder.layer)
        )

    def _layers(self, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        for layer in self.layers:
            states = layer(states, layout)
        return states


class _Deberta(Encoder):
    def __init__(self, base: Any, kind: Kind | None) -> None:
        super().__init__(base)
        self._span = deberta.span_of(base.config)
        positions = base.encoder.get_rel_embedding()[: 2 * self._span]
        self.layers = torch.nn.ModuleList(
            deberta.DebertaLayer(layer, base.config, positions, kind) for layer in _taken(base.encoder.layer)
        )

    def _layers(self, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        longest = max(run.length for run in layout.runs)
        buckets = deberta.bucket_rows(self.config, longest, self._span).to(states.device)
        for layer in self.layers:
            states = layer(states, layout, buckets)
        return states


class _ModernBert(Encoder):
    def __init__(self, base: Any, kind: Kind | None) -> None:
        super().__init__(base)
        self.layers = torch.nn.ModuleList(
            modernbert.ModernBertLayer(layer, base.config, kind) for layer in _taken(base.layers)
        )
        self.norm = base.final_norm

    def _layers(self, states: torch.Tensor, layout: Layout) -> torch.Tensor:
        kinds = {str(layer.kind) for layer in self.layers}
        turns = {kind: modernbert.turns_of(self.config, kind, layout.positions) for kind in kinds}
        for layer in self.layers:
            states = layer(states, layout, turns[str(layer.kind)])
        normed: torch.Tensor = self.norm(states)
        return normed


def _taken(layers: torch.nn.ModuleList) -> Iterator[Any]:
    """The layers, each removed from its list: it is freed before the next one is converted, whose copy takes memory."""
    while layers:
        yield layers.pop(0)


# Class of the base model -> whether a configuration can be run here, and what runs it.
_ENCODERS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Kind | None], Encoder]]] = {
    "BertModel": (bert.supports, _Bert),
    "RobertaModel": (bert.supports, _Bert),
    "XLMRobertaModel": (bert.supports, _Bert),
    "CamembertModel": (bert.supports, _Bert),
    "DebertaV2Model": (deberta.supports, _Deberta),
    "ModernBertModel": (modernbert.supports, _ModernBert),
}
