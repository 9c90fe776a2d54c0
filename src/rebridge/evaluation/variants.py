"""Which pipelines an evaluation compares: the configured one, its two stages alone, and what the user varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import yaml
from pydantic import ValidationError

from rebridge.config import PipelineConfig
from rebridge.connector import load
from rebridge.errors import ConfigError, unknown
from rebridge.evaluation.model import Variant
from rebridge.yaml_source import valid_keys

#: The names of the variants that there always are.
FIRST_STAGE, RERANK = "first stage", "rerank"
_CONFIGURED = {"weighted": "fused", "rrf": "rrf", "replace": RERANK}


def variants(config: PipelineConfig, index: str, varied: Mapping[str, Sequence[Any]]) -> list[Variant]:
    """The pipelines to compare.

    Args:
        config: the configured pipeline.
        index: its index.
        varied: dotted key of the pipeline file -> values; see `parse_varied`. Their product is added.

    Returns:
        The first stage alone, the model alone, the pipeline as configured (which is the model alone if it says so), and
        every combination of the varied values. A combination that is the configured pipeline is only named after both.

    Raises:
        ConfigError: names the option that makes no valid pipeline.
    """
    alone = config.model_copy(update={"fusion": type(config.fusion)("replace")})
    found = {FIRST_STAGE: Variant(FIRST_STAGE, config, rerank=False), RERANK: Variant(RERANK, alone)}
    configured = configured_name(config)
    found[configured] = Variant(configured, config)
    for values in product(*varied.values()) if varied else ():
        chosen = dict(zip(varied, values, strict=True))
        name = " ".join(f"{key}={_shown(value)}" for key, value in chosen.items())
        changed = with_values(config, index, chosen)
        if changed == config:
            found[configured] = Variant(f"{configured} ({name})", config)
        else:
            found[name] = Variant(name, changed)
    return list(found.values())


def configured_name(config: PipelineConfig) -> str:
    """The name of the pipeline as configured, without what is in parentheses if it is also a combination."""
    return _CONFIGURED[config.fusion.method]


def parse_varied(given: Sequence[str]) -> dict[str, list[Any]]:
    """``["fusion.weight=0.4,0.6"]`` -> ``{"fusion.weight": [0.4, 0.6]}``; values are written as in a pipeline file.

    Raises:
        ConfigError: names the option that cannot be read.
    """
    varied: dict[str, list[Any]] = {}
    for option in given:
        key, equals, text = option.partition("=")
        key = key.strip()
        try:
            values = yaml.safe_load(f"[{text}]")
        except yaml.YAMLError:
            values = []
        if not (key and equals and values):
            raise ConfigError(
                f"--vary {option}: write KEY=VALUE,VALUE, as in fusion.weight=0.4,0.6. Put a value with commas, colons "
                f"or braces between quotation marks."
            )
        if key in varied:
            raise ConfigError(f"--vary {option}: {key} is varied twice. Put all values into one option.")
        varied[key] = list({repr(value): value for value in values}.values())
    return varied


def with_values(config: PipelineConfig, index: str, chosen: Mapping[str, Any]) -> PipelineConfig:
    """The pipeline with other values for some dotted keys, checked like a pipeline file.

    Raises:
        ConfigError: names the key, what is wrong and the cure.
    """
    content = config.model_dump()
    for key, value in chosen.items():
        *above, last = key.split(".")
        place = content
        for step in above:
            if not isinstance(place.get(step), dict):
                place[step] = {}
            place = place[step]
        place[last] = value
    try:
        changed = PipelineConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_explain(error, chosen, PipelineConfig.model_json_schema(), ())) from error
    try:
        changed.connector_settings(index)
    except ValidationError as error:
        schema = load(changed.connector.name).settings.model_json_schema()
        raise ConfigError(_explain(error, chosen, schema, ("connector",))) from error
    return changed


def _explain(
    error: ValidationError, chosen: Mapping[str, Any], schema: Mapping[str, Any], above: tuple[str, ...]
) -> str:
    """One line for each problem, beginning with the option that causes it."""
    lines = []
    for problem in error.errors():
        location = (*above, *map(str, problem["loc"]))
        dotted = ".".join(location)
        cause = next((key for key in chosen if dotted.startswith(key) or key.startswith(dotted)), ", ".join(chosen))
        if problem["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            what = unknown("key", location[-1], valid_keys(schema, problem["loc"][:-1]))
        else:
            given = chosen.get(cause, "")
            hint = " Put text with braces between quotation marks." if isinstance(given, dict) else ""
            what = f"{problem['msg'].removeprefix('Value error, ')}, not {_shown(given)}.{hint}"
        lines.append(f"--vary {cause}: {what}")
    return "\n".join(dict.fromkeys(lines))


def _shown(value: Any) -> str:
    """A value as short as it can be recognised by."""
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).partition("\n...")[0]
    return " ".join(text.split())
