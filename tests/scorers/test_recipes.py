"""Which recipe scores a model, and what it says about that."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.checkpoint import Checkpoint
from rebridge.scorers.golden import PUBLISHED
from rebridge.scorers.known import KNOWN_MODELS
from rebridge.scorers.options import OPTIONS
from rebridge.scorers.recipes import RECIPES, choose, recipe_of

sys.path.append(str(Path(__file__).parents[1] / "fixtures"))

import cases

if TYPE_CHECKING:
    from collections.abc import Callable


def folder(key: str, place: Path, **changes: Any) -> Path:
    """A tiny checkpoint's configuration under another name, changed."""
    place.mkdir(parents=True)
    config = json.loads((cases.model_folder(key) / "config.json").read_text("utf-8")) | changes
    (place / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return place


def chosen(path: Path, name: str | None = None) -> str:
    """The recipe of a folder."""
    return choose(Checkpoint(path, str(path)), name).recipe.name


def test_every_known_model_has_a_recipe() -> None:
    """What `rebridge models` lists is scored by a recipe that names it, and published scores are of such models."""
    names = [model.name for model in KNOWN_MODELS]
    assert len(set(names)) == len(names)
    assert all(model.recipe in RECIPES for model in KNOWN_MODELS)
    assert set(PUBLISHED) <= set(names)


def test_no_model_has_two_recipes() -> None:
    """A name on the hub stands in one recipe."""
    models = [model.lower() for recipe in RECIPES.values() for model in recipe.models]
    assert len(set(models)) == len(models)


def test_every_option_is_checked_and_configurable() -> None:
    """Options of recipes have a kind of value and a key in the pipeline."""
    names = {name for recipe in RECIPES.values() for name in recipe.options}
    assert names <= set(OPTIONS)
    assert set(OPTIONS) <= set(ScorerSection.model_fields)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("BAAI/bge-reranker-v2-m3", "bge-reranker"),
        ("baai/BGE-reranker-base", "bge-reranker"),
        ("maidalun1020/bce-reranker-base_v1", "bce-reranker"),
        ("cross-encoder/ms-marco-MiniLM-L6-v2", "cross-encoder"),
        ("somebody/bge-reranker-v2-m3", None),
    ],
)
def test_by_name(name: str, recipe: str | None) -> None:
    """Names on the hub are compared in full, whatever their case."""
    found = recipe_of(name)
    assert (found.name if found else None) == recipe


@pytest.mark.parametrize(
    ("key", "recipe"),
    [
        ("deberta", "mxbai-rerank-v1"),
        ("xlm-r", "cross-encoder"),
        ("amberoad", "cross-encoder"),
        ("minilm", "cross-encoder"),
        ("gte-modernbert", "cross-encoder"),
        ("qwen3-seq-cls", "qwen3-reranker-seq-cls"),
    ],
)
def test_by_configuration(key: str, recipe: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A copy under any name is recognised where its configuration tells, of which a warning tells the user."""
    with caplog.at_level(logging.WARNING, logger="rebridge"):
        assert chosen(folder(key, tmp_path / "some-model")) == recipe
    assert f"scored by the recipe '{recipe}'" in caplog.text
    assert ("name its recipe: bge-reranker, bce-reranker, japanese-reranker" in caplog.text) == (key == "xlm-r")


def test_deberta_of_sentence_transformers(tmp_path: Path) -> None:
    """A saved activation says how a model is scored; only without one is DeBERTa taken for mxbai-rerank."""
    saved = {"activation_fn": "torch.nn.modules.linear.Identity"}
    assert chosen(folder("deberta", tmp_path / "one", sentence_transformers=saved)) == "cross-encoder"
    assert chosen(folder("deberta", tmp_path / "two", id2label={"0": "a", "1": "b"})) == "cross-encoder"


def test_other_classifiers_of_qwen3(tmp_path: Path) -> None:
    """A Qwen3 that was trained by sentence-transformers, or has two labels, is not asked as Qwen3-Reranker is."""
    saved = {"activation_fn": "torch.nn.modules.linear.Identity"}
    assert chosen(folder("qwen3-seq-cls", tmp_path / "one", sentence_transformers=saved)) == "cross-encoder"
    assert chosen(folder("qwen3-seq-cls", tmp_path / "two", id2label={"0": "a", "1": "b"})) == "cross-encoder"


@pytest.mark.parametrize(
    ("place", "changes", "reason"),
    [
        ("bge-reranker-large", {}, "its folder is called bge-reranker-large"),
        ("models--BAAI--bge-reranker-v2-m3/snapshots/12ab", {}, "the hub cache's for BAAI/bge-reranker-v2-m3"),
        ("copy", {"_name_or_path": "BAAI/bge-reranker-base"}, "comes from BAAI/bge-reranker-base"),
    ],
)
def test_by_trace(
    place: str, changes: dict[str, Any], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """XLM-R rerankers look alike; the folder's name or the noted origin tells them apart."""
    path = folder("xlm-r", tmp_path / place, **changes)
    with caplog.at_level(logging.WARNING, logger="rebridge"):
        choice = choose(Checkpoint(path, str(path)))
    assert (choice.recipe.name, choice.assumed) == ("bge-reranker", True)
    assert reason in choice.reason
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("architecture", "layers", "features", "recipe"),
    [
        ("Qwen2ForCausalLM", 24, 896, "causal-yes-no"),
        ("GemmaForCausalLM", 18, 2048, "causal-yes-no"),
        ("Qwen3ForCausalLM", 28, 1024, "causal-yes-no"),
        ("LayerWiseMiniCPMForCausalLM", 12, 64, "bge-reranker-layerwise"),
        ("LlamaForCausalLM", 16, 2048, "causal-yes-no"),
    ],
)
def test_size_tells_nothing(architecture: str, layers: int, features: int, recipe: str, tmp_path: Path) -> None:
    """Chat models have the very sizes of published rerankers, so only an architecture of its own is recognised."""
    config = {"architectures": [architecture], "num_hidden_layers": layers, "hidden_size": features}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert chosen(tmp_path) == recipe


@pytest.mark.parametrize(
    ("folder", "origin", "recipe"),
    [
        ("Qwen3-Reranker-0.6B", None, "qwen3-reranker"),
        ("models--mixedbread-ai--mxbai-rerank-base-v2/snapshots/12ab", None, "mxbai-rerank-v2"),
        ("copy", "BAAI/bge-reranker-v2-gemma", "bge-reranker-gemma"),
        ("Qwen3-0.6B", "Qwen/Qwen3-0.6B", "causal-yes-no"),
    ],
)
def test_copies_are_recognised_by_the_name_they_bear(
    folder: str, origin: str | None, recipe: str, tmp_path: Path
) -> None:
    """The folder, the hub's cache or the noted origin tell a reranker from a chat model."""
    family = {"Q": "Qwen3", "m": "Qwen2", "c": "Gemma"}[folder[0]]
    path = tmp_path / folder
    path.mkdir(parents=True)
    config = {"architectures": [f"{family}ForCausalLM"], "_name_or_path": origin}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert chosen(path) == recipe


def test_traces_do_not_mislead(tmp_path: Path) -> None:
    """A name is nothing if the architecture is another, or sentence-transformers has noted its own activation."""
    assert chosen(folder("minilm", tmp_path / "bge-reranker-base")) == "cross-encoder"
    saved = {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
    trained = folder("xlm-r", tmp_path / "mine", _name_or_path="BAAI/bge-reranker-base", sentence_transformers=saved)
    assert chosen(trained) == "cross-encoder"


def test_named_recipe(tmp_path: Path) -> None:
    """The user's word counts, unless it cannot be or there is no such recipe."""
    path = folder("xlm-r", tmp_path / "model")
    assert chosen(path, "bce-reranker") == "bce-reranker"
    with pytest.raises(ConfigError, match=r"there is no recipe 'bce'; recipes are: .*bce-reranker"):
        chosen(path, "bce")
    with pytest.raises(ConfigError, match=r"'mxbai-rerank-v1' is for DebertaV2ForSequenceClassification; .* is a XLM"):
        chosen(path, "mxbai-rerank-v1")


def test_unknown_architecture(tmp_path: Path) -> None:
    """A model that no recipe fits is refused with a list of the recipes."""
    with pytest.raises(
        UnsupportedModel, match=r"T5ForConditionalGeneration[\s\S]*- bge-reranker: XLM-R[\s\S]*- bi-encoder"
    ):
        chosen(folder("xlm-r", tmp_path / "model", architectures=["T5ForConditionalGeneration"]))


def test_the_scorer_tells(open_tiny: Callable[..., Any], tmp_path: Path) -> None:
    """A scorer says by which recipe it scores and why."""
    path = shutil.copytree(cases.model_folder("xlm-r"), tmp_path / "bge-reranker-base")
    assert open_tiny(path).choice.recipe.name == "bge-reranker"
    asked = open_tiny(path, recipe="japanese-reranker").choice
    assert (asked.recipe.name, asked.reason, asked.assumed) == ("japanese-reranker", "as asked", False)


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("bge-reranker", {"query_max_length": 508}, "leaves no room for a passage: at most 507"),
        ("bge-reranker", {"max_length": 600}, "more than this model can read: 512"),
        ("bge-reranker", {"method": "rerank"}, "Its options are: max_length, normalize, query_max_length"),
        ("bce-reranker", {"method": "windows"}, "'windows' is not one of rerank, compute_score"),
        ("bce-reranker", {"max_length": 100}, "does not know max_length"),
    ],
)
def test_impossible_options(recipe: str, options: dict[str, Any], message: str, open_tiny: Callable[..., Any]) -> None:
    """Options of another recipe and values that cannot be are refused."""
    with pytest.raises(ConfigError, match=message):
        open_tiny(cases.model_folder("xlm-r"), recipe=recipe, **options)


def test_instruction_without_room(open_tiny: Callable[..., Any]) -> None:
    """A limit that the chat alone exceeds is refused."""
    with pytest.raises(ConfigError, match="max_length=20 leaves no room"):
        open_tiny(cases.model_folder("qwen3-seq-cls"), max_length=20)


def test_recipe_for_one_label(open_tiny: Callable[..., Any], tmp_path: Path, build_cross_encoder: Any) -> None:
    """bge-reranker has one label; two are another kind of model."""
    with pytest.raises(UnsupportedModel, match="has 2 labels; this recipe is for 1"):
        open_tiny(build_cross_encoder(tmp_path, "xlm-roberta", labels=2), recipe="bge-reranker")


def test_section_passes_on_what_is_set() -> None:
    """Of the pipeline's keys only those that are set reach `open_scorer`."""
    section = ScorerSection(model="m", recipe="bge-reranker", normalize=False, query_max_length=9)
    assert section.options() == {
        "recipe": "bge-reranker",
        "normalize": False,
        "query_max_length": 9,
        "device": "auto",
        "dtype": "auto",
        "backend": "auto",
        "local_files_only": False,
    }
