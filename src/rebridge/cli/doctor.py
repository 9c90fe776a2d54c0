"""``rebridge doctor``: what is here, what is wrong, and the cure."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, console, print_json

if TYPE_CHECKING:
    from rebridge.config import ScorerSection

_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[red]problem[/]"}
_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "pydantic-settings")
# How long a remote scorer may take for one short passage, seconds.
_PATIENCE_S = 10.0
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what, in a word or two.
        state: ``ok``, ``note`` (worth knowing), or ``problem``.
        text: what was found; for a problem, the cure too.
    """

    topic: str
    state: Literal["ok", "note", "problem"]
    text: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    configs: Configs = None,
) -> None:
    """Find problems and their cures.

    Looks at packages, devices, models, pipelines and engines.

    \b
    Examples:
      rebridge doctor
      rebridge doctor --json | jq '.[] | select(.state == "problem")'
    """
    findings = [*_software(), *_hardware(), *_model(), *_pipelines(configs)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        from rich.markup import escape

        for finding in findings:
            console().print(f"{_MARKS[finding.state]} [bold]{finding.topic}[/] {escape(finding.text)}", soft_wrap=True)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(PARTLY)


def _software() -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found = [Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")]
    found.append(Finding("rebridge", "ok", version("rebridge")))
    for name in _PACKAGES:
        try:
            found.append(Finding(name, "ok", version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, "problem", f"not installed: pip install {name}"))
    return found


def _hardware() -> list[Finding]:
    import torch

    from rebridge.scorers.placing import cpu_flags

    flags = cpu_flags()
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} processors"
    extensions = ", ".join(flag for flag in _CPU_FLAGS if flag in flags) or "no known extensions"
    found = [Finding("cpu", "ok", f"{threads}; {extensions}; {_products()}")]
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        found.append(Finding("gpu", "ok", ", ".join(names)))
    elif torch.backends.mps.is_available():
        found.append(Finding("gpu", "ok", "Apple Metal (mps)"))
    else:
        found.append(Finding("gpu", "note", "none that torch can use: models run on the CPU"))
    return found


def _products() -> str:
    """How fast torch multiplies here, by a matrix of a usual shape."""
    import torch

    from rebridge.scorers.encoders.linear import measured_speeds
    from rebridge.scorers.streams import cpu_streams

    streams = cpu_streams()
    used = "one processor" if streams is None or streams.processors == 1 else f"{streams.processors} processors"
    speeds = measured_speeds(3072, 768, torch.float32)
    told = ", ".join(f"{speed:.0f} GFLOP/s by {name}" for name, speed in speeds.items())
    return f"products of matrices in float32, on {used}: {told or 'by torch alone'}"


def _model() -> list[Finding]:
    from rebridge.errors import ScorerError
    from rebridge.scorers import DEFAULT_MODEL
    from rebridge.scorers.hub import locate

    cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub"
    found = [Finding("model cache", "ok", str(Path(cache).expanduser()))]
    try:
        located = locate(DEFAULT_MODEL, local_files_only=True)
    except ScorerError as error:
        found.append(Finding("default model", "problem", str(error)))
    else:
        found.append(Finding("default model", "ok", f"{DEFAULT_MODEL} in {located.path}"))
    return found


def _pipelines(folder: Path | None) -> list[Finding]:
    from concurrent.futures import ThreadPoolExecutor

    from rebridge.config_files import available

    known = available(folder)
    if not known:
        return [Finding("pipelines", "note", "none: put one into configs/NAME.yaml, or run `rebridge index`")]
    with ThreadPoolExecutor() as pool:  # engines that do not answer are waited for together
        found = pool.map(lambda index: [_pipeline(index, folder), *_scorers(index, folder)], sorted(known))
        return [finding for findings in found for finding in findings]


def _pipeline(index: str, folder: Path | None) -> Finding:
    from rebridge.cli.probing import probe
    from rebridge.config_files import load_config
    from rebridge.errors import RebridgeError

    topic = f"pipeline {index}"
    try:
        config = load_config(index, folder)
        found = probe(index, config)
    except RebridgeError as error:
        return Finding(topic, "problem", str(error))
    problems = found.problems + [f"{key} {problem}" for key, problem in found.misfits]
    if problems:
        return Finding(topic, "problem", f"{found.facts.product}: {' '.join(problems)}")
    return Finding(topic, "ok", f"{found.documents:,} documents in {found.facts.product}")


def _scorers(index: str, folder: Path | None) -> list[Finding]:
    """A finding for each of a pipeline's scorers; none if the pipeline cannot be read."""
    from rebridge.config_files import load_config
    from rebridge.errors import RebridgeError

    try:
        config = load_config(index, folder)
    except RebridgeError:
        return []  # told already
    return [_scorer(f"scorer {section.name} of {index}", section) for section in (config.scorer, *config.fallbacks)]


def _scorer(topic: str, section: ScorerSection) -> Finding:
    """Look whether a model is here, without loading it, or have a remote scorer score one passage."""
    from rebridge.cli.scorer_facts import placed, score_cache
    from rebridge.errors import RebridgeError
    from rebridge.scorers import open_section

    try:
        if section.kind == "local":
            where = placed(section)
        else:
            where = f"{section.dialect} at {section.url}"
            with open_section(section.uncached()) as scorer:
                scorer.submit("test", ["test"], deadline=time.monotonic() + _PATIENCE_S).result()
    except RebridgeError as error:
        return Finding(topic, "problem", str(error))
    return Finding(topic, "ok", f"{where}; {score_cache(section)}")
