"""What Prometheus reads at /metrics.

Labels are bounded: pipelines' names, statuses, reasons and routes, never the name of an index that no pipeline is for.
With several processes each writes into files of a shared folder (``PROMETHEUS_MULTIPROC_DIR``), and whichever is asked
adds them up: https://prometheus.github.io/client_python/multiprocess/.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from rebridge.models import Summary

if TYPE_CHECKING:
    from rebridge.server.models.pool import ModelState

#: Seconds. From a cached answer to the deadline that pipelines have by default.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: The label of searches that no pipeline is for.
_NO_PIPELINE = "none"
#: What a model has done; see `rebridge.scorers.base.Counts`.
_COUNTS = {
    "batches": "Batches that went through it",
    "inputs": "Inputs in these batches",
    "tokens": "Tokens of these inputs",
    "room": "Tokens that these batches could have held",
    "kept": "Passages that were not computed, because their embeddings had been kept",
    "store_failures": "Failures to read embeddings from disk or to write them there",
    "score_hits": "Passages that it was not asked for, because their scores for the query had been kept",
    "score_misses": "Passages that it was asked for although scores are kept",
}


class Metrics:
    """The server's numbers.

    Args:
        registry: where they are kept; None for one of their own.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry or CollectorRegistry()
        self._searches = Counter(
            "rebridge_searches_total",
            "Searches by pipeline, outcome (applied, bypassed, degraded) and reason.",
            ("index", "status", "reason"),
            registry=registry,
        )
        self._search_seconds = Histogram(
            "rebridge_search_seconds",
            "Time of a search by part: engine, scorer, total.",
            ("index", "status", "part"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._requests = Counter(
            "rebridge_http_requests_total",
            "Answered requests by face (api or engine), route, and HTTP status.",
            ("face", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "rebridge_http_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("face", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "rebridge_http_requests_in_flight",
            "Requests that are being answered.",
            ("face",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.reload_failures = Counter(
            "rebridge_reload_failures_total",
            "Reloads that a pipeline file with an error prevented; the old pipelines stayed.",
            registry=registry,
        )
        self.reloads = Counter("rebridge_reloads_total", "Reloads of pipelines that worked.", registry=registry)
        self.scorer_restarts = Counter(
            "rebridge_scorer_restarts_total", "Starts of the scorer process after its first.", registry=registry
        )
        self._looks = [
            Counter(f"rebridge_model_{name}", f"{_COUNTS[name]}, since it was loaded.", ("model",), registry=registry)
            for name in ("score_hits", "score_misses")
        ]

    def search(self, index: str | None, summary: Summary) -> None:
        """Count a search.

        Args:
            index: the pipeline's name; None if there was none for it.
            summary: what came of it.
        """
        label = index or _NO_PIPELINE
        self._searches.labels(label, summary.status, summary.reason or "").inc()
        parts = {"engine": summary.engine_ms, "scorer": summary.scorer_ms, "total": summary.total_ms}
        for part, milliseconds in parts.items():
            if milliseconds:
                self._search_seconds.labels(label, summary.status, part).observe(milliseconds / 1000)

    def request(self, face: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request of a face, under its route's pattern."""
        self._requests.labels(face, route, str(status)).inc()
        self._request_seconds.labels(face, route).observe(seconds)

    def score_cache(self, model: str, hits: int, misses: int) -> None:
        """Count a look into the score cache of a remote scorer, which belongs to a process of the front.

        Args:
            model: the scorer's name.
            hits: of how many passages the scores were kept.
            misses: of how many they were not.
        """
        for counter, count in zip(self._looks, (hits, misses), strict=True):
            counter.labels(model).inc(count)

    def exposition(self, models: Sequence[ModelState] = ()) -> bytes:
        """All numbers of all processes, in the text format of Prometheus.

        Args:
            models: how the models do now.
        """
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        now = CollectorRegistry()
        now.register(_Together(_Models(models), registry))
        return generate_latest(now)


class _Together(Collector):
    """What several collectors tell. A family may be told once: of those with the same name one is made."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        families: dict[str, Metric] = {}
        for family in chain.from_iterable(collector.collect() for collector in self._collectors):
            known = families.get(family.name)
            families[family.name] = family if known is None else _sum(known, family)
        yield from families.values()


def _sum(one: Metric, other: Metric) -> Metric:
    """The samples of two families, those with the same labels added up."""
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for sample in chain(one.samples, other.samples):
        key = (sample.name, tuple(sorted(sample.labels.items())))
        values[key] = values.get(key, 0.0) + sample.value
    whole = Metric(one.name, one.documentation, one.type)
    for (name, labels), value in values.items():
        whole.add_sample(name, dict(labels), value)
    return whole


class _Models(Collector):
    """The numbers of the models, which are those of the moment and belong to no process of the front."""

    def __init__(self, models: Sequence[ModelState]) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        loaded = GaugeMetricFamily("rebridge_model_loaded", "1 if the model is in memory.", labels=["model"])
        memory = GaugeMetricFamily("rebridge_model_memory_bytes", "What its weights take.", labels=["model"])
        waiting = GaugeMetricFamily("rebridge_model_requests", "Requests that wait for its scores.", labels=["model"])
        counts = {
            name: CounterMetricFamily(f"rebridge_model_{name}", f"{told}, since it was loaded.", labels=["model"])
            for name, told in _COUNTS.items()
        }
        for model in self._models:
            for name, family in counts.items():
                family.add_metric([model.name], model.counts.get(name, 0))
            loaded.add_metric([model.name], model.loaded)
            memory.add_metric([model.name], (model.memory_mb or 0) * 2**20 if model.loaded else 0)
            waiting.add_metric([model.name], model.in_use)
        yield from (loaded, memory, waiting, *counts.values())
