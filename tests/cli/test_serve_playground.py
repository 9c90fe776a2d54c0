"""The playground of ``rebridge serve``: a real process, an index in a folder, and a model behind HTTP."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rebridge.config_files import load_config
from rebridge.searcher import Searcher

from .serving import PATIENCE, Peer, Served, serving, settings, standing_in, until

pytest.importorskip("tantivy", reason="the embedded engine: pip install 'rebridge[embedded]'")

FILMS = [
    ("alien", {"title": "Alien alien alien", "text": ""}),
    ("contact", {"title": "Contact", "text": "An alien signal, and a long way to whoever sent it"}),
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server without proxies, with a pipeline of an embedded index."""
    with standing_in(Peer) as peer:
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs" / "films.yaml").write_text(
            f"connector: {{name: tantivy, path: '{tmp_path / 'films'}', fields: {{title: text, text: text}}}}\n"
            f"scorer: {{kind: remote, dialect: tei, url: '{peer}'}}\n"
            "fusion: {method: replace}\n"
        )
        with Searcher.open("films", load_config("films", tmp_path / "configs"), rerank=False, create=True) as searcher:
            searcher.engine.add(FILMS)
        with serving(tmp_path, settings(peer)) as running:
            yield running


def names(served: Served) -> list[str]:
    answer = httpx.get(f"{served.url}/playground/pipelines", timeout=PATIENCE).json()
    return [pipeline["name"] for pipeline in answer["pipelines"]]


def search(served: Served, query: str) -> Any:
    question = {"pipeline": "films", "query": query}
    answer = httpx.post(f"{served.url}/playground/search", json=question, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_playground(served: Served, tmp_path: Path) -> None:
    """The page is served, searches pipelines of engines without a proxy too, and follows a reload."""
    assert f"playground: {served.url}/\n" in served.said()
    assert httpx.get(served.url).headers["content-type"] == "text/html; charset=utf-8"
    assert names(served) == ["films", "demo"]
    found = search(served, "alien")
    assert [found["hits"][place]["id"] for place in found["first_stage"]] == ["alien", "contact"]
    assert [found["hits"][place]["id"] for place in found["reranked"]] == ["contact", "alien"]
    (tmp_path / "configs" / "books.yaml").write_text((tmp_path / "configs" / "films.yaml").read_text())
    served.process.send_signal(signal.SIGHUP)
    until(lambda: names(served) == ["books", "films", "demo"])
    assert search(served, "alien")["summary"]["status"] == "applied"
