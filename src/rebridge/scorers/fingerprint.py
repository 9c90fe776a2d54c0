"""What a model's scores depend on, in a few bytes: its files, its options, and the code that runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebridge.scorers.embeddings import DEFAULT_PRECISION
from rebridge.scorers.hub import locate

if TYPE_CHECKING:
    from rebridge.config import ScorerSection

#: Of a model's folder, what can change a score.
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "artifact.metadata")
#: Options that say where files are, or how much is done at a time; what a store rounds to stands for itself.
_HARMLESS = {
    "token", "cache_dir", "local_files_only", "revision", "token_budget", "cache_size", "store", "store_size",
    "store_dtype",
}  # fmt: skip
_SHA256_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Which model it is.

    Attributes:
        model: hub id or folder, as the pipeline names it.
        revision: the hub's commit; None for a local folder or a remote scorer.
        weights: SHA-256 of the weights; of the list of all their files' where there are several. None if unknown.
        key: stands for all that its scores depend on besides texts.
    """

    model: str
    revision: str | None
    weights: str | None
    key: str


def fingerprint(section: ScorerSection) -> Fingerprint:
    """Read a model's files, without loading it; they are downloaded if they are not on this machine.

    Nobody can see the files of a remote scorer: its scores are taken to depend on its address and model's name.

    Raises:
        ModelNotFound: as `rebridge.open_scorer`.
    """
    options = section.options()
    if section.kind == "remote":
        told = repr((options["url"], options["dialect"], section.model, version("rebridge")))
        return Fingerprint(section.name, None, None, hashlib.blake2b(told.encode(), digest_size=16).hexdigest())
    places = {name: options[name] for name in ("revision", "local_files_only", "cache_dir", "token") if name in options}
    located = locate(section.model, **places)
    sums = file_sums(located.path)
    weights = [total for name, total in sums.items() if name.endswith(".safetensors")]
    whole = {
        # By its name, or that of its folder, the recipe may be chosen and a score scaled.
        "model": section.model.lower(),
        "files": sums,
        "options": {name: value for name, value in options.items() if name not in _HARMLESS},
        "stored": _stored(options),
        "device": _device(options["device"]),
        **_rounding(options["dtype"]),
        "code": {package: version(package) for package in ("rebridge", "torch", "transformers")},
    }
    return Fingerprint(
        section.model,
        located.revision,
        weights[0] if len(weights) == 1 else hashlib.sha256("".join(weights).encode()).hexdigest() if weights else None,
        hashlib.blake2b(json.dumps(whole, sort_keys=True, default=str).encode(), digest_size=16).hexdigest(),
    )


def file_sums(folder: Path) -> dict[str, str]:
    """The files of a model's folder that can change what it computes: name below the folder -> SHA-256."""
    files = sorted({path for pattern in _FILES for path in folder.rglob(pattern) if path.is_file()})
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _stored(options: Mapping[str, Any]) -> str | None:
    """The precision that embeddings are rounded to where they are kept on disk; None where they are not."""
    return str(options.get("store_dtype", DEFAULT_PRECISION)) if options.get("store") else None


def _sha256(path: Path) -> str:
    """The file's SHA-256; the hub's cache names large files after theirs."""
    stored = path.resolve()
    if stored.parent.name == "blobs" and len(stored.name) == _SHA256_LENGTH:
        return stored.name
    state = stored.stat()
    return _read_sha256(stored, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _read_sha256(path: Path, size: int, mtime_ns: int) -> str:
    """The SHA-256 of a file of this size and time: reading gigabytes once in a process is enough."""
    del size, mtime_ns  # they tell whether it is still the same file
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _rounding(dtype: str) -> dict[str, str]:
    """How int8 rounds depends on the processor."""
    if dtype != "int8":
        return {}
    from rebridge.scorers.placing import precision

    return {"rounding": precision(dtype, None)}


def _device(wanted: str) -> str:
    """The device that scores are computed on: another one rounds otherwise, and has another default precision."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
