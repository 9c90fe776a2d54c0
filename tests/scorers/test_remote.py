"""Remote scorers against peers of every dialect: what is sent, what comes back, in batches of any size."""

from __future__ import annotations

import gc
import math
import shutil
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebridge.errors import ConfigError, ScorerError
from rebridge.scorers.remote import RemoteScorer
from rebridge.steps import Windows

from .peers import PATHS, Open, StandIn, always, by_length, serving, stalling

DIALECTS = list(PATHS)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect(dialect: str, ask: Open) -> None:
    """Scores come back in the order of the passages, whatever the dialect and the order of its answer."""
    with serving(StandIn(dialect)) as peer:
        texts = ["short", "", "longer than that", "ünïcode 東京 \U0001f600", "short"]
        scores = ask(peer, model="m").raw_scores("query", texts)
        assert scores == [by_length("query", text) for text in texts]


@pytest.fixture(scope="module", params=DIALECTS)
def lasting(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    with serving(StandIn(request.param, cap=7)) as peer:
        yield peer


@settings(max_examples=20)
@given(texts=st.lists(st.text(max_size=5), max_size=60), size=st.integers(1, 80), connections=st.integers(1, 5))
def test_batching(lasting: StandIn, texts: list[str], size: int, connections: int) -> None:
    """Count and order stay, however many passages, per request and at a time, and however few the peer takes."""
    del lasting.asked[:]
    lasting.most = 0
    with RemoteScorer(lasting.url, dialect=lasting.dialect, batch_size=size, connections=connections) as scorer:
        assert scorer.raw_scores("q", texts) == [by_length("q", text) for text in texts]
        assert lasting.most <= connections
        del lasting.asked[:]
        assert scorer.raw_scores("q", texts) == [by_length("q", text) for text in texts]
        assert all(len(lasting.texts(body)) <= lasting.cap for body in lasting.asked)  # it has learned


def test_what_is_sent(ask: Open) -> None:
    """Each dialect's request is as its server takes it: all scores, raw where it can give them, and no texts back."""
    sent = {}
    for dialect in DIALECTS:
        with serving(StandIn(dialect)) as peer:
            ask(peer, model="m", api_key="k").raw_scores("q", ["a", "b"])
            sent[dialect] = peer.asked[0]
            assert peer.headers[0]["Authorization"] == "Bearer k"
    common = {"model": "m", "query": "q", "documents": ["a", "b"]}
    assert sent == {
        "rebridge": {
            "model": "m",
            "query": "q",
            "passages": ["a", "b"],
            "windows": None,
            "layers": True,
            "deadline_ms": None,
        },
        "cohere": {**common, "top_n": 2},
        "jina": {**common, "top_n": 2, "return_documents": False},
        "tei": {"query": "q", "texts": ["a", "b"], "raw_scores": True, "return_text": False, "truncate": True},
        "vllm": {**common, "top_n": 0, "truncate_prompt_tokens": -1},
        "infinity": {**common, "top_n": 2, "return_documents": False, "raw_scores": True},
    }


def test_without_model_and_key(ask: Open) -> None:
    """What nobody configured is not sent; the scorer is then called after its dialect."""
    with serving(StandIn("cohere")) as peer:
        scorer = ask(peer)
        scorer.raw_scores("q", ["a"])
        assert "model" not in peer.asked[0]
        assert "Authorization" not in peer.headers[0]
        assert scorer.name == "cohere"


def test_activation(ask: Open) -> None:
    """Raw scores become official ones by the activation that the dialect, or the answer, says."""
    for dialect, official in (("tei", 0.5), ("cohere", 0.0), ("rebridge", 0.5)):
        with serving(StandIn(dialect, scores=lambda *_: 0.0)) as peer:
            assert ask(peer).score("q", ["a"]) == [official]


def test_windows(ask: Open) -> None:
    """A rebridge cuts passages as it is told, and answers a score for each window."""
    with serving(StandIn(scores=lambda _query, text: [0.5] * len(text))) as peer:
        rows = ask(peer).submit("q", ["a", "bcd"], windows=Windows(8, 4, 3)).result(5)
        assert rows == [(0.5,), (0.5, 0.5, 0.5)]
        assert peer.asked[0]["windows"] == {"size": 8, "stride": 4, "limit": 3, "pool": "max", "top_k": 3}


def test_layers(ask: Open) -> None:
    """Of a model that is read after several layers a rebridge tells every score; a search takes the last layer's."""
    with serving(StandIn(scores=lambda _query, text: [0.0, float(len(text))])) as peer:
        scorer = ask(peer)
        assert scorer.raw_scores("q", ["a", "bc"]) == [[0.0, 1.0], [0.0, 2.0]]
        assert scorer.layers == 2
        peer.scores = by_length
        scorer.submit("q", ["a"]).result(5)
        assert peer.asked[-1]["layers"] is False


@pytest.mark.parametrize("dialect", DIALECTS[1:])
def test_no_windows_elsewhere(dialect: str) -> None:
    """Other peers cannot be told to cut passages, and nothing is sent that would be scored otherwise than asked."""
    with RemoteScorer("http://127.0.0.1:9", dialect=dialect) as scorer, pytest.raises(ScorerError, match="windows"):
        scorer.submit("q", ["a"], windows=Windows())


def test_deadline_is_passed_on(ask: Open) -> None:
    """A rebridge is told how long its answer is waited for."""
    with serving(StandIn()) as peer:
        ask(peer).submit("q", ["a"], deadline=time.monotonic() + 5).result(5)
        assert 4000 < peer.asked[0]["deadline_ms"] <= 5000


def test_an_odd_text_costs_nobody(ask: Open) -> None:
    """A text that cannot be written in UTF-8 is sent without what cannot be."""
    with serving(StandIn()) as peer:
        ask(peer).raw_scores("q", ["fine", "lone \ud800 surrogate"])
        assert peer.asked[0]["passages"] == ["fine", "lone ? surrogate"]


@pytest.mark.parametrize("url", ["/", "/v2/rerank", "/v2/rerank/"])
def test_the_whole_address_will_do_too(url: str) -> None:
    """The dialect's path is added to an address, unless it stands there already."""
    with serving(StandIn("cohere")) as peer, RemoteScorer(peer.url + url, dialect="cohere") as scorer:
        assert scorer.raw_scores("q", ["a"]) == [by_length("q", "a")]


def test_unix_socket(tmp_path: Path) -> None:
    """A peer on the same machine may listen on a Unix socket."""
    with serving(StandIn(), tmp_path / "s") as peer, RemoteScorer(peer.url, uds=str(tmp_path / "s")) as scorer:
        assert scorer.raw_scores("q", ["a"]) == [by_length("q", "a")]


def test_nobody_behind_a_unix_socket(tmp_path: Path) -> None:
    """The message tells of no address, which nobody has given, and asks nobody to correct it."""
    with RemoteScorer("http://models", uds=str(tmp_path / "s")) as scorer:
        for _ in range(3):  # soon it is left alone
            with pytest.raises(ScorerError, match=r"^the process of the models (is away|failed)") as failed:
                scorer.raw_scores("q", ["a"])
            assert "http" not in str(failed.value)
            assert "correct" not in str(failed.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, which its own authority signed, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    options = ["-days", "2", "-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", f"{file}.key", "-out", f"{file}.crt"]
    subprocess.run([openssl, "req", "-x509", "-nodes", *options, *key], check=True, capture_output=True)  # noqa: S603 - our own arguments
    file.write_text(Path(f"{file}.crt").read_text() + Path(f"{file}.key").read_text())
    return file


def test_tls(certificate: Path) -> None:
    """A peer's certificate must be signed by somebody who is trusted: the system's authorities, or those given."""
    with serving(StandIn(), certificate=certificate) as peer:
        with RemoteScorer(peer.url, ca_certs=certificate) as scorer:
            assert scorer.raw_scores("q", ["a"]) == [by_length("q", "a")]
        with RemoteScorer(peer.url) as scorer, pytest.raises(ScorerError, match="is not trusted: set `ca_certs`"):
            scorer.raw_scores("q", ["a"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "localhost:80"}, "with its scheme"),
        ({"url": "http://me:secret@localhost"}, "must not hold user and password"),
        ({"url": "http://localhost", "dialect": "coher"}, "Did you mean 'cohere'"),
        ({"url": "https://localhost", "ca_certs": Path(__file__)}, "ca_certs .* cannot be read"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    """An address or dialect that is none is named at once."""
    with pytest.raises(ConfigError, match=message) as caught:
        RemoteScorer(**options)
    assert "secret" not in str(caught.value)


def test_no_passages_ask_nobody() -> None:
    """Nothing to score is no request."""
    with RemoteScorer("http://127.0.0.1:9") as scorer:
        assert scorer.raw_scores("q", []) == []


def test_one_text_is_no_list() -> None:
    """A text in place of the list is a mistake, not a list of letters."""
    with RemoteScorer("http://127.0.0.1:9") as scorer, pytest.raises(ScorerError, match="one text"):
        scorer.submit("q", "abc")


def test_many_threads(ask: Open) -> None:
    """Searches of many threads go over one set of connections, and each gets its own scores."""
    with serving(StandIn()) as peer:
        scorer = ask(peer, batch_size=3, connections=4)
        wrong: list[Any] = []

        def search(number: int) -> None:
            texts = [f"{number} " * index for index in range(10)]
            expected = [by_length(f"q{number}", text) for text in texts]
            wrong.extend([number] * (scorer.raw_scores(f"q{number}", texts) != expected))

        threads = [threading.Thread(target=search, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert peer.most <= 4


def test_a_batch_of_its_own_for_what_is_too_long(ask: Open) -> None:
    """A passage that the peer refuses for its size has no score; the others have theirs, and batches stay as large."""

    def fault(handler: Any, number: int) -> bool:
        huge = any("huge" in text for text in peer.asked[number]["passages"])
        if huge:
            handler.send(413, {"error": {"message": "request too large"}})
        return huge

    with serving(StandIn(fault=fault)) as peer:
        scorer = ask(peer)
        rows = scorer.submit("q", ["a", "b", "huge", "d", "e"]).result(5)
        assert [math.isnan(row[0]) for row in rows] == [False, False, True, False, False]
        del peer.asked[:]
        scorer.raw_scores("q", ["a"] * 5)
        assert len(peer.asked) == 1


class TestEnds:
    def test_cancelling(self, ask: Open) -> None:
        """Cancelling the future keeps what is not sent from being sent."""
        with serving(StandIn(fault=always(stalling(0.2)))) as peer:
            future = ask(peer, batch_size=1, connections=1).submit("q", ["a"] * 50)
            while not peer.asked:
                time.sleep(0.005)
            assert future.cancel()
            time.sleep(0.3)
            assert len(peer.asked) == 1

    def test_connections_come_back(self, ask: Open) -> None:
        """However many searches are cancelled at whatever point, later ones are answered."""
        with serving(StandIn(fault=lambda _handler, number: bool(time.sleep(number % 7 / 1000)))) as peer:
            scorer = ask(peer, batch_size=2, connections=2)
            for number in range(200):
                future = scorer.submit("q", ["a"] * 9)
                time.sleep(number % 10 / 2000)
                future.cancel()
            peer.fault = lambda *_: False
            assert scorer.submit("q", ["a"] * 9).result(5) == [(by_length("q", "a"),)] * 9

    def test_closing(self, ask: Open) -> None:
        """Closing fails what waits, and refuses what comes later; closing twice is allowed."""
        with serving(StandIn(fault=always(stalling(0.5)))) as peer:
            scorer = ask(peer)
            future = scorer.submit("q", ["a"])
            while not peer.asked:
                time.sleep(0.005)
            scorer.close()
            scorer.close()
            with pytest.raises(ScorerError, match="closed before"):
                future.result(1)
            with pytest.raises(ScorerError, match="closed"):
                scorer.submit("q", ["a"])

    def test_nobody_holds_it(self) -> None:
        """A scorer that nobody holds any more takes its thread with it."""
        with serving(StandIn()) as peer:
            scorer = RemoteScorer(peer.url, model="forgotten")
            scorer.raw_scores("q", ["a"])
            gone = weakref.ref(scorer)
            del scorer
            gc.collect()
            assert gone() is None
            assert not [thread for thread in threading.enumerate() if "forgotten" in thread.name]
