"""What connectors have in common whose engines answer over HTTP: settings, failures, documents as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr

from rebridge.errors import ConnectorError

FieldType = Literal["text", "keyword", "integer", "float", "boolean", "date"]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, description="Seconds that a request may take.")]

_LONGEST = 300  # characters of an engine's own words


class RemoteSettings(BaseModel):
    """How to get into an engine. `timeout_s` counts in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: Annotated[str | None, Field(description="User name.")] = None
    password: Annotated[
        SecretStr | None, Field(description="Better in REBRIDGE_PIPELINE__NAME__CONNECTOR__PASSWORD than in a file.")
    ] = None
    ca_certs: Annotated[
        FilePath | None, Field(description="File with the certificates of the authority that signed the engine's.")
    ] = None
    verify_certs: Annotated[bool, Field(description="false trusts any certificate: for trying things out only.")] = True
    timeout_s: Seconds = 30.0


def address_parts(text: str, example: str) -> SplitResult:
    """The parts of an address.

    Raises:
        ValueError: if it is not like the example, or holds a user.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"an address is like {example}, with its scheme")
    if parts.username or parts.password:
        raise ValueError("an address must not hold user and password, which would be shown; they have their own keys")
    return parts


class EngineError(ConnectorError):
    """An engine refused a request or gave no answer. The client's exception is its cause.

    Args:
        message: cause and cure.
        status_code: the HTTP status; None if there was no answer.
        said: the engine's own words; empty if there are none.
        kind: its word for the error, such as ``index_not_found_exception``; empty if it gave none.
    """

    def __init__(self, message: str, status_code: int | None = None, said: str = "", kind: str = "") -> None:
        super().__init__(message, status_code, said, kind)
        self.message, self.status_code, self.said, self.kind = message, status_code, said, kind

    def __str__(self) -> str:
        return self.message


# What an engine or something before it answers -> what to do.
_BY_STATUS: Mapping[int, str] = {
    401: "{url} does not let {user} in (401): correct `user` and `password` of the connector. They can also come from "
    "the environment: REBRIDGE_PIPELINE__NAME__CONNECTOR__PASSWORD.",
    403: "{user} may not do this at {url} (403): give the role the right to it on {index!r}. {product}: {said}",
    408: "{product} at {url} gave up (408): try again, or raise `timeout_s`. It said: {said}",
    413: "{url} takes no request of this size (413): raise the limit of {product}, or of a proxy. It said: {said}",
    429: "{product} at {url} is too busy (429): try again later. It said: {said}",
    500: "{product} at {url} failed (500), see its log. It said: {said}",
    502: "A proxy at {url} cannot reach {product} (502): start {product}, or correct `{key}`.",
    503: "{product} at {url} cannot answer (503): {index!r} has shards that are not available. It said: {said}",
    504: "A proxy at {url} got no answer from {product} in time (504): try again.",
}
# What a connection that failed says -> what to do, the first that fits.
_BY_TEXT: Mapping[str, str] = {
    r"hostname mismatch|address mismatch|doesn't match": "The certificate of {url} is for another host: use the name "
    "that stands in it. ({said})",
    r"CERTIFICATE_VERIFY_FAILED": "The certificate of {url} is not trusted: set `ca_certs` to the file of the "
    "authority that signed it. ({said})",
    r"WRONG_VERSION_NUMBER|RECORD_LAYER|EOF occurred in violation": "{url} does not speak TLS: write http:// in "
    "`{key}`. ({said})",
    r"RemoteDisconnected|BadStatusLine|Connection aborted|reset by peer": "{url} ended the connection: if it speaks "
    "TLS, write https:// in `{key}`. ({said})",
    r"timed out|timeout": "{url} gives no answer in time: start {product}, correct `{key}`, or raise `timeout_s`. "
    "({said})",
    r"refused": "Nothing listens at {url}: start {product}, or correct `{key}`. ({said})",
    r"resolve|getaddrinfo|Name or service": "The host of {url} is not known: correct `{key}`. ({said})",
}
#: The message about an address where something else answers.
NOT_THE_ENGINE = "{url} does not answer as {product} does: correct `{key}`. It said: {said}"


@dataclass(frozen=True, slots=True)
class Place:
    """What messages call an engine and its index.

    Attributes:
        product: the engine's name.
        url: its addresses.
        key: the setting that holds them.
        index: the index.
        user: who asks; None if nobody said.
        errors: every exception that the client raises.
        by_status: messages of this engine, by status, instead of those for all engines.
        by_text: messages of this engine, by a pattern of what its client says; they go before all others.
    """

    product: str
    url: str
    key: str
    index: str
    user: str | None
    errors: tuple[type[Exception], ...] = ()
    by_status: Mapping[int, str] = field(default_factory=dict)
    by_text: Mapping[str, str] = field(default_factory=dict)

    def says(self, message: str, said: str) -> str:
        """A message with these names and the engine's own words put in."""
        user = f"the user {self.user!r}" if self.user else "somebody without a name"
        names = {"product": self.product, "url": self.url, "key": self.key, "index": self.index}
        return message.format(**names, user=user, said=said)

    def failure(self, status: int | None, text: str, said: str, *, kind: str = "", told: bool) -> EngineError:
        """A failure with cause and cure.

        Args:
            status: the HTTP status; None if there was no answer.
            text: what the client says.
            said: the engine's own words, or what stands for them.
            kind: its word for the error.
            told: whether it is this engine that answered.
        """
        patterns = {**self.by_text, **(_BY_TEXT if status is None else {})}
        fitting = (cure for pattern, cure in patterns.items() if re.search(pattern, text, re.IGNORECASE))
        answered = f"{{product}} at {{url}} refuses this with status {status}: {{said}}"
        other = answered if told else f"Status {status}. {NOT_THE_ENGINE}"
        known = NOT_THE_ENGINE if status is None else {**_BY_STATUS, **self.by_status}.get(status, other)
        message = next(fitting, known)
        return EngineError(self.says(message, said), status, said, kind)

    def missing(self, what: str, names: Iterable[str]) -> ConnectorError:
        """The failure that there is no such index, with those that have a similar name."""
        near = get_close_matches(self.index, sorted(names), n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return ConnectorError(
            f"{self.product} at {self.url} has no {what} {self.index!r}.{hint} Make it with `rebridge index`, or "
            "correct `index` of the connector."
        )


def one_line(text: str) -> str:
    """A text without line breaks, cut where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def unwritable(doc_id: str, fields: Mapping[str, Any], most_id_bytes: int) -> str | None:
    """Why a document cannot be sent as JSON under this id, in UTF-8; None if it can."""
    try:
        if not 0 < len(doc_id.encode()) <= most_id_bytes:
            return f"its id is empty or longer than {most_id_bytes:,} bytes"
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return f"it cannot be written as JSON: {error}"
    return None
