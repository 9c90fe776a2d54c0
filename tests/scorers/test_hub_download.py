"""What is downloaded from a hub is complete, and is found again without it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from rebridge.errors import ModelNotFound
from rebridge.scorers import hub, open_scorer

sys.path.append(str(Path(__file__).parents[1] / "fixtures"))

import cases

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LONG = "mars is a red planet and jupiter too " * 60


class Hub(BaseHTTPRequestHandler):
    """A hub of one model, whose files are in a folder."""

    def __init__(self, folder: Path, *arguments: Any) -> None:
        self.folder = folder
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.answer(with_content=False)

    def do_GET(self) -> None:
        """The model's description, its list of files, or a file."""
        self.answer(with_content=True)

    def answer(self, *, with_content: bool) -> None:
        """Send what the address stands for."""
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[0] == "api":
            content = json.dumps(self.tree() if "tree" in parts else self.info()).encode()
        else:  # owner/name/resolve/revision/file
            content = self.folder.joinpath(*parts[4:]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def files(self) -> dict[str, bytes]:
        """Name of each file -> its content."""
        found = (file for file in sorted(self.folder.rglob("*")) if file.is_file())
        return {file.relative_to(self.folder).as_posix(): file.read_bytes() for file in found}

    def info(self) -> dict[str, Any]:
        """What the hub says about a model."""
        siblings = [{"rfilename": name} for name in self.files()]
        return {"id": "acme/ranker", "modelId": "acme/ranker", "sha": COMMIT, "siblings": siblings, "tags": [],
                "private": False, "downloads": 0}  # fmt: skip

    def tree(self) -> list[dict[str, Any]]:
        """What the hub says about its files."""
        return [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha256(content).hexdigest()}
            for name, content in self.files().items()
        ]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of acme/ranker on the hub, with one in onnx/ that nobody needs."""
    folder = shutil.copytree(cases.model_folder("answerai-colbert"), tmp_path / "published")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_downloaded_model_is_found_again_offline(published: Path, revision: str | None, tmp_path: Path) -> None:
    """A second start needs no hub, whether the revision is named or not, and though onnx/ was left out."""
    first = hub.locate("acme/ranker", cache_dir=tmp_path / "cache", revision=revision)
    again = hub.locate("acme/ranker", cache_dir=tmp_path / "cache", revision=revision, local_files_only=True)
    assert (first.source, first.revision) == ("hub", COMMIT)
    assert (again.source, again.revision, again.path) == ("cache", COMMIT, first.path)
    assert not (first.path / "onnx").exists()
    assert not (first.path / "pytorch_model.bin").exists()


def test_downloaded_colbert_scores_as_its_folder(published: Path, tmp_path: Path) -> None:
    """All settings come along: a long passage has the same score through the cache as from the folder."""
    with (
        open_scorer("acme/ranker", cache_dir=tmp_path / "cache", device="cpu") as downloaded,
        open_scorer(published, device="cpu") as local,
    ):
        expected = local.raw_scores("red planet", [LONG])
        assert downloaded.raw_scores("red planet", [LONG]) == pytest.approx(expected, abs=1e-5)


def test_incomplete_download_is_called_that(published: Path, tmp_path: Path) -> None:
    """A snapshot that lost a file is told from one that was never there."""
    path = hub.locate("acme/ranker", cache_dir=tmp_path / "cache").path
    (path / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match="local hub cache: incomplete"):
        hub.locate("acme/ranker", cache_dir=tmp_path / "cache", local_files_only=True)
