"""One evaluation from its settings to its figures: what ``rebridge eval`` does, without the printing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rebridge.config_files import load_config
from rebridge.errors import ConfigError, MissingExtra
from rebridge.evaluation.comparing import Comparison, compare
from rebridge.evaluation.database import Database
from rebridge.evaluation.examples import examples, score_samples
from rebridge.evaluation.first_stages import FirstStages, IndexedFirstStages
from rebridge.evaluation.measures import DEFAULT_MEASURES, WINDOW_RECALL, Measure, parse_measures
from rebridge.evaluation.models import LoadedModels, Models
from rebridge.evaluation.report import Example, ReportData, write_report
from rebridge.evaluation.running import Bench, Progress, VariantRun, evaluate_variants, invalid, prepare
from rebridge.evaluation.runs import Manifest
from rebridge.evaluation.saved_run import SavedRun, without_engine
from rebridge.evaluation.saving import DATABASE, Origin, manifests, save
from rebridge.evaluation.variants import FIRST_STAGE, configured_name, parse_varied, variants

if TYPE_CHECKING:
    from rebridge.connector import Engine
    from rebridge.evaluation.model import Finding, Result, Topics, Variant

#: Degraded searches that are told as they happen; the others are only counted.
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Settings:
    """What to evaluate, and how; see ``rebridge eval --help``.

    ``database`` is the file of scores and answers, which several evaluations may share; by default it is in ``out``.
    """

    index: str
    vary: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    depth: int = 100
    timed: int = 50
    examples: int = 3
    seed: int = 0
    out: Path | None = None
    database: Path | None = None
    run: Path | None = None
    documents: Path | None = None
    report: Path | None = None
    configs: Path | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out.

    Attributes:
        measure: the one that variants are compared by.
        baseline: the variant that the others are compared with: the first stage.
        subject: the pipeline as configured.
        runs: one per variant.
        results: one per variant.
        comparisons: of the others with the baseline.
        examples: the queries that the subject changed most.
        warnings: one for each variant whose figures are not those of its pipeline.
    """

    measure: str
    baseline: str
    subject: str
    runs: Sequence[VariantRun]
    results: Sequence[Result]
    comparisons: Sequence[Comparison]
    examples: Sequence[Example]
    warnings: Sequence[str]


class Session:
    """An evaluation whose first stages are open.

    Args:
        settings: what to evaluate.
        bench: where.
        compared: the variants.
        subject: name of the pipeline as configured.
    """

    def __init__(self, settings: Settings, bench: Bench, compared: Sequence[Variant], subject: str) -> None:
        self._settings, self._bench = settings, bench
        self._variants, self._subject = compared, subject
        self._first_stage = bench.first_stages(compared[0].config)

    @property
    def engine(self) -> Engine[Any, Any] | None:
        """The configured pipeline's engine, to look judged documents up; a saved run does not hold the others."""
        return None if isinstance(self._first_stage, SavedRun) else self._first_stage.engine

    def findings(self, topics: Topics) -> list[Finding]:
        """What is odd about a saved run and its documents."""
        if not isinstance(self._first_stage, SavedRun):
            return []
        missing = self._first_stage.missing(topics.queries)
        return [*self._first_stage.findings, *([missing] if missing else [])]

    def measures(self, topics: Topics) -> tuple[Measure, ...]:
        """The settings' measures, and the recall of the rank window.

        Raises:
            ConfigError: if one does not exist, or does not fit the judgements or the depth.
        """
        names = self._settings.measures or DEFAULT_MEASURES
        measures = parse_measures([*names, WINDOW_RECALL], topics.qrels)
        deep = next((each for each in measures if (each.cutoff or 0) > self._settings.depth), None)
        if deep is not None:
            raise ConfigError(f"{deep.name} looks at more ranks than --depth {self._settings.depth}: raise it.")
        return measures

    def measure(
        self, topics: Topics, measures: Sequence[Measure], on_progress: Progress, note: Callable[[Finding], None]
    ) -> Evaluation:
        """Evaluate every variant.

        Args:
            topics: queries and judgements.
            measures: from `measures`; variants are compared by the first.
            on_progress: told how far it is.
            note: told what is odd about stored answers.

        Raises:
            RebridgeError: as `rebridge.evaluation.running.evaluate_variants`.
        """
        settings, bench = self._settings, self._bench
        runs = prepare(self._variants, bench, topics.queries, note)
        with _told_a_few():
            results = evaluate_variants(
                runs, topics, bench, measures=measures, timed=settings.timed, on_progress=on_progress
            )
        if isinstance(self._first_stage, SavedRun):
            results = [without_engine(result) for result in results]
        main = measures[0].name
        place = next(place for place, run in enumerate(runs) if run.variant.name == self._subject)
        shown = examples(
            (runs[place], results[place]),
            (runs[0], results[0]),
            topics,
            database=bench.database,
            measure=main,
            count=settings.examples,
        )
        comparisons = compare(results, main, baseline=FIRST_STAGE, seed=settings.seed)
        warnings = tuple(filter(None, map(_warning, results)))
        return Evaluation(main, FIRST_STAGE, self._subject, runs, results, comparisons, shown, warnings)

    def write(self, done: Evaluation, topics: Topics, origin: Mapping[str, Any]) -> list[Path]:
        """Write what the settings ask for: runs with their manifests, and the report.

        Args:
            done: from `measure`.
            topics: as given to it.
            origin: where they came from, for manifests.

        Returns:
            The files, but for the manifests.

        Raises:
            ConfigError: if a run cannot hold an id.
            OSError: if a file cannot be written.
        """
        settings, files = self._settings, list[Path]()
        if settings.out is not None:
            told = self._manifests(done, topics, origin)
            files += save(settings.out, done.runs, told, topics, self._bench).values()
        if settings.report is not None:
            write_report(settings.report, self.report(done, topics, origin))
            files.append(settings.report)
        return files

    def report(self, done: Evaluation, topics: Topics, origin: Mapping[str, Any]) -> ReportData:
        """What a report shows; arguments as `write`."""
        told = self._manifests(done, topics, origin)
        manifest = next(each for each in told if each.variant == self._subject)
        return ReportData(
            title=f"{self._settings.index} on {topics.name or 'judged queries'}",
            topics=topics,
            measure=done.measure,
            baseline=done.baseline,
            subject=done.subject,
            variants=tuple(run.variant for run in done.runs),
            results=tuple(done.results),
            comparisons=tuple(done.comparisons),
            manifest=asdict(manifest),
            examples=tuple(done.examples),
            scores=tuple(score_samples(done.runs, topics, self._bench.database)),
            warnings=tuple(done.warnings),
        )

    def _manifests(self, done: Evaluation, topics: Topics, origin: Mapping[str, Any]) -> list[Manifest]:
        return manifests(done.runs, done.results, topics, self._bench, Origin(origin, self._settings.seed))


@contextmanager
def evaluation(settings: Settings, models: Models | None = None) -> Iterator[Session]:
    """Read the pipeline, open its index, and close all of it in the end.

    Args:
        settings: what to evaluate, and how.
        models: gives the models, for several evaluations that share them; by default they are loaded, and closed too.

    Raises:
        ConfigError: if the pipeline, a varied key or a file is wrong.
        ConnectorError: if the index does not exist or cannot be reached.
        MissingExtra: if a report is wanted that cannot be made.
    """
    if settings.report is not None and not all(find_spec(name) for name in ("jinja2", "matplotlib")):
        raise MissingExtra("The HTML report", "eval")  # before the work, not after it
    config = load_config(settings.index, settings.configs)
    compared = variants(config, settings.index, parse_varied(settings.vary))
    subject = next(each.name for each in reversed(compared) if each.name.partition(" (")[0] == configured_name(config))
    with ExitStack() as owned:
        first_stages: FirstStages = (
            owned.enter_context(IndexedFirstStages(settings.index))
            if settings.run is None or settings.documents is None
            else SavedRun(settings.run, settings.documents)
        )
        first_stages(config)  # an index that is not there is told before anything else is done
        folder = settings.out or Path(owned.enter_context(TemporaryDirectory(prefix="rebridge-eval-")))
        database = owned.enter_context(Database(settings.database or folder / DATABASE))
        models = models or owned.enter_context(LoadedModels())
        yield Session(
            settings, Bench(settings.index, first_stages, models, database, settings.depth), compared, subject
        )


def _warning(result: Result) -> str:
    reasons = ", ".join(
        f"{count:,} {'query' if count == 1 else 'queries'} {reason}" for reason, count in invalid(result).items()
    )
    return f"{result.variant}: answered in first-stage order: {reasons}" if reasons else ""


@contextmanager
def _told_a_few() -> Iterator[None]:
    """Only the first few degraded searches are logged; all are counted."""
    log, told = logging.getLogger("rebridge"), 0

    def few(record: logging.LogRecord) -> bool:
        nonlocal told
        told += record.levelno == logging.WARNING
        return record.levelno != logging.WARNING or told <= _TOLD

    log.addFilter(few)
    try:
        yield
    finally:
        log.removeFilter(few)
