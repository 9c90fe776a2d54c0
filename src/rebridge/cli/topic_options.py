"""The options that say where judged queries come from, shared by the commands that evaluate."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rebridge.connector import Engine
    from rebridge.evaluation.model import Topics

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder in BEIR layout: queries.jsonl, qrels/SPLIT.tsv.")
]
Queries = Annotated[
    Path | None, typer.Option("--queries", metavar="FILE", help="Queries: TREC topics, TSV, CSV or JSONL.")
]
Qrels = Annotated[
    Path | None, typer.Option("--qrels", metavar="FILE", help="Judgements: TREC qrels, TSV, CSV or JSONL.")
]
IrDataset = Annotated[
    str | None, typer.Option("--ir-dataset", metavar="ID", help="A dataset of ir_datasets, such as beir/scifact/test.")
]
Split = Annotated[str, typer.Option("--split", help="Which judgements of a BEIR folder.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only so many queries, the first ones.")]

#: Judged documents that are looked up in the index one by one.
_MOST_LOOKED_UP = 5000
_PATHS = ("data", "queries", "qrels")


@dataclass(frozen=True, slots=True)
class TopicOptions:
    """Where judged queries come from, as the options say."""

    data: Path | None = None
    queries: Path | None = None
    qrels: Path | None = None
    ir_dataset: str | None = None
    split: str = "test"
    limit: int | None = None

    def named(self) -> bool:
        """Whether any source is named."""
        return any(value is not None for value in (self.data, self.queries, self.qrels, self.ir_dataset))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with whole paths, from which `of` makes the same options."""
        paths = {name: getattr(self, name) for name in _PATHS}
        found: dict[str, Any] = {name: str(path.resolve()) for name, path in paths.items() if path is not None}
        return found | {"ir_dataset": self.ir_dataset, "split": self.split, "limit": self.limit}

    def of(self, source: Mapping[str, Any]) -> TopicOptions:
        """The source that `as_dict` wrote, with these options' split and limit where they are not the defaults."""
        paths = {name: Path(source[name]) for name in _PATHS if source.get(name)}
        default, own = TopicOptions(), {"split": self.split, "limit": self.limit}
        asked = {name: value for name, value in own.items() if value != getattr(default, name)}
        return TopicOptions(**{**source, **paths, **asked})

    def load(self, engine: Engine[Any, Any] | None = None) -> Topics:
        """Read queries and judgements.

        Args:
            engine: where judged documents are looked up: an even sample if there are too many, which is a finding then;
                None to leave them unchecked.

        Raises:
            ConfigError: if they cannot be read, or do not belong together.
        """
        from rebridge.errors import ConfigError
        from rebridge.evaluation.inputs.joining import EXAMPLES
        from rebridge.evaluation.model import Finding
        from rebridge.evaluation.topics import load_topics

        if self.ir_dataset is not None and self.data is not None:
            raise ConfigError("Give --data or --ir-dataset, not both.")
        if not self.named():
            raise ConfigError(
                "Where are the judged queries? Give --data DIR (BEIR layout), or --queries FILE and --qrels FILE, or "
                "--ir-dataset ID."
            )
        source = self.data if self.ir_dataset is None else f"ir_datasets:{self.ir_dataset}"

        unseen: set[str] = set()

        def known(ids: Collection[str]) -> Collection[str]:
            if engine is None:
                return ids
            given, count = sorted(ids), min(len(ids), _MOST_LOOKED_UP)
            sample = [given[number * len(given) // count] for number in range(count)]
            found = {doc_id for doc_id in sample if engine.get(doc_id) is not None}
            unseen.update(set(given).difference(sample))
            return found | unseen if found else found

        topics = load_topics(
            source, queries=self.queries, qrels=self.qrels, split=self.split, limit=self.limit, known=known
        )
        if not unseen:
            return topics
        what = f"judged documents that were not looked up in the index, but for a sample of {_MOST_LOOKED_UP:,} others"
        rest = Finding(what, len(unseen), tuple(sorted(unseen)[:EXAMPLES]))
        return replace(topics, findings=(*topics.findings, rest))
