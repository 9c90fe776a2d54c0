"""What a family of models must be able to do. Everything but the constructor runs in one worker thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from rebridge.scorers.streams import cpu_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rebridge.scorers.base import Activation
    from rebridge.scorers.cache import EmbeddingStore
    from rebridge.scorers.encoders.linear import Kind
    from rebridge.scorers.streams import Streams
    from rebridge.scorers.tokens import Tokens
    from rebridge.scorers.torch_model import TorchModel
    from rebridge.steps import Windows

# What the model gives for one input: a logit, an embedding, a matrix of token embeddings.
Output = TypeVar("Output")


#: What a model reads so that it is seen how large its states become.
_QUERY = "how long are invoices and letters kept?"
_PASSAGES = (
    "Invoices & letters of the company are kept for 10 years (until 2036) in the archive on the second floor.",
    "Whoever needs one writes to archive@example.com, or calls +49 30 1234-567.",
    '"def find(key): return shelves[key]"',
    "Red shoes",
)


class Family(ABC, Generic[Output]):
    """A kind of model.

    Attributes:
        activation: what turns a raw score into the model's official score.
        layers: how many scores a passage has: more than one for a model that is read after several of its layers.
        store: keeps outputs that depend on the passage alone; None where they depend on the query as well.
        queries: keeps outputs for queries; None where query and passage are read together.
        streams: what parts of a batch are computed in at once; None where `forward` must not be called like that.
        few_tokens: with so many in a batch at most it is computed by one of the streams alone.
    """

    activation: Activation = "identity"
    layers: int = 1
    store: EmbeddingStore[Output] | None = None
    queries: EmbeddingStore[Output] | None = None
    streams: Streams | None = None
    few_tokens: int = 0

    def memory_bytes(self) -> int:
        """Bytes of the model's weights."""
        return sum(part.memory_bytes() for part in self._models())

    def pack(self, kind: Kind | None = None) -> bool:
        """Compute without padding from now on, where that is known how; whether it is.

        Args:
            kind: what multiplies; see `rebridge.scorers.encoders.packed`.
        """
        parts = self._models()
        known = all(part.pack(kind) for part in parts)
        if known and all(part.splits for part in parts):
            self.streams = cpu_streams()
            if self.streams is not None:
                self.streams.start()
        return known

    def quantize(self) -> None:
        """Multiply in 8 bits from now on. The model was packed, to multiply by MKL."""
        texts = [part for tokens in self.encode(_QUERY, _PASSAGES) for part in self.split(tokens)]
        for part in self._models():
            # One by one: what language models keep of a beginning that several share would be more exact than the rest.
            part.quantize(lambda: [self.forward([text]) for text in texts])

    def run(self, batch: Sequence[Tokens]) -> list[Output]:
        """As `forward`, on all processors."""
        return self.forward(batch) if self.streams is None else self.streams.run(self.forward, batch, self.few_tokens)

    def _models(self) -> list[TorchModel]:
        from rebridge.scorers.torch_model import TorchModel as Part

        return [part for part in vars(self).values() if isinstance(part, Part)]

    @abstractmethod
    def cut(self, passage: str, windows: Windows) -> list[str]:
        """Cut a passage into at least one window of at most ``windows.size`` tokens."""

    def encode_query(self, query: str) -> Tokens | None:  # noqa: ARG002 - for those who override it
        """The query as an input of its own; None where query and passage are read together."""
        return None

    @abstractmethod
    def encode(self, query: str, passages: Sequence[str]) -> list[Tokens]:
        """One input per passage."""

    def split(self, tokens: Tokens) -> list[Tokens]:
        """The inputs that a passage is run in, if it does not go through the model as one.

        Each takes its own place in a batch. None of them means that there is nothing to read: `Scorer.submit` gives NaN
        for such a passage, and `Scorer.raw_scores` minus infinity.
        """
        return [tokens]

    def join(self, outputs: Sequence[Output]) -> Output:
        """The output for a passage that `split` gave several inputs for, from theirs, which come in any order."""
        raise NotImplementedError(f"{type(self).__name__} splits passages, but cannot join {len(outputs)} outputs")

    @abstractmethod
    def forward(self, batch: Sequence[Tokens]) -> list[Output]:
        """Run the model: one output per input, not depending on the others in the batch.

        Raises:
            MemoryError: if the batch is too large for the device; a smaller one will be tried.
        """

    @abstractmethod
    def finish(self, query: Output | None, passage: Output) -> float:
        """The raw score, from the outputs for the query (None without `encode_query`) and the passage.

        It is that of the last layer, for a family with several.
        """

    def finish_layers(self, query: Output | None, passage: Output) -> tuple[float, ...]:
        """The raw score of each layer, ascending, ``layers`` of them; arguments as those of `finish`."""
        return (self.finish(query, passage),)
