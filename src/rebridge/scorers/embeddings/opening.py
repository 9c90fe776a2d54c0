"""Opening the store of a model that was just loaded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from platformdirs import user_cache_path

from rebridge.scorers.cache import EmbeddingCache, EmbeddingStore
from rebridge.scorers.embeddings import DEFAULT_PRECISION, Precision
from rebridge.scorers.embeddings.store import DiskStore
from rebridge.scorers.fingerprint import file_sums

if TYPE_CHECKING:
    from rebridge.scorers.checkpoint import Checkpoint

#: Changes when the same files and options come to mean another embedding. Versions of torch and transformers do not
#: count: what they compute is held equal to the official packages' scores, and embedding an index again takes hours.
_MEANING = 1
_FILE = "embeddings.sqlite"
DEFAULT_BYTES = 10 * 10**9
#: Options that say how much is kept, or how the query is read.
_APART = frozenset({"cache_size", "query_length"})


def open_store(  # noqa: PLR0913 - what embeddings depend on, and the options of the store
    memory: EmbeddingStore[Any] | None,
    checkpoint: Checkpoint,
    recipe: str,
    options: Mapping[str, Any],
    *,
    store: Literal[True] | str | os.PathLike[str],
    store_size: int = DEFAULT_BYTES,
    store_dtype: Precision = DEFAULT_PRECISION,
) -> DiskStore:
    """The embeddings of a model in memory and on disk.

    The device does not count: what a GPU embedded in float32 serves on a CPU.

    Args:
        memory: what is looked into first; None for nothing.
        checkpoint: the model's files; a change of any of them makes all embeddings new.
        recipe: how the model is scored.
        options: what else passage embeddings may depend on: the dtype of the weights, the recipe's options.
        store: the folder, a relative one from the current directory; True for one in the user's cache folder.
        store_size: the file's bound in bytes.
        store_dtype: the precision of what is kept.
    """
    told = {
        "meaning": _MEANING,
        "files": file_sums(checkpoint.path),
        "recipe": recipe,
        "options": {name: value for name, value in options.items() if name not in _APART},
        "precision": store_dtype,
    }
    key = hashlib.blake2b(json.dumps(told, sort_keys=True, default=str).encode(), digest_size=32).digest()
    folder = user_cache_path("rebridge") / "embeddings" if store is True else Path(store).expanduser().absolute()
    near = EmbeddingCache(0) if memory is None else memory
    return DiskStore(near, folder / _FILE, max_bytes=store_size, precision=store_dtype, fingerprint=key)
