"""Putting queries and judgements together, with a note of everything that is odd."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from rebridge.errors import ConfigError
from rebridge.evaluation.inputs.judgements import Judgement
from rebridge.evaluation.model import Finding

#: How many examples a finding shows.
EXAMPLES = 3
#: A function from ids to those of them that are documents, or the ids of all documents.
Documents = Callable[[Collection[str]], Collection[str]] | Iterable[str]


class Notes:
    """Findings that grow while reading, in the order in which they first came up."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, what: str, example: str) -> None:
        """Count one more of this kind."""
        self._counts[what] = self._counts.get(what, 0) + 1
        examples = self._examples.setdefault(what, [])
        if len(examples) < EXAMPLES and example not in examples:
            examples.append(example)

    def findings(self) -> tuple[Finding, ...]:
        """What was noted."""
        return tuple(Finding(what, count, tuple(self._examples[what])) for what, count in self._counts.items())


def distinct(queries: Iterable[tuple[str, str]], notes: Notes) -> dict[str, str]:
    """Id -> text, the first one of an id."""
    texts: dict[str, str] = {}
    for query, text in queries:
        if query not in texts:
            texts[query] = text
        elif texts[query] == text:
            notes.add("queries given twice", query)
        else:
            notes.add("queries whose id came before with another text, left out", f"{query}: {text}")
    return texts


def graded(judgements: Iterable[Judgement], notes: Notes) -> dict[str, dict[str, int]]:
    """Query -> document -> grade, never below 0."""
    grades: dict[str, dict[str, int]] = {}
    for query, document, grade in judgements:
        if grade < 0:
            notes.add("judgements with a grade below 0, taken as 0", f"{query} {document} {grade}")
        of_query = grades.setdefault(query, {})
        before, now = of_query.get(document), max(grade, 0)
        if before == now:
            notes.add("judgements given twice", f"{query} {document}")
        elif before is not None:
            different = f"{query} {document}: {before} and {now}"
            notes.add("documents judged twice with different grades, the highest taken", different)
        of_query[document] = now if before is None else max(before, now)
    return grades


def joined(
    texts: Mapping[str, str], grades: Mapping[str, Mapping[str, int]], limit: int | None, notes: Notes
) -> dict[str, str]:
    """The queries that can be evaluated: those with words and judgements."""
    chosen: dict[str, str] = {}
    seen: dict[str, str] = {}
    for query, text in texts.items():
        if query not in grades:
            notes.add("queries without judgements, left out", query)
        elif not text:
            notes.add("queries without text, left out", query)
        elif limit is None or len(chosen) < limit:
            chosen[query] = text
            if not any(grades[query].values()):
                notes.add("queries without a relevant document, kept: they count as 0", query)
            if seen.setdefault(text, query) != query:
                notes.add("queries with the same text as another one, kept", f"{seen[text]} and {query}")
    for query, of_query in grades.items():
        if query not in texts:
            for document in of_query:
                notes.add("judgements of queries that are not there, left out", f"{query} {document}")
    return chosen


def check_documents(
    grades: Mapping[str, Mapping[str, int]],
    known: Documents,
    name: str,
    notes: Notes,
) -> None:
    """Note judged documents that are unknown.

    Args:
        grades: query -> document -> grade.
        known: as in `rebridge.evaluation.topics.load_topics`.
        name: what the judgements are called in the error.
        notes: where to note them.

    Raises:
        ConfigError: if all are unknown.
    """
    judged = {document for of_query in grades.values() for document in of_query}
    example = ""
    if callable(known):
        found = set(known(judged))
    else:
        found = set()
        for document in known:
            example = example or f", documents are e.g. {document!r}"
            if document in judged:
                found.add(document)
    if not found & judged:
        one = next(iter(next(iter(grades.values()))))
        raise ConfigError(
            f"{name} judges no document that is there: it judges e.g. {one!r}{example}. Give the judgements of this "
            "index, or check which field its document ids were taken from."
        )
    for query, of_query in grades.items():
        for document in of_query:
            if document not in found:
                notes.add(
                    "judgements of documents that are not there, kept: no run can find them", f"{query} {document}"
                )
        relevant = [document for document, grade in of_query.items() if grade > 0]
        if relevant and not found.intersection(relevant):
            notes.add("queries of which no relevant document is there, kept: they count as 0", query)
