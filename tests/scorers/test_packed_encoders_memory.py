"""Encoders without padding take no memory that their inputs and weights do not need."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rebridge.scorers.encoders import packed
from rebridge.scorers.encoders.eight_bits import quantize, ranges
from rebridge.scorers.encoders.linear import Linear, exchange_linears

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEAR = {"layer_types": ["sliding_attention"] * 2}


class Watching(TorchDispatchMode):
    """Notes what ``look`` makes of the result of each operation."""

    def __init__(self, look: Callable[[Any], int]) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._look = look

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.seen.append(self._look(result))
        return result


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, build_cross_encoder: Callable[..., Path]) -> Callable[..., Any]:
    """(kind, options) -> a function that loads this model of transformers."""
    from transformers import AutoModelForSequenceClassification

    def build_it(kind: str, **more: Any) -> Callable[[], Any]:
        folder = build_cross_encoder(tmp_path_factory.mktemp("model"), kind, **more)
        return lambda: AutoModelForSequenceClassification.from_pretrained(folder).eval()

    return build_it


@pytest.mark.parametrize("lengths", [(1300, 512, 513, 256, 9, 8), (257, 257, 255)])
def test_long_inputs_of_near_attention(build: Callable[..., Any], lengths: tuple[int, ...]) -> None:
    """Inputs of one block or several have the states of transformers, also beside tokens that nobody looks at."""
    load = build("modernbert", **NEAR)
    plain, found = load().base_model, packed(load()).base_model
    for hidden in (0, 5, 300):
        shape, chance = (len(lengths), max(lengths)), torch.Generator().manual_seed(hidden)
        ids = torch.randint(5, plain.config.vocab_size, shape, generator=chance)
        attended = [max(1, length - hidden) for length in lengths]
        mask = (torch.arange(max(lengths)) < torch.tensor(attended)[:, None]).long()
        with torch.inference_mode():
            states = found(input_ids=ids, attention_mask=mask, lengths=lengths).last_hidden_state
            for row, length in enumerate(lengths):
                alone = plain(input_ids=ids[row : row + 1, :length], attention_mask=mask[row : row + 1, :length])
                assert torch.allclose(states[row, :length], alone.last_hidden_state[0], atol=1e-5), (hidden, length)


def test_near_attention_does_not_grow_with_the_square(build: Callable[..., Any]) -> None:
    """No tensor of a layer whose tokens look at near ones has a number for each pair of tokens."""
    model, length = packed(build("modernbert", **NEAR)()), 3001
    ids = torch.full((1, length), 7)
    with torch.inference_mode(), Watching(lambda result: getattr(result, "numel", lambda: 0)()) as watching:
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert 16 * length <= max(watching.seen) < length**2 / 10


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "deberta-v2", "modernbert"])
def test_layers_are_exchanged_one_by_one(kind: str, build: Callable[..., Any]) -> None:
    """While a layer is converted, no earlier one of transformers is held any more."""
    model = build(kind, num_hidden_layers=5)()
    layers = model.base_model.layers if kind == "modernbert" else model.base_model.encoder.layer
    weights = [
        weakref.ref(part.weight) for layer in layers for part in layer.modules() if isinstance(part, torch.nn.Linear)
    ]
    del layers
    with Watching(lambda _: sum(weight() is not None for weight in weights)) as watching:
        assert packed(model, kind="mkl") is not None
    assert watching.seen[0] == len(weights)
    assert watching.seen[-1] <= len(weights) / 5


@pytest.mark.skipif(ranges() is None, reason="this build of torch cannot multiply in 8 bits")
def test_layers_are_rounded_one_by_one(build: Callable[..., Any]) -> None:
    """While a layer is brought into 8 bits, no earlier one is held in float32 any more."""
    model = packed(build("bert", num_hidden_layers=5)(), kind="mkl")
    weights = [weakref.ref(part.weight) for part in model.modules() if isinstance(part, Linear)]
    ids = torch.arange(9)[None]
    with torch.inference_mode(), Watching(lambda _: sum(weight() is not None for weight in weights)) as watching:
        quantize(model, lambda: model(ids, torch.ones_like(ids)))
    assert max(watching.seen) == len(weights) == 20
    assert watching.seen[-1] <= 4  # those of one part


def test_layers_of_language_models_are_exchanged_one_by_one() -> None:
    """While a layer is copied, no earlier one of transformers is held any more."""
    model = torch.nn.Sequential(*(torch.nn.Sequential(torch.nn.Linear(16, 16)) for _ in range(9)))
    weights = [weakref.ref(part[0].weight) for part in model]
    with Watching(lambda _: sum(weight() is not None for weight in weights)) as watching:
        exchange_linears(model, "mkl")
    assert watching.seen[0] == len(weights)
    assert watching.seen[-1] <= 2
