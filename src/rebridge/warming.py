"""Embedding all passages of an index before anybody asks for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from rebridge.errors import ConfigError, ConnectorError, ScorerError
from rebridge.scorers.embeddings.store import DiskStore

if TYPE_CHECKING:
    from rebridge.config import ScorerSection
    from rebridge.connector import Engine
    from rebridge.passages import Passage, PassageTemplate
    from rebridge.scorers.filling import Filling
    from rebridge.scorers.local import LocalScorer
    from rebridge.scorers.recipes import Recipe

#: Documents in a job, and jobs that wait for the model: enough to fill its batches with texts of like lengths.
_CHUNK, _WAITING = 64, 8


@dataclass(frozen=True, slots=True)
class Warmed:
    """What was done.

    Attributes:
        documents: how many were read.
        blank: those of them that have no text.
        embedded: passages, or windows of passages, that were embedded.
        unkept: those that were embedded in vain, and will be each time, since their embeddings cannot be kept: empty,
            not finite, or larger than ``largest_bytes``.
        kept: those whose embeddings were on disk already, or that are equal to others.
        seconds: how long it took.
        used_bytes: what the store takes on disk, with the embeddings of other models and indices.
        max_bytes: its bound.
        largest_bytes: the largest embedding that it keeps.
        full: whether the store has no room for all that is in use, so that the rest was left.
    """

    documents: int = 0
    blank: int = 0
    embedded: int = 0
    unkept: int = 0
    kept: int = 0
    seconds: float = 0.0
    used_bytes: int = 0
    max_bytes: int = 0
    largest_bytes: int = 0
    full: bool = False


def keeping_recipe(section: ScorerSection) -> Recipe:
    """The recipe of a scorer that keeps embeddings on disk, before anything is loaded.

    Raises:
        ConfigError: if it keeps none, with the cure.
        ModelNotFound: as `rebridge.open_scorer`.
    """
    from rebridge.scorers.checkpoint import Checkpoint
    from rebridge.scorers.hub import locate
    from rebridge.scorers.recipes import RECIPES, choose

    if section.kind == "remote":
        raise ConfigError(
            f"{section.name} is a remote scorer, which keeps its embeddings where it runs: run `rebridge warm` there, "
            "with a pipeline that names the model itself"
        )
    options = section.options()
    places = {name: options[name] for name in ("revision", "local_files_only", "cache_dir", "token") if name in options}
    recipe = choose(Checkpoint(locate(section.model, **places).path, section.model), section.recipe).recipe
    if "store" not in recipe.options:
        able = [f"{each.name} ({', '.join(each.models)})" for each in RECIPES.values() if "store" in each.options]
        raise ConfigError(
            f"{section.model} reads each passage together with the query, so there is nothing to keep. Models that "
            f"read passages alone are those of the recipes {' and '.join(able)}"
        )
    if not section.store:
        raise ConfigError(
            "the pipeline keeps no embeddings on disk: add `store: true`, or a folder, to its section `scorer`"
        )
    return recipe


def warm(
    engine: Engine[Any, Any],
    template: PassageTemplate,
    scorer: LocalScorer[Any],
    tell: Callable[[int], None] = lambda _documents: None,
) -> Warmed:
    """Put the embeddings of all documents' passages on disk; what is there is not computed again.

    Whatever ends it, what was embedded stays, and a later run goes on from there.

    Args:
        engine: holds the documents.
        template: how their passages are made, as in a search.
        scorer: a scorer with a store on disk.
        tell: told how many documents are done.

    Raises:
        ConnectorError: if the engine does not give its documents, or cannot.
        ScorerError: if the model fails, or the disk.
    """
    store = scorer.family.store
    if not isinstance(store, DiskStore):
        raise ScorerError(f"{scorer.name} keeps no embeddings on disk")
    if not hasattr(engine, "scan"):  # of a connector that was written when the contract had none
        raise ConnectorError(
            f"{type(engine).__qualname__} has no method `scan`, by which a connector's engine gives all its documents: "
            "look for a newer version of that connector. Searches embed what they find all the same"
        )
    began, crowded, done = time.monotonic(), store.crowded, Warmed()
    try:
        with closing(_finished(scorer, template, engine.scan(template.fields))) as finished:
            for count, blank, job in finished:
                done = Warmed(
                    documents=done.documents + count,
                    blank=done.blank + blank,
                    embedded=done.embedded + job.embedded,
                    unkept=done.unkept + job.unkept,
                    kept=done.kept + job.kept,
                )
                tell(done.documents)
                if store.problem is not None or store.crowded > crowded:
                    break
    finally:
        store.flush()
    if store.problem is not None:
        raise ScorerError(store.problem)
    return replace(
        done,
        seconds=time.monotonic() - began,
        used_bytes=store.size(),
        max_bytes=store.max_bytes,
        largest_bytes=store.largest,
        full=store.crowded > crowded,
    )


def _finished(
    scorer: LocalScorer[Any], template: PassageTemplate, documents: Iterable[tuple[str, Any]]
) -> Generator[tuple[int, int, Filling], None, None]:
    """Jobs as they end, each with its number of documents, and of those without text."""
    waiting: deque[tuple[int, int, Filling]] = deque()
    passages = (template.build(source) for _, source in documents)
    try:
        while chunk := list(islice(passages, _CHUNK)):
            waiting.append(_begun(scorer, template, chunk))
            if len(waiting) >= _WAITING:
                waiting[0][-1].future.result()
                yield waiting.popleft()
        while waiting:
            waiting[0][-1].future.result()
            yield waiting.popleft()
    finally:
        for *_, job in waiting:
            job.future.cancel()


def _begun(scorer: LocalScorer[Any], template: PassageTemplate, chunk: list[Passage]) -> tuple[int, int, Filling]:
    texts = [passage.text for passage in chunk if passage.text]
    return len(chunk), len(chunk) - len(texts), scorer.fill(texts, windows=template.windows)
