"""What is known of request handlers: learnt once for all who need it, and forgotten in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pysolr
import pytest

from rebridge import wrap
from rebridge.drivers import run
from rebridge.flow import rerank_flow
from rebridge.testing import FakeScorer
from rebridge_solr import CONNECTOR, Request, SolrSettings
from rebridge_solr.handlers import AGE_S, MOST, RETRY_S, Handlers, Place, told, told_async
from rebridge_solr.learning import Ask
from rebridge_solr.request import Defaults

from .fake_solr import CONFIG, QUIET, FakeSolr, client, ids, last
from .standin import StandIn, serving

ECHO = {"responseHeader": {"params": {"echoParams": "all", "df": "title"}}}
SELECT = Place("shop", "select", ())
PROBE = "select/?echoParams=all"


class Solr:
    """Answers what is asked about handlers.

    Attributes:
        probes: how many handlers were asked.
        meanwhile: done before each answer.
    """

    def __init__(self, echo: Any = ECHO, meanwhile: Callable[[], Any] = lambda: None) -> None:
        self.probes, self.echo, self.meanwhile = 0, echo, meanwhile

    def __call__(self, ask: Ask) -> Any:
        """Answer at once."""
        self.meanwhile()
        if ask.kind == "path":
            return {"uniqueKey": "sku"}
        self.probes += 1
        return self.echo

    async def later(self, ask: Ask) -> Any:
        """Answer after others had their turn."""
        await asyncio.sleep(0.01)
        return self(ask)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def decoded(reply: Any) -> Any:
    return reply


def learn(handlers: Handlers, solr: Solr, place: Place = SELECT) -> Defaults:
    return told(handlers.defaults(place, Request(), decoded), solr)


@pytest.mark.parametrize(("echo", "age_s"), [(ECHO, AGE_S), ({}, RETRY_S), (None, RETRY_S)])
def test_age(echo: Any, age_s: float) -> None:
    """What a handler tells counts for minutes, and that it does not tell for seconds."""
    clock, solr = Clock(), Solr(echo)
    handlers = Handlers(clock)
    for now, probes in ((0, 1), (age_s - 1, 1), (age_s, 2), (2 * age_s - 1, 2)):
        clock.now = now
        assert learn(handlers, solr).told is (echo == ECHO)
        assert solr.probes == probes


def test_how_many_are_remembered() -> None:
    """Of many handlers those asked last are remembered."""
    handlers, solr = Handlers(), Solr()
    places = [Place("shop", str(number), ()) for number in range(MOST + 1)]
    for place in places:
        learn(handlers, solr, place)
    learn(handlers, solr, places[-1])
    assert solr.probes == MOST + 1
    assert handlers.known(places[0]) is None
    assert learn(handlers, solr, places[0]) == Defaults({"df": ("title",)}, "sku")


def test_threads() -> None:
    """Many threads at once ask a handler once, and all get the answer."""
    started = threading.Barrier(8)
    handlers, solr = Handlers(), Solr()

    def search(_: int) -> Defaults:
        started.wait(10)
        return learn(handlers, solr)

    solr.meanwhile = lambda: threading.Event().wait(0.02)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(search, range(8)))
    assert solr.probes == 1
    assert {defaults.unique_key for defaults in found} == {"sku"}


def test_tasks() -> None:
    """Tasks that wait for an answer leave the event loop to the one that asks, and to each other."""
    handlers, solr = Handlers(), Solr()

    async def search() -> Defaults:
        return await told_async(handlers.defaults(SELECT, Request(), decoded), solr.later)

    async def go() -> list[Any]:
        tasks = [asyncio.create_task(search()) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)

    found = asyncio.run(go())
    assert solr.probes == 1
    assert [type(one) for one in found].count(Defaults) == 4
    assert isinstance(found[2], asyncio.CancelledError)


def test_cancelled_tasks() -> None:
    """If the task that asks is cancelled, another one asks."""
    handlers, solr = Handlers(), Solr()

    async def go() -> tuple[asyncio.Task[Defaults], Defaults]:
        first, second = (
            asyncio.create_task(told_async(handlers.defaults(SELECT, Request(), decoded), solr.later)) for _ in "12"
        )
        await asyncio.sleep(0)
        first.cancel()
        return first, await asyncio.wait_for(second, 10)

    first, found = asyncio.run(go())
    assert first.cancelled()
    assert (found.unique_key, solr.probes) == ("sku", 1)


def test_interruptions() -> None:
    """Who interrupts the one that asks sees it end; the next one asks again."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    handlers = Handlers()
    with pytest.raises(KeyboardInterrupt):
        learn(handlers, Solr(meanwhile=interrupt))
    assert learn(handlers, Solr()).told


ODD = [
    "",
    "<html>",
    "[]",
    "3",
    '{"responseHeader": []}',
    '{"responseHeader": {"params": {"q": "a canned reply"}}, "response": {"docs": []}}',
    pysolr.SolrError("no"),
]


@pytest.mark.parametrize("answer", ODD)
def test_handlers_that_tell_nothing(answer: Any) -> None:
    """A handler that does not tell what it does is sent the users' own requests, and is not asked each time."""
    fake = FakeSolr(answers={PROBE: answer, "schema": answer}, defaults={"fl": ["title"], "rows": ["2"]})
    solr = wrap(client(fake), CONFIG, scorer=FakeScorer(last))
    for _ in range(3):
        found = solr.search("shoe")
        assert found.docs == [{"title": "shoe 0"}, {"title": "shoe 1"}]
        assert found.raw_response["_rerank"] | {"engine_ms": 0, "total_ms": 0} == found.raw_response["_rerank"] | {
            "status": "bypassed",
            "reason": "unknown_handler",
            "engine_ms": 0,
            "total_ms": 0,
        }
    assert fake.searches() == [{"q": ["shoe"], "wt": ["json"]}] * 3
    assert sum("echoParams" in path for _, path, _ in fake.asked) == 1


def test_schemas_that_nobody_may_read() -> None:
    """Without the schema the unique key is taken for ``id``."""
    fake = FakeSolr(answers={"schema": pysolr.SolrError("Solr responded with an error (HTTP 403): no")})
    assert ids(wrap(client(fake), QUIET, scorer=FakeScorer(last)).search("shoe", rows=1)) == ["d19"]


def test_each_collection_is_asked() -> None:
    """Collections that requests name have handlers of their own."""
    fake = FakeSolr()
    solr = wrap(client(fake), QUIET, scorer=FakeScorer(last))
    for collection in ("a", "b", "a"):
        solr.search("shoe", collection=collection)
    probes = [path for _, path, _ in fake.asked if "echoParams=all" in path]
    assert [path.rpartition("collection=")[2] for path in probes] == ["a", "b"]


def test_only_what_is_reranked_is_worth_asking() -> None:
    """Searches that no pipeline is for, or whose doubtful kind passes through, ask nothing; a pipeline's path does."""
    fake = FakeSolr()
    others = wrap(client(fake), {"books": QUIET}, scorer=FakeScorer(last))
    others.search("shoe")
    wrap(client(fake), QUIET, scorer=FakeScorer(last)).search("shoe", sort="score desc, id asc")
    assert len(fake.asked) == 2
    by_path = QUIET.model_copy(update={"query_path": "$.params.words"})
    assert ids(wrap(client(fake), by_path, scorer=FakeScorer(last)).search("*:*", words="shoe", rows=1)) == ["d19"]


def test_engines() -> None:
    """An engine that does not tell what its handler does answers the user's own request, in its own order."""
    hits = [{"id": "a", "title": "shoe 1"}, {"id": "b", "title": "shoe 2"}]
    reply = {"responseHeader": {}, "response": {"numFound": 2, "start": 0, "docs": hits}}
    standin = StandIn({"/solr/shop": (200, reply)})
    pipeline = CONFIG.pipeline("shop", CONNECTOR)
    with serving(standin), CONNECTOR.open(SolrSettings(url=f"{standin.url}/solr", index="shop")) as engine:
        outcome = run(rerank_flow(Request({"q": "shoe"}), pipeline), engine.search, FakeScorer(last))
    assert (outcome.summary.status, outcome.summary.reason) == ("degraded", "window_refused")
    assert outcome.reply["response"]["docs"] == hits
    assert not [path for _, path, _ in standin.asked if "_rebridge_" in path]
