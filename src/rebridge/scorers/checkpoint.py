"""Reading a model's folder safely: configuration as data, weights from safetensors only, no remote code."""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rebridge.errors import UnsupportedModel
from rebridge.scorers.tokenizer_files import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_quiet_lock = threading.Lock()


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a model's files.

    Attributes:
        path: the folder.
        name: the model's name, for messages.
    """

    path: Path
    name: str

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's ``config.json``, from the folder of its transformer."""
        return self.read_object(self.transformer_folder + "config.json")

    @cached_property
    def modules(self) -> list[dict[str, Any]]:
        """``modules.json`` of sentence-transformers; empty if there is none."""
        if not (self.path / "modules.json").is_file():
            return []
        modules = self._read("modules.json")
        if not isinstance(modules, list) or not all(isinstance(entry, dict) and "type" in entry for entry in modules):
            raise UnsupportedModel(f"{self.name}: modules.json is not a list of modules")
        return modules

    @cached_property
    def module_types(self) -> list[str]:
        """Class names in ``modules.json``, without where the classes live."""
        return [str(entry["type"]).rpartition(".")[2] for entry in self.modules]

    @cached_property
    def transformer_folder(self) -> str:
        """Where the transformer's files are inside the folder: ``""`` or ``"0_Transformer/"``."""
        path = str(self.modules[0].get("path", "")) if self.modules else ""
        return f"{path}/" if path else ""

    @property
    def architecture(self) -> str:
        """First class in ``architectures``; ``"unknown"`` if none is named."""
        names = self.config.get("architectures") or ["unknown"]
        return str(names[0])

    @property
    def saved_activation(self) -> str | None:
        """Path of the class that sentence-transformers noted as activation of a cross-encoder; None if it did not."""
        saved = self.config.get("sentence_transformers")
        path = saved.get("activation_fn") if isinstance(saved, dict) else None
        return path or self.config.get("sbert_ce_default_activation_function")

    def read_object(self, name: str, *, optional: bool = False) -> dict[str, Any]:
        """A JSON object in the folder; empty if it is optional and missing.

        Raises:
            UnsupportedModel: if it is missing or not a JSON object.
        """
        if optional and not (self.path / name).is_file():
            return {}
        content = self._read(name)
        if not isinstance(content, dict):
            raise UnsupportedModel(f"{self.name}: {name} is not a JSON object")
        return content

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UnsupportedModel(f"{self.name}: {self.path / name} is missing") from None
        except (OSError, ValueError) as error:
            raise UnsupportedModel(f"{self.name}: {self.path / name} cannot be read: {error}") from error

    def check_weights(self, folder: str = "") -> None:
        """Refuse a folder without complete safetensors weights.

        Raises:
            UnsupportedModel: names the pickles that are there instead, or the missing shards.
        """
        directory = self.path / folder
        index = directory / "model.safetensors.index.json"
        if index.is_file():
            shards = set(self.read_object(f"{folder}model.safetensors.index.json").get("weight_map", {}).values())
            missing = sorted(shard for shard in shards if not (directory / shard).is_file())
            if missing:
                raise UnsupportedModel(f"{self.name}: {directory} lacks {', '.join(missing)}: download them again")
        elif not (directory / "model.safetensors").is_file():
            pickles = sorted(file.name for pattern in _PICKLES for file in directory.glob(pattern))
            if not pickles:
                raise UnsupportedModel(f"{self.name}: {directory} has no model.safetensors")
            raise UnsupportedModel(
                f"{self.name}: {directory} has its weights only as {', '.join(pickles)}. Pickles can run code and are "
                f"never loaded. Use a revision with model.safetensors, or convert it on a machine that you trust: "
                f"AutoModel.from_pretrained(...).save_pretrained(..., safe_serialization=True)"
            )

    def load_model(self, auto_class: Any, *, dtype: Any, device: Any, optional: tuple[str, ...] = ()) -> Any:
        """The transformers model in evaluation mode, every weight accounted for.

        Args:
            auto_class: an ``AutoModel...`` class of transformers.
            dtype: of the weights.
            device: where to put them.
            optional: prefixes of weights that may be missing because nobody uses them.

        Raises:
            UnsupportedModel: if the files are damaged or incomplete, or need code from the hub.
        """
        folder = self.transformer_folder
        self.check_weights(folder)
        with self.translated("its weights cannot be loaded"):
            model, info = auto_class.from_pretrained(
                self.path / folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, by name
            )
        # transformers fills missing weights with random numbers and only warns.
        missing = sorted(str(key) for key in info["missing_keys"] if not str(key).startswith(optional or ("\0",)))
        wrong = sorted(f"{key} {tuple(found)}, not {tuple(due)}" for key, found, due in info["mismatched_keys"])
        if missing or wrong:
            what = f"lacks {_few(missing)}" if missing else f"has the wrong shape for {_few(wrong)}"
            problem = f"the checkpoint {what}, so its scores would be random"
            raise UnsupportedModel(f"{self.name}: {problem}{self._code_hint()}")
        self.check_finite(model)
        return model.eval().to(device)

    def _code_hint(self) -> str:
        """Why weights may not fit: the model is meant for code of its own."""
        if "auto_map" not in self.config:
            return ""
        return ". Its weights are made for code of its own (auto_map in config.json); code from the hub is never run"

    def check_finite(self, model: Any) -> None:
        """Refuse weights that are NaN or infinite."""
        odd = [name for name, weight in model.named_parameters() if not bool(weight.isfinite().all())]
        if odd:
            raise UnsupportedModel(f"{self.name}: weights that are not finite numbers in {_few(odd)}")

    def load_tokenizer(self, model: Any) -> Any:
        """The fast tokenizer, as ``tokenizer.json`` has it.

        Args:
            model: the transformers model that reads its tokens.

        Raises:
            UnsupportedModel: if there is none, it needs code from the hub, or it does not fit the model.
        """
        return load_tokenizer(self, model)

    @contextlib.contextmanager
    def translated(self, problem: str) -> Iterator[None]:
        """Turn whatever a library raises on a broken model into `UnsupportedModel`, and keep it quiet."""
        try:
            with _quiet():
                yield
        except UnsupportedModel:
            raise
        except Exception as error:
            raise UnsupportedModel(f"{self.name}: {problem}: {type(error).__name__}: {error}") from error


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004 - a line's worth


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars or warnings of transformers; its settings are put back afterwards."""
    from transformers.utils import logging as transformers_logging

    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbosity = transformers_logging.get_verbosity()
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity(transformers_logging.CRITICAL)
        transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)
            if bars:
                transformers_logging.enable_progress_bar()
