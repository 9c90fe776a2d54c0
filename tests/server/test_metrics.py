"""The numbers of searches, as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rebridge.config import ScorerSection
from rebridge.models import Summary
from rebridge.scorers import FakeScorer
from rebridge.server.metrics import Metrics
from rebridge.server.models.pool import ModelState
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.server.scoring import ProcessScoring

from .reranking import application, serving


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_searches_are_counted() -> None:
    """A search counts by pipeline, outcome and reason, and its parts are timed in seconds."""
    metrics = Metrics()
    metrics.search("shop", Summary("applied", engine_ms=20, scorer_ms=400, total_ms=425))
    metrics.search("shop", Summary("degraded", "deadline", engine_ms=20, total_ms=1000))
    metrics.search(None, Summary("bypassed", "no_pipeline"))
    found = samples(metrics.exposition().decode())
    name = "rebridge_searches_total"
    assert found[name, (("index", "shop"), ("reason", ""), ("status", "applied"))] == 1
    assert found[name, (("index", "shop"), ("reason", "deadline"), ("status", "degraded"))] == 1
    assert found[name, (("index", "none"), ("reason", "no_pipeline"), ("status", "bypassed"))] == 1
    where = (("index", "shop"), ("part", "scorer"), ("status", "applied"))
    assert found["rebridge_search_seconds_sum", where] == pytest.approx(0.4)
    assert ("rebridge_search_seconds_sum", (("index", "shop"), ("part", "scorer"), ("status", "degraded"))) not in found


def test_models_are_told() -> None:
    """Which models are in memory, what they take, and how many wait for them is known at any time."""
    models = [
        ModelState(
            "large", (), loaded=True, activation="identity", memory_mb=2.0, in_use=3, busy_s=0.0, counts={"tokens": 90}
        ),
        ModelState("small", (), loaded=False, activation="identity", memory_mb=1.0, in_use=0, busy_s=0.0),
    ]
    found = samples(Metrics().exposition(models).decode())
    assert found["rebridge_model_loaded", (("model", "large"),)] == 1
    assert found["rebridge_model_memory_bytes", (("model", "large"),)] == 2**21
    assert found["rebridge_model_requests", (("model", "large"),)] == 3
    assert found["rebridge_model_tokens_total", (("model", "large"),)] == 90
    assert found["rebridge_model_tokens_total", (("model", "small"),)] == 0
    assert found["rebridge_model_loaded", (("model", "small"),)] == 0
    assert found["rebridge_model_memory_bytes", (("model", "small"),)] == 0


def test_score_caches_of_remote_scorers_are_told(tmp_path: Path) -> None:
    """A remote scorer's cache counts as a model's does, under the name that a model would have, in one family."""
    metrics = Metrics()
    with serving(application(FakeScorer(default=1.0))) as url:
        served, searched = (
            ScorerSection.model_validate({"kind": "remote", "url": url, "timeout_s": seconds, "score_cache": True})
            for seconds in (10, 20)
        )
        table = ModelTable([ServedModel("far", served)])
        scoring = ProcessScoring(table, tmp_path / "nothing", metrics.score_cache)
        with closing(scoring), scoring.opener(searched) as pipelines:
            for scorer in (scoring.scorer("far"), pipelines):
                for passages in (["a", "b", "c"], ["a", "d"]):
                    assert scorer.submit("q", passages).result(20) == [(1.0,)] * len(passages)
        text = metrics.exposition(scoring.models()).decode()
    found = samples(text)
    for name in ("far", table.name_of(searched)):
        assert found["rebridge_model_score_hits_total", (("model", name),)] == 1
        assert found["rebridge_model_score_misses_total", (("model", name),)] == 4
    assert text.count("# TYPE rebridge_model_score_hits_total") == 1
    assert "since it was loaded" in text


def test_processes_are_added_up(tmp_path: Path) -> None:
    """What several processes counted is one number, whichever of them is asked."""
    code = (
        "from rebridge.models import Summary; from rebridge.server.metrics import Metrics; metrics = Metrics();"
        "metrics.search('shop', Summary('applied')); print(metrics.exposition().decode())"
    )
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    outputs = [
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own code
        for _ in range(2)
    ]
    where = ("rebridge_searches_total", (("index", "shop"), ("reason", ""), ("status", "applied")))
    assert [samples(output)[where] for output in outputs] == [1, 2]
