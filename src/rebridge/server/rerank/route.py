"""Routes whose every refusal is worded in their own dialect."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rebridge.server.rerank.desk import ClientGone
from rebridge.server.rerank.problems import Dialect, Problem

#: Most mistakes that one message lists.
_MOST = 5
#: Nobody reads this: the client has closed its connection.
_GONE = 499
#: Half of a surrogate pair, or one of the two halves of a whole one.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body is bounded, and read as JSON of which no text stops a tokenizer.

    Args:
        request: as it came.
        most: largest body, bytes.
    """

    def __init__(self, request: Request, most: int) -> None:
        super().__init__(request.scope, request.receive)
        self.most = most

    async def body(self) -> bytes:
        """The body.

        Raises:
            HTTPException: with status 413 if it is too large.
        """
        if not hasattr(self, "_body"):
            announced = self.headers.get("content-length", "")
            if announced.isdecimal() and int(announced) > self.most:
                raise HTTPException(413)
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > self.most:
                    raise HTTPException(413)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """The body's value."""
        if not hasattr(self, "_json"):
            body = await self.body()
            value = json.loads(body, parse_constant=_no_number)
            self._json = _without_halves(value) if _HALF.search(body) else value
        return self._json

    def known_json(self) -> Any:
        """The body's value, if it could be read."""
        return getattr(self, "_json", None)


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _without_halves(value: Any) -> Any:
    """The value without halves of surrogate pairs, which stand in broken JSON and cannot be encoded."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def route_class(dialect_of: Callable[[Any], Dialect], most: int) -> type[APIRoute]:
    """The class of routes that answer problems in a dialect.

    Args:
        dialect_of: the dialect by the body's JSON value (None if there is none).
        most: largest body, bytes.
    """

    class DialectRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                asked = JsonRequest(request, most)
                try:
                    return await _problems_raised(handler, asked)
                except Problem as problem:
                    return _refusal(problem, dialect_of(asked.known_json()))
                except (ClientGone, ClientDisconnect):
                    return Response(status_code=_GONE)

            return answer

    return DialectRoute


async def _problems_raised(handler: Handler, request: JsonRequest) -> Response:
    """The handler's answer; what FastAPI raises becomes a `Problem`."""
    try:
        return await handler(request)
    except RequestValidationError as error:
        raise _invalid(error) from error
    except HTTPException as error:
        if error.status_code == 413:  # noqa: PLR2004 - raised above
            raise Problem("too_large", f"the body is larger than {request.most} bytes") from error
        if error.status_code == 400:  # noqa: PLR2004 - FastAPI's word for a body that raised something else
            raise Problem("no_json", "the body is no JSON in UTF-8") from error
        raise


def _invalid(error: RequestValidationError) -> Problem:
    mistakes = error.errors()
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return Problem("no_json", f"the body is no JSON: {mistakes[0].get('ctx', {}).get('error', '')}")
    if isinstance(error.body, bytes):
        return Problem("invalid", "the body is not read without the header Content-Type: application/json")
    told = [
        f"{_where(*mistake['loc'])}: {mistake['msg'].removeprefix('Value error, ')}"
        for mistake in mistakes
        if mistake["type"] != "none_required"  # the other choice where a header may be left out
    ]
    return Problem("invalid", "; ".join(told[:_MOST]))


def _where(part: str, *keys: str | int) -> str:
    """The place of a mistake. Below a header's name stands only which type it should have had."""
    return ".".join(map(str, keys[:1] if part == "header" else keys)) or part


def _refusal(problem: Problem, dialect: Dialect) -> Response:
    status = dialect.status(problem.kind)
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.kind == "too_large":
        headers["Connection"] = "close"  # the rest of the body is not read
    content = json.dumps(dialect.body(problem, status), ensure_ascii=False)
    return Response(content.encode("utf-8", "replace"), status, headers, "application/json")


def reply(answer: BaseModel, *, sparse: bool = True) -> Response:
    """An answer with status 200.

    Args:
        answer: its body.
        sparse: leave out what is None.
    """
    return Response(answer.model_dump_json(exclude_none=sparse), media_type="application/json")
