"""``rebridge tune``: find the rank window, fusion and passage that suit an index best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, say
from rebridge.cli.topic_options import Data, IrDataset, Limit, Qrels, Queries, Split, TopicOptions

if TYPE_CHECKING:
    from rebridge.evaluation.tuning import Job, Report


def tune(
    index: Annotated[str, typer.Argument(help="Name of the index: the stem of its file in the configs folder.")],
    data: Data = None,
    queries: Queries = None,
    qrels: Qrels = None,
    ir_dataset: IrDataset = None,
    split: Split = "test",
    limit: Limit = None,
    measure: Annotated[
        str, typer.Option(metavar="NAME", help="What the best setting is best in: nDCG@10, RR@10, AP@100 ...")
    ] = "nDCG@10",
    latency_budget_ms: Annotated[
        float, typer.Option(min=1, help="Milliseconds that 95% of searches may take here; at most deadline_ms counts.")
    ] = 500,
    timed: Annotated[
        int, typer.Option(min=0, help="Searches timed with each rank window; 0 leaves latency out of account.")
    ] = 20,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds, and of the random draws behind p and intervals.")] = 0,
    windows: Annotated[str, typer.Option(metavar="N,...", help="Rank windows to try.")] = "20,50,100",
    methods: Annotated[str, typer.Option(metavar="NAME,...", help="Fusions to try.")] = "weighted,rrf,replace",
    weights: Annotated[
        str, typer.Option(metavar="W,...", help="Weights of the model's score to try.")
    ] = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9",
    normalisers: Annotated[
        str, typer.Option(metavar="NAME,...", help="Normalisers to try, each for either score.")
    ] = "min_max,z_score,rank",
    template: Annotated[
        list[str] | None,
        typer.Option(help=r"Passage template to try, \n for a new line; repeatable. [default: the pipeline's own]"),
    ] = None,
    passage_windows: Annotated[
        str | None,
        typer.Option(metavar="none,SIZE/STRIDE,...", help="Cuts of passages to try. [default: the pipeline's own]"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The tuned file. [default: tuned/INDEX.yaml in the configs folder]"),
    ] = None,
    configs: Configs = None,
) -> None:
    """Find the rank window, fusion and passage that suit an index best.

    Every setting is tried on judged queries; each hit is scored only once. Rank windows that are too slow on this
    machine are left out. The best mean is chosen, but the pipeline's own setting is kept if that is as good as far as
    these queries can tell (within one standard error). What such a choice is worth on other queries is told by
    cross-validation: each query is answered with the setting that was chosen without it.

    A tuned copy of the pipeline file is written, into a folder of its own; the one in force stays as it is. Nothing is
    written if there is nothing to gain over it. If the choice is not even better than the first stage with confidence,
    the exit code is 3. Interrupted, the same command goes on where it stopped.

    \b
    Examples:
      rebridge tune docs --data collections/docs
      rebridge tune docs --queries q.tsv --qrels qrels.txt --measure RR@10 --windows 10,20,50
      rebridge tune docs --data collections/docs --template "{title}\\n{text}" --template "{text}"
      rebridge tune docs --data collections/docs --passage-windows none,256/128 --latency-budget-ms 300
    """
    from rebridge.cli.tuning_options import parse_space, read_text, target
    from rebridge.cli.tuning_output import finish
    from rebridge.config_files import load_config
    from rebridge.evaluation.tuning import Job

    config = load_config(index, configs)
    space = parse_space(config, windows, methods, weights, normalisers, template or [], passage_windows)
    text, out = read_text(index, configs), target(index, configs, out)
    job = Job(index, config, space, measure, folds, seed, timed, latency_budget_ms)
    options = TopicOptions(data, queries, qrels, ir_dataset, split, limit)
    kept = _scores(job, options)
    try:
        recommended = finish(job, _tuned(job, options, kept), text, out)
        kept.unlink(missing_ok=True)  # only now: what could not be shown or written is made again without scoring
    except KeyboardInterrupt:
        say("Interrupted; the scores are kept. The same command goes on where it stopped.")
        raise typer.Exit(130) from None
    if not recommended:
        raise typer.Exit(PARTLY)


def _scores(job: Job, options: TopicOptions) -> Path:
    """Where scores are kept until the result is out: a file for each pipeline and its queries."""
    from hashlib import blake2b

    from platformdirs import user_state_path

    whole = repr((job.config.model_dump_json(), options.as_dict()))
    name = blake2b(whole.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return user_state_path("rebridge") / "tune" / f"{job.index}-{name}.sqlite"


def _tuned(job: Job, options: TopicOptions, kept: Path) -> Report:
    """Read the topics and do the job."""
    from rebridge.cli.evaluate_output import tell_findings
    from rebridge.cli.progress import bars
    from rebridge.evaluation.database import Database
    from rebridge.evaluation.first_stages import IndexedFirstStages
    from rebridge.evaluation.models import LoadedModels
    from rebridge.evaluation.running import Bench
    from rebridge.evaluation.tuning import FEW_QUERIES, run_job

    with IndexedFirstStages(job.index) as first_stages, Database(kept) as database, LoadedModels() as models:
        topics = options.load(first_stages(job.config).engine)
        tell_findings(topics.findings)
        if len(topics.queries) < FEW_QUERIES:
            say(f"warning: {len(topics.queries)} queries are few, so intervals are wide: only a large gain will show.")
        with bars() as tell:
            return run_job(job, Bench(job.index, first_stages, models, database), topics, tell)
