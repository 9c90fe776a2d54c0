"""Exchanges with engines over HTTP, in files: recorded by a proxy, and played back by a server that takes no others.

Both stand below the engine's client, which is real, as is all that is above it. Libraries such as vcrpy put their own
classes in the place of the clients' connections instead, and take them away for moments, in all threads.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

FOLDER = Path(__file__).parents[1] / "fixtures" / "exchanges"
AGAIN = "REBRIDGE_RECORD=1 .venv/bin/pytest -m integration tests/integration/test_contract.py"

#: Headers of answers that the clients look at.
_KEPT = ("content-type", "x-elastic-product")
#: What is another with each recording, and what stands in its place: how long it took, and numbers of a clock.
_VOLATILE: Mapping[str, Any] = {"took": 0, "QTime": 0, "_version_": 0, "rid": "0"}
_VOLATILE_IN_XML = re.compile(r'(?<="QTime">)\d+')
#: Path of what an engine tells about its machine too -> the keys that say nothing about it.
_OF_THE_ENGINE = {"/": {"version", "tagline"}, "/solr/admin/info/system": {"responseHeader", "mode", "lucene"}}
_NOT_RECORDED = 501  # no client tries this again
_LONGEST = 2000  # characters of a request in a message


class Request(NamedTuple):
    """A request; its body as `_value` gives it."""

    method: str
    path: str
    body: Any


class Answer(NamedTuple):
    """An engine's answer, likewise."""

    status: int
    headers: Mapping[str, str]
    body: Any


Exchange = tuple[Request, Answer]
#: Answers a request, given its body and headers as they came too.
Door = Callable[[Request, bytes, Message], Answer]


class Recording(NamedTuple):
    """What an engine was asked and answered.

    Attributes:
        engine: its name and version.
        tests: name of a test -> its exchanges in the order of the answers.
    """

    engine: str
    tests: Mapping[str, list[Exchange]]

    @classmethod
    def read(cls, name: str) -> Recording:
        """The recording in the file of this name."""
        found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        requests = {key: Request(*value) for key, value in found["requests"].items()}
        answers = {key: Answer(*value) for key, value in found["answers"].items()}
        tests = {
            test: [(requests[asked], answers[told]) for asked, told, times in exchanges for _ in range(times)]
            for test, exchanges in found["tests"].items()
        }
        return cls(found["engine"], tests)

    def write(self, name: str) -> None:
        """Write the file: each request and each answer once and on a line of its own, under a key made from it."""
        requests, answers = dict[str, Any](), dict[str, Any]()
        tests = {test: _counted(exchanges, requests, answers) for test, exchanges in sorted(self.tests.items())}
        parts = {"requests": requests, "answers": answers, "tests": tests}
        written = ",\n".join(f'"{part}": {{\n{_lines(entries)}\n}}' for part, entries in parts.items())
        FOLDER.mkdir(exist_ok=True)
        text = f'{{\n"engine": {json.dumps(self.engine)},\n{written}\n}}\n'
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


@dataclass
class Recorder:
    """Hands requests on to an engine.

    Attributes:
        url: scheme, host and port of the engine.
        exchanges: what was asked and answered so far.
    """

    url: str
    exchanges: list[Exchange] = field(default_factory=list)

    def answer(self, request: Request, body: bytes, headers: Message) -> Answer:
        """The engine's answer, as it will be played."""
        passed = {name: headers[name] for name in ("accept", "content-type") if name in headers}
        with closing(HTTPConnection(urlsplit(self.url).netloc, timeout=120)) as connection:
            connection.request(request.method, request.path, body or None, passed)
            reply = connection.getresponse()
            kept = {name: reply.headers[name] for name in _KEPT if name in reply.headers}
            answer = Answer(reply.status, kept, _steady(_told(request.path, _value(reply.read()))))
        self.exchanges.append((request, answer))
        return answer


class Player:
    """Answers requests that were recorded: equal ones in the order of the recording, each as often as it was asked.

    Args:
        exchanges: the recording.
    """

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._left: dict[str, deque[Exchange]] = defaultdict(deque)
        for exchange in exchanges:
            self._left[_text(exchange[0])].append(exchange)
        self._unknown: list[Request] = []
        self._lock = threading.Lock()

    def answer(self, request: Request, _body: bytes = b"", _headers: Message | None = None) -> Answer:
        """The recorded answer; a failure for a request that is not, or no longer, in the recording."""
        with self._lock:
            if left := self._left[_text(request)]:
                return left.popleft()[1]
            self._unknown.append(request)
        return Answer(_NOT_RECORDED, {"content-type": "text/plain"}, _problem("not in the recording", request))

    def check(self, *, ended: bool) -> None:
        """Refuse what was asked but never recorded and, if all has been ``ended`` that asks, the contrary.

        Raises:
            AssertionError: with the first such request, and how to record again.
        """
        left = [exchange[0] for exchanges in self._left.values() for exchange in exchanges]
        if self._unknown:
            near = "".join(f"\nrecorded, and not asked: {_text(request)[:_LONGEST]}" for request in left[:1])
            raise AssertionError(_problem("not in the recording", self._unknown[0]) + near)
        if ended and left:
            raise AssertionError(_problem("recorded, and not asked", left[0]))


@contextmanager
def serving(door: Door) -> Iterator[str]:
    """Answer requests on a free port of loopback, whose address is given."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = door(Request(self.command, self.path, _value(body)), body, self.headers)
            content = (answer.body if isinstance(answer.body, str) else _text(answer.body)).encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base class's names

        def log_message(self, *_: Any) -> None:
            """Nothing goes to the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _value(body: bytes) -> Any:
    """The value of JSON, those of lines of JSON, or the text."""
    text = body.decode()
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return {"lines": [json.loads(line) for line in text.splitlines()]} if text else ""
    except ValueError:
        return text


def _told(path: str, value: Any) -> Any:
    """The value without what it tells about the engine's machine."""
    keys = _OF_THE_ENGINE.get(urlsplit(path).path)
    return {key: value[key] for key in value if key in keys} if keys and isinstance(value, dict) else value


def _steady(value: Any) -> Any:
    """The value without what is another each time."""
    if isinstance(value, str):
        return _VOLATILE_IN_XML.sub("0", value)
    if isinstance(value, dict):
        return {key: _VOLATILE[key] if key in _VOLATILE else _steady(inner) for key, inner in value.items()}
    return [_steady(inner) for inner in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _lines(entries: Mapping[str, Any]) -> str:
    return ",\n".join(f"{_text(key)}: {_text(value)}" for key, value in entries.items())


def _counted(exchanges: Iterable[Exchange], requests: dict[str, Any], answers: dict[str, Any]) -> list[Any]:
    """Exchanges as keys of request and answer, and how often in a row; puts what is new under these keys."""
    counted: list[Any] = []
    for exchange in exchanges:
        keys = []
        for value, known in zip(exchange, (requests, answers), strict=True):
            keys.append(hashlib.sha256(_text(value).encode()).hexdigest()[:8])
            known[keys[-1]] = value
        if counted and counted[-1][:2] == keys:
            counted[-1][2] += 1
        else:
            counted.append([*keys, 1])
    return counted


def _problem(what: str, request: Request) -> str:
    return f"{what}: {_text(request)[:_LONGEST]}\nIf that is meant, record again: {AGAIN}"
