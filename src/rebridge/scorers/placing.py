"""Where a model computes, in what, and how much at a time: known before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rebridge.errors import ConfigError
from rebridge.scorers.loading import in_lasting_thread
from rebridge.scorers.token_budget import CPU_BUDGET, budget_key, kept_budget

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

#: Tokens in a batch, padding included, by device; of a CPU as long as nothing was measured.
_TOKEN_BUDGETS = {"cpu": CPU_BUDGET, "mps": 8192}
_GPU_TOKEN_BUDGET = 32768
#: Flags of processors that multiply in a dtype: https://man7.org/linux/man-pages/man5/proc_cpuinfo.5.html.
_CPUINFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = {
    "torch.bfloat16": {"avx512_bf16", "amx_bf16"},
    "torch.float16": {"avx512_fp16", "amx_fp16"},
}


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model will be run.

    Attributes:
        device: the torch device.
        dtype: the torch dtype of the weights as they are loaded.
        int8: whether matrix products are then done in 8 bits.
        token_budget: most tokens in a batch, padding included.
        source: where this number comes from.
        budget_key: what a measured budget is kept under; None where none is measured.
    """

    device: Any
    dtype: Any
    int8: bool
    token_budget: int
    source: Literal["given", "measured", "default"]
    budget_key: str | None = None


def place(checkpoint: Checkpoint, device: str, dtype: str, backend: str, token_budget: int | None) -> Placement:
    """Decide how a model will be run.

    Args:
        checkpoint: the model's files.
        device: as of `rebridge.open_scorer`, as all of these.
        dtype: likewise.
        backend: likewise.
        token_budget: likewise; None to measure it on a CPU.

    Raises:
        ConfigError: if the device cannot be used, or there is no such dtype, or not there.
    """
    chosen = _device(device)
    weights, int8 = _dtype(dtype, chosen), dtype == "int8"
    if int8 and (chosen.type != "cpu" or backend != "auto"):
        raise ConfigError(f"dtype int8 is for a CPU and backend auto, not for {chosen.type} and {backend}")
    if int8 and _int8_steps() is None:
        raise ConfigError("dtype int8: this build of torch cannot multiply in 8 bits; use auto")
    if token_budget is not None:
        return Placement(chosen, weights, int8, token_budget, "given")
    default = _TOKEN_BUDGETS.get(chosen.type, _GPU_TOKEN_BUDGET)
    if chosen.type != "cpu":
        return Placement(chosen, weights, int8, default, "default")
    key = budget_key(checkpoint.config, precision(dtype, weights), backend)
    kept = kept_budget(key)
    return Placement(chosen, weights, int8, kept or default, "measured" if kept else "default", key)


def is_emulated(placed: Placement) -> bool:
    """Whether this is an x86 processor without instructions for the dtype: products are several times slower."""
    flags = cpu_flags()
    instructions = _INSTRUCTIONS.get(str(placed.dtype))
    return placed.device.type == "cpu" and bool(flags) and instructions is not None and flags.isdisjoint(instructions)


def cpu_flags() -> set[str]:
    """What an x86 processor can do, in the words of Linux; empty where the system does not tell."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def precision(dtype: str, weights: Any) -> str:
    """What a model computes in, as far as its results depend on it."""
    if dtype != "int8":
        return str(weights)
    return f"int8 in {_int8_steps()} steps, large features exact"


@lru_cache(maxsize=1)
def _int8_steps() -> int | None:
    """Into how many steps int8 divides states on this processor; None if torch cannot multiply in 8 bits."""
    from rebridge.scorers.encoders.eight_bits import ranges

    found = in_lasting_thread(ranges)
    return None if found is None else found[0]


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def _dtype(name: str, device: Any) -> Any:
    import torch

    dtypes = {
        "auto": torch.bfloat16 if device.type == "cuda" else torch.float32,
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
        "int8": torch.float32,
    }
    if name not in dtypes:
        raise ConfigError(f"dtype {name!r} is not one of {', '.join(dtypes)}")
    return dtypes[name]
