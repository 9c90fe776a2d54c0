"""A certificate authority for the time of a test session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .engines import unavailable


def make(folder: Path) -> None:
    """Write ``ca.crt``, and ``http.crt`` with ``http.key`` for localhost, which it signed."""
    if shutil.which("openssl") is None:
        unavailable("openssl is not installed")
    _certificate(folder, "ca", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
    signed_by = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key")]
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    _certificate(folder, "http", "basicConstraints=critical,CA:FALSE", names, options=signed_by)


def _certificate(folder: Path, name: str, *extensions: str, options: list[str] | None = None) -> None:
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN=rebridge tests {name}"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"), *(options or [])]
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # our own arguments
