"""A playground over fakes, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp

from rebridge.config import PipelineConfig
from rebridge.errors import ConnectorError
from rebridge.scorers import FakeScorer, Scorer
from rebridge.searcher import Searcher
from rebridge.server.playground import Shelf, playground_router
from rebridge.server.security import ApiKeys
from rebridge.shared_scorers import SharedScorers
from rebridge.testing import MemoryConnector, MemoryEngine

#: The engine prefers what repeats the word; the model below prefers long passages.
BOOTS = {
    "a": {"title": "boots boots boots", "text": ""},
    "b": {"title": "boots boots", "text": "warm"},
    "c": {"title": "boots", "text": "for walks through deep snow"},
}
HOSTILE = {
    "script": {
        "title": "<script>document.title='taken'</script> word word",
        "text": "word <img src=x onerror=alert(1)>",
    },
    "<b>id</b>": {"title": "", "text": "word without a title &amp; an id with markup"},
    "huge": {"title": "word " + "W" * 5000, "text": "word " * 50_000},
    "rtl": {"title": "مرحبا بالعالم word", "text": "שלום עולם word \u202e drow desrever"},
    "emoji": {"title": "👩‍👩‍👧‍👦🏳️‍🌈 word 🇩🇪", "text": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘! word"},
    "odd": {"title": "word \x00\x07\ud800", "text": ["word", {"deep": ["list", 1, None]}]},
}


def by_length(query: str, passage: str) -> float:
    """A model that prefers long passages."""
    return float(len(passage))


class Away(MemoryEngine):
    """An engine that is not there."""

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        raise ConnectorError("Nothing listens at http://engine.example: start it, or correct `hosts`.")


class Held(MemoryEngine):
    """Answers a query of the word ``slow`` when the test says so."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        super().__init__(documents)
        self.go = threading.Event()

    def search(self, request: dict[str, Any]) -> dict[str, Any]:
        if "slow" in request["query"]:
            self.go.wait(30)
        return super().search(request)


def shelf(
    engines: Mapping[str, MemoryEngine], scorers: Sequence[Scorer] = (FakeScorer(by_length),), **config: Any
) -> Shelf:
    """Pipelines over engines, scored by the first scorer and then by the others as fallbacks."""
    fallbacks = [{"model": scorer.name} for scorer in scorers[1:]]
    section = PipelineConfig.model_validate({"fallbacks": fallbacks, "rank_window": 20, **config})

    def opened(name: str, config: PipelineConfig, _: SharedScorers) -> Searcher:
        pipeline = replace(config.pipeline(name, MemoryConnector()), model=scorers[0].name)
        return Searcher(pipeline, engines[name], scorers[0], config.query_fields, scorers[1:])

    return Shelf(dict.fromkeys(engines, section), lambda _: scorers[0], opened)


def playground(
    pipelines: Shelf | Callable[[], Shelf], *, keys: Sequence[str] = (), loaded: bool | None = True
) -> ASGIApp:
    """An application with nothing else."""
    app = FastAPI()
    now = pipelines if callable(pipelines) else lambda: pipelines
    app.include_router(playground_router(now, lambda sections: [loaded for _ in sections], local=not keys))
    return ApiKeys(app, [SecretStr(key) for key in keys])
