"""What the tests of explanations share: documents, what the model thinks of them, and a search over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rebridge.connector import Connector
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.pipeline import Pipeline
from rebridge.searcher import Searcher
from rebridge.testing import FakeScorer, MemoryConnector, MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rebridge.explanation import Explanation

CONNECTOR: Connector[Any, Any] = MemoryConnector()
PIPELINE = Pipeline("docs", CONNECTOR, PassageTemplate("{text}"), Fusion("weighted", 0.5), rank_window=3)
# The first stage counts words, so these stand in this order for "shoe"; the last has none.
DOCUMENTS = {
    "a": {"text": "shoe shoe shoe shoe shoe", "lang": "en", "kind": "ad"},
    "b": {"text": "shoe shoe shoe shoe", "lang": "de", "kind": "ad"},
    "c": {"text": "shoe shoe shoe", "lang": "en", "kind": "text"},
    "d": {"text": "shoe shoe", "lang": "en", "kind": "ad"},
    "e": {"text": "shoe", "lang": "de", "kind": "text"},
    "f": {"text": "Leather boots", "lang": "en", "kind": "text"},
}
SCORES = {"shoe " * 5: -1.0, "shoe " * 4: 0.0, "shoe " * 3: 3.0, "shoe " * 2: 5.0, "shoe ": 2.0, "Leather boots": 1.0}
MODEL = {text.strip(): score for text, score in SCORES.items()}


def searcher(
    pipeline: Pipeline = PIPELINE,
    scorer: FakeScorer | None = None,
    documents: Mapping[str, Mapping[str, Any]] = DOCUMENTS,
) -> Searcher:
    return Searcher(pipeline, MemoryEngine(documents), scorer or FakeScorer(MODEL), {"text": 1.0})


def told(found: Explanation) -> str:
    return " ".join(found.sentences())
