"""What was measured on this machine, in a file from which later processes read it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

#: Tells on Linux which processor it is: https://man7.org/linux/man-pages/man5/proc_cpuinfo.5.html. A virtual machine
#: may hide its name, and on ARM there is none, but instructions are always told.
_CPUINFO = Path("/proc/cpuinfo")
_TELLING = {"model name", "cpu family", "model", "stepping", "flags", "CPU implementer", "CPU part", "Features"}
#: Entries of the file; the oldest go first.
_MOST_KEPT = 500

_log = logging.getLogger(__name__)


def key_of(*told: Any) -> str:
    """What a measurement is kept under: it holds for the same things on a machine like this one.

    Args:
        told: what was measured, anything that JSON can say; other values by their text.
    """
    import torch

    machine = [_processor(), platform.machine(), os.cpu_count(), torch.get_num_threads()]
    everything = [told, version("rebridge"), torch.__version__, machine]
    return hashlib.blake2b(json.dumps(everything, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def kept(key: str) -> Any:
    """What was measured before; None if nothing was. A file can hold anything: look at it before you use it."""
    return _all().get(key)


def keep(key: str, value: Any) -> None:
    """Put a measurement into the file. Of two processes at the same time one may lose its own, and measures again."""
    path = _file()
    known = _all()
    known.pop(key, None)  # what is measured anew counts as the newest
    entries = [*known.items(), (key, value)][-_MOST_KEPT:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: processes in containers that share the folder may have the same number.
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as draft:
            try:
                json.dump(dict(entries), draft)
                draft.close()
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        _log.debug("measurements cannot be kept in %s", path, exc_info=error)


def _processor() -> str:
    """What the processor is called and can do, the same in all containers of a machine; its name where that is all."""
    try:
        first, _, _ = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")
    except OSError:
        first = ""
    told = [line for line in first.splitlines() if line.partition(":")[0].strip() in _TELLING]
    return "\n".join(told) or platform.processor()


def _file() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("rebridge") / "measurements.json"


def _all() -> dict[str, Any]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # not there yet, or damaged
    return found if isinstance(found, dict) else {}
