"""How long searches take on the path that serves: the pipeline's own deadline, and nothing looked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rebridge.evaluation.model import Times
from rebridge.evaluation.models import section_key
from rebridge.scorers.cache import EmbeddingCache, EmbeddingStore
from rebridge.searcher import Searcher

if TYPE_CHECKING:
    from rebridge.evaluation.models import Models
    from rebridge.evaluation.running import VariantRun
    from rebridge.scorers import Scorer

#: Hits of the page that is asked for.
PAGE = 10


def timed_searches(
    runs: Sequence[VariantRun],
    queries: Mapping[str, str],
    models: Models,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, tuple[Times, Counter[str]]]:
    """Time each variant's searches for the first page of each query.

    Passage embeddings are not kept from one search to the next, so that a search costs what one costs whose hits
    nobody has asked for before. Engine and model are warm: a search before the first one is not counted. Variants take
    turns in beginning. Those that differ in nothing that takes time, such as the fusion's weight, are timed together.

    Args:
        runs: the variants.
        queries: id -> text.
        models: gives the models.
        tell: told how many searches are done, and how many there are.

    Returns:
        Variant -> its times, and how many of its searches were degraded, by reason.
    """
    groups: dict[str, list[VariantRun]] = {}
    for run in runs:
        groups.setdefault(_cost(run), []).append(run)
    searches = [_Timed(group, models) for group in groups.values()] if queries else []
    total, done = len(searches) * (len(queries) + 1), 0
    with _uncached([search.scorer for search in searches]):
        for number, (query_id, text) in enumerate(queries.items()):
            for turn in range(len(searches)):
                search = searches[(number + turn) % len(searches)]
                for warming in (True, False) if number == 0 else (False,):
                    search.once(query_id, text, counts=not warming)
                    tell(done := done + 1, total)
    return {run.variant.name: (search.times(), search.late) for search in searches for run in search.runs}


def _cost(run: VariantRun) -> str:
    """Equal for variants whose searches take the same time."""
    config = run.variant.config
    parts: tuple[Any, ...] = (run.first_stage.identity, run.variant.rerank)
    if run.variant.rerank:
        parts += (config.passage, section_key(config.scorer), config.rank_window, config.deadline_ms)
    return repr(parts)


class _Timed:
    """The searches of variants that take the same time.

    Args:
        runs: these variants.
        models: gives theirs.
    """

    def __init__(self, runs: Sequence[VariantRun], models: Models) -> None:
        self.runs, self.late = runs, Counter[str]()
        run = runs[0]
        config, self._first_stage, self._rerank = run.variant.config, run.first_stage, run.variant.rerank
        self.scorer = models(config.scorer) if self._rerank else None
        # As it serves, but that a failure is counted.
        serving = config.model_copy(update={"on_error": "degrade"}).pipeline("", run.first_stage.connector)
        self._searcher = Searcher(serving, run.first_stage.engine, self.scorer, config.query_fields)
        self._ms: list[tuple[float, float, float]] = []

    def once(self, query_id: str, text: str, *, counts: bool) -> None:
        """Search; note how long it took if it counts."""
        request = self._first_stage.request(query_id, text, PAGE)
        summary = self._searcher.send(request, rerank=self._rerank).summary
        if counts:
            self._ms.append((summary.engine_ms, summary.scorer_ms, summary.total_ms))
            if summary.status == "degraded":
                self.late[f"degraded: {summary.reason} (timed searches)"] += 1

    def times(self) -> Times:
        """All that was noted."""
        return Times(*(tuple(column) for column in zip(*self._ms, strict=True)))


class _Once(EmbeddingStore[Any]):
    """Gives each output back once: to the search for which it was read ahead, and to no later one."""

    def __init__(self) -> None:
        self._outputs: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        return self._outputs.pop(key, None)

    def put(self, key: bytes, output: Any) -> None:
        self._outputs[key] = output


@contextmanager
def _uncached(scorers: Sequence[Scorer | None]) -> Iterator[None]:
    """Models that keep no embeddings for a later search."""
    families = {id(family): family for scorer in scorers if (family := getattr(scorer, "family", None)) is not None}
    kept = [(family, family.store, family.queries) for family in families.values() if family.store is not None]
    for family, *_ in kept:
        family.store, family.queries = EmbeddingCache(0), _Once()
    try:
        yield
    finally:
        for family, store, queries in kept:
            family.store, family.queries = store, queries
