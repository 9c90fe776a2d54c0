"""What both engines share that rerank by themselves: asking the engine, and requests made from templates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, NoReturn

from pydantic import SecretStr

from rebridge.errors import ConnectorError
from rebridge.remote import EngineError, Place, one_line
from rebridge_query_dsl.engine import Client
from rebridge_query_dsl.failures import translated

#: What the model is asked once the assets are there.
PROBE_QUERY = "red planet"
PROBE_TEXTS = ("Mars is a red planet.", "Venus is hot.")
#: Sent where no key is needed: both engines want one.
_NO_KEY = "none"
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_MISSING = 404
#: Product -> the name of the other one here, and how else to get in.
_OTHER = {"OpenSearch": ("elasticsearch", ""), "Elasticsearch": ("opensearch", ", or REBRIDGE_ENGINE__API_KEY")}


@dataclass(frozen=True, slots=True)
class RerankServer:
    """The rerank server that the engine will ask.

    Attributes:
        url: its address as the engine reaches it, without a slash at its end.
        model: a model's name there; None for its default.
        key: what it lets the engine in by, if it wants a key.
    """

    url: str
    model: str | None = None
    key: SecretStr | None = None

    def slots(self) -> dict[str, Any]:
        """What fills its places in templates."""
        key = self.key.get_secret_value() if self.key else _NO_KEY
        return {"server": self.url, "model": json.dumps(self.model), "key": key}


def from_template(package: str, template: str, /, **slots: Any) -> Any:
    """A request's body from the template of this name.

    Args:
        package: where the template is, e.g. ``rebridge_opensearch.native``.
        template: its name without ``.json``.
        slots: the values of its ``{{places}}``. One that is a whole text may be of any type.
    """
    return _filled(json.loads((files(package) / f"{template}.json").read_text("utf-8")), slots)


def _filled(value: Any, slots: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(each, slots) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, slots) for each in value]
    if not isinstance(value, str):
        return value
    whole = _SLOT.fullmatch(value)
    return slots[whole[1]] if whole else _SLOT.sub(lambda slot: str(slots[slot[1]]), value)


class Api:
    """An engine's API, as far as assets need it.

    Args:
        client: the official client, adapted.
        place: what messages call the engine.
        tell: hears of each thing that is done, in a sentence.
    """

    #: Whether writing has an effect.
    dry = False

    def __init__(self, client: Client, place: Place, tell: Callable[[str], None]) -> None:
        self.client, self.place, self.tell = client, place, tell

    def read(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for something.

        Raises:
            EngineError: with cause and cure.
        """
        with translated(self.place):
            reply = self.client.perform(method, path, body)
        if not isinstance(reply, dict):
            raise ConnectorError(f"{self.place.url} does not answer as {self.place.product} does: {_excerpt(reply)}")
        return reply

    def find(self, path: str) -> dict[str, Any] | None:
        """Ask for something that may be missing."""
        try:
            return self.read("GET", path)
        except EngineError as error:
            if error.status_code == _MISSING:
                return None
            raise

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Change something; returns the engine's answer.

        Raises:
            EngineError: with cause and cure.
        """
        return self.read(method, path, body)

    def odd(self, what: str, reply: Any) -> NoReturn:
        """The engine's answer lacks what it should hold.

        Raises:
            ConnectorError: always.
        """
        raise ConnectorError(f"{self.place.product} at {self.place.url} {what}: {_excerpt(reply)}")


class DryRun(Api):
    """Asks the engine what is there, and keeps what would be written. `requests` holds method, URL and body of each."""

    dry = True

    def __init__(self, client: Client, place: Place, tell: Callable[[str], None]) -> None:
        super().__init__(client, place, tell)
        self.requests: list[dict[str, Any]] = []

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Keep a request; the answer holds names in the place of ids."""
        request = {"method": method, "url": f"{self.place.url}{path}"}
        self.requests.append(request if body is None else {**request, "body": body})
        return {"connector_id": "CONNECTOR_ID", "model_id": "MODEL_ID"}


def _excerpt(reply: Any) -> str:
    return one_line(reply if isinstance(reply, str) else json.dumps(reply, default=str))


def native_place(place: Place, rights: str, by_text: Mapping[str, str]) -> Place:
    """What messages call an engine whose address and credentials come from the command line.

    Args:
        place: what the connector's messages call it.
        rights: what the user must be allowed to.
        by_text: this engine's messages, by a pattern of what it says.
    """
    other, or_key = _OTHER[place.product]
    return replace(
        place,
        key="--url",
        by_status={
            **place.by_status,
            401: "{url} does not let {user} in (401): set REBRIDGE_ENGINE__USER and REBRIDGE_ENGINE__PASSWORD"
            f"{or_key}.",
            503: "{product} at {url} cannot answer (503): its cluster is not available. It said: {said}",
            403: f"{{user}} may not do this at {{url}} (403): {rights}. {{product}}: {{said}}",
        },
        by_text={
            **by_text,
            "^UnsupportedProductError": f"{{url}} is not {{product}}: try `rebridge native install {other}`, or "
            "correct `--url`.",
            **place.by_text,
        },
    )


def contains(there: Any, wanted: Any) -> bool:
    """Whether what an engine has agrees with what is wanted; engines add keys of their own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(contains(there.get(key), each) for key, each in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(contains(*pair) for pair in zip(there, wanted, strict=True))
    return bool(there == wanted)
