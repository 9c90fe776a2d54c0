"""Reading a model's folder safely: configuration as data, weights from safetensors only, no remote code."""

from __future__ import annotations

import contextlib
import json
import threading
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from rebridge.errors import UnsupportedModel
from rebridge.scorers.tokenizer_files import load_tokenizer
from rebridge.scorers.weights import check_weights, load_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Settings of config.json that choose what transformers runs or reads, and their harmless values.
_CHOICES: dict[str, tuple[Any, ...]] = {
    "attn_implementation": (None, "eager", "sdpa"),
    "_attn_implementation": (None, "eager", "sdpa"),
    "_attn_implementation_internal": (None, "eager", "sdpa"),
    "experts_implementation": (None, "eager"),
    "quantization_config": (None,),
    "transformers_weights": (None, "model.safetensors"),
}

_SETTINGS = "config_sentence_transformers.json"

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
        """The model's ``config.json``, from the folder of its transformer.

        Raises:
            UnsupportedModel: if it is damaged, or asks for what is never done.
        """
        config = self.read_object(self.transformer_folder + "config.json")
        names = config.get("architectures")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise UnsupportedModel(f"{self.name}: architectures in config.json must be a list of names, not {names!r}")
        inner: list[Any] = [config]
        while inner:  # models of several parts have a configuration in the configuration
            part = inner.pop()
            for key, value in part.items() if isinstance(part, dict) else ():
                if key in _CHOICES and value not in _CHOICES[key]:
                    raise UnsupportedModel(f"{self.name}: {key} in config.json is not supported: {value!r}")
                inner.append(value)
        return config

    @cached_property
    def modules(self) -> list[dict[str, Any]]:
        """``modules.json`` of sentence-transformers; empty if there is none."""
        if not (self.path / "modules.json").is_file():
            return []
        modules = self._read("modules.json")
        if not isinstance(modules, list) or not all(map(_is_module, modules)):
            raise UnsupportedModel(f"{self.name}: modules.json is not a list of modules, each with a type and a path")
        for entry in modules:
            self.file(entry["path"])
        return modules

    @cached_property
    def module_types(self) -> list[str]:
        """Class names in ``modules.json``, without where the classes live."""
        return [str(entry["type"]).rpartition(".")[2] for entry in self.modules]

    @cached_property
    def transformer_folder(self) -> str:
        """Where the transformer's files are inside the folder: ``""`` or ``"0_Transformer/"``."""
        path = str(self.modules[0]["path"]) if self.modules else ""
        return f"{path}/" if path else ""

    @property
    def architecture(self) -> str:
        """First class in ``architectures``; ``"unknown"`` if none is named."""
        names = self.config.get("architectures") or ["unknown"]
        return str(names[0])

    @property
    def saved_activation(self) -> str | None:
        """Path of the class that sentence-transformers noted as activation of a cross-encoder; None if it did not."""
        # Versions 6, 4 and 3, in the order in which version 6 looks.
        saved = self.config.get("sentence_transformers")
        path = (
            self.read_object(_SETTINGS, optional=True).get("activation_fn")
            or (saved.get("activation_fn") if isinstance(saved, dict) else None)
            or self.config.get("sbert_ce_default_activation_function")
        )
        if path is not None and not isinstance(path, str):
            raise UnsupportedModel(f"{self.name}: the saved activation is not the path of a class: {path!r}")
        return path

    def file(self, name: str) -> Path:
        """Where a file of the checkpoint is.

        Links are followed, because the hub's cache consists of them; names that lead out of the folder are not.

        Raises:
            UnsupportedModel: if the name is not one inside the folder.
        """
        ways = (PurePosixPath(name), PureWindowsPath(name))
        if any(way.anchor or ".." in way.parts for way in ways):
            raise UnsupportedModel(f"{self.name}: {name!r} leads out of the model's folder")
        return self.path / name

    def read_object(self, name: str, *, optional: bool = False) -> dict[str, Any]:
        """A JSON object in the folder; empty if it is optional and missing.

        Raises:
            UnsupportedModel: if it is missing or not a JSON object.
        """
        if optional and not self.file(name).is_file():
            return {}
        content = self._read(name)
        if not isinstance(content, dict):
            raise UnsupportedModel(f"{self.name}: {name} is not a JSON object")
        return content

    def _read(self, name: str) -> Any:
        file = self.file(name)
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UnsupportedModel(f"{self.name}: {file} is missing") from None
        except (OSError, ValueError, RecursionError) as error:
            raise UnsupportedModel(f"{self.name}: {file} cannot be read: {error}") from error

    def check_weights(self, folder: str = "") -> None:
        """Refuse a folder without complete safetensors weights; see `rebridge.scorers.weights`."""
        check_weights(self, folder)

    def load_model(self, auto_class: Any, *, dtype: Any, device: Any, optional: str = "", unread: str = "") -> Any:
        """The transformers model in evaluation mode, every weight accounted for; see `rebridge.scorers.weights`."""
        return load_model(self, auto_class, dtype=dtype, device=device, optional=optional, unread=unread)

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
        except (UnsupportedModel, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic of a library written in Rust is no Exception
            raise UnsupportedModel(f"{self.name}: {problem}: {type(error).__name__}: {error}") from error


def _is_module(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("type"), str) and isinstance(entry.get("path"), str)


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
