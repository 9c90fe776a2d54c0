"""Which pipelines an evaluation compares: the configured one, its two stages alone, and what the user varies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import yaml
from pydantic import ValidationError

from rebridge.config import PipelineConfig
from rebridge.connector import load
from rebridge.errors import ConfigError, unknown
from rebridge.evaluation.model import Variant
from rebridge.fusion import USED, Fusion
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
        every combination of the varied values. Pipelines that differ only in what their fusion does not use are the
        same: there is one variant for them, named after all.

    Raises:
        ConfigError: names the option that makes no valid pipeline.
    """
    alone = config.model_copy(update={"fusion": Fusion("replace")})
    found = [_Distinct(RERANK, alone)]
    if config.fusion.method != "replace":
        found.append(_Distinct(configured_name(config), config))
    names: Counter[str] = Counter()
    for values in product(*varied.values()) if varied else ():
        chosen = dict(zip(varied, values, strict=True))
        name = " ".join(f"{key}={_shown(value)}" for key, value in chosen.items())
        names[name] += 1
        name += f" #{names[name]}" if names[name] > 1 else ""  # values that look the same, such as null and "null"
        changed = with_values(config, index, chosen)
        same = next((each for each in found if _effective(each.config) == _effective(changed)), None)
        if same is None:
            found.append(_Distinct(name, changed))
        else:
            same.also.append(name)
    # The pipeline as configured stays as it is written.
    return [Variant(FIRST_STAGE, config, rerank=False)] + [
        Variant(each.shown, config if each.name == configured_name(config) else each.config) for each in found
    ]


@dataclass(slots=True)
class _Distinct:
    """A pipeline that differs from the others, and the combinations that come to the same."""

    name: str
    config: PipelineConfig
    also: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return f"{self.name} ({'; '.join(self.also)})" if self.also else self.name


def _effective(config: PipelineConfig) -> PipelineConfig:
    """The pipeline without what its fusion's method does not use."""
    used = {name: getattr(config.fusion, name) for name in USED[config.fusion.method]}
    return config.model_copy(update={"fusion": Fusion(config.fusion.method, **used)})


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
    """A value on one line, as it is but for line breaks and the like."""
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    text = text if isinstance(value, str) else text.partition("\n...")[0].strip()
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
