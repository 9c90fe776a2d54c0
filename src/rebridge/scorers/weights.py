"""A model's weights: from complete safetensors files only, all of them there, finite, and all of them used."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from rebridge.errors import UnsupportedModel

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_INDEX = "model.safetensors.index.json"

# Old files hold these, which models now compute.
_COMPUTED = re.compile(r"(^|\.)(position_ids|token_type_ids|inv_freq)$")

# First parts of the names of heads for other tasks, which stay in many files; harmless where the model has none such.
_HEADS = frozenset(
    {"pooler", "cls", "head", "heads", "decoder", "classifier", "score", "qa_outputs", "lm_head", "lm_predictions",
     "mask_predictions", "discriminator_predictions", "generator_predictions", "generator_lm_head", "vocab_transform",
     "vocab_layer_norm", "vocab_projector"}
)  # fmt: skip


def weight_map(checkpoint: Checkpoint, folder: str) -> dict[str, str]:
    """Name of each weight -> the file in the folder that holds it; empty if the weights are not in several files.

    Raises:
        UnsupportedModel: if the index is damaged, or names anything but a safetensors file in the folder.
    """
    index = checkpoint.read_object(folder + _INDEX, optional=True)
    places = index.get("weight_map", {})
    if not isinstance(places, dict) or (index and not places):
        raise UnsupportedModel(f"{checkpoint.name}: {folder}{_INDEX} has no weight_map from weights to files")
    for file in places.values():
        if not isinstance(file, str) or not _is_plain(file) or not file.endswith(".safetensors"):
            raise UnsupportedModel(
                f"{checkpoint.name}: {folder}{_INDEX} names {file!r}, which is not a safetensors file of the same "
                f"folder; nothing else is loaded"
            )
    return places


def _is_plain(file: str) -> bool:
    return PurePosixPath(file).name == file == PureWindowsPath(file).name


def check_weights(checkpoint: Checkpoint, folder: str) -> None:
    """Refuse a folder without complete safetensors weights.

    Raises:
        UnsupportedModel: names the pickles that are there instead, or the missing shards.
    """
    name, directory = checkpoint.name, checkpoint.file(folder)
    shards = set(weight_map(checkpoint, folder).values())
    if shards:
        missing = sorted(shard for shard in shards if not (directory / shard).is_file())
        if missing:
            raise UnsupportedModel(f"{name}: {directory} lacks {', '.join(missing)}: download them again")
    elif not (directory / "model.safetensors").is_file():
        pickles = sorted(file.name for pattern in _PICKLES for file in directory.glob(pattern))
        if not pickles:
            raise UnsupportedModel(f"{name}: {directory} has no model.safetensors")
        raise UnsupportedModel(
            f"{name}: {directory} has its weights only as {', '.join(pickles)}. Pickles can run code and are "
            f"never loaded. Use a revision with model.safetensors, or convert it on a machine that you trust: "
            f"AutoModel.from_pretrained(...).save_pretrained(..., safe_serialization=True)"
        )


def load_model(  # noqa: PLR0913 - where to put the model, and what to overlook
    checkpoint: Checkpoint, auto_class: Any, *, dtype: Any, device: Any, optional: str = "", unread: str = ""
) -> Any:
    """The transformers model in evaluation mode, every weight accounted for.

    Args:
        checkpoint: the model's files.
        auto_class: an ``AutoModel...`` class of transformers.
        dtype: of the weights.
        device: where to put them.
        optional: pattern of weights that may be missing because nobody uses them; empty for none.
        unread: pattern of weights that the model need not use, beside heads for other tasks; empty for none.

    Raises:
        UnsupportedModel: if the files are damaged or incomplete, or need code from the hub.
    """
    folder = checkpoint.transformer_folder
    # Read before transformers reads it, because it refuses what must not reach transformers.
    hint = _code_hint(checkpoint)
    check_weights(checkpoint, folder)
    with checkpoint.translated("its weights cannot be loaded"):
        model, info = auto_class.from_pretrained(
            checkpoint.file(folder),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
        )
    # transformers fills missing weights with random numbers and only warns.
    missing = _without(optional, info["missing_keys"])
    wrong = sorted(f"{key} {tuple(found)}, not {tuple(due)}" for key, found, due in info["mismatched_keys"])
    if missing or wrong:
        what = f"lacks {_few(missing)}" if missing else f"has the wrong shape for {_few(wrong)}"
        raise UnsupportedModel(f"{checkpoint.name}: the checkpoint {what}, so its scores would be random{hint}")
    unused = _without(unread, (key for key in map(str, info["unexpected_keys"]) if not _is_harmless(model, key)))
    if unused:
        raise UnsupportedModel(
            f"{checkpoint.name}: the checkpoint has weights that the model of its config.json does not use, so its "
            f"scores would be wrong: {_few(unused)}{hint}"
        )
    check_finite(checkpoint, model)
    return model.eval().to(device)


def _without(pattern: str, keys: Any) -> list[str]:
    return sorted(key for key in map(str, keys) if not pattern or re.match(pattern, key) is None)


def _is_harmless(model: Any, key: str) -> bool:
    """Whether a weight may stay unused: the model computes it, or it is a head that the model does not have."""
    if _COMPUTED.search(key):
        return True
    prefix = f"{model.base_model_prefix}."
    inside = key.startswith(prefix)
    # A base model's own files name its parts without the prefix, those of others with it.
    parts = {name for name, _ in getattr(model, model.base_model_prefix, model).named_children()}
    parts |= set() if inside else {name for name, _ in model.named_children()}
    first = key.removeprefix(prefix).partition(".")[0]
    return first in _HEADS and first not in parts


def _code_hint(checkpoint: Checkpoint) -> str:
    """Why weights may not fit: the model is meant for code of its own."""
    if "auto_map" not in checkpoint.config:
        return ""
    return ". Its weights are made for code of its own (auto_map in config.json); code from the hub is never run"


def check_finite(checkpoint: Checkpoint, model: Any) -> None:
    """Refuse weights that are NaN or infinite."""
    odd = [name for name, weight in model.named_parameters() if not bool(weight.isfinite().all())]
    if odd:
        raise UnsupportedModel(f"{checkpoint.name}: weights that are not finite numbers in {_few(odd)}")


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004 - a line's worth
