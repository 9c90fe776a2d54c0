"""A tuned pipeline as a file: the user's own text, in which the chosen keys have been replaced.

Keys are replaced where they stand, so that comments, order and everything else stay byte for byte: a round trip through
a YAML library moves or drops comments beside the keys that change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import yaml
from pydantic import ValidationError

from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError
from rebridge.evaluation.tuning.space import Setting
from rebridge.fusion import USED

#: What the lines about the evidence begin with, so that the next tuning can replace them.
MARK = "# tuned: "


def tuned_text(text: str, setting: Setting, evidence: Sequence[str]) -> str:
    """A pipeline file's text with another setting.

    Args:
        text: the pipeline file as the user wrote it.
        setting: what to put into it.
        evidence: lines about where the setting comes from, for a comment at the top; those of an earlier tuning go.

    Raises:
        ConfigError: if the text cannot be changed without changing more than the setting: where its keys are shared by
            anchors.
    """
    tuned = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(MARK))
    before = _pipeline(tuned)
    wanted = {"passage": setting.passage, "rank_window": setting.rank_window, "fusion": setting.fusion}
    try:
        for section, values in _changes(before, setting).items():
            tuned = _changed(tuned, section, values)
        more = _pipeline(tuned) != before.model_copy(update=wanted)
    except (yaml.YAMLError, ConfigError):
        more = True
    if more:
        raise ConfigError(
            "The pipeline file's rank_window, fusion and passage cannot be changed without changing more, e.g. because "
            "keys are shared by anchors. Write them out, each on a line of its own, and tune again."
        )
    return "".join(f"{MARK}{line}\n" for line in evidence) + tuned


def check_changeable(text: str) -> None:
    """Find out early whether a pipeline file's text can be changed.

    Raises:
        ConfigError: as `tuned_text`.
    """
    own = Setting.of(_pipeline(text))
    fusion = replace(own.fusion, rrf_k=own.fusion.rrf_k + 1)
    changed = replace(own, rank_window=1 if own.rank_window > 1 else 2, fusion=fusion)
    tuned_text(text, changed, ())


def _pipeline(text: str) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate(yaml.safe_load(text) or {})
    except ValidationError as error:  # what is in force was checked before, so the environment makes up for it
        raise ConfigError(
            "The pipeline file is valid only together with environment variables, so it cannot be tuned: write their "
            "values into the file."
        ) from error


def _changes(before: PipelineConfig, setting: Setting) -> dict[str, Any]:
    """Top-level key -> its new value, or for a section the new values of some of its keys."""
    fusion, old = asdict(setting.fusion), asdict(before.fusion)
    # What the method uses is written even where it is the default, so that the file goes on meaning the same when
    # defaults change.
    written = ("method", *USED[setting.fusion.method])
    passage, own = asdict(setting.passage), asdict(before.passage)
    return {
        "rank_window": setting.rank_window,
        "fusion": {k: v for k, v in fusion.items() if k in written or v != old[k]},
        "passage": {k: v for k, v in passage.items() if v != own[k]},
    }


def _changed(text: str, section: str, values: Any) -> str:
    if not isinstance(values, dict):
        return _put(text, (), section, values)
    if not isinstance(_node(text, (section,)), yaml.MappingNode):
        return _put(text, (), section, values) if values else text
    for key, value in values.items():
        text = _put(text, (section,), key, value)
    return text


def _put(text: str, above: tuple[str, ...], key: str, value: Any) -> str:
    """The text with another value of a key in the mapping at ``above``, which is there unless it is the whole file."""
    written = _written(value)
    old = _node(text, (*above, key))
    if old is not None:
        start, end = old.start_mark.index, _end(text, old)
        return text[:start] + (f" {written}" if start == end else written) + text[end:]  # `key:` alone has no space
    mapping = _node(text, above)
    if not isinstance(mapping, yaml.MappingNode):  # nothing but comments
        return f"{text.rstrip()}\n{key}: {written}\n".lstrip("\n")
    if not mapping.value:
        return text[: mapping.start_mark.index + 1] + f"{key}: {written}" + text[mapping.start_mark.index + 1 :]
    end = _end(text, mapping.value[-1][1])
    if mapping.flow_style:
        return text[:end] + f", {key}: {written}" + text[end:]
    line_end = text.find("\n", end)
    if line_end < 0:
        line_end = len(text)
    indent = " " * mapping.value[0][0].start_mark.column
    return text[:line_end] + f"\n{indent}{key}: {written}" + text[line_end:]


def _node(text: str, path: tuple[str, ...]) -> yaml.Node | None:
    """The node at a path; None if there is none."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in path:
        entries = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in entries if name.value == key), None)
    return node


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's text ends. A block's own end mark lies behind the comments and empty lines that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(node, yaml.MappingNode) else last)
    end: int = node.end_mark.index
    return end if end == node.start_mark.index else len(text[:end].rstrip())


def _written(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and value.isidentifier():  # names of methods and the like
        return value
    if isinstance(value, str):  # on one line, with escapes for whatever YAML takes for a line's end or does not take
        return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf)).rstrip("\n")
    return json.dumps(value)
