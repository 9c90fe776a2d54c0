"""Wrapped clients on real engines: what they answer, beside what the bare client answers."""

from __future__ import annotations

import asyncio
import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import elasticsearch
import elasticsearch.dsl
import elasticsearch.helpers
import opensearchpy
import opensearchpy.helpers
import pytest

from rebridge import PipelineConfig, wrap
from rebridge.passages import PassageTemplate
from rebridge.testing import FakeScorer

from .conftest import Secured
from .query_dsl_requests import Case, Product, cases, clear, fill

PREFIX = "wrapped_"
CONFIG = PipelineConfig(rank_window=30, passage=PassageTemplate("{title}\n{text}"), annotate="none")
TELLING = CONFIG.model_copy(update={"annotate": "summary"})
SHOE = {"match": {"text": "shoe red"}}
ROOT = Path(__file__).parents[2]

MAKERS: dict[tuple[Product, bool], Callable[..., Any]] = {
    ("elasticsearch", False): elasticsearch.Elasticsearch,
    ("elasticsearch", True): elasticsearch.AsyncElasticsearch,
    ("opensearch", False): opensearchpy.OpenSearch,
    ("opensearch", True): opensearchpy.AsyncOpenSearch,
}


@dataclass(frozen=True)
class Engine:
    """A real engine, and how its client is used."""

    product: Product
    url: str
    awaited: bool

    def call(self, use: Callable[[Any], Any], config: PipelineConfig | None = None, **scores: Any) -> Any:
        """What a use of a client comes to; of a wrapped one if a pipeline is given."""
        client = MAKERS[self.product, self.awaited](self.url)
        if config is not None:
            client = wrap(client, config, scorer=FakeScorer(**scores))
        if not self.awaited:
            with client:
                return use(client)

        async def awaiting() -> Any:
            async with client:
                return await use(client)

        return asyncio.run(awaiting())


@pytest.fixture(scope="module", params=["elasticsearch", "opensearch"])
def filled(request: pytest.FixtureRequest) -> Iterator[tuple[Product, str]]:
    """An engine with indices of many kinds of fields."""
    url = request.getfixturevalue(f"{request.param}_url")
    fill(url, request.param, PREFIX)
    yield request.param, url
    clear(url, PREFIX)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def engine(request: pytest.FixtureRequest, filled: tuple[Product, str]) -> Engine:
    """The same, for both kinds of client."""
    return Engine(*filled, request.param)


def body_of(reply: Any) -> dict[str, Any]:
    """The reply without times and scores."""
    return _steady(getattr(reply, "body", reply))


def _steady(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: "any" if key in {"took", "_score", "max_score", "profile"} else _steady(inner)
            for key, inner in value.items()
        }
    return [_steady(inner) for inner in value] if isinstance(value, list) else value


def searching(case: Case) -> Callable[[Any], Any]:
    """A client's call for a request, whose page clients always put into the body; elasticsearch-py changes bodies."""
    params = {key: value for key, value in case.params.items() if key not in {"from", "size"}}
    return lambda client: client.search(index=case.target(PREFIX), body=copy.deepcopy(case.body), **params)


@pytest.mark.filterwarnings(
    "ignore:Received .* via a specific parameter in the presence of a 'body':DeprecationWarning"
)
def test_replies(engine: Engine) -> None:
    """Replies of every shape are the bare client's, in type, keys and values, but for order and scores."""
    compared = 0
    for case in cases(engine.product):
        try:
            bare = engine.call(searching(case))
        except elasticsearch.BadRequestError:  # elasticsearch-py puts options of the URL into the body
            assert case.params
            continue
        wrapped = engine.call(searching(case), TELLING, default=1.0)
        compared += 1
        assert type(wrapped) is type(bare), case.name
        reply = body_of(wrapped)
        assert reply.pop("_rerank")["status"] == "applied", case.name
        assert reply == body_of(bare), case.name
    assert compared > 50


def test_many_at_once(engine: Engine) -> None:
    """All of them as one multi-search, answered in the same order, each as it is alone."""
    some = [case for case in cases(engine.product) if not case.params]
    lines = [line for case in some for line in ({"index": case.target(PREFIX)}, case.body)]
    bare = engine.call(lambda client: client.msearch(body=lines))
    wrapped = body_of(engine.call(lambda client: client.msearch(body=lines), TELLING, default=1.0))
    assert {item.pop("_rerank")["status"] for item in wrapped["responses"]} == {"applied"}
    assert wrapped == body_of(bare)
    assert {item["status"] for item in bare["responses"]} == {200}


def test_reranks(engine: Engine) -> None:
    """The best of the window comes first."""

    def use(client: Any) -> Any:
        return client.search(index=f"{PREFIX}shoes", body={"query": SHOE, "size": 1})

    assert engine.call(use)["hits"]["hits"][0]["_id"] != "shoes-7"
    loved = FakeScorer(lambda _query, passage: float("shoe 7\n" in passage)).score
    reply = engine.call(use, CONFIG, scores=lambda query, passage: loved(query, [passage])[0])
    assert reply["hits"]["hits"][0]["_id"] == "shoes-7"


def test_templates(engine: Engine) -> None:
    """Search templates are reranked where the engine can render them; else its own error comes through."""
    template = {"source": {"query": {"match": {"text": "{{words}}"}}, "size": 4}, "params": {"words": "shoe red"}}

    def use(client: Any) -> Any:
        return client.search_template(index=f"{PREFIX}shoes", body=template)

    if engine.product == "opensearch":
        wrapped = dict(engine.call(use, TELLING, default=1.0))
        assert wrapped.pop("_rerank")["status"] == "applied"
        assert body_of(wrapped) == body_of(engine.call(use))
    else:  # the build for tests has no templates
        failures = []
        for config in (None, TELLING):
            with pytest.raises(elasticsearch.ApiError) as caught:
                engine.call(use, config)
            failures.append(str(caught.value))
        assert failures[0] == failures[1]


def test_failures(engine: Engine) -> None:
    """What the engine refuses fails with the bare client's exception, and in its words."""
    for index, body in (
        ("nothing", {"query": SHOE}),
        (f"{PREFIX}shoes", {"query": {"nonsense": {}}}),
        (f"{PREFIX}small", {"query": SHOE, "size": 21}),
        (f"{PREFIX}shoes", {"query": {"match": {"year": "shoe"}}}),
    ):
        failures = []
        for config in (None, CONFIG):
            with pytest.raises((elasticsearch.ApiError, opensearchpy.TransportError)) as caught:
                engine.call(lambda client, index=index, body=body: client.search(index=index, body=body), config)
            failures.append((caught.type, str(caught.value)))
        assert failures[0] == failures[1]


def test_an_engine_that_is_down() -> None:
    """A dead address gives the bare client's exception."""
    client = elasticsearch.Elasticsearch("http://127.0.0.1:9", max_retries=0)
    with pytest.raises(elasticsearch.ConnectionError):
        wrap(client, CONFIG, scorer=FakeScorer()).search(index="a", query=SHOE)


def test_helpers_and_dsl(filled: tuple[Product, str]) -> None:
    """The clients' own helpers and query builders work on a wrapped client, and searches by them are reranked."""
    product, url = filled
    client = wrap(
        MAKERS[product, False](url), CONFIG, scorer=FakeScorer(lambda _, passage: float("shoe 7\n" in passage))
    )
    helpers: Any = elasticsearch.helpers if product == "elasticsearch" else opensearchpy.helpers
    builder: Any = elasticsearch.dsl.Search if product == "elasticsearch" else opensearchpy.Search
    target = f"{PREFIX}copies"
    try:
        actions = [{"_index": target, "_id": str(number), "title": f"t {number}"} for number in range(30)]
        assert helpers.bulk(client, actions, refresh=True)[0] == 30
        assert len(list(helpers.scan(client, index=target, query={"query": {"match": {"title": "t"}}}, size=7))) == 30
        found = builder(using=client, index=f"{PREFIX}shoes").query("match", text="shoe red")[:3].execute()
        assert found.hits[0].meta.id == "shoes-7"
        assert len(found.hits) == 3
        assert found.hits.total.value == 40
    finally:
        client.indices.delete(index=target)
        client.close()


def test_tls_and_password(elasticsearch_tls: Secured) -> None:
    """A client with TLS and a password keeps both; a wrong password is the client's own exception."""
    where = elasticsearch_tls

    def client(password: str) -> Any:
        bare = elasticsearch.Elasticsearch(where.url, basic_auth=(where.user, password), ca_certs=str(where.ca))
        return wrap(bare, CONFIG, scorer=FakeScorer(default=1.0))

    with client(where.password) as good:
        good.index(index="secret", id="1", document={"title": "shoe"}, refresh=True)
        assert good.search(index="secret", query={"match": {"title": "shoe"}})["hits"]["total"]["value"] == 1
    with client("wrong") as bad, pytest.raises(elasticsearch.AuthenticationException):
        bad.search(index="secret", query={"match": {"title": "shoe"}})


@pytest.fixture(scope="module")
def client8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client of version 8, which cannot be installed beside version 9."""
    folder = tmp_path_factory.mktemp("client8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "elasticsearch[async]<9"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"the client of version 8 cannot be installed: {done.stderr[-300:]}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return folder


def test_version_8(client8: Path, elasticsearch8_url: str) -> None:
    """With the client of version 8 all of this holds too, and its searches on a server of version 8 are reranked."""
    environment = {**os.environ, "PYTHONPATH": str(client8)}
    tests = ["tests/connectors/test_wrapped_clients.py", "tests/connectors/test_wrapped_searches.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "elasticsearch"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:]
    script = Path(__file__).with_name("use_client8.py")
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, str(script), elasticsearch8_url], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["8", "reranked"]
