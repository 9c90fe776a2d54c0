"""What goes through a model together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from rebridge.scorers.family import Output

if TYPE_CHECKING:
    from rebridge.scorers.jobs import Job
    from rebridge.scorers.tokens import Tokens

#: The row of the query, which is no passage.
QUERY = -1


@dataclass(frozen=True, slots=True)
class Input:
    """Something to run through the model: its tokens, the row of the job that it belongs to, its key in the store."""

    tokens: Tokens
    row: int
    key: bytes | None = None

    @property
    def length(self) -> int:
        """Tokens, at least 1 because the model reads no empty rows."""
        return max(1, len(self.tokens))


@dataclass(slots=True)
class Batch(Generic[Output]):
    """Inputs that go through the model together; their number times the longest of them stays within the budget."""

    budget: int
    jobs: list[Job[Output]] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    width: int = 0

    def fits(self, length: int) -> bool:
        """Whether one more input keeps the budget and does not waste more than half of its row on padding."""
        if not self.inputs:
            return True  # a single input that is too long still has to be scored
        return max(self.width, length) * (len(self.inputs) + 1) <= self.budget and 2 * length >= self.width

    def reads(self, query: Input) -> bool:
        """Whether another job has the same query read in this batch."""
        return query.key is not None and any(item.row == QUERY and item.key == query.key for item in self.inputs)

    def add(self, job: Job[Output], item: Input) -> None:
        """Append an input."""
        self.jobs.append(job)
        self.inputs.append(item)
        self.width = max(self.width, item.length)

    def without_rest(self, job: Job[Output], count: int) -> list[Input]:
        """Take the last inputs out again so that a multiple of a count is left, if they are passages of this job.

        Nothing is taken out of a batch that has no more inputs than that count.
        """
        rest = len(self.inputs) % count if len(self.inputs) > count else 0
        if not rest or any(owner is not job for owner in self.jobs[-rest:]) or self.inputs[-rest].row == QUERY:
            return []
        taken = self.inputs[-rest:]
        del self.inputs[-rest:], self.jobs[-rest:]
        return taken

    def awaited(self) -> Batch[Output]:
        """The batch without the inputs of jobs that are over."""
        batch: Batch[Output] = Batch(self.budget)
        for job, item in zip(self.jobs, self.inputs, strict=True):
            if not job.over():
                batch.add(job, item)
        return batch
