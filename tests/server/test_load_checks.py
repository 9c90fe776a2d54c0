"""What `scripts/bench_server` takes for a right reply."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _module() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "server_load" / "checks.py"
    spec = importlib.util.spec_from_file_location("load_checks", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks = _module()


def found(ids: str, status: str | None = None, **more: Any) -> dict[str, Any]:
    """A reply with these hits, best first."""
    hits = [{"_id": one, "_score": 9.0 - at, "_source": {"text": one}} for at, one in enumerate(ids)]
    about = {} if status is None else {"_rerank": {"status": status, "reason": "deadline"}}
    return {"took": 3, "hits": {"total": {"value": 9}, "max_score": 9.0, "hits": hits}, **about, **more}


def reply(value: Any, rerank: str = "", status: int = 200) -> Any:
    """The same as it travels."""
    return checks.Reply(status, rerank, json.dumps(value).encode())


def judged(value: Any, told: str) -> Any:
    """A reply about the page ``abc`` of the window ``abcd``, judged."""
    return checks.reranked(reply(value, told), reply(found("abc")), reply(found("abcd")), checks.QUERY_DSL)


def rising() -> dict[str, Any]:
    """A reply whose second hit has a higher score than its first."""
    value = found("dab", "applied")
    value["hits"]["hits"][1]["_score"] = 100.0
    return value


def changed() -> dict[str, Any]:
    """A reply of which a hit has lost a field."""
    value = found("dab", "applied")
    value["hits"]["hits"][1]["_source"] = {}
    return value


def test_right_replies() -> None:
    """Any page of the window's hits is a right one, and so is the engine's own if it says so."""
    assert judged(found("dab", "applied"), "applied") == checks.Verdict("applied")
    assert judged(found("abc", "degraded"), "degraded; reason=deadline") == checks.Verdict("degraded: deadline")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param(found("da", "applied"), "applied", id="lost hit"),
        pytest.param(found("ddb", "applied"), "applied", id="twice"),
        pytest.param(found("dax", "applied"), "applied", id="from elsewhere"),
        pytest.param(rising(), "applied", id="rising"),
        pytest.param(changed(), "applied", id="changed"),
        pytest.param(found("dab", "applied", timed_out=True), "applied", id="rest"),
        pytest.param(found("dab", "applied"), "", id="no header"),
        pytest.param(found("acb", "degraded"), "degraded", id="order"),
        pytest.param(found("abc"), "", id="nothing said"),
    ],
)
def test_wrong_replies(value: Any, told: str) -> None:
    """A reply that differs in anything but order, scores and annotations is wrong."""
    assert judged(value, told).wrong


def test_other_status() -> None:
    """An error where the engine has none is wrong."""
    page = reply(found("abc"))
    assert checks.reranked(reply({}, status=502), page, page, checks.QUERY_DSL).wrong
    assert checks.passed(reply({}, status=502), reply({})).wrong


def test_only_the_time_may_differ() -> None:
    """What passes is the engine's own, byte for byte but for how long it took."""
    assert not checks.passed(reply({"took": 1, "hits": []}), reply({"took": 2, "hits": []})).wrong
    assert checks.passed(reply({"took": 1, "hits": [1]}), reply({"took": 1, "hits": []})).wrong


@pytest.mark.parametrize(
    ("order", "right"), [([(1, 0.9), (0, 0.2)], True), ([(0, 0.2), (1, 0.9)], False), ([(1, 0.9)], False)]
)
def test_scores(order: list[tuple[int, float]], right: bool) -> None:  # noqa: FBT001 - parametrised
    """An answer of the rerank API has every document once, with its score, best first."""
    results = [{"index": index, "relevance_score": score} for index, score in order]
    verdict = checks.scores(reply({"results": results}), [0.2, 0.9], {})
    assert (verdict.wrong is None) == right


def test_refusals() -> None:
    """Too much to do is no mistake of the rerank API."""
    assert checks.scores(reply({}, status=504), [0.2], {504: "deadline"}) == checks.Verdict("refused: deadline")
