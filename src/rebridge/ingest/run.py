"""Filling an index from a source so that it can be stopped at any moment and goes on from there.

The order of writing is the whole mechanism: first the documents (the engine makes them durable and replaces by id),
then the rejects, then the checkpoint. Whatever stops the run, the checkpoint never claims more than is there, and what
is there beyond it is written again without a trace. So nothing here catches an interruption.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rebridge.errors import DocumentsRefused, RebridgeError
from rebridge.ingest import checkpoint as checkpoints
from rebridge.ingest.checkpoint import Checkpoint, origin_of
from rebridge.ingest.items import Record, Reject
from rebridge.ingest.readers import check_source, read
from rebridge.ingest.rejects import RejectsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rebridge.connector import Engine

#: A batch also ends at this size, so that few long documents take no more memory than many short ones.
BATCH_BYTES = 32 * 1024 * 1024

Beginning = Literal["new", "resumed", "unchanged", "changed", "emptied", "restarted"]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did, or has done so far.

    Attributes:
        beginning: ``new``; ``resumed`` at a checkpoint; ``unchanged``: it was complete, nothing was done; or begun
            anew because the source or its id field is ``changed``, the index was ``emptied``, or it was told to be
            ``restarted``.
        added: documents added by this run; one whose id was there before has replaced it.
        rejected: rejects of this run, each a line of the rejects file.
        first_reject: the first of them; None if there is none.
        skipped: documents and rejects of earlier runs, which this run did not touch.
        lost: the rejects among them.
        position: how many lines, rows or files of the source are done, in all runs.
        complete: the source's end was reached.
        seconds: how long this run took.
    """

    beginning: Beginning
    added: int = 0
    rejected: int = 0
    first_reject: Reject | None = None
    skipped: int = 0
    lost: int = 0
    position: int = 0
    complete: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class _Batch:
    """What is written together: the latest document of each id, how many were read, and the rejects among them."""

    documents: dict[str, Record] = field(default_factory=dict)
    added: int = 0
    rejects: list[Reject] = field(default_factory=list)
    position: int = 0
    size: int = 0


def ingest(  # noqa: PLR0913 - each is an option of the command
    engine: Engine[Any, Any],
    source: str | Path,
    *,
    rejects_path: Path,
    checkpoint_path: Path,
    batch_size: int = 500,
    id_field: str | None = None,
    limit: int | None = None,
    restart: bool = False,
    validate: Callable[[str, Mapping[str, Any]], str | None] | None = None,
    on_progress: Callable[[IngestReport], None] | None = None,
) -> IngestReport:
    """Add a source's documents to an index, going on where an earlier run of the same ingest stopped.

    A source that has changed since is read from its beginning; documents that it no longer has stay in the index.
    Every document must pass the reader's rules, `validate` and the engine; what does not is appended to the rejects
    file, once in each reading from the beginning. An error or interruption may come at any moment: run again, and
    nothing is missing or twice.

    Args:
        engine: the open index.
        source: what to read, see `rebridge.ingest.readers.read`.
        rejects_path: the rejects file (JSONL: source, line, problem, raw).
        checkpoint_path: the file that remembers how far the ingest is; one per index and source.
        batch_size: how many documents and rejects are written at a time.
        id_field: the field that holds the ids.
        limit: how many documents to add at most, those of earlier runs included.
        restart: begin anew in any case.
        validate: the engine's rules: says what is wrong with a document (id, fields), or None.
        on_progress: told after each batch.

    Raises:
        ConfigError: if the source cannot be read as asked.
        RebridgeError: if reading fails midway; whatever the engine raises comes through as well.
    """
    started = time.monotonic()
    source = Path(source).absolute()  # rejects of a resumed run must name it in the same way
    check_source(source, id_field)
    checkpoint, beginning = _begin(engine, checkpoints.load(checkpoint_path), source, id_field, restart=restart)
    report = IngestReport(
        beginning,
        skipped=checkpoint.added + checkpoint.rejected,
        lost=checkpoint.rejected,
        position=checkpoint.position,
        complete=checkpoint.complete,
    )
    if checkpoint.complete:
        return report
    rejects = RejectsFile(rejects_path)
    if beginning == "resumed":
        rejects.recover(checkpoint.rejects_size)
    else:
        checkpoint = replace(checkpoint, rejects_size=rejects.size)
        checkpoints.save(checkpoint_path, checkpoint)
    room = None if limit is None else max(limit - checkpoint.added, 0)
    taken = 0
    with closing(read(source, id_field=id_field, start=checkpoint.position)) as items:
        for given in _batches(items, validate, batch_size, room):
            taken += given.added
            batch = _added(engine, given)
            rejects.append(batch.rejects)
            checkpoint = _after(batch, checkpoint, rejects.size)
            checkpoints.save(checkpoint_path, checkpoint)
            report = replace(
                report,
                added=report.added + batch.added,
                rejected=report.rejected + len(batch.rejects),
                first_reject=report.first_reject or next(iter(batch.rejects), None),
                position=batch.position,
                seconds=time.monotonic() - started,
            )
            if on_progress:
                on_progress(report)
    complete = room is None or taken < room
    checkpoints.save(checkpoint_path, replace(checkpoint, complete=complete))
    return replace(report, complete=complete, seconds=time.monotonic() - started)


def _begin(
    engine: Engine[Any, Any], known: Checkpoint | None, source: Path, id_field: str | None, *, restart: bool
) -> tuple[Checkpoint, Beginning]:
    """The checkpoint to start from, and why that one."""
    try:
        fresh = Checkpoint(origin_of(source, id_field))
    except OSError as error:
        raise RebridgeError(f"{source} cannot be read: {error}") from error
    if known is None:
        return fresh, "new"
    if restart:
        return fresh, "restarted"
    if known.origin != fresh.origin:
        return fresh, "changed"
    if known.added and engine.count() == 0:
        return fresh, "emptied"
    return known, "unchanged" if known.complete else "resumed"


def _batches(
    items: Iterable[Record | Reject],
    validate: Callable[[str, Mapping[str, Any]], str | None] | None,
    batch_size: int,
    room: int | None,
) -> Iterator[_Batch]:
    """Group what is read into batches, none empty, with `room` documents in all."""
    batch = _Batch()
    total = 0
    if room == 0:
        return
    for item in items:
        problem = validate(item.doc_id, item.fields) if validate and isinstance(item, Record) else None
        batch.position = item.position
        if isinstance(item, Reject):
            batch.rejects.append(item)
        elif problem:
            batch.rejects.append(item.rejected(problem))
        else:
            batch.documents[item.doc_id] = item
            batch.size += item.size
            batch.added += 1
            total += 1
        if batch.added + len(batch.rejects) >= batch_size or batch.size >= BATCH_BYTES or total == room:
            yield batch
            batch = _Batch()
        if total == room:
            return
    if batch.position:
        yield batch


def _added(engine: Engine[Any, Any], batch: _Batch) -> _Batch:
    """Make a batch's documents durable; those that the engine refuses are among its rejects then."""
    try:
        if batch.documents:
            engine.add((doc_id, record.fields) for doc_id, record in batch.documents.items())
    except DocumentsRefused as refusal:
        refused = [batch.documents[doc_id].rejected(problem) for doc_id, problem in refusal.problems.items()]
        return replace(batch, added=batch.added - len(refused), rejects=[*batch.rejects, *refused])
    return batch


def _after(batch: _Batch, checkpoint: Checkpoint, rejects_size: int) -> Checkpoint:
    """The checkpoint that may be written once a batch and its rejects are durable."""
    return replace(
        checkpoint,
        position=batch.position,
        added=checkpoint.added + batch.added,
        rejected=checkpoint.rejected + len(batch.rejects),
        rejects_size=rejects_size,
    )
