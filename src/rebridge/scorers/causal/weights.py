"""Loading a language model without its output layer, of which only a few rows are ever read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rebridge.errors import UnsupportedModel
from rebridge.scorers.weights import weight_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rebridge.scorers.checkpoint import Checkpoint

_OUTPUT = "lm_head.weight"

# Settings under which a logit is more than a row of the output layer times the state, and the values that turn them
# off. They are those of the ...ForCausalLM classes in transformers 5.23.
_OFF: Mapping[str, tuple[float | None, ...]] = {
    "final_logit_softcapping": (None,),
    "output_logit_soft_cap": (None,),
    "logits_soft_cap": (None,),
    "logits_scaling": (None, 1.0),
    "logit_scale": (None, 1.0),
    "lm_head_multiplier": (None, 1.0),
    "use_bidirectional_attention": (None, False),
}


def load_base(checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The base model of transformers: embeddings, layers and norm.

    Raises:
        UnsupportedModel: if transformers has no such language model, or its logits are more than a matrix product.
    """
    from transformers import AutoModel
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if checkpoint.architecture not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        raise UnsupportedModel(
            f"{checkpoint.name}: {checkpoint.architecture} is no language model of transformers, and code from the hub "
            f"is never run"
        )
    model = checkpoint.load_model(AutoModel, dtype=dtype, device=device)
    odd = [name for name, off in _OFF.items() if getattr(model.config, name, None) not in off]
    # Another prefix than the base model's belongs to an output layer with a bias, a norm or layers of its own.
    prefix = f"{model.base_model_prefix}."
    names = tensor_files(checkpoint)
    if any(name.startswith(prefix) for name in names):
        odd += sorted(name for name in names if not name.startswith(prefix) and name != _OUTPUT)
    if odd:
        raise UnsupportedModel(f"{checkpoint.name}: models with {', '.join(odd[:3])} are not supported")
    return model


def output_rows(checkpoint: Checkpoint, model: Any, tokens: Sequence[int]) -> torch.Tensor:
    """Rows of the output layer, whether it shares its weights with the embeddings or has its own.

    Args:
        checkpoint: where the output layer is.
        model: of `load_base`.
        tokens: ids of the tokens whose rows to read.

    Returns:
        Shape (tokens, features), float32, on the model's device.

    Raises:
        UnsupportedModel: if there is no output layer, or a row is missing or not finite.
    """
    embeddings = model.get_input_embeddings().weight
    if getattr(model.config, "tie_word_embeddings", False):
        rows: torch.Tensor = embeddings.detach()[list(tokens)].float()
        return rows
    return read_rows(checkpoint, _OUTPUT, tokens, features=embeddings.shape[1]).to(embeddings.device)


def read_rows(checkpoint: Checkpoint, name: str, rows: Sequence[int], *, features: int) -> torch.Tensor:
    """Some rows of a matrix, and no more of it, from the safetensors files.

    Args:
        checkpoint: where the matrix is.
        name: of the matrix in the files.
        rows: numbers of the rows.
        features: columns that the matrix must have.

    Returns:
        Shape (rows, features), float32, on the CPU.

    Raises:
        UnsupportedModel: if there is no such matrix, or a row is missing or not finite.
    """
    from safetensors import safe_open

    file = tensor_files(checkpoint).get(name)
    if file is None:
        raise UnsupportedModel(f"{checkpoint.name}: the checkpoint lacks {name}")
    with checkpoint.translated(f"{name} cannot be loaded"), safe_open(file, framework="pt") as weights:
        matrix = weights.get_slice(name)
        found = torch.cat([matrix[row : row + 1] for row in rows]).float()
    if found.shape != (len(rows), features) or not bool(found.isfinite().all()):
        raise UnsupportedModel(f"{checkpoint.name}: {name} has not the right shape, or weights that are not finite")
    return found


def tensor_files(checkpoint: Checkpoint) -> dict[str, Path]:
    """Name of each tensor -> the safetensors file that holds it.

    Raises:
        UnsupportedModel: if the files are missing or damaged.
    """
    from safetensors import safe_open

    folder = checkpoint.transformer_folder
    checkpoint.check_weights(folder)
    places = weight_map(checkpoint, folder)
    if places:
        return {name: checkpoint.file(folder + file) for name, file in places.items()}
    single = checkpoint.file(folder + "model.safetensors")
    with checkpoint.translated("its weights cannot be loaded"), safe_open(single, framework="pt") as weights:
        return dict.fromkeys(map(str, weights.keys()), single)
