"""Settings from a YAML file, overridden by environment variables, with errors that name place and cure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from rebridge.errors import ConfigError, unknown
from rebridge.yaml_source import Location, YamlSource, valid_keys

ModelT = TypeVar("ModelT", bound=BaseModel)

#: Keys whose values no message shows.
_SECRETS = frozenset({"api_key", "api_keys", "password", "redis", "token"})


class FileAndEnvironment(BaseSettings):
    """Mixed into a model: values as its file says, overridden by the environment."""

    model_config = SettingsConfigDict(extra="forbid", env_nested_delimiter="__", env_parse_none_str="null")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """See `BaseSettings`."""
        return env_settings, init_settings  # the environment overrides the file


def layered(reader: type[FileAndEnvironment], model: type[ModelT], source: YamlSource, prefix: str) -> ModelT:
    """A file's values, overridden by the environment variables with a prefix.

    Args:
        reader: ``model`` with `FileAndEnvironment` mixed in.
        model: what comes back.
        source: the file.
        prefix: what the variables begin with, as in ``REBRIDGE_SERVER__``.

    Raises:
        ConfigError: if a variable's name is unknown, a key is no text, or a variable holds no JSON where it must.
        ValidationError: if a value is wrong; `explained` makes a message of it.
    """
    _check_environment(prefix, list(model.model_fields))
    odd = [key for key in source.data if not isinstance(key, str)]
    if odd:
        raise ConfigError(f"{source.path}: the key {odd[0]!r} must be text")
    try:
        # BaseSettings takes the prefix, but its signature as type checkers see it does not say so.
        loaded = reader(_env_prefix=prefix, **source.data)  # type: ignore[call-arg]
    except SettingsError as error:
        raise ConfigError(f"environment variables {prefix}...: {error}") from error
    return model.model_construct(**{name: getattr(loaded, name) for name in model.model_fields})


def explained(
    error: ValidationError, source: YamlSource, prefix: str, schema: Mapping[str, Any], above: Location = ()
) -> ConfigError:
    """An error with one line per problem: file, line, key, what is wrong and the cure."""
    lines = []
    for problem in error.errors():
        location: Location = (*above, *problem["loc"])
        place = _variable(prefix, location) or source.place(location)
        if problem["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            what = unknown("key", str(location[-1]), valid_keys(schema, problem["loc"][:-1]))
        else:
            shown = "" if _SECRETS & set(location) else _shown(problem["input"])
            what = f"{problem['msg'].removeprefix('Value error, ')}{shown}."
        key = "".join(f"{part}: " for part in [".".join(map(str, location))] if part)
        lines.append((source.line(location), f"{place}: {key}{what}"))
    return ConfigError("\n".join(text for _, text in sorted(lines)))


def _check_environment(prefix: str, known: list[str]) -> None:
    """A misspelt variable must not be ignored in silence."""
    for name in os.environ:
        key = name[len(prefix) :].split("__")[0].lower()
        if name.upper().startswith(prefix) and key not in known:
            raise ConfigError(f"environment variable {name}: {unknown('key', key, known)}")


def _variable(prefix: str, location: Location) -> str | None:
    """The variable that set a location, or a place above it."""
    names = [
        prefix + "__".join(str(part).upper() for part in location[:length]) for length in range(len(location), 0, -1)
    ]
    return next((f"environment variable {name}" for name in names if name in os.environ), None)


def _shown(value: Any) -> str:
    """The value that was given, if it is short and so can be recognised; never a text that may be a secret."""
    return f", not {value!r}" if isinstance(value, int | float) or (isinstance(value, str) and value.isalnum()) else ""
