"""A language model without its output layer, read at the last token of each input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.scorers.causal.packed import packed
from rebridge.scorers.encoders.linear import exchange_linears
from rebridge.scorers.torch_model import TorchModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.causal.packed import Places
    from rebridge.scorers.encoders.linear import Kind


class Decoder(torch.nn.Module):
    """A language model without its output layer, which gives the state of each input's last token.

    Inputs are padded on the right. No token of a decoder sees what comes after it, so the padding needs no mask, and
    positions count from 0 as they would without it. Without a mask attention takes its fast path, whose memory grows
    with the length of the input instead of its square.

    Args:
        model: the base model of transformers: embeddings, layers, norm.
        early: how many layers come before each earlier state to read, ascending; the last layer is always read.
    """

    def __init__(self, model: Any, early: Sequence[int] = ()) -> None:
        super().__init__()
        self.model = model
        self._places: Places | None = None
        self._early: list[torch.Tensor] = []
        for count in early:
            model.layers[count - 1].register_forward_hook(self._keep)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Normed states of each input's last token, shape (inputs, layers to read, features).

        Args:
            input_ids: shape (inputs, length).
            attention_mask: same shape; 1 for tokens, then 0 for padding.
        """
        rows = torch.arange(len(input_ids), device=input_ids.device)
        return self.states((rows, attention_mask.sum(dim=1) - 1), input_ids=input_ids)

    def states(self, places: Places, **inputs: Any) -> torch.Tensor:
        """Normed states of some tokens, shape (places, layers to read, features).

        Args:
            places: rows and columns of the tokens, each of shape (places,).
            inputs: for the model.
        """
        self._places = places
        self._early = []
        final = self.model(**inputs, use_cache=False).last_hidden_state[places]
        return torch.stack([*(self.model.norm(states) for states in self._early), final], dim=1)

    def _keep(self, layer: Any, arguments: Any, output: Any) -> None:
        """Hook of a layer; it keeps single tokens because whole states of many layers would fill the memory."""
        del layer, arguments
        # Before transformers 5 a layer gives a tuple.
        states = output[0] if isinstance(output, tuple) else output
        self._early.append(states[self._places])


class DecoderModel(TorchModel):
    """A `Decoder` with its tokenizer."""

    splits = False  # it keeps beginnings of prompts, and its products are long enough to be shared

    def pack(self, kind: Kind | None) -> bool:
        """Run shared beginnings once and no padding, if the device is a CPU and the architecture is known; whether so.

        Args:
            kind: what multiplies; None for the faster one.
        """
        decoder = self._model
        own = packed(decoder) if self._device.type == "cpu" else None
        if own is not None:
            self._model = own
            exchange_linears(decoder.model.layers, kind)
        return own is not None
