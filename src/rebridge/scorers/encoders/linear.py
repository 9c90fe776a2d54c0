"""Matrix products with fixed weights, by whichever of torch's two libraries is the faster one here.

torch multiplies by MKL, or by oneDNN with weights brought into the order in which oneDNN reads them. Which is faster
depends on processor and shape, by a factor of up to two either way, and so it is measured.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional

from rebridge.scorers.measurements import keep, kept, key_of
from rebridge.scorers.streams import cpu_streams
from rebridge.scorers.turns import cpu_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rebridge.scorers.streams import Streams

#: What multiplies.
Kind = Literal["mkl", "onednn"]
_KINDS = frozenset[Kind]({"mkl", "onednn"})

#: Rows of the products that are measured: about what a batch has.
ROWS = 512
#: oneDNN compiles a product anew for every number of rows, and keeps a thousand of them, a megabyte each: rows are
#: filled up to a multiple of this. A query alone would be slower for it: up to so many rows of a smaller number.
_ROW_STEP, _SMALL_STEP, _FEW_ROWS = 32, 8, 64
#: Numbers in a matrix below which there is nothing to gain.
_SMALL = 1 << 16
_REPEATS = 5
#: What oneDNN's operators shall do with a product: nothing. Its GELU takes longer than one of torch's own behind it.
NO_ACTIVATION: tuple[str, list[float], str] = ("none", [], "")


class Linear(torch.nn.Module):
    """Linear layers of the same input as one: ``x -> x W.T + b``, the results side by side.

    Args:
        layers: the layers.
        kind: what multiplies; None for the faster one.
    """

    def __init__(self, *layers: torch.nn.Linear, kind: Kind | None = None) -> None:
        super().__init__()
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.kind: Kind = fastest(weight.shape[0], weight.shape[1], weight.dtype) if kind is None else kind
        self.weight: torch.Tensor
        self.bias: torch.Tensor | None
        self.register_buffer("bias", _joined([layer.bias for layer in layers]), persistent=False)
        if self.kind == "onednn":
            weight = _reordered(weight)
        self.register_buffer("weight", weight, persistent=False)

    @property
    def fills(self) -> bool:
        """Whether rows are filled up to a multiple: MKL takes any number."""
        return self.kind != "mkl"

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """From shape (rows, features in) to (rows, features out)."""
        if self.kind == "mkl":
            return functional.linear(states, self.weight, self.bias)
        return filled_up(lambda rows: _onednn(rows, self.weight, self.bias), states)


def filled_up(multiply: Callable[[torch.Tensor], torch.Tensor], states: torch.Tensor) -> torch.Tensor:
    """What a product gives that wants a certain number of rows: they are added, and taken away again."""
    rows = states.shape[-2]
    if missing := missing_rows(rows):
        states = functional.pad(states, (0, 0, 0, missing))
    return multiply(states)[..., :rows, :]


def missing_rows(rows: int) -> int:
    """How many rows a `Linear` would have to add to so many, and to take away again."""
    return -rows % (_SMALL_STEP if rows <= _FEW_ROWS else _ROW_STEP)


def exchange_linears(model: torch.nn.Module, kind: Kind | None) -> None:
    """Put a `Linear` in the place of every linear layer inside a model whose products all processors share.

    Args:
        model: changed in place.
        kind: what multiplies; None for the faster one.
    """
    # Without the layers themselves, of which each is freed before the next one is copied.
    for part in [part for part in model.modules() if not isinstance(part, torch.nn.Linear)]:
        for name, child in part.named_children():
            if type(child) is torch.nn.Linear:
                chosen = kind or fastest(child.out_features, child.in_features, child.weight.dtype, shared=True)
                setattr(part, name, Linear(child, kind=chosen))


def _joined(biases: list[torch.Tensor | None]) -> torch.Tensor | None:
    found = [bias.detach() for bias in biases if bias is not None]
    if found and len(found) < len(biases):
        raise ValueError("either all layers have a bias or none")
    return torch.cat(found) if found else None


def fastest(features_out: int, features_in: int, dtype: torch.dtype, *, shared: bool = False) -> Kind:
    """Which library multiplies faster by weights of this shape; arguments as of `measured_speeds`."""
    small = features_out * features_in < _SMALL
    speeds = {} if small else measured_speeds(features_out, features_in, dtype, shared=shared)
    return max(speeds, key=lambda kind: speeds[kind], default="mkl")


@lru_cache(maxsize=256)
def measured_speeds(
    features_out: int, features_in: int, dtype: torch.dtype, *, shared: bool = False
) -> dict[Kind, float]:
    """GFLOP a second of each library for weights of this shape, which is measured once per machine.

    Args:
        features_out: rows of the weights.
        features_in: their columns.
        dtype: theirs.
        shared: on all processors, which share a product, instead of those of a stream; see `rebridge.scorers.streams`.

    Returns:
        Nothing if there is but one library to choose from.
    """
    streams = None if shared else cpu_streams()
    key = key_of("matrix products", shared or "alone", ROWS, features_out, features_in, dtype)
    found: dict[Kind, float] | None = kept(key)
    if isinstance(found, dict) and found.keys() == _KINDS and all(type(speed) is float for speed in found.values()):
        return found
    found = _speeds(features_out, features_in, dtype, streams)
    if found:  # a failure may be of this moment alone
        keep(key, found)
    return found


def _speeds(features_out: int, features_in: int, dtype: torch.dtype, streams: Streams | None) -> dict[Kind, float]:
    with torch.inference_mode():
        weight = torch.randn(features_out, features_in).to(dtype)
        states, bias = torch.randn(ROWS, features_in).to(dtype), torch.zeros(features_out, dtype=dtype)
        try:
            reordered = _reordered(weight)
            ways: dict[Kind, Callable[[], Any]] = {
                "mkl": lambda: functional.linear(states, weight, bias),
                "onednn": lambda: _onednn(states, reordered, bias),
            }
            with cpu_turns():  # another model's batch would make either look slow
                times = _least_times(ways) if streams is None else streams.alone(lambda: _least_times(ways))
        except (RuntimeError, AttributeError):  # this build of torch lacks it, or oneDNN lacks this type
            return {}
    return {kind: 2e-9 * ROWS * weight.numel() / seconds for kind, seconds in times.items()}


def _least_times(ways: dict[Kind, Callable[[], Any]]) -> dict[Kind, float]:
    """The shortest time of each, taking turns, in seconds."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(_REPEATS):
        for kind, way in ways.items():
            began = time.perf_counter()
            way()
            least[kind] = min(least[kind], time.perf_counter() - began)
    return least


def _reordered(weight: torch.Tensor) -> torch.Tensor:
    """A matrix in oneDNN's own order, in which nothing else can read it."""
    reordered: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS)  # noqa: SLF001
    return reordered


def _onednn(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, *NO_ACTIVATION)  # noqa: SLF001
    return product
