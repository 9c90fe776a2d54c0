"""The numbers of searches, as Prometheus reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rebridge.models import Summary
from rebridge.server.metrics import Metrics
from rebridge.server.models.pool import ModelState


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
