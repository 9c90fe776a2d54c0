"""`open_scorer`: from a model's name to a scorer. Which recipes there are is data: `rebridge.scorers.recipes`."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError, unknown
from rebridge.scorers.checkpoint import Checkpoint
from rebridge.scorers.few_tokens import few_tokens
from rebridge.scorers.hub import DEFAULT_MODEL, locate
from rebridge.scorers.loading import in_lasting_thread
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.options import KEEPING, check_options
from rebridge.scorers.placing import is_emulated, place, precision
from rebridge.scorers.recipes import Choice, choose
from rebridge.scorers.token_budget import tuned_budget
from rebridge.scorers.turns import cpu_turns

if TYPE_CHECKING:
    from rebridge.scorers.family import Family
    from rebridge.scorers.turns import Turns

_log = logging.getLogger(__name__)

#: What may compute a model's layers, and whose layers ``auto`` computes without transformers.
BACKENDS = ("auto", "transformers")
PACKED = "BERT, RoBERTa, XLM-R, DeBERTa-v2, ModernBERT, and the language models Gemma, Granite, Llama, Mistral and Qwen"


class OpenedScorer(LocalScorer[Any]):
    """A scorer that was opened by its model's name.

    Args:
        name: the model's name, as shown to users.
        family: the model.
        token_budget: most tokens in a batch, padding included.
        choice: the recipe that it is scored by, and why.
        turns: as of `LocalScorer`.

    Attributes:
        choice: as given; ``choice.recipe.name`` is what ``recipe=`` would say.
        token_budget: as given.
    """

    def __init__(
        self, name: str, family: Family[Any], token_budget: int, choice: Choice, turns: Turns | None = None
    ) -> None:
        super().__init__(name, family, token_budget, turns)
        self.choice = choice
        self.token_budget = token_budget


def open_scorer(  # noqa: PLR0913 - keyword options of the public entry point
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    recipe: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    backend: str = "auto",
    revision: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    token_budget: int | None = None,
    **options: Any,
) -> OpenedScorer:
    """Load a model from a folder, the local hub cache, the package of the default model, or the hub.

    Args:
        model: a folder, or a name on the hub.
        recipe: name of the recipe; None to choose it by the model's name or configuration.
        device: ``auto`` (cuda, mps, else cpu) or a device of torch.
        dtype: ``auto`` (bfloat16 on cuda, else float32), ``float32``, ``bfloat16``, ``float16``, or ``int8``: matrix
            products in 8 bits, on a CPU and for the architectures that ``backend`` names.
        backend: what computes the model's layers. ``auto``: rebridge's own code, without padding and with the fastest
            matrix products of this machine, where the device is a CPU and the architecture is known (BERT, RoBERTa,
            XLM-R, DeBERTa-v2, ModernBERT; as language models Gemma, Granite, Llama, Mistral, Qwen, whose prompts share
            their beginnings); else transformers. ``transformers``: always that. Scores are equal.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the hub.
        cache_dir: folder of the local hub cache.
        token: access token for the hub.
        token_budget: most tokens in a batch, padding included; None for a default that suits the device: on a CPU it is
            measured when the model is loaded, for a second at most, and only once on a machine for a kind of model.
        options: what the recipe takes; None stands for its default, which is that of the model's own package.
            ``max_length``: most tokens of an input, special tokens included. ``normalize``: whether the score is
            brought to 0...1. ``query_max_length`` (bge-reranker): most tokens of the query. ``method`` (bce-reranker):
            ``rerank`` or ``compute_score``. ``instruction`` (Qwen and mxbai-rerank-v2): what the model is told about
            the task. ``cutoff_layers`` (layerwise models): after which layer, or which several, to read the score.
            ``query_length``, ``document_length`` (ColBERT): tokens of each. ``cache_size`` (ColBERT, bi-encoders):
            bytes of passage embeddings to keep in memory, 0 for none. ``store`` (the same): True to keep them on disk
            too, or the folder for that; ``store_size``: most bytes of it; ``store_dtype``: ``float32``, ``float16`` or
            ``int8``, to which embeddings are rounded before they are scored. ``rebridge models`` lists the recipes.

    Raises:
        ModelNotFound: if it is nowhere; the message lists what was tried, and cures.
        UnsupportedModel: if it cannot be loaded safely and correctly.
        ConfigError: if an option is unknown or its value impossible.
    """
    located = locate(model, revision=revision, local_files_only=local_files_only, cache_dir=cache_dir, token=token)
    checkpoint = Checkpoint(located.path, os.fspath(model))
    choice = choose(checkpoint, recipe)
    given = {name: value for name, value in {**options, "token_budget": token_budget}.items() if value is not None}
    check_options(choice.recipe.name, choice.recipe.options | {"token_budget"}, given)
    kept = {name: given.pop(name) for name in KEEPING - {"cache_size"} if name in given}
    if backend not in BACKENDS:
        raise ConfigError(unknown("backend", backend, BACKENDS))
    placed = place(checkpoint, device, dtype, backend, given.pop("token_budget", None))
    if is_emulated(placed):
        _log.warning("%s: %s is slow on this processor, float32 would be faster", checkpoint.name, dtype)

    computed = precision(dtype, placed.dtype)

    def load() -> tuple[Family[Any], int]:
        family = choice.recipe.load(checkpoint, device=placed.device, dtype=placed.dtype, **given)
        known = backend == "auto" and family.pack("mkl" if placed.int8 else None)
        if placed.int8 and not known:
            raise ConfigError(
                f"{checkpoint.name}: dtype int8 is for {PACKED}; this is a {checkpoint.architecture}, or has settings "
                f"that are not supported (ModernBERT needs transformers 5): use another dtype"
            )
        if placed.int8:
            family.quantize()
        family.few_tokens = few_tokens(family, checkpoint.config, computed)
        if placed.source == "default" and placed.budget_key is not None:
            return family, tuned_budget(family, placed.budget_key)
        return family, placed.token_budget

    family, budget = in_lasting_thread(load)
    if kept.get("store"):
        from rebridge.scorers.embeddings.opening import open_store

        embedded = {**given, "dtype": computed}
        family.store = open_store(family.store, checkpoint, choice.recipe.name, embedded, **kept)
    turns = cpu_turns() if placed.device.type == "cpu" else None
    return OpenedScorer(checkpoint.name, family, budget, choice, turns)
