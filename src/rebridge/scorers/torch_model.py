"""What families on torch share: length limits and running a padded batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.encoders import Encoder, packed
from rebridge.scorers.encoders.eight_bits import quantize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rebridge.scorers.encoders.linear import Kind
    from rebridge.scorers.tokens import TextEncoder, Tokens

# These count positions from the padding id + 1, so that 514 positions hold 512 tokens.
OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "xmod", "mpnet", "longformer",
     "data2vec-text", "ibert", "luke", "mluke", "esm"}
)  # fmt: skip

# Tokenizers without a limit of their own claim a number like 1e30.
_NO_LIMIT = 10**9

# For a model that names no limit anywhere.
_FALLBACK = 512


def position_limit(config: Any) -> int | None:
    """Most tokens that the model has positions for; None if its configuration does not say."""
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return None
    if config.model_type in OFFSET_POSITIONS:
        if not isinstance(config.pad_token_id, int):
            raise UnsupportedModel(f"config.json has no pad_token_id, from which {config.model_type} counts positions")
        return positions - config.pad_token_id - 1
    return positions


def choose_max_length(config: Any, tokenizer: Any, wanted: int | None, saved: int | None = None) -> int:
    """Most tokens of an input, special tokens included.

    Args:
        config: of the transformers model.
        tokenizer: its tokenizer.
        wanted: what the user asked for.
        saved: what the checkpoint asks for, in place of the tokenizer's limit.

    Raises:
        ConfigError: if the user wants more than the model has positions for, or no room beside special tokens.
    """
    limit = position_limit(config)
    if wanted is not None:
        # The fewest special tokens that a pair needs, and one token of each text.
        least = int(tokenizer.num_special_tokens_to_add(pair=True)) + 2
        if wanted < least:
            raise ConfigError(f"max_length={wanted} leaves no room for a text: at least {least} tokens are needed")
        if limit is not None and wanted > limit:
            raise ConfigError(f"max_length={wanted} is more than this model can read: {limit} tokens")
        return wanted
    claims = [saved or tokenizer.model_max_length, limit or _NO_LIMIT]
    length = int(min(claims))
    return length if length < _NO_LIMIT else _FALLBACK


class TorchModel:
    """A model with its tokenizer.

    Args:
        model: takes ``input_ids`` and ``attention_mask`` (and ``token_type_ids``).
        text: the tokenizer.
        device: where the model is.

    Attributes:
        splits: whether parts of a batch may be run in several threads at once.
    """

    splits = True

    def __init__(self, model: Any, text: TextEncoder, device: torch.device) -> None:
        self.text = text
        self._model = model
        self._device = device

    def memory_bytes(self) -> int:
        """Bytes of the weights, each counted once."""
        held = [*self._model.parameters(), *self._model.buffers()]
        # What oneDNN holds in its own order has no address, and is nobody else's.
        places = (id(weight) if weight.is_mkldnn else weight.data_ptr() for weight in held)
        sizes = (weight.numel() * weight.element_size() for weight in held)
        return sum(dict(zip(places, sizes, strict=True)).values())

    def pack(self, kind: Kind | None) -> bool:
        """Compute without padding from now on, if the device is a CPU and the architecture is known; whether it is."""
        own = packed(self._model, kind) if self._device.type == "cpu" else None
        if own is not None:
            self._model = own
        return own is not None

    def quantize(self, run: Callable[[], Any]) -> None:
        """Multiply in 8 bits from now on; see `rebridge.scorers.encoders.eight_bits.quantize`.

        Args:
            run: has the model read some texts; it was packed, to multiply by MKL.
        """
        quantize(self._model, run)
        for part in self._model.modules():
            if isinstance(part, Encoder):
                part.look()

    def run(self, batch: Sequence[Tokens], head: Callable[[Any, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Run a padded batch, and give what ``head`` makes of the model's output and the attention mask.

        Returns:
            A float32 tensor on the CPU, one row per input.

        Raises:
            MemoryError: if the device has too little memory for the batch.
        """
        try:
            with torch.inference_mode():
                arrays = {
                    name: torch.from_numpy(array).to(self._device) for name, array in self.text.pad(batch).items()
                }
                # Late interaction has tokens that are not attended to, and yet compared; only base models read such.
                more = {"lengths": [len(tokens) for tokens in batch]} if isinstance(self._model, Encoder) else {}
                return head(self._model(**arrays, **more), arrays["attention_mask"]).float().cpu()
        except torch.OutOfMemoryError as error:
            problem = str(error)
        except RuntimeError as error:
            # The CPU allocator has no error class of its own.
            if "not enough memory" not in str(error) and "can't allocate memory" not in str(error):
                raise
            problem = str(error)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        raise MemoryError(problem)
