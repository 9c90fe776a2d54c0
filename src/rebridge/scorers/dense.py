"""Layers that project embeddings: the Dense modules of sentence-transformers, and the projection of ColBERT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.errors import UnsupportedModel
from rebridge.scorers.weights import check_finite, weight_map

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

# Saved activations are paths of classes; they are looked up here and never imported.
_ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    f"torch.nn.{module}.{kind.__name__}": kind
    for module, kinds in {
        "modules.linear": (torch.nn.Identity,),
        "modules.activation": (torch.nn.Tanh, torch.nn.ReLU, torch.nn.GELU, torch.nn.Sigmoid, torch.nn.SiLU),
    }.items()
    for kind in kinds
}
_DEFAULT_ACTIVATION = "torch.nn.modules.activation.Tanh"

PROJECTION = "linear.weight"


class Dense(torch.nn.Module):
    """A linear layer, its activation, and maybe a residual connection: out = act(W x + b) (+ residual).

    Args:
        config: ``config.json`` of the module.
        activation: class of the activation.
    """

    def __init__(self, config: dict[str, Any], activation: type[torch.nn.Module]) -> None:
        super().__init__()
        width, out = int(config["in_features"]), int(config["out_features"])
        self.linear = torch.nn.Linear(width, out, bias=bool(config.get("bias", True)))
        self.activation = activation()
        self.residual: torch.nn.Module | None = None
        if config.get("use_residual", False):
            self.residual = torch.nn.Identity() if width == out else torch.nn.Linear(width, out, bias=False)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Project embeddings of shape (..., in_features) to (..., out_features)."""
        projected: torch.Tensor = self.activation(self.linear(embeddings))
        return projected if self.residual is None else projected + self.residual(embeddings)


def load_dense(checkpoint: Checkpoint, folder: str, *, device: torch.device) -> Dense:
    """Load the Dense module in this folder, in float32.

    Raises:
        UnsupportedModel: if a weight is missing or has the wrong shape, or the activation is unknown.
    """
    from safetensors.torch import load_file

    config = checkpoint.read_object(f"{folder}/config.json")
    path = config.get("activation_function") or _DEFAULT_ACTIVATION
    if not isinstance(path, str) or path not in _ACTIVATIONS:
        raise UnsupportedModel(
            f"{checkpoint.name}: {folder} has the unknown activation {path!r}; known are {', '.join(_ACTIVATIONS)}"
        )
    checkpoint.check_weights(f"{folder}/")
    with checkpoint.translated(f"{folder} cannot be loaded"):
        dense = Dense(config, _ACTIVATIONS[path])
        dense.load_state_dict(load_file(checkpoint.file(f"{folder}/model.safetensors")))
    check_finite(checkpoint, dense)
    return dense.eval().to(device=device, dtype=torch.float32)


def load_projection(checkpoint: Checkpoint, width: int, *, device: torch.device) -> torch.nn.Linear:
    """Load the ``linear.weight`` that Stanford's ColBERT keeps among the transformer's weights, in float32.

    Args:
        checkpoint: whose weights, already found to be complete.
        width: features that the transformer gives.
        device: where to put it.

    Raises:
        UnsupportedModel: if the weight is missing, or does not fit the transformer.
    """
    from safetensors import safe_open

    folder = checkpoint.transformer_folder
    file = checkpoint.file(folder + weight_map(checkpoint, folder).get(PROJECTION, "model.safetensors"))
    if not file.is_file():
        raise UnsupportedModel(f"{checkpoint.name}: no weights file has {PROJECTION}, the projection of ColBERT")
    with checkpoint.translated(f"{PROJECTION} cannot be loaded"), safe_open(file, framework="pt") as weights:
        if PROJECTION not in weights.keys():  # noqa: SIM118 - this mapping knows no "in"
            raise UnsupportedModel(f"{checkpoint.name}: {file} has no {PROJECTION}, the projection of ColBERT")
        weight = weights.get_tensor(PROJECTION)
    if weight.dim() != 2 or weight.shape[1] != width:  # noqa: PLR2004 - a matrix
        raise UnsupportedModel(
            f"{checkpoint.name}: {PROJECTION} has shape {tuple(weight.shape)}, but must read {width} features"
        )
    linear = torch.nn.Linear(width, weight.shape[0], bias=False)
    linear.weight = torch.nn.Parameter(weight, requires_grad=False)
    check_finite(checkpoint, linear)
    return linear.eval().to(device=device, dtype=torch.float32)
