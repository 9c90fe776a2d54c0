"""``rebridge eval``: how good a pipeline is on judged queries, beside its stages alone and beside its variations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rebridge.cli.evaluate_output import Findings, Format, show, tell_findings
from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, say
from rebridge.cli.progress import bars
from rebridge.cli.topic_options import Data, IrDataset, Limit, Qrels, Queries, Split, TopicOptions

if TYPE_CHECKING:
    from rebridge.evaluation.runs import Manifest
    from rebridge.evaluation.session import Session

_RUN = "run"


class _IndexFirst(TyperGroup):
    """``rebridge eval INDEX`` is short for ``rebridge eval run INDEX``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before what names no command."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_IndexFirst,
    help="Measure pipelines on judged queries. `rebridge eval INDEX ...` is short for `rebridge eval run INDEX ...`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Measures = Annotated[
    list[str] | None,
    typer.Option("--measure", metavar="NAME", help="nDCG@10, RR@10, AP@100, R@100 ...; the first one is compared."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the random draws behind p and intervals.")]
How = Annotated[Format, typer.Option("--format", help="How to print it.")]


@app.command(name=_RUN)
def run(
    index: Annotated[str, typer.Argument(help="Name of the index: the stem of its file in the configs folder.")],
    data: Data = None,
    queries: Queries = None,
    qrels: Qrels = None,
    ir_dataset: IrDataset = None,
    split: Split = "test",
    limit: Limit = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2", help="Compare these values of a key of the pipeline file; all combinations."),
    ] = None,
    measure: Measures = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for runs and scores; the same command resumes there.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=10_000, help="Most hits of a query that are measured.")] = 100,
    timed: Annotated[int, typer.Option(min=0, help="How many queries are timed; 0 for none.")] = 50,
    saved_run: Annotated[
        Path | None, typer.Option("--run", metavar="FILE", help="A TREC run as first stage, instead of the engine.")
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The documents of --run, as `rebridge index` reads them.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Queries to show that gained most, and that lost most.")] = 3,
    how: How = "table",
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report as one HTML file too.")] = None,
    seed: Seed = 0,
    configs: Configs = None,
) -> None:
    """Measure a pipeline on judged queries.

    Compares the first stage alone, the model alone (rerank) and the pipeline as configured (fused), and with --vary
    other values of any of its keys. All take the path that serves; only the time limit is off while rankings are
    collected, and latency is measured apart, with no scores or embeddings cached (engines keep their own caches).
    Interrupted, the same command with --out goes on where it stopped.
    A variant that had to answer in first-stage order is marked INVALID (exit code 3).

    \b
    Examples:
      rebridge eval docs --data collections/docs
      rebridge eval docs --queries q.tsv --qrels qrels.txt --measure nDCG@10 --out results
      rebridge eval docs --data collections/docs --vary fusion.weight=0.4,0.6,0.8 --vary rank_window=50,100
    """
    from rebridge.evaluation.session import Settings, evaluation

    topics = TopicOptions(data, queries, qrels, ir_dataset, split, limit)
    if (saved_run is None) != (documents is None):
        raise typer.BadParameter("--run needs --documents, and the other way round", param_hint="--run")
    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {report.parent}", param_hint="--report")
    if report is not None and report.is_dir():
        raise typer.BadParameter(f"{report} is a folder: give a file", param_hint="--report")
    if out is not None and out.exists() and not out.is_dir():
        raise typer.BadParameter(f"{out} is a file: give a folder", param_hint="--out")
    settings = Settings(
        index=index,
        vary=tuple(vary or ()),
        measures=tuple(measure or ()),
        depth=depth,
        timed=timed,
        examples=examples,
        seed=seed,
        out=out,
        run=saved_run,
        documents=documents,
        report=report,
        configs=configs,
    )
    try:
        with evaluation(settings) as session:
            _evaluate(session, topics, how)
    except KeyboardInterrupt:
        say(
            "Interrupted. Without --out nothing is kept."
            if out is None
            else "Interrupted; nothing is lost. The same command goes on where it stopped."
        )
        raise typer.Exit(130) from None


def _evaluate(session: Session, options: TopicOptions, how: Format) -> None:
    topics = options.load(session.engine)
    tell_findings([*topics.findings, *session.findings(topics)])
    measures = session.measures(topics)
    with bars() as tell:
        done = session.measure(topics, measures, tell, lambda finding: tell_findings([finding]))
    shown = Findings(topics, done.measure, done.baseline, done.subject, done.results, done.comparisons, done.examples)
    show(shown, how)
    for path in session.write(done, topics, options.as_dict()):
        say(f"wrote {path}")
    for warning in done.warnings:
        say(f"INVALID: {warning}")
    if done.warnings:
        raise typer.Exit(PARTLY)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run files; the first is what the others are compared with.")],
    measure: Measures = None,
    data: Data = None,
    queries: Queries = None,
    qrels: Qrels = None,
    ir_dataset: IrDataset = None,
    split: Split = "test",
    limit: Limit = None,
    how: How = "table",
    seed: Seed = 0,
) -> None:
    """Compare saved runs.

    Judgements and measures are those that the first run's manifest names, unless options name others. Any run in TREC
    format will do, from other programs too. A run with queries in first-stage order is marked INVALID (exit code 3).

    \b
    Examples:
      rebridge eval compare results/first-stage.run results/fused.run
      rebridge eval compare old.run new.run --measure RR@10 --queries q.tsv --qrels qrels.txt
    """
    from rebridge.errors import ConfigError
    from rebridge.evaluation.comparing import compare as compared
    from rebridge.evaluation.measures import DEFAULT_MEASURES, WINDOW_RECALL, parse_measures
    from rebridge.evaluation.running import invalid
    from rebridge.evaluation.runs import read_manifest
    from rebridge.evaluation.saving import measured_run

    if len({path.resolve() for path in runs}) < 2:  # noqa: PLR2004 - a comparison
        raise typer.BadParameter("give two different runs at least", param_hint="RUNS")
    for path in runs:
        if not path.is_file():
            raise ConfigError(f"There is no run {path}.")
    manifest = read_manifest(runs[0])
    topics = _judgements(TopicOptions(data, queries, qrels, ir_dataset, split, limit), runs[0], manifest).load()
    names = measure or (manifest.measures if manifest is not None else DEFAULT_MEASURES)
    measures = [each for each in parse_measures(names, topics.qrels) if each.name != WINDOW_RECALL]
    if not measures:
        raise ConfigError(f"{WINDOW_RECALL}: a saved run does not tell the rank window. Give another --measure.")
    measured = [measured_run(path, topics, measures) for path in runs]
    tell_findings([*topics.findings, *(finding for _, findings in measured for finding in findings)])
    results, main = [result for result, _ in measured], measures[0].name
    baseline, subject = results[0].variant, results[1].variant
    show(Findings(topics, main, baseline, subject, results, compared(results, main, baseline=baseline, seed=seed)), how)
    if any(map(invalid, results)):
        raise typer.Exit(PARTLY)


def _judgements(given: TopicOptions, run: Path, manifest: Manifest | None) -> TopicOptions:
    """Where judgements come from: as the options say, or as the run's manifest does."""
    from rebridge.errors import ConfigError
    from rebridge.evaluation.runs import manifest_path

    if given.named():
        return given
    if manifest is None:
        raise ConfigError(
            f"{manifest_path(run)} does not exist, so the judgements are not known: give --data, or --queries and "
            f"--qrels, or --ir-dataset."
        )
    return given.of(manifest.topics)
