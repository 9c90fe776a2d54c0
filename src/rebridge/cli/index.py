"""``rebridge index``: fill an index from files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rebridge.cli.new_pipeline import EngineName, guessed_fields, pipeline_file, place
from rebridge.cli.options import Configs
from rebridge.cli.output import PARTLY, console, say

if TYPE_CHECKING:
    from rebridge.config import PipelineConfig
    from rebridge.ingest import IngestReport
    from rebridge.searcher import Searcher

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_BEGINNINGS = {
    "resumed": "resumed where an earlier run stopped",
    "changed": "the source has changed: begun anew",
    "emptied": "the index was emptied: begun anew",
    "restarted": "begun anew as asked",
}


def index(
    index: Annotated[str, typer.Argument(help="Name of the index: the stem of its file in the configs folder.")],
    source: Annotated[
        Path, typer.Argument(help="JSONL, CSV or TSV file (.gz too), or folder of .md, .txt, .html files.")
    ],
    id_field: Annotated[
        str | None, typer.Option(help="Field that holds the ids. [default: _id or id if there]")
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Engine of a new index, one without a pipeline file. [default: tantivy, which is embedded]"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Address of that engine. [default: its usual port on this machine]")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Documents written at a time.")] = 1000,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many documents.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew instead of resuming.")] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="File for documents that cannot be indexed. [default: SOURCE.rejects.jsonl]")
    ] = None,
    configs: Configs = None,
) -> None:
    """Fill an index from files.

    Interrupted, the same command goes on where it stopped. An index without a pipeline file gets one, with field types
    guessed from the first documents; an index that the engine does not have is made (but a core
    of a Solr without SolrCloud: `solr create -c INDEX` makes it). Documents are replaced by id. What
    cannot be indexed goes into the rejects file with its line number and the reason. User and password of an engine are
    never written to a file: put them into the environment as REBRIDGE_PIPELINE__NAME__CONNECTOR__USER and __PASSWORD.

    \b
    Examples:
      rebridge index docs corpus.jsonl
      rebridge index shop products.csv --id-field sku
      rebridge index wiki ./pages
      rebridge index docs corpus.jsonl --engine opensearch --url http://localhost:9201
    """
    from rebridge.ingest import check_source, ingest

    check_source(source, id_field)
    source = source.resolve()
    rejects = rejects or source.with_name(f"{source.name}.rejects.jsonl")
    with _open(index, source, id_field, configs, engine, url) as (config, searcher), _progress(source) as update:
        try:
            report = ingest(
                searcher.engine,
                source,
                rejects_path=rejects,
                checkpoint_path=_checkpoint(index, config, source),
                batch_size=batch_size,
                id_field=id_field,
                limit=limit,
                restart=restart,
                validate=searcher.engine.validate,
                on_progress=update,
            )
        except KeyboardInterrupt:
            say("Interrupted; nothing is lost. The same command goes on where it stopped.")
            raise typer.Exit(130) from None
        documents = searcher.engine.count()
    _show(index, report, documents, rejects)
    if report.rejected or _all_lost(report):
        raise typer.Exit(PARTLY)


@contextmanager
def _open(
    index: str, source: Path, id_field: str | None, configs: Path | None, engine: EngineName | None, url: str | None
) -> Iterator[tuple[PipelineConfig, Searcher]]:
    """The index and its pipeline; a new pipeline file is written if there is none, and kept if it works."""
    from rebridge.config_files import available, configs_folder, load_config
    from rebridge.errors import RebridgeError

    if not _NAME.fullmatch(index):
        raise typer.BadParameter(f"{index!r} cannot be a file's name: use letters, digits, '.', '_' and '-'")
    known, folder = available(configs), configs_folder(configs)
    file = folder / f"{index}.yaml"
    new = index not in known
    if new:
        connector = place(engine or "tantivy", index, url)
        text = pipeline_file(index, source, connector, guessed_fields(source, id_field))
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    elif engine or url:
        raise typer.BadParameter(f"{known[index]} says where the index is: --engine and --url are for new ones")
    try:
        config = load_config(index, configs)
        searcher = _searcher(index, config, source, id_field)
    except RebridgeError:
        if new:
            file.unlink()
        raise
    if new:
        say(f"Wrote {file} with fields guessed from the first documents; edit it as you like.")
    with searcher:
        yield config, searcher


def _searcher(index: str, config: PipelineConfig, source: Path, id_field: str | None) -> Searcher:
    """The index; if the engine does not have it, it is made with the pipeline's fields, or with guessed ones."""
    from rebridge.errors import ConnectorError
    from rebridge.searcher import Searcher

    settings = config.connector_settings(index)
    if getattr(settings, "fields", ()) is not None:  # given, or nothing that this connector takes
        return Searcher.open(index, config, rerank=False, create=True)
    try:
        return Searcher.open(index, config, rerank=False)
    except ConnectorError:
        connector = config.connector.model_copy(update={"fields": guessed_fields(source, id_field)})
        guessed = config.model_copy(update={"connector": connector})
        return Searcher.open(index, guessed, rerank=False, create=True)


def _checkpoint(index: str, config: PipelineConfig, source: Path) -> Path:
    """One file for each pair of index and source."""
    import hashlib

    from platformdirs import user_state_path

    # A time limit that is raised after a failure must not make the ingest begin anew.
    settings = config.connector_settings(index).model_dump(mode="json", exclude={"timeout_s"})
    where = f"{settings!r}\0{source.resolve()}"
    key = hashlib.blake2b(where.encode(), digest_size=8).hexdigest()
    return user_state_path("rebridge") / "ingest" / f"{index}-{key}.json"


def _show(index: str, report: IngestReport, documents: int, rejects: Path) -> None:
    if report.beginning in _BEGINNINGS:
        say(_BEGINNINGS[report.beginning])
    if _all_lost(report):
        say(f"All {report.lost:,} documents were rejected before; see {rejects}, and --restart to try them again.")
    elif report.beginning == "unchanged":
        say(f"Nothing to do: all {report.skipped:,} documents were read before, rejected ones too (see --restart).")
    rate = f" ({report.added / report.seconds:,.0f} a second)" if report.seconds > 0 and report.added else ""
    typer.echo(f"{report.added:,} documents added in {report.seconds:.1f} s{rate}; {index} now holds {documents:,}.")
    if report.rejected:
        say(f"{report.rejected:,} documents could not be indexed; see {rejects}")
    if report.first_reject:
        first = report.first_reject
        say(f"The first of them, {Path(first.source).name} line {first.line}: {first.problem}")


def _all_lost(report: IngestReport) -> bool:
    """Whether an earlier run read the whole source, and nothing of it is in the index."""
    return report.beginning == "unchanged" and 0 < report.lost == report.skipped


@contextmanager
def _progress(source: Path) -> Iterator[Callable[[IngestReport], None]]:
    """A progress bar on standard error; nothing where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rebridge.ingest import count_items

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task(source.name, total=count_items(source))
        yield lambda report: progress.update(task, completed=report.position)
