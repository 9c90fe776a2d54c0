"""Records of the server: text or JSON, each with the request's id. Query texts are in none of them.

Python's own logging, with https://nhairs.github.io/python-json-logger for JSON.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Literal

#: The id of the request that is being answered.
REQUEST_ID: ContextVar[str | None] = ContextVar("rebridge_request_id", default=None)
#: Headers that name a request: ours and that of Elasticsearch and OpenSearch. The first that is there counts.
_ID_HEADERS = (b"x-request-id", b"x-opaque-id")
#: Ids go into logs and headers, so a client's own must be harmless there.
_ID = re.compile(r"[!-~]{1,128}")

_TEXT = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"
_JSON = "%(levelname)s %(name)s %(request_id)s %(message)s"


class RequestIdFilter(logging.Filter):
    """Puts the request's id on every record, ``-`` where there is none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        record.request_id = REQUEST_ID.get() or "-"
        return True


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that a client gave its request in ``X-Request-Id`` or ``X-Opaque-Id``, or a new one."""
    given = {name: value.decode("latin-1") for name, value in headers if name in _ID_HEADERS}
    named = (given[name] for name in _ID_HEADERS if name in given)
    return next((value for value in named if _ID.fullmatch(value)), None) or uuid.uuid4().hex


def log_config(style: Literal["text", "json"], level: str) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes: everything goes to standard error, uvicorn's own records too."""
    formatters: dict[str, Any] = {
        "text": {"format": _TEXT},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": _JSON,
            "timestamp": "time",  # ISO 8601 with its zone, which the time of text has not
            "rename_fields": {"levelname": "level", "name": "logger"},
        },
    }
    handler = {"class": "logging.StreamHandler", "formatter": style, "filters": ["request_id"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": f"{__name__}.RequestIdFilter"}},
        "formatters": {style: formatters[style]},
        "handlers": {"stderr": handler},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "rebridge": {"level": level.upper()},
            # Says "error" in its name, and is about starting, stopping and broken connections.
            "uvicorn.error": {"level": "WARNING" if level == "info" else level.upper()},
            # The body of a request that failed to parse, and addresses with query texts, stand in their debug records.
            "aiohttp": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }
