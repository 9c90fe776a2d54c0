"""Which language models are recognised, how their output layer is read, own templates, and what is refused."""

# ruff: noqa: PLR0917 - fixtures fill many parameters
from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rebridge.errors import ConfigError, UnsupportedModel
from rebridge.scorers.causal.loading import load_mxbai
from rebridge.scorers.checkpoint import Checkpoint
from rebridge.scorers.recipes import RECIPES, choose

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))
QUERY = "Which planet is known as the Red Planet?"
PASSAGES = ["Mars is red.", "", "Jupiter has a red spot. {query}", "mars\n" * 30]
TEMPLATE = "<|im_start|>user\nQ: {query}\nP: {passage}\nIs {braces} fine?<|im_end|>\n<|im_start|>assistant\n"


def copy(key: str, folder: Path, **changes: Any) -> Path:
    """A copy of a tiny checkpoint under a name that tells nothing; changes go to its config."""
    target = folder / "copy"
    shutil.copytree(CASES["model_folder"](key), target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    (target / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return target


def change_weights(model: Path, **changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Add, replace or (None) remove tensors; dots of their names are written as double underscores."""
    weights: dict[str, Any] = load_file(model / "model.safetensors")
    weights |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
    weights = {name: tensor for name, tensor in weights.items() if tensor is not None}
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    return weights


def shard(model: Path) -> None:
    """Split the weights over two files."""
    weights = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    names = sorted(weights)
    files = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in files.items():
        save_file({name: weights[name] for name in own}, model / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, own in files.items() for name in own}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def test_embedding_models_are_no_rerankers(tmp_path: Path) -> None:
    """Qwen3-Embedding has the architecture and size of Qwen3-Reranker, but is made for a cosine."""
    config = {"architectures": ["Qwen3ForCausalLM"], "num_hidden_layers": 28, "hidden_size": 1024}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    modules = [{"path": "" if kind == "Transformer" else kind, "type": kind} for kind in ("Transformer", "Pooling")]
    (tmp_path / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert choose(Checkpoint(tmp_path, "x")).recipe.name == "bi-encoder"


def test_a_language_model_is_not_guessed_at(tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """Without a recipe and a template the error names the recipes and how to give a template."""
    with pytest.raises(ConfigError, match=r"(?s)mxbai-rerank-v2.*qwen3-reranker.*template='"):
        open_tiny(copy("qwen2", tmp_path))


@pytest.mark.parametrize(("name", "maximum"), [("mixedbread-ai/mxbai-rerank-base-v2", 9.0), ("elsewhere", 12.0)])
def test_the_scale_of_scores_depends_on_the_name(name: str, maximum: float) -> None:
    """Normalised, base-v2 is scaled by its own estimate, and every other name or folder as large-v2."""
    settings: Any = RECIPES["mxbai-rerank-v2"].settings
    checkpoint = Checkpoint(CASES["model_folder"]("qwen2"), name)
    place: Any = {"device": torch.device("cpu"), "dtype": torch.float32}
    plain, scaled = (load_mxbai(checkpoint, **place, **settings, normalize=flag) for flag in (False, True))
    assert plain.finish(None, (1.0,)) - scaled.finish(None, (1.0,)) == maximum / 2
    assert (plain.activation, scaled.activation) == ("identity", "sigmoid")


def reference(model: Path, texts: list[str]) -> list[float]:
    """The logit of yes less that of no after each text, from all logits of transformers."""
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"))
    language_model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    yes, no = (tokenizer(word)["input_ids"][0] for word in ("yes", "no"))
    scores = []
    for text in texts:
        with torch.inference_mode():
            logits = language_model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1]
        scores.append(float(logits[yes] - logits[no]))
    return scores


@pytest.mark.parametrize("files", ["one file", "shards"])
@pytest.mark.parametrize("output", ["tied", "untied"])
def test_own_template_equals_transformers(
    output: str, files: str, tmp_path: Path, open_tiny: Callable[..., Any]
) -> None:
    """A model asked in the user's own words gives transformers' logits, with an output layer of its own or not."""
    model = copy("qwen3", tmp_path, tie_word_embeddings=output == "tied")
    if output == "untied":
        change_weights(model, lm_head__weight=torch.randn(632, 32, generator=torch.Generator().manual_seed(1)))
    if files == "shards":
        shard(model)
    scorer = open_tiny(model, recipe="causal-yes-no", template=TEMPLATE, negative="no")
    texts = [passage.join(TEMPLATE.replace("{query}", QUERY).split("{passage}")) for passage in PASSAGES]
    assert scorer.activation == "sigmoid"
    assert scorer.raw_scores(QUERY, PASSAGES) == pytest.approx(reference(model, texts), abs=1e-5)


def test_template_without_negative(tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """Without a negative answer the score is the raw logit of the positive one; the template alone picks the recipe."""
    model = copy("qwen3", tmp_path)
    one = open_tiny(model, template=TEMPLATE, positive="yes")
    other = open_tiny(model, template=TEMPLATE, positive="no")
    both = open_tiny(model, template=TEMPLATE, positive="yes", negative="no", normalize=False)
    assert one.activation == "identity"
    difference = [a - b for a, b in zip(one.score(QUERY, PASSAGES), other.score(QUERY, PASSAGES), strict=True)]
    assert both.score(QUERY, PASSAGES) == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize(
    "query", [QUERY, "", "which " * 900, "\U0001f600" * 400], ids=["short", "empty", "long", "emoji"]
)
def test_too_long_for_the_template(query: str, tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """What does not fit is cut from query and passage; the end of the template, which asks, always stays."""
    family = open_tiny(copy("qwen3", tmp_path), template=TEMPLATE, negative="no", max_length=150).family
    tail = family.encode("", [""])[0].ids[-12:].tolist()
    for passage in ["mars " * 1000, "\U0001f468\u200d\U0001f469" * 300, "\u4e00" * 999, "", "a"]:
        (tokens,) = family.encode(query, [passage])
        assert len(tokens) <= 150
        assert tokens.ids[-12:].tolist() == tail
        if len(passage) > 99:
            assert len(tokens) > 140


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "{query} {text}"}, "lacks {passage}"),
        ({"template": TEMPLATE, "instruction": "Be kind."}, "lacks {instruction}"),
        ({"template": TEMPLATE, "positive": "planetary"}, "positive='planetary' must be one token"),
        ({"template": TEMPLATE, "negative": ""}, "negative='' must be one token"),
        ({"template": TEMPLATE, "max_length": 20}, "max_length=20 leaves no room"),
    ],
)
def test_unusable_templates(options: dict[str, Any], message: str, open_tiny: Callable[..., Any]) -> None:
    """A template or an answer that cannot work is refused when the model is opened, with the cure."""
    with pytest.raises(ConfigError, match=message):
        open_tiny(CASES["model_folder"]("qwen3"), recipe="causal-yes-no", **options)


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("gemma", {"query_max_length": 600}, "query_max_length=600 must not be above max_length=512"),
        ("minicpm", {"query_max_length": 65, "max_length": 64}, "query_max_length=65 must not be above max_length=64"),
        ("qwen2", {"estimated_max": 0}, "estimated_max=0 must be above 0"),
        ("qwen3", {"max_length": 30}, "max_length=30 leaves no room"),
    ],
)
def test_impossible_values(key: str, options: dict[str, Any], message: str, open_tiny: Callable[..., Any]) -> None:
    """A value that a model's rules cannot work with is refused, naming the option."""
    recipe = {"gemma": "bge-reranker-gemma", "qwen2": "mxbai-rerank-v2", "qwen3": "qwen3-reranker"}.get(key)
    with pytest.raises(ConfigError, match=message):
        open_tiny(CASES["model_folder"](key), recipe=recipe, **options)


def test_the_query_has_a_limit_of_its_own(open_tiny: Callable[..., Any]) -> None:
    """`query_max_length` cuts the query alone."""
    model, cut = CASES["model_folder"]("gemma"), "red " * 200
    scorer = open_tiny(model, recipe="bge-reranker-gemma", query_max_length=10)
    assert scorer.raw_scores(cut, ["Mars"]) == pytest.approx(scorer.raw_scores(cut + "blue", ["Mars"]))
    lengths = [len(scorer.family.encode(query, ["Mars"])[0]) for query in (cut, "")]
    assert lengths[0] - lengths[1] <= 10


def test_only_the_layers_that_are_read_are_loaded(tmp_path: Path, open_tiny: Callable[..., Any]) -> None:
    """Layers behind the last cutoff layer cost no memory, and shards are read like one file."""
    model = copy("minicpm", tmp_path)
    whole = open_tiny(CASES["model_folder"]("minicpm"), cutoff_layers=[3]).raw_scores(QUERY, PASSAGES)
    unused = {name: None for name in load_file(model / "model.safetensors") if name.startswith("model.layers.3.")}
    change_weights(model, **unused)
    shard(model)
    assert open_tiny(model, cutoff_layers=[3]).raw_scores(QUERY, PASSAGES) == pytest.approx(whole, abs=1e-6)
    with pytest.raises(UnsupportedModel, match=r"lacks .*layers\.3"):
        open_tiny(model, cutoff_layers=[4])


@pytest.mark.parametrize(
    ("key", "config", "weights", "message"),
    [
        ("qwen3", {"final_logit_softcapping": 30.0}, {}, "final_logit_softcapping"),
        ("qwen3", {}, {"lm_head__bias": torch.zeros(632)}, r"lm_head\.bias"),
        ("qwen3", {"tie_word_embeddings": False}, {}, r"lacks lm_head\.weight"),
        ("qwen3", {"architectures": ["NewForCausalLM"]}, {}, "code from the hub"),
        ("minicpm", {}, {"lm_head__4__linear_head__weight": None}, r"lacks lm_head\.4"),
        ("minicpm", {}, {"lm_head__4__linear_head__weight": torch.zeros(1, 7)}, "shape"),
        ("minicpm", {}, {"lm_head__4__linear_head__weight": torch.full((1, 24), torch.nan)}, "not finite"),
        ("minicpm", {"head_type": "complex"}, {}, "head_type"),
        ("minicpm", {"rope_scaling": {"type": "linear", "factor": 2.0}}, {}, "rope_scaling"),
        ("minicpm", {"scale_emb": None}, {}, "config.json is not"),
        ("minicpm", {"start_layer": None}, {}, "start_layer"),
    ],
)
def test_models_that_would_be_scored_wrongly(
    key: str,
    config: dict[str, Any],
    weights: dict[str, Any],
    message: str,
    tmp_path: Path,
    open_tiny: Callable[..., Any],
) -> None:
    """A model whose logits are more than a row times a state, or that lacks a part, is refused and not scored."""
    model = copy(key, tmp_path, **config)
    change_weights(model, **weights)
    options = {"recipe": "causal-yes-no", "template": TEMPLATE} if key == "qwen3" else {}
    with pytest.raises(UnsupportedModel, match=message):
        open_tiny(model, **options)
