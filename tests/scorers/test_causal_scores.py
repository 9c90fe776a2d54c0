"""Language models give the scores of their own packages, and compute no logits that nobody asked for."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rebridge.errors import ConfigError
from rebridge.scorers import open_scorer
from rebridge.steps import Windows

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))
RECIPES = {
    "qwen2": "mxbai-rerank-v2",
    "gemma": "bge-reranker-gemma",
    "minicpm": "bge-reranker-layerwise",
    "qwen3": "qwen3-reranker",
}
OFFICIAL = [
    pytest.param(key, case, id=f"{key}: {case['name']}")
    for key in RECIPES
    for case in CASES["load"](key)["cases"]
    if "scores" in case
]
QUERY = "Which planet is known as the Red Planet?"
PASSAGES = [
    "Mars is red.",
    "",
    "mars " * 90,
    "Jupiter, the largest planet, has a red spot.",
    "<|im_end|>\n\u4e00 \ud800",
]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def opened(open_once: Callable[..., Any]) -> Callable[..., Any]:
    """(key, options) -> scorer, opened once for all tests of this file."""
    return lambda key, **options: open_once(
        CASES["model_folder"](key), recipe=RECIPES[key], **{"token_budget": 16384, **options}
    )


def our_options(official: dict[str, Any]) -> dict[str, Any]:
    """Our names for the official options: ``raw`` is ``normalize: false``."""
    ours = dict(official)
    return ours | {"normalize": not ours.pop("raw")} if "raw" in ours else ours


@pytest.mark.parametrize(("key", "case"), OFFICIAL)
def test_equals_the_official_scores(key: str, case: dict[str, Any], opened: Callable[..., Any]) -> None:
    """Every score of the model's own package comes out, for odd, empty and over-long texts and all options."""
    ours = opened(key, **our_options(case["options"])).score(case["query"], case["passages"])
    expected = case["scores"]
    if isinstance(expected[0], list):  # a list per layer there, a list per passage here
        expected = [list(row) for row in zip(*expected, strict=True)]
        for row, official in zip(ours, expected, strict=True):
            assert row == pytest.approx(official, abs=1e-5)
    else:
        assert ours == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("key", RECIPES)
def test_batch_and_padding_do_not_matter(key: str, opened: Callable[..., Any]) -> None:
    """A passage has the same score alone and beside longer ones, in small batches and in large ones."""
    together = opened(key).raw_scores(QUERY, PASSAGES)
    assert len({round(score, 4) for score in together}) == len(PASSAGES)
    alone = [opened(key).raw_scores(QUERY, [passage])[0] for passage in PASSAGES]
    small = opened(key, token_budget=300).raw_scores(QUERY, PASSAGES[::-1])[::-1]
    assert alone == pytest.approx(together, abs=1e-5)
    assert small == pytest.approx(together, abs=1e-5)


class Shapes(TorchDispatchMode):
    """Notes the shape of every tensor that torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and "view" not in str(function) and result.dim() > 1:
            self.seen.add(tuple(result.shape))
        return result


@pytest.mark.parametrize("key", RECIPES)
def test_no_tensor_has_the_size_of_the_vocabulary(key: str, opened: Callable[..., Any]) -> None:
    """Scoring computes no tensor with a column per token of the vocabulary, not even for one token of the input."""
    config = json.loads((CASES["model_folder"](key) / "config.json").read_text(encoding="utf-8"))
    family = opened(key).family
    inputs = family.encode(QUERY, PASSAGES)
    with Shapes() as shapes:
        family.forward(inputs)
    assert any(shape[-1] == config["hidden_size"] for shape in shapes.seen)
    assert not any(config["vocab_size"] in shape for shape in shapes.seen)


@pytest.mark.parametrize("key", RECIPES)
def test_bfloat16(key: str, opened: Callable[..., Any]) -> None:
    """In bfloat16 scores stay near, and are not rounded to the two or three digits of bfloat16 themselves."""
    exact = opened(key, normalize=False).score(QUERY, PASSAGES)
    rough = opened(key, normalize=False, dtype="bfloat16").score(QUERY, PASSAGES)
    assert rough == pytest.approx(exact, abs=0.25)
    assert rough != torch.tensor(rough).bfloat16().tolist()


@pytest.mark.parametrize("key", RECIPES)
def test_windows(key: str, opened: Callable[..., Any]) -> None:
    """A long passage is cut by the model's tokens, and each window scored as a passage of its own."""
    scorer, windows = opened(key), Windows(size=40, stride=30, limit=3)
    pieces = scorer.family.cut(PASSAGES[2], windows)
    assert len(pieces) == 3
    assert all(piece in PASSAGES[2] for piece in pieces)
    (scores,) = scorer.submit(QUERY, [PASSAGES[2]], windows=windows).result()
    assert list(scores) == pytest.approx(scorer.raw_scores(QUERY, pieces), abs=1e-5)


def test_several_layers(opened: Callable[..., Any]) -> None:
    """Several cutoff layers give a list per passage, ascending by layer in whatever order they were named."""
    scorer = opened("minicpm", cutoff_layers=[6, 2, 4, 2])
    assert scorer.layers == 3
    columns = [opened("minicpm", cutoff_layers=[layer]).raw_scores(QUERY, PASSAGES) for layer in (2, 4, 6)]
    expected = [list(row) for row in zip(*columns, strict=True)]
    for ours, row in zip(scorer.raw_scores(QUERY, PASSAGES), expected, strict=True):
        assert ours == pytest.approx(row, abs=1e-5)
    assert scorer.score(QUERY, []) == []


def test_a_pipeline_sees_the_last_of_several_layers(opened: Callable[..., Any]) -> None:
    """`submit`, which pipelines use, gives one score per passage or window: that of the last layer."""
    scorer = opened("minicpm", cutoff_layers=[2, 4, 6])
    rows = scorer.submit(QUERY, PASSAGES).result()
    assert [len(row) for row in rows] == [1] * len(PASSAGES)
    last = opened("minicpm").raw_scores(QUERY, PASSAGES)
    assert [row[0] for row in rows] == pytest.approx(last, abs=1e-5)


def test_no_cutoff_layer_has_a_head() -> None:
    """Cutoff layers that all lie outside are refused, and the message names those that can be."""
    with pytest.raises(ConfigError, match="from 2 to 6"):
        open_scorer(CASES["model_folder"]("minicpm"), device="cpu", cutoff_layers=[1, 99])


def test_normalised_raw_scores(opened: Callable[..., Any]) -> None:
    """The raw score is always what the official score is the sigmoid of."""
    scorer = opened("qwen2", normalize=True, estimated_max=9.0)
    raw = scorer.raw_scores(QUERY, PASSAGES)
    plain = opened("qwen2").raw_scores(QUERY, PASSAGES)
    assert raw == pytest.approx([score - 4.5 for score in plain], abs=1e-5)
    assert scorer.score(QUERY, PASSAGES) == pytest.approx([1 / (1 + math.exp(-score)) for score in raw])
