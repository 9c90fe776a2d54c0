"""What the prompts of a batch have in common goes through a language model once, and changes no score."""

from __future__ import annotations

import itertools
import runpy
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from rebridge.scorers.causal.prefixes import Prefix, Prefixes, shared_lengths
from rebridge.scorers.token_budget import tuned_budget
from rebridge.scorers.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = runpy.run_path(str(Path(__file__).parents[1] / "fixtures" / "cases.py"))
# Each tiny checkpoint's recipe and options.
MODELS: dict[str, dict[str, Any]] = {
    "qwen2": {"recipe": "mxbai-rerank-v2"},
    "gemma": {"recipe": "bge-reranker-gemma"},
    "minicpm": {"recipe": "bge-reranker-layerwise", "cutoff_layers": [2, 5, 6]},
    "qwen3": {"recipe": "qwen3-reranker"},
}
QUERY = "Which planet is known as the Red Planet?"
PASSAGES = ["Mars is red.", "", "mars " * 40, "Jupiter has a red spot.", "Mars is red.", "Mars is red. It is cold."]
TEMPLATE = "Judge the passage by the query and answer yes or no.\nQuery: {query}\nPassage: {passage}\nAnswer: "


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def opened(open_once: Callable[..., Any]) -> Callable[..., Any]:
    """(key, options) -> scorer, opened once for all tests of this file."""
    return lambda key, **options: open_once(CASES["model_folder"](key), **MODELS[key], **options)


class Embedded(TorchDispatchMode):
    """Counts the tokens that a model reads, and fails as torch does without memory at an operation on so many."""

    def __init__(self, most: int = 10**9) -> None:
        super().__init__()
        self.count = 0
        self._most = most

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.embedding.default:
            self.count += args[1].numel()
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.silu.default and result.shape[-2] > self._most:
            raise RuntimeError("not enough memory: you tried to allocate")
        return result


def tokens(*parts: list[int]) -> Tokens:
    """An input made of parts."""
    return Tokens(np.concatenate([np.asarray(part, dtype=np.int32) for part in parts]))


def count(family: Any, batch: list[Tokens]) -> int:
    """How many tokens go through the model for this batch."""
    with Embedded() as embedded:
        family.forward(batch)
    return embedded.count


@st.composite
def batches(draw: st.DrawFn) -> list[list[int]]:
    """Inputs that begin alike or do not, that continue or equal one another, down to a single token."""
    ids = st.integers(3, 9)
    stems = draw(st.lists(st.lists(ids, max_size=50), min_size=1, max_size=3))
    stems.append(stems[0] + stems[-1])
    row = st.tuples(st.sampled_from(stems), st.lists(ids, max_size=6)).map(lambda parts: parts[0] + parts[1] or [3])
    return draw(st.lists(row, min_size=1, max_size=9))


@pytest.mark.parametrize("key", MODELS)
def test_sharing_changes_no_score(key: str, opened: Callable[..., Any]) -> None:
    """Whatever inputs have in common, each has the score that the whole of it has in transformers' own attention."""
    shared, whole = opened(key).family, opened(key, backend="transformers").family

    @given(batches())
    def check(rows: list[list[int]]) -> None:
        batch = [tokens(row) for row in rows]
        expected = whole.forward(batch)
        for ours, theirs in zip(shared.forward(batch), expected, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)
        for ours, theirs in zip(shared.forward(batch[::-1]), expected[::-1], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)

    check()


@pytest.mark.parametrize("key", MODELS)
def test_a_beginning_goes_through_the_model_once(key: str, opened: Callable[..., Any]) -> None:
    """The next batch of a search runs no token of template and query, and the next search none of the template."""
    family = opened(key, token_budget=2000).family
    template, ends = list(range(100, 140)), [[7, 8, 9], [8, 9], [9, 9, 9, 9]]
    query, other = [*template, *range(50, 54)], [*template, *range(60, 76)]
    batch = [tokens(query, end) for end in ends]
    assert count(family, batch) == len(query) + sum(map(len, ends))
    assert count(family, batch) == sum(map(len, ends))
    assert count(family, [tokens(query, [5, 6])]) == 2
    batch = [tokens(other, end) for end in ends]
    assert count(family, batch) == len(other) - len(template) + sum(map(len, ends))


def test_a_search_in_several_batches(opened: Callable[..., Any]) -> None:
    """Searches at once, each in several small batches, have the scores that each has alone in transformers' code."""
    scorer, whole = opened("qwen2", token_budget=512), opened("qwen2", backend="transformers")
    queries = [QUERY, "red", "", "How cold is the planet Mars?" * 5]
    with ThreadPoolExecutor(len(queries)) as pool:
        found = list(pool.map(lambda query: scorer.raw_scores(query, PASSAGES * 3), queries))
    for query, scores in zip(queries, found, strict=True):
        assert scores == pytest.approx(whole.raw_scores(query, PASSAGES) * 3, abs=1e-5)


def test_what_is_measured_is_computed(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches that a budget is measured with have no passages that the model knows, only its template and query."""
    family = opened("qwen2", token_budget=2001).family
    given: list[int] = []
    forward = family.forward
    monkeypatch.setattr(family, "forward", lambda batch: given.append(sum(map(len, batch))) or forward(batch))
    ticks = itertools.count()
    with Embedded() as embedded:
        tuned_budget(family, "measured", clock=lambda: next(ticks) * 0.02)
    assert max(given) > 1500
    assert embedded.count > 0.6 * sum(given)


@pytest.mark.parametrize("key", MODELS)
def test_the_weights_have_a_size(key: str, opened: Callable[..., Any]) -> None:
    """What a language model takes is known, whichever code computes it."""
    sizes = {opened(key, **options).memory_bytes() for options in ({}, {"backend": "transformers"})}
    weights = load_file(CASES["model_folder"](key) / "model.safetensors")
    assert len(sizes) == 1
    assert sizes.pop() == pytest.approx(4 * sum(weight.numel() for weight in weights.values()), rel=0.1)


def test_memory_that_runs_out(opened: Callable[..., Any]) -> None:
    """A batch without memory, in its shared beginning or behind it, is reported, and smaller ones are right."""
    family = opened("qwen2", token_budget=3000).family
    batch = [tokens(list(range(200, 260)), [number] * 11) for number in range(3, 9)]
    for most in (40, 60):
        with Embedded(most), pytest.raises(MemoryError):
            family.forward(batch)
    expected = opened("qwen2", backend="transformers").family.forward(batch)
    for half, whole in ((batch[:3], expected[:3]), (batch[3:], expected[3:])):
        assert [row[0] for row in family.forward(half)] == pytest.approx([row[0] for row in whole], abs=1e-5)


def build(name: str, folder: Path, **changes: Any) -> Path:
    """A tiny language model of transformers with the tokenizer of the tests."""
    import transformers

    size = {
        "vocab_size": 640,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "tie_word_embeddings": True,
        "bos_token_id": 620,
        "eos_token_id": 620,
    }
    torch.manual_seed(5)
    config = getattr(transformers, f"{name}Config")(**size | changes)
    getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(folder)
    for file in CASES["model_folder"]("qwen2").glob("*"):
        if file.name not in {"config.json", "model.safetensors"}:
            shutil.copy(file, folder)
    return folder


def reference(model: Path, family: Any) -> list[float]:
    """The logit of yes less that of no for each passage, from all logits of transformers."""
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"))
    yes, no = (tokenizer(word)["input_ids"][0] for word in ("yes", "no"))
    language_model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    scores = []
    for row in family.encode(QUERY, PASSAGES):
        with torch.inference_mode():
            logits = language_model(torch.from_numpy(row.ids).long()[None]).logits[0, -1]
        scores.append(float(logits[yes] - logits[no]))
    return scores


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "rope_theta": 10000.0}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}


@pytest.mark.parametrize(
    ("name", "changes", "shares"),
    [
        ("Llama", {}, True),
        ("Llama", {"attention_bias": True, "head_dim": 12}, True),
        ("Qwen3", {"rope_parameters": YARN}, True),
        ("Mistral", {"sliding_window": None}, True),
        ("Mistral", {"sliding_window": 16}, False),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}, False),
        ("Llama", {"rope_parameters": DYNAMIC}, False),
        ("Olmo2", {}, False),
    ],
)
def test_other_architectures(
    name: str, changes: dict[str, Any], *, shares: bool, tmp_path: Path, open_tiny: Callable[..., Any]
) -> None:
    """Language models of other kinds are scored as transformers does; those that mix tokens in odd ways run whole."""
    model = build(name, tmp_path, **changes)
    scorer = open_tiny(model, template=TEMPLATE, negative="no")
    assert scorer.raw_scores(QUERY, PASSAGES) == pytest.approx(reference(model, scorer.family), abs=1e-5)
    batch = scorer.family.encode(QUERY, PASSAGES)
    assert (count(scorer.family, batch) < sum(map(len, batch))) == shares


def prefix(*ids: int) -> Prefix:
    """A prefix of two layers, 16 bytes for a token."""
    parts = tuple(torch.zeros(1, 1, len(ids), 1) for _ in range(2))
    return Prefix(np.asarray(ids), parts, parts)


def test_what_is_kept_has_a_bound() -> None:
    """Prefixes take no more than the bytes allowed; those that are used stay, and one that is too large is not kept."""
    kept = Prefixes(max_bytes=16 * 6)
    kept.keep(prefix(1, 1, 1))
    kept.keep(prefix(2, 2, 2))
    assert kept.known(np.asarray([1, 1, 5])) == len(kept.find(np.asarray([1, 1, 5]))) == 2
    kept.keep(prefix(3, 3))
    kept.keep(prefix(4, 4, 4, 4, 4, 4, 4))
    found = [len(kept.find(np.asarray([number] * 8))) for number in (1, 2, 3, 4)]
    assert found == [3, 0, 2, 0]
    found_prefix = kept.find(np.asarray([1, 1, 5]))
    assert found_prefix.ids.tolist() == [1, 1]
    assert {part.shape[2] for part in (*found_prefix.keys, *found_prefix.values)} == {2}


def test_many_small_prefixes() -> None:
    """However little they take, no more than some dozens of prefixes are kept, since each is looked at."""
    kept = Prefixes(max_bytes=10**9)
    for number in range(1000):
        kept.keep(prefix(number))
    assert sum(kept.known(np.asarray([number])) for number in range(1000)) <= 100


@given(batches(), st.integers(0, 20))
def test_prefixes_spare_work(rows: list[list[int]], known: int) -> None:
    """A row keeps its last token, uses all that is known already, and prefixes never add to the tokens that are run."""
    arrays = [np.asarray(row) for row in rows]
    lengths = shared_lengths(arrays, lambda ids: min(known, len(ids)))
    assert all(min(known, len(row) - 1) <= length < len(row) for row, length in zip(rows, lengths, strict=True))
    prefixes = {tuple(row[:length]) for row, length in zip(rows, lengths, strict=True)}
    ran = sum(max(0, len(ids) - known) for ids in prefixes)
    left = sum(len(row) - length for row, length in zip(rows, lengths, strict=True))
    assert ran + left <= sum(len(row) - min(known, len(row) - 1) for row in rows)


def test_nested_beginnings() -> None:
    """Rows of two searches with one template share the template, and those of each search its query as well."""
    template, first, second = [1] * 40, [2] * 30, [3] * 30
    rows = [np.asarray([*template, *query, end]) for query in (first, second) for end in (7, 8, 9)]
    rows.append(np.asarray([*template, 4, 5]))
    assert shared_lengths(rows, lambda _: 0) == [70] * 6 + [40]
