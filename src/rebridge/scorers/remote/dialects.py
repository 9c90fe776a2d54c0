"""The rerank APIs that a remote scorer speaks: what is sent, and what an answer means.

What comes back is never trusted: a count, index or score that cannot be is an `OddAnswer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from rebridge.errors import ScorerError

if TYPE_CHECKING:
    from rebridge.scorers.base import Activation
    from rebridge.steps import Windows

Row = tuple[float, ...]


class OddAnswer(ScorerError):
    """An answer that is none: the message says what came."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        query: the query text.
        texts: the passages; none only for a rebridge, to say that some are likely to follow.
        model: the model's name at the peer; None for the peer's default.
        windows: how to cut passages; None to let the model truncate them.
        left_s: seconds until nobody waits for the answer any more; None for no limit.
        layers: the scores after every layer instead of windows' scores. Only a rebridge can be asked for them.
    """

    query: str
    texts: tuple[str, ...]
    model: str | None = None
    windows: Windows | None = None
    left_s: float | None = None
    layers: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says.

    Attributes:
        rows: per passage, in the order of the request, the scores of its windows; NaN where there is none.
        activation: what turns them into official scores; None if the answer does not say.
        reads_queries: see `rebridge.scorers.base.Scorer`; false if the answer does not say.
    """

    rows: list[Row]
    activation: Activation | None = None
    reads_queries: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """A rerank API.

    Attributes:
        path: where it is, below the peer's address.
        body: the request, as a JSON value.
        read: what an answer to a request says. Raises `OddAnswer`.
        batch_size: most passages in a request, unless the user says otherwise.
        activation: what turns its scores into official ones, unless an answer says otherwise.
        cuts: whether the peer cuts long passages into windows as it is told.
    """

    path: str
    body: Callable[[Ask], dict[str, Any]]
    read: Callable[[Any, Ask], Reading]
    batch_size: int = 1000
    activation: Activation = "identity"
    cuts: bool = False


def _rebridge_body(ask: Ask) -> dict[str, Any]:
    return {
        "model": ask.model,
        "query": ask.query,
        "passages": ask.texts,
        "windows": None if ask.windows is None else asdict(ask.windows),
        "layers": ask.layers,
        "deadline_ms": None if ask.left_s is None else max(1, int(ask.left_s * 1000)),
    }


def _rebridge_read(answer: Any, ask: Ask) -> Reading:
    rows = answer.get("scores") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise OddAnswer(f"no list of scores, but {_kind(answer)}")
    _check_count(len(rows), ask)
    for index, row in enumerate(rows):
        if not isinstance(row, list) or not row or (len(row) != 1 and ask.windows is None and not ask.layers):
            raise OddAnswer(f"no score of its own for the passage {index}, but {_kind(row)}")
    activation = answer.get("activation")
    if activation not in {"identity", "sigmoid"}:
        raise OddAnswer("an activation that is neither identity nor sigmoid")
    scores = [tuple(_score(score) for score in row) for row in rows]
    return Reading(scores, cast("Activation", activation), answer.get("reads_queries") is True)


def _cohere_body(ask: Ask) -> dict[str, Any]:
    # Without top_n all come back, but servers that imitate the API have defaults of their own.
    return {**_named(ask), "query": ask.query, "documents": ask.texts, "top_n": len(ask.texts)}


def _jina_body(ask: Ask) -> dict[str, Any]:
    return {**_cohere_body(ask), "return_documents": False}


def _tei_body(ask: Ask) -> dict[str, Any]:
    return {"query": ask.query, "texts": ask.texts, "raw_scores": True, "return_text": False, "truncate": True}


def _vllm_body(ask: Ask) -> dict[str, Any]:
    # -1: cut at what the model reads. Otherwise one long passage has the whole request refused.
    return {**_named(ask), "query": ask.query, "documents": ask.texts, "top_n": 0, "truncate_prompt_tokens": -1}


def _infinity_body(ask: Ask) -> dict[str, Any]:
    return {**_jina_body(ask), "raw_scores": True}


def _named(ask: Ask) -> dict[str, Any]:
    return {} if ask.model is None else {"model": ask.model}


def _results_read(answer: Any, ask: Ask) -> Reading:
    return _indexed(answer.get("results") if isinstance(answer, dict) else answer, "relevance_score", ask)


def _tei_read(answer: Any, ask: Ask) -> Reading:
    return _indexed(answer, "score", ask)


def _indexed(results: Any, key: str, ask: Ask) -> Reading:
    """The scores of ``[{"index", key}]``, whatever their order."""
    if not isinstance(results, list):
        raise OddAnswer(f"no list of results, but {_kind(results)}")
    _check_count(len(results), ask)
    scores: dict[int, float] = {}
    for result in results:
        index = result.get("index") if isinstance(result, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(ask.texts):
            raise OddAnswer(f"a result whose index is none of the {len(ask.texts)} passages'")
        if index in scores:
            raise OddAnswer(f"two scores for the passage {index}")
        if key not in result:
            raise OddAnswer(f"no {key} for the passage {index}")
        scores[index] = _score(result[key])
    return Reading([(scores[index],) for index in range(len(ask.texts))])


def _check_count(found: int, ask: Ask) -> None:
    if found != len(ask.texts):
        raise OddAnswer(f"{found} scores for {len(ask.texts)} passages")


def _score(value: Any) -> float:
    """A score; NaN for null and what is not finite, which costs only the one passage."""
    if value is None:
        return math.nan
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise OddAnswer(f"a score that is {_kind(value)}")
    try:
        score = float(value)
    except OverflowError:
        return math.nan
    return score if math.isfinite(score) else math.nan


def _kind(value: Any) -> str:
    """What a JSON value is, without its content, which may be the user's."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), "a number")


# Whose scores are raw. Where sigmoid is said to be the activation, the request asks for scores without it.
#   cohere    https://docs.cohere.com/v2/reference/rerank
#   jina      https://api.jina.ai/redoc#tag/rerank
#   tei       https://huggingface.github.io/text-embeddings-inference/ (a client batch is 32 by default)
#   vllm      https://docs.vllm.ai/en/latest/models/pooling_models/
#   infinity  https://michaelfeil.eu/infinity/latest/
DIALECTS: Mapping[str, Dialect] = {
    "rebridge": Dialect("/rebridge/v1/scores", _rebridge_body, _rebridge_read, cuts=True),
    "cohere": Dialect("/v2/rerank", _cohere_body, _results_read),
    "jina": Dialect("/v1/rerank", _jina_body, _results_read),
    "tei": Dialect("/rerank", _tei_body, _tei_read, batch_size=32, activation="sigmoid"),
    "vllm": Dialect("/rerank", _vllm_body, _results_read),
    "infinity": Dialect("/rerank", _infinity_body, _results_read, activation="sigmoid"),
}
