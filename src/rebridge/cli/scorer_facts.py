"""How a pipeline's scorer will run, in words, without loading its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rebridge.config import ScorerSection

# Options of a scorer that say where its files are.
_SOURCES = ("revision", "cache_dir", "token")
_BUDGET_SOURCES = {"given": "as the pipeline says", "measured": "measured", "default": "the device's default"}


def placed(section: ScorerSection) -> str:
    """Device, dtype, threads and token budget of a local scorer.

    Raises:
        RebridgeError: if the model is not on this machine, or cannot run as the section says.
    """
    import torch

    from rebridge.scorers.checkpoint import Checkpoint
    from rebridge.scorers.hub import locate
    from rebridge.scorers.placing import is_emulated, place

    sources = {name: value for name, value in section.options().items() if name in _SOURCES}
    located = locate(section.model, **{**sources, "local_files_only": True})
    checkpoint = Checkpoint(located.path, section.model)
    found = place(checkpoint, section.device, section.dtype, section.backend, section.token_budget)
    budget = f"{found.token_budget} ({_BUDGET_SOURCES[found.source]})"
    if found.source == "default" and found.budget_key is not None:
        budget = "not measured yet"
    slow = " (slow: this processor has no instructions for it)" if is_emulated(found) else ""
    return ", ".join(
        [
            f"{found.device} in {'int8' if found.int8 else str(found.dtype).removeprefix('torch.')}{slow}",
            f"{torch.get_num_threads()} threads",
            f"token budget {budget}",
        ]
    )


def score_cache(section: ScorerSection) -> str:
    """Whether, where and how long scores are kept."""
    cache = section.score_cache
    if cache is None:
        return "score cache off"
    where = f" and in the Redis at {cache.redis_place}" if cache.redis_place is not None else ""
    return f"score cache of {cache.size:,} entries{where}, each for {cache.ttl_s:,.0f} s"
