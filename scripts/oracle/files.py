"""Random weights, and files laid out as on the hub."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase


def fill(model: Any, *, seed: int, std: float = 0.2) -> Any:
    """Give every weight a random value from a fixed seed; norms stay near their initial value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = std * torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1 and not name.endswith("bias"):
                parameter.add_(noise / 2)
            else:
                parameter.copy_(noise)
    return model.eval()


def fresh(folder: Path) -> Path:
    """Empty a folder."""
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save_model(model: Any, folder: Path, *, dtype: torch.dtype = torch.float32, **config: Any) -> None:
    """Write `config.json` and `model.safetensors` the way the published repositories have them."""
    model.to(dtype).save_pretrained(folder)
    (Path(folder) / "generation_config.json").unlink(missing_ok=True)
    edit_config(folder, **config)


def edit_config(folder: Path, **changes: Any) -> None:
    """Change keys of `config.json`; the type is called `torch_dtype`, as in files written before 2025."""
    path = Path(folder) / "config.json"
    config = json.loads(path.read_text("utf-8"))
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    write_json(path, {**config, **changes})


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the tokenizer's files, and its SentencePiece model if it came from one."""
    folder = Path(folder)
    tokenizer.save_pretrained(folder)
    if hasattr(tokenizer, "sentencepiece_model"):
        name, data = tokenizer.sentencepiece_model
        (folder / name).write_bytes(data)
    tidy(folder)


def tidy(folder: Path) -> None:
    """Write `tokenizer.json` in one line: that halves its size."""
    path = Path(folder) / "tokenizer.json"
    if path.exists():
        state = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps(state, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


def save_tensors(tensors: dict[str, torch.Tensor], folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write tensors as `model.safetensors`."""
    tensors = {name: tensor.detach().to(dtype).contiguous() for name, tensor in tensors.items()}
    save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})


def write_json(path: Path, value: Any) -> None:
    """Write a small JSON file, readable and with sorted keys."""
    Path(path).write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
