"""Matrix products in 8 bits: less exact than those of `rebridge.scorers.encoders.linear`, and faster.

Weights have a scale for each output, states a scale and an offset for each row, chosen when they come (dynamic
quantization). In transformers a few features are many times as large as all others, which would be left with few of the
steps; they are multiplied exactly. Dettmers et al., LLM.int8() (NeurIPS 2022), https://arxiv.org/abs/2208.07339. Which
ones they are hardly depends on the text, so it is looked up once and does not depend on what is in a batch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from rebridge.scorers.encoders.linear import NO_ACTIVATION, ROWS, Linear, filled_up

if TYPE_CHECKING:
    from collections.abc import Callable

#: Features that are multiplied exactly: so many, but at most one of so many.
_LARGE_FEATURES, _SHARE = 8, 16
_WEIGHT_STEPS = 127
#: Into how many steps states may be divided, and to how much two neighbouring weights of one sign may then add up. The
#: best first: processors without VNNI add two products of 8 bits in 16, which must hold them.
_RANGES = ((255, 254), (200, 162), (127, 254))
_TINY = torch.finfo(torch.float32).tiny


class EightBits(torch.nn.Module):
    """A `Linear` in 8 bits.

    Args:
        linear: it, multiplied by MKL.
        sizes: how large each feature of its input may be, shape (features in,).
    """

    fills = True

    def __init__(self, linear: Linear, sizes: torch.Tensor) -> None:
        super().__init__()
        found = ranges()
        if found is None:
            raise RuntimeError("this build of torch cannot multiply in 8 bits")
        self._steps, most = found
        weight = linear.weight
        large = sizes.topk(min(_LARGE_FEATURES, len(sizes) // _SHARE)).indices.sort().values
        small = weight.index_fill(1, large, 0)
        first, second = pad(small, (0, small.shape[1] % 2)).view(len(small), -1, 2).unbind(2)
        pairs = (first + second).abs().where(first * second > 0, 0)
        scales = torch.maximum(small.abs().amax(dim=1) / _WEIGHT_STEPS, pairs.amax(dim=1) / most).clamp_(min=_TINY)
        whole = (small / scales[:, None]).round().to(torch.int8)
        bias = torch.zeros_like(scales) if linear.bias is None else linear.bias
        exact = torch.cat([torch.stack([whole.sum(dim=1) * scales, bias]), weight[:, large].T])
        self._weight: torch.Tensor
        self._scales: torch.Tensor
        self._zeros: torch.Tensor
        self._large: torch.Tensor
        self._exact: torch.Tensor
        self.register_buffer("_weight", _prepacked(whole), persistent=False)
        self.register_buffer("_scales", scales, persistent=False)
        self.register_buffer("_zeros", torch.zeros(len(scales), dtype=torch.long), persistent=False)
        self.register_buffer("_large", large, persistent=False)
        self.register_buffer("_exact", exact, persistent=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """From shape (rows, features in) to (rows, features out)."""
        return filled_up(self._product, states.flatten(0, -2)).reshape(*states.shape[:-1], len(self._scales))

    def _product(self, states: torch.Tensor) -> torch.Tensor:
        small = states.index_fill(-1, self._large, 0)
        # `aminmax` takes 15 times as long as both.
        low, high = small.amin(dim=-1, keepdim=True), small.amax(dim=-1, keepdim=True)
        scale = ((high - low) / self._steps).clamp_(min=_TINY)
        # x = low + scale n, so that x W.T = scale (n W.T) + low (sums of the rows of W)
        whole = small.sub_(low).mul_(scale.reciprocal()).round_().to(torch.uint8)
        product = _multiplied(whole, self._weight, self._scales, self._zeros)
        exact = torch.cat([low, torch.ones_like(low), states.index_select(-1, self._large)], dim=-1)
        return product.mul_(scale).addmm_(exact, self._exact)


def quantize(model: torch.nn.Module, run: Callable[[], Any]) -> None:
    """Put an `EightBits` in the place of every `Linear` that a model's texts go through.

    Args:
        model: changed in place; its products are MKL's.
        run: has the model read some texts, so that it is seen which features are large.
    """
    sizes: dict[torch.nn.Module, torch.Tensor] = {}

    def look(linear: torch.nn.Module, arguments: tuple[torch.Tensor]) -> None:
        seen = arguments[0].flatten(0, -2).abs().amax(dim=0)
        sizes[linear] = torch.maximum(seen, sizes.get(linear, seen))

    hooks = [part.register_forward_pre_hook(look) for part in model.modules() if isinstance(part, Linear)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    with torch.inference_mode():
        # Without the layers themselves, of which each is freed before the next one is converted.
        for part in [part for part in model.modules() if not isinstance(part, Linear)]:
            for name, child in part.named_children():
                if isinstance(child, Linear) and child in sizes:
                    setattr(part, name, EightBits(child, sizes.pop(child)))


@lru_cache(maxsize=1)
def ranges() -> tuple[int, int] | None:
    """Those of `_RANGES` that are multiplied without an overflow here, which is tried: no document tells.

    Returns:
        None if this build of torch cannot multiply in 8 bits.
    """
    try:
        return next((found for found in _RANGES if _holds(*found)), None)
    except (RuntimeError, AttributeError):  # NotImplementedError is a RuntimeError
        return None


def _holds(steps: int, pair: int) -> bool:
    first = torch.arange(_WEIGHT_STEPS + 1)
    second = (pair + 1 - first).clamp(max=_WEIGHT_STEPS)  # each may have been rounded up by a half
    row = torch.stack([first, second], dim=1).flatten()
    weight = torch.stack([row, -row]).repeat(ROWS // 2, 1)
    scales, zeros = torch.ones(ROWS), torch.zeros(ROWS, dtype=torch.long)
    prepacked = _prepacked(weight.to(torch.int8))
    states = torch.full((ROWS, weight.shape[1]), steps, dtype=torch.uint8)
    expected = (steps * weight.sum(dim=1)).float()
    return all(bool((_multiplied(rows, prepacked, scales, zeros) == expected).all()) for rows in (states, states[:8]))


def _prepacked(whole: torch.Tensor) -> torch.Tensor:
    """Whole weights in the order in which oneDNN reads them."""
    prepacked: torch.Tensor = torch.ops.onednn.qlinear_prepack(whole, [ROWS, whole.shape[1]])
    return prepacked


def _multiplied(whole: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
    """The product of whole states and weights, times the scales of these."""
    product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
        whole, 1.0, 0, weight, scales, zeros, None, 1.0, 0, torch.float32, *NO_ACTIVATION
    )
    return product
