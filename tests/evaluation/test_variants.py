"""Which pipelines are compared, and what is said about keys and values that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError
from rebridge.evaluation.variants import configured_name, parse_varied, variants, with_values


def config(**changes: Any) -> PipelineConfig:
    return PipelineConfig.model_validate({"connector": {"name": "tantivy", "path": "/nowhere"}, **changes})


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("weighted", ["first stage", "rerank", "fused"]),
        ("rrf", ["first stage", "rerank", "rrf"]),
        ("replace", ["first stage", "rerank"]),
    ],
)
def test_always(method: str, names: list[str]) -> None:
    """There are the first stage, the model alone, and the pipeline as configured, each once."""
    chosen = config(fusion={"method": method})
    found = variants(chosen, "docs", {})
    assert [variant.name for variant in found] == names
    assert [variant.rerank for variant in found] == [False] + [True] * (len(names) - 1)
    assert found[-1].config == chosen
    assert found[1].config.fusion.method == "replace"
    assert names[-1] == configured_name(chosen)


def test_products() -> None:
    """Varied keys add all combinations; the one that is the configured pipeline is only named after it."""
    found = variants(config(), "docs", {"fusion.weight": [0.4, 0.6], "rank_window": [50, 100]})
    assert [variant.name for variant in found] == [
        "first stage",
        "rerank",
        "fused (fusion.weight=0.6 rank_window=100)",
        "fusion.weight=0.4 rank_window=50",
        "fusion.weight=0.4 rank_window=100",
        "fusion.weight=0.6 rank_window=50",
    ]
    assert (found[3].config.fusion.weight, found[3].config.rank_window) == (0.4, 50)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        (r'passage.template="{title}: {text}","{title}:\n{text}"', ["{title}: {text}", r"{title}:\n{text}"]),
        ('passage.template="{title} {text}","{title}  {text}"', ["{title} {text}", "{title}  {text}"]),
        ('scorer.revision="1",~,"null"', ["1", "null #2"]),
    ],
)
def test_values_that_look_alike(option: str, names: list[str]) -> None:
    """Different values make different variants with names of their own, however alike they look."""
    varied = parse_varied([option])
    found = variants(config(), "docs", varied)[3:]
    (key,) = varied
    assert [variant.name for variant in found if variant.config != config()] == [f"{key}={name}" for name in names]


@pytest.mark.parametrize(
    ("method", "varied", "names"),
    [
        (
            "weighted",
            {"fusion.method": ["replace", "rrf"], "fusion.weight": [0.1, 0.2]},
            [
                "rerank (fusion.method=replace fusion.weight=0.1; fusion.method=replace fusion.weight=0.2)",
                "fused",
                "fusion.method=rrf fusion.weight=0.1",
                "fusion.method=rrf fusion.weight=0.2",
            ],
        ),
        ("weighted", {"fusion.rrf_k": [10, 20]}, ["rerank", "fused (fusion.rrf_k=10; fusion.rrf_k=20)"]),
        ("rrf", {"fusion.rerank_normaliser": ["z_score"]}, ["rerank", "rrf (fusion.rerank_normaliser=z_score)"]),
        ("replace", {"fusion.weight": [0.1]}, ["rerank (fusion.weight=0.1)"]),
    ],
)
def test_the_same_pipeline_counts_once(method: str, varied: dict[str, list[Any]], names: list[str]) -> None:
    """Combinations that differ only in what their fusion does not use are one variant, and raise no other's p."""
    chosen = config(fusion={"method": method, "weight": 0.6})
    found = variants(chosen, "docs", varied)
    assert [variant.name for variant in found[1:]] == names
    configured = [each for each in found if each.name.partition(" (")[0] == configured_name(chosen)]
    assert [each.config for each in configured] == [chosen]


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("fusion.weight=0.4,0.6,0.4", {"fusion.weight": [0.4, 0.6]}),
        ("scorer.model=a/b, c/d", {"scorer.model": ["a/b", "c/d"]}),
        ('passage.template="{title}\\n{text}","{title}"', {"passage.template": ["{title}\n{text}", "{title}"]}),
        ("passage.windows=null,{size: 64, stride: 32}", {"passage.windows": [None, {"size": 64, "stride": 32}]}),
        ("scorer.normalize=true,false", {"scorer.normalize": [True, False]}),
    ],
)
def test_values_are_written_as_in_a_file(option: str, values: dict[str, list[Any]]) -> None:
    """Values are YAML, separated by commas; one that is there twice counts once."""
    assert parse_varied([option]) == values
    assert len(variants(config(), "docs", values)) >= 3


def test_keys_in_absent_sections() -> None:
    """A key below one that is null makes the section."""
    assert with_values(config(), "docs", {"passage.windows.size": 200}).passage.windows.size == 200  # type: ignore[union-attr]


def test_connector_keys() -> None:
    """The connector's own keys can be varied too."""
    found = variants(config(), "docs", {"connector.path": ["/a", "/b"]})
    assert [str(variant.config.connector_settings("docs").path) for variant in found[3:]] == ["/a", "/b"]


@pytest.mark.parametrize("option", ["fusion.weight", "=1", "fusion.weight=", "a=[", "a={b"])
def test_options_that_cannot_be_read(option: str) -> None:
    """What is no KEY=VALUES is an error that shows how it is written."""
    with pytest.raises(ConfigError, match=r"--vary .*KEY=VALUE"):
        parse_varied([option])


def test_a_key_twice() -> None:
    """All values of a key belong into one option."""
    with pytest.raises(ConfigError, match="varied twice"):
        parse_varied(["rank_window=1", "rank_window=2"])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fusion.wieght", 1, r"--vary fusion\.wieght: unknown key 'wieght'. Did you mean 'weight'"),
        ("rank_windw", 1, r"--vary rank_windw: unknown key 'rank_windw'. Did you mean 'rank_window'"),
        ("fusion.weight", 2, r"--vary fusion\.weight: .*less than or equal to 1, not 2"),
        ("rank_window", "many", r"--vary rank_window: .*integer.*, not many"),
        ("rank_window.size", 3, r"--vary rank_window\.size: "),
        ("passage.template", {"title": None}, r"--vary passage\.template: .*string"),
        ("passage.template", "title", r"--vary passage(\.template)?: the template 'title' names no field"),
        ("connector.pth", "/x", r"--vary connector\.pth: unknown key 'pth'. Did you mean 'path'"),
        ("connector.name", "tantvy", r"unknown connector 'tantvy'"),
        ("scorer.modle", "x", r"--vary scorer\.modle: unknown key 'modle'. Did you mean 'model'"),
    ],
)
def test_values_that_cannot_be(key: str, value: Any, message: str) -> None:
    """Keys and values are checked like those of a pipeline file; the error names the option and the cure."""
    with pytest.raises(ConfigError, match=message):
        variants(config(), "docs", {key: [value]})
