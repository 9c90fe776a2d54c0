"""Settings in a checkpoint's JSON files, of the types that they must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rebridge.errors import UnsupportedModel

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

Value = TypeVar("Value")


class Settings:
    """A JSON file of settings that may be missing, as may every setting in it.

    Args:
        checkpoint: whose settings.
        file: its name.
    """

    def __init__(self, checkpoint: Checkpoint, file: str) -> None:
        self._where = f"{checkpoint.name}: {file}"
        self._content = checkpoint.read_object(file, optional=True)

    def get(self, key: str, default: Value) -> Value:
        """The setting, of the default's type.

        Raises:
            UnsupportedModel: if it is of another type.
        """
        value = self._content.get(key)
        if value is None:
            return default
        if type(value) is not type(default):
            raise UnsupportedModel(f"{self._where}: {key} must be of type {type(default).__name__}, not {value!r}")
        return value

    def prompt(self, name: str) -> str:
        """The text of this name among the prompts of sentence-transformers; empty if there is none."""
        prompts: dict[str, Any] = self.get("prompts", {})
        return str(prompts.get(name) or "")
