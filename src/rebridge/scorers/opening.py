"""`open_scorer`: from a model's name to a scorer. Which recipes there are is data: `rebridge.scorers.recipes`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError
from rebridge.scorers.checkpoint import Checkpoint
from rebridge.scorers.hub import DEFAULT_MODEL, locate
from rebridge.scorers.loading import in_lasting_thread
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.options import check_options
from rebridge.scorers.recipes import Choice, choose

if TYPE_CHECKING:
    from rebridge.scorers.family import Family


# Tokens in a batch, padding included: more brings no speed on a CPU, only longer waits between two looks at the
# deadline.
_TOKEN_BUDGETS = {"cpu": 1024, "mps": 8192}
_GPU_TOKEN_BUDGET = 32768


class OpenedScorer(LocalScorer[Any]):
    """A scorer that was opened by its model's name.

    Args:
        name: the model's name, as shown to users.
        family: the model.
        token_budget: most tokens in a batch, padding included.
        choice: the recipe that it is scored by, and why.

    Attributes:
        choice: as given; ``choice.recipe.name`` is what ``recipe=`` would say.
    """

    def __init__(self, name: str, family: Family[Any], token_budget: int, choice: Choice) -> None:
        super().__init__(name, family, token_budget)
        self.choice = choice


def open_scorer(  # noqa: PLR0913 - keyword options of the public entry point
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    recipe: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
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
        dtype: ``auto`` (bfloat16 on cuda, else float32), ``float32``, ``bfloat16`` or ``float16``.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the hub.
        cache_dir: folder of the local hub cache.
        token: access token for the hub.
        token_budget: most tokens in a batch, padding included; None for a default that suits the device.
        options: what the recipe takes; None stands for its default, which is that of the model's own package.
            ``max_length``: most tokens of an input, special tokens included. ``normalize``: whether the score is
            brought to 0...1. ``query_max_length`` (bge-reranker): most tokens of the query. ``method`` (bce-reranker):
            ``rerank`` or ``compute_score``. ``instruction`` (Qwen and mxbai-rerank-v2): what the model is told about
            the task. ``cutoff_layers`` (layerwise models): after which layer, or which several, to read the score.
            ``query_length``, ``document_length`` (ColBERT): tokens of each. ``cache_size`` (ColBERT, bi-encoders):
            bytes of passage embeddings to keep in memory, 0 for none. ``rebridge models`` lists the recipes.

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
    chosen, weights = _place(device, dtype)
    budget = given.pop("token_budget", _TOKEN_BUDGETS.get(chosen.type, _GPU_TOKEN_BUDGET))
    family = in_lasting_thread(lambda: choice.recipe.load(checkpoint, device=chosen, dtype=weights, **given))
    return OpenedScorer(checkpoint.name, family, budget, choice)


def _place(device: str, dtype: str) -> tuple[Any, Any]:
    """The torch device and dtype to use."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    dtypes = {
        "auto": torch.bfloat16 if chosen.type == "cuda" else torch.float32,
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }
    if dtype not in dtypes:
        raise ConfigError(f"dtype {dtype!r} is not one of {', '.join(dtypes)}")
    return chosen, dtypes[dtype]
