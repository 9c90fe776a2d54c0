"""`open_scorer`: from a model's name to a scorer. Which recipes there are is data: `rebridge.scorers.recipes`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError
from rebridge.scorers.checkpoint import Checkpoint
from rebridge.scorers.hub import DEFAULT_MODEL, locate
from rebridge.scorers.local import LocalScorer
from rebridge.scorers.recipes import Recipe, choose

if TYPE_CHECKING:
    from rebridge.scorers.base import Scorer


# Tokens in a batch, padding included: more brings no speed on a CPU, only longer waits between two looks at the
# deadline.
_TOKEN_BUDGETS = {"cpu": 1024, "mps": 8192}
_GPU_TOKEN_BUDGET = 32768


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
) -> Scorer:
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
        options: what the recipe takes. ``max_length``: most tokens of an input, special tokens included.
            ``cache_size`` (bi-encoders): bytes of passage embeddings to keep in memory, 0 for none.

    Raises:
        ModelNotFound: if it is nowhere; the message lists what was tried, and cures.
        UnsupportedModel: if it cannot be loaded safely and correctly.
        ConfigError: if an option is unknown or its value impossible.
    """
    located = locate(model, revision=revision, local_files_only=local_files_only, cache_dir=cache_dir, token=token)
    checkpoint = Checkpoint(located.path, os.fspath(model))
    scored_by = choose(checkpoint, recipe)
    options = {name: value for name, value in options.items() if value is not None}
    _check_options(scored_by, {**options, "token_budget": token_budget})
    chosen, weights = _place(device, dtype)
    loaded = scored_by.load(checkpoint, device=chosen, dtype=weights, **options)
    return LocalScorer(checkpoint.name, loaded, token_budget or _TOKEN_BUDGETS.get(chosen.type, _GPU_TOKEN_BUDGET))


def _check_options(recipe: Recipe, options: dict[str, Any]) -> None:
    valid = sorted(recipe.options | {"token_budget"})
    unknown = sorted(set(options) - set(valid))
    if unknown:
        raise ConfigError(
            f"the recipe {recipe.name!r} does not know {', '.join(unknown)}. Its options are: {', '.join(valid)}"
        )
    for name in ("max_length", "token_budget", "cache_size"):
        value = options.get(name)
        least = 0 if name == "cache_size" else 1
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name} must be a whole number of at least {least}, not {value!r}")


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
