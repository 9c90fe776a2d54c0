"""What the options of ``rebridge tune`` mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import typer

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig
    from rebridge.evaluation.tuning import Space
    from rebridge.steps import Windows

T = TypeVar("T")
N = TypeVar("N", int, float)
#: Tokens in a window of a passage, at least.
_SHORTEST = 8


def parse_space(
    config: PipelineConfig,
    windows: str,
    methods: str,
    weights: str,
    normalisers: str,
    templates: Sequence[str],
    passage_windows: str | None,
) -> Space:
    """What the options ask to be tried.

    Raises:
        typer.BadParameter: if an option holds what a pipeline cannot.
    """
    from rebridge.evaluation.tuning import Space
    from rebridge.fusion import FusionName, NormaliserName

    return Space(
        rank_windows=_values("--windows", windows, _between(int, 1, 10_000)),
        methods=_values("--methods", methods, _one_of(FusionName)),
        weights=_values("--weights", weights, _between(float, 0, 1)),
        normalisers=_values("--normalisers", normalisers, _one_of(NormaliserName)),
        templates=tuple(_template(text) for text in templates),
        passage_windows=_values("--passage-windows", passage_windows, _cut(config)) if passage_windows else (),
    )


def _values(option: str, text: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    """The values of a comma-separated option, each once."""
    try:
        found = tuple(dict.fromkeys(parse(part.strip()) for part in text.split(",") if part.strip()))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    if not found:
        raise typer.BadParameter("give at least one value", param_hint=option)
    return found


def _between(kind: Callable[[str], N], low: int, high: int) -> Callable[[str], N]:
    def parse(text: str) -> N:
        problem = f"{text!r} is not a number from {low} to {high}"
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(problem) from None
        if not low <= value <= high:
            raise ValueError(problem)
        return value

    return parse


def _one_of(names: Any) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        from rebridge.errors import unknown

        if text not in get_args(names):
            raise ValueError(unknown("name", text, get_args(names)))
        return text

    return parse


def _template(text: str) -> str:
    from rebridge.passages import PassageTemplate

    try:
        return PassageTemplate(text.replace("\\n", "\n")).template
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--template") from error


def _cut(config: PipelineConfig) -> Callable[[str], Windows | None]:
    """``none``, ``SIZE`` (half of it overlaps) or ``SIZE/STRIDE``; how scores are pooled is the pipeline's own."""
    from dataclasses import replace

    from rebridge.steps import Windows

    def parse(text: str) -> Windows | None:
        if text == "none":
            return None
        size, _, stride = text.partition("/")
        try:
            tokens = int(size)
            step = int(stride) if stride else max(1, tokens // 2)
        except ValueError:
            raise ValueError(f"{text!r} is not none, SIZE or SIZE/STRIDE") from None
        if tokens < _SHORTEST or step < 1:
            raise ValueError(f"{text!r}: a window has {_SHORTEST} tokens at least, and a stride 1")
        return replace(config.passage.windows or Windows(), size=tokens, stride=step)

    return parse


def read_text(index: str, configs: Path | None) -> str:
    """The text of a pipeline file, in which the tuned keys can be changed.

    Raises:
        ConfigError: if they cannot.
    """
    from rebridge.config_files import config_path
    from rebridge.errors import ConfigError
    from rebridge.evaluation.tuning import check_changeable

    path = config_path(index, configs)
    text = path.read_text(encoding="utf-8-sig")
    try:
        check_changeable(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return text


def target(index: str, configs: Path | None, out: Path | None) -> Path:
    """Where the tuned file goes: a folder of its own, since the pipelines of a folder are all in force.

    Raises:
        ConfigError: if the file would be a pipeline for another index, or replace one that tuning did not write.
    """
    from rebridge.config_files import configs_folder
    from rebridge.errors import ConfigError
    from rebridge.evaluation.tuning import MARK

    out = out or configs_folder(configs) / "tuned" / f"{index}.yaml"
    if out.name not in {f"{index}.yaml", f"{index}.yml"}:
        raise ConfigError(f"--out {out}: a pipeline file is named after its index. Give a path to {index}.yaml.")
    if out.exists() and not (out.is_file() and out.read_text(encoding="utf-8", errors="replace").startswith(MARK)):
        raise ConfigError(f"--out {out}: this is there already, and tuning did not write it. Give another path.")
    return out
