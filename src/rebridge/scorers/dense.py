"""The Dense modules of sentence-transformers, which project embeddings: out = act(W x + b) (+ residual)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.errors import UnsupportedModel

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


class Dense(torch.nn.Module):
    """A linear layer, its activation, and maybe a residual connection.

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


def load_dense(checkpoint: Checkpoint, folder: str, *, dtype: torch.dtype, device: torch.device) -> Dense:
    """Load the Dense module in this folder.

    Raises:
        UnsupportedModel: if a weight is missing or has the wrong shape, or the activation is unknown.
    """
    from safetensors.torch import load_file

    config = checkpoint.read_object(f"{folder}/config.json")
    path = config.get("activation_function") or _DEFAULT_ACTIVATION
    if path not in _ACTIVATIONS:
        raise UnsupportedModel(
            f"{checkpoint.name}: {folder} has the unknown activation {path!r}; known are {', '.join(_ACTIVATIONS)}"
        )
    checkpoint.check_weights(f"{folder}/")
    with checkpoint.translated(f"{folder} cannot be loaded"):
        dense = Dense(config, _ACTIVATIONS[path])
        dense.load_state_dict(load_file(checkpoint.path / folder / "model.safetensors"))
    checkpoint.check_finite(dense)
    return dense.eval().to(device=device, dtype=dtype)
