"""Which models a server serves, and under which names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import SecretStr

from rebridge.config import ScorerSection
from rebridge.errors import ConfigError, UnknownModel
from rebridge.server.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model.

    Attributes:
        name: what requests call it.
        section: how it is opened.
        also: other names, which may be patterns with ``*`` and ``?``.
        preload: load it at start, not when it is first asked for.
    """

    name: str
    section: ScorerSection
    also: tuple[str, ...] = ()
    preload: bool = False


class ModelTable:
    """The models by name. Names win over aliases, aliases over patterns, earlier models over later ones.

    Args:
        models: what is served, in order.
        default: which one answers requests that name none; None for the first.

    Raises:
        ConfigError: if two models have the same name.
    """

    def __init__(self, models: Iterable[ServedModel], default: str | None = None) -> None:
        self.models = tuple(models)
        self.default = default
        names = {model.name: model for model in self.models}
        if len(names) < len(self.models):
            raise ConfigError(f"two models have the same name: {', '.join(model.name for model in self.models)}")
        aliases = {alias: model for model in reversed(self.models) for alias in model.also if not is_pattern(alias)}
        self._exact = {**aliases, **names}

    @classmethod
    def of(cls, models: Mapping[str, ModelSettings], default: str | None = None) -> ModelTable:
        """The models of a server's settings."""
        return cls(
            [ServedModel(name, _section(model), tuple(model.also), model.preload) for name, model in models.items()],
            default,
        )

    def with_sections(self, sections: Iterable[ScorerSection], *, preload: bool = False) -> ModelTable:
        """These models and those of pipelines: each section once, under `name_of`."""
        known = {model.name: model for model in self.models}
        for section in sections:
            name = self.name_of(section)
            known.setdefault(name, ServedModel(name, section, preload=preload))
        return ModelTable(known.values(), self.default)

    def name_of(self, section: ScorerSection) -> str:
        """Under which name the scorer of a pipeline is served: that of an equal model, else one made of the section.

        The name depends on nothing else, so that it stays the same when other pipelines come and go.
        """
        for model in self.models:
            if model.section == section:
                return model.name
        if section == ScorerSection(model=section.model) and section.model not in self._exact:
            return section.model
        text = json.dumps(_revealed(section), sort_keys=True)
        return f"{section.name}#{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def find(self, name: str | None) -> ServedModel:
        """The model of a request; None for a request that names none.

        Raises:
            UnknownModel: names those that there are.
        """
        wanted = name or self.default
        if wanted is None and self.models:
            return self.models[0]
        model = self._exact.get(wanted or "") or self._by_pattern(wanted or "")
        if model is None:
            raise UnknownModel(wanted, self.names())
        return model

    def names(self) -> list[str]:
        """Every name that a request may give, patterns as they are."""
        return list(dict.fromkeys(name for model in self.models for name in (model.name, *model.also)))

    def reveal(self) -> dict[str, Any]:
        """The table as JSON, secrets in clear text: for the process that holds the models, and nobody else."""
        models = [
            {"name": model.name, "section": _revealed(model.section), "also": model.also, "preload": model.preload}
            for model in self.models
        ]
        return {"models": models, "default": self.default}

    @classmethod
    def read(cls, revealed: Mapping[str, Any]) -> ModelTable:
        """The table that `reveal` gave."""
        models = [
            ServedModel(
                item["name"], ScorerSection.model_validate(item["section"]), tuple(item["also"]), item["preload"]
            )
            for item in revealed["models"]
        ]
        return cls(models, revealed["default"])

    def _by_pattern(self, name: str) -> ServedModel | None:
        patterns = ((model, alias) for model in self.models for alias in model.also if is_pattern(alias))
        return next((model for model, pattern in patterns if fnmatchcase(name, pattern)), None)


def is_pattern(name: str) -> bool:
    """Whether an alias stands for many names."""
    return "*" in name or "?" in name


def _section(model: ModelSettings) -> ScorerSection:
    """The keys that a pipeline's section has too."""
    given = [name for name in ScorerSection.model_fields if name in model.model_fields_set]
    return ScorerSection.model_validate({name: getattr(model, name) for name in given})


def _revealed(section: ScorerSection) -> dict[str, Any]:
    """What is not as by default, as JSON, secrets in clear text."""
    revealed: dict[str, Any] = json.loads(json.dumps(section.model_dump(exclude_unset=True), default=_plain))
    return revealed


def _plain(value: Any) -> str:
    """A value that JSON does not know: a secret or a path."""
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)
