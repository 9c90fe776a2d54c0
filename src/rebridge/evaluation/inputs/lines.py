"""The lines of a text file, plain or gzipped, and what is wrong with them."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from rebridge.errors import ConfigError
from rebridge.ingest.items import bad_utf8

GZIP = b"\x1f\x8b"


def read_lines(path: Path) -> Iterator[str]:
    """Every line of a file, blank ones too, without line break and byte order mark.

    A file is unpacked if it begins as gzip files do, whatever its name.

    Raises:
        ConfigError: if it is missing, is a folder, cannot be read to its end, or a line is not UTF-8.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder where a file is needed.")
    try:
        with path.open("rb") as plain:
            packed = plain.read(len(GZIP)) == GZIP
            plain.seek(0)
            with gzip.open(plain) if packed else nullcontext(plain) as stream:
                for number, raw in enumerate(stream, 1):
                    yield _decoded(path, number, raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw)
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} could not be read to its end: {error}") from error


def _decoded(path: Path, number: int, raw: bytes) -> str:
    try:
        return raw.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        raise bad_line(path, number, f"{bad_utf8(error)}. Save the file as UTF-8") from None


def first_line(path: Path) -> str:
    """The first line that is not blank.

    Raises:
        ConfigError: as `read_lines`, and if there is no such line.
    """
    line = next((line for line in read_lines(path) if line.strip()), None)
    if line is None:
        raise ConfigError(f"{path} is empty.")
    return line


def bad_line(path: Path, number: int, problem: str) -> ConfigError:
    """The error about a line, counted from 1."""
    return ConfigError(f"{path}, line {number}: {problem}.")
