"""How many may wait for scores, and for how long."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx

from rebridge.server.rerank import Limits

from .reranking import HeldScorer, application, serving

BODY: dict[str, Any] = {"query": "q", "documents": ["d"]}


def until(what: Callable[[], bool]) -> bool:
    """Whether it comes true within some seconds."""
    end = time.monotonic() + 10
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return what()


def test_those_beyond_the_queue_are_refused_and_those_in_it_answered() -> None:
    """More than `queue` waiting requests get 429 with Retry-After at once; the queue is free again afterwards."""
    scorer = HeldScorer()
    with serving(application(scorer, Limits(queue=2))) as url, ThreadPoolExecutor() as threads:
        waiting: list[Future[httpx.Response]] = []
        for _ in range(2):
            waiting.append(threads.submit(httpx.post, f"{url}/v2/rerank", json=BODY))
            assert scorer.asked.acquire(timeout=10)
        refused = httpx.post(f"{url}/v1/rerank", json=BODY)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert httpx.post(f"{url}/v1/rerank", json={"query": "q"}).status_code == 422
        for future in scorer.futures:
            future.set_result([(1.0,)])
        assert [answer.result().status_code for answer in waiting] == [200, 200]
        last = threads.submit(httpx.post, f"{url}/rerank", json=BODY)
        assert scorer.asked.acquire(timeout=10)
        scorer.futures[-1].set_result([(1.0,)])
        assert last.result().status_code == 200


def test_work_for_a_client_that_has_left_is_given_up() -> None:
    """Closing the connection cancels the model's work and frees the place in the queue."""
    scorer = HeldScorer()
    with serving(application(scorer, Limits(queue=1))) as url:
        parts = urlsplit(url)
        raw = b'{"query":"q","documents":["d"]}'
        head = f"POST /v2/rerank HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n"
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + raw)
            assert scorer.asked.acquire(timeout=10)
        assert until(scorer.futures[0].cancelled)
        assert until(
            lambda: httpx.post(f"{url}/v2/rerank", json=BODY, headers={"X-Rerank-Deadline-Ms": "1"}).status_code == 504
        )


def test_work_behind_a_deadline_is_given_up() -> None:
    """A deadline that passes cancels the model's work, and the client hears of it in time."""
    scorer = HeldScorer()
    with serving(application(scorer)) as url:
        began = time.monotonic()
        late = httpx.post(f"{url}/v2/rerank", json=BODY, headers={"X-Rerank-Deadline-Ms": "100"})
        assert late.status_code == 504
        assert 0.1 <= time.monotonic() - began < 5
        assert scorer.futures[0].cancelled()
