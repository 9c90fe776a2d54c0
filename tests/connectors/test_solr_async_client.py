"""The asynchronous client of Solr, bare and wrapped."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from typing import Any

import httpx
import pysolr
import pytest

from rebridge import wrap
from rebridge.bridge import Bridge
from rebridge.testing import FakeScorer
from rebridge_solr import AsyncSolr

from .fake_solr import QUIET, URL, FakeSolr, client, ids, last


@pytest.fixture
def fake() -> FakeSolr:
    return FakeSolr()


def run(fake: FakeSolr, use: Any, *, reranked: bool = True, **options: Any) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        path = f"{request.url.path.removeprefix('/solr/shop/')}?{request.url.query.decode()}"
        try:
            body = request.content.decode() or None
            return httpx.Response(200, text=fake.send(request.method.lower(), path, body))
        except pysolr.SolrError as error:
            return httpx.Response(int(str(error)), json={"error": {"msg": "bad words"}})

    async def go() -> Any:
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as transport,
            AsyncSolr(URL, client=transport, **options) as bare,
        ):
            return await use(wrap(bare, QUIET, scorer=FakeScorer(last)) if reranked else bare)

    return asyncio.run(go())


def test_search(fake: FakeSolr) -> None:
    """Searches are answered as by pysolr, and sent as pysolr sends them."""
    bare_fake = FakeSolr()
    client(bare_fake).search("shoe", rows=2, fq=["a", "b"], x=True)
    client(bare_fake).search("shoe" * 400)

    async def use(solr: AsyncSolr) -> Any:
        found = await solr.search("shoe", rows=2, fq=["a", "b"], x=True)
        await solr.search("shoe" * 400)
        return found

    found = run(fake, use, reranked=False)
    assert type(found) is pysolr.Results
    assert ids(found) == ["d0", "d1"]
    assert [(method, path.removesuffix("?"), body) for method, path, body in fake.asked] == bare_fake.asked


def test_reranks(fake: FakeSolr) -> None:
    """A wrapped one gives the scorer's best, also many at once."""

    async def use(solr: AsyncSolr) -> Any:
        return await asyncio.gather(*(solr.search("shoe", rows=3, fl="id") for _ in range(10)))

    assert [ids(found) for found in run(fake, use)] == [["d19", "d18", "d17"]] * 10
    assert sum("echoParams=all" in path for _, path, _ in fake.asked) == 1


def test_closing(fake: FakeSolr, monkeypatch: pytest.MonkeyPatch) -> None:
    """Freeing the models does not block the event loop."""
    loop_goes_on = threading.Event()
    closed = []
    monkeypatch.setattr(Bridge, "close", lambda _: closed.append(loop_goes_on.wait(10)))

    async def use(solr: AsyncSolr) -> None:
        await asyncio.gather(solr.aclose(), asyncio.to_thread(loop_goes_on.set))

    run(fake, use)
    assert closed == [True]


def test_is_of_the_same_class(fake: FakeSolr) -> None:
    """A wrapped one is of the same class, gives itself in a with block, and can be wrapped again."""

    async def use(solr: AsyncSolr) -> Any:
        async with solr as same:
            assert same is solr
            assert isinstance(solr, AsyncSolr)
            assert type(solr).__name__ == "AsyncSolr"
            assert isinstance(solr.rebridge, Bridge)  # type: ignore[attr-defined]
            again = wrap(solr, QUIET, scorer=FakeScorer(lambda query, passage: -last(query, passage)))
            return await again.search("shoe", rows=1)

    assert ids(run(fake, use)) == ["d0"]
    assert len(fake.searches()) == 1


def test_options(fake: FakeSolr) -> None:
    """Results class, handler and decoder are the user's."""

    class Loud(json.JSONDecoder):
        def decode(self, text: str) -> Any:  # type: ignore[override]
            return super().decode(text.replace("shoe", "SHOE"))

    async def use(solr: AsyncSolr) -> Any:
        return await solr.search("shoe", rows=1)

    found = run(fake, use, results_cls=dict, search_handler="products", decoder=Loud())
    assert found["response"]["docs"][0]["title"] == "SHOE 19"
    assert fake.asked[-1][1].startswith("products/")


def test_argument_errors_come_at_the_call(fake: FakeSolr) -> None:
    """Wrong arguments fail before anything is awaited."""

    async def use(solr: AsyncSolr) -> None:
        with pytest.raises(TypeError):
            solr.search()  # type: ignore[call-arg]

    run(fake, use)


def test_failures() -> None:
    """Failures are pysolr's own, in pysolr's words."""

    async def use(solr: AsyncSolr) -> Any:
        return await solr.search("shoe")

    for reranked in (False, True):
        with pytest.raises(pysolr.SolrError, match=r"^Solr responded with an error \(HTTP 400\): \[Reason: bad words"):
            run(FakeSolr(answers={"select": pysolr.SolrError("400")}), use, reranked=reranked)


def test_connections() -> None:
    """Nobody listening, and no answer in time, are told as pysolr does; a client of its own is closed."""

    async def go(url: str, **options: Any) -> None:
        async with AsyncSolr(url, **options) as solr:
            try:
                await solr.search("shoe")
            finally:
                await solr.aclose()
                assert solr.client.is_closed

    with pytest.raises(pysolr.SolrError, match=r"Failed to connect to server at http://127\.0\.0\.1:1/solr/x"):
        asyncio.run(go("http://127.0.0.1:1/solr/x"))

    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    async def timed_out() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(late)) as transport:
            await AsyncSolr(URL, client=transport).search("shoe")

    with pytest.raises(pysolr.SolrError, match=r"Connection to server '.*' timed out"):
        asyncio.run(timed_out())


@pytest.mark.parametrize("problem", [httpx.ReadTimeout, httpx.ConnectError])
def test_failures_name_nobody(problem: Any) -> None:
    """User and password in an address are not in messages."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise problem("no", request=request)

    async def search() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as transport:
            await AsyncSolr("http://ann:secret@h:1/solr/shop", client=transport).search("a@b")

    with pytest.raises(pysolr.SolrError, match=r"http://h:1/solr/shop/select/\?q=a%40b") as raised:
        asyncio.run(search())
    assert not {"ann", "secret"} & set(re.split(r"\W", str(raised.value)))
