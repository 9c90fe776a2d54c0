"""Which settings of a pipeline are tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from rebridge.config import PipelineConfig
from rebridge.fusion import Fusion, FusionName, NormaliserName
from rebridge.passages import PassageTemplate
from rebridge.steps import Windows


@dataclass(frozen=True, slots=True)
class Setting:
    """The part of a pipeline that tuning chooses.

    Attributes:
        passage: what the model reads of a document; scores hang on it and on nothing else that is tuned.
        rank_window: how many hits the model rescores.
        fusion: how both scores are combined.
    """

    passage: PassageTemplate
    rank_window: int
    fusion: Fusion

    @classmethod
    def of(cls, config: PipelineConfig) -> Setting:
        """The setting of a pipeline as it is."""
        return cls(config.passage, config.rank_window, config.fusion)

    @property
    def cost(self) -> tuple[int, int]:
        """What orders settings from cheap to dear: the rank window, then how many tokens of a passage are read.

        A passage that is not cut is read once, up to the model's own length, so it comes first. It is computed and not
        measured, so that the same scores always lead to the same choice.
        """
        windows = self.passage.windows
        return self.rank_window, 0 if windows is None else windows.size + windows.stride * (windows.limit - 1)

    def fused(self) -> str:
        """The fusion in a few words, e.g. ``weighted 0.6, min_max + z_score`` (first stage's normaliser first)."""
        fusion = self.fusion
        if fusion.method == "replace":
            return "replace"
        scales = (
            f", {fusion.first_stage_normaliser} + {fusion.rerank_normaliser}" if fusion.method == "weighted" else ""
        )
        return f"{fusion.method} {fusion.weight:g}{scales}"

    def read(self) -> str:
        """The passage in a few words: its template on one line, and its windows."""
        template = self.passage.template.replace("\n", "\\n")
        windows = self.passage.windows
        return template if windows is None else f"{template} in windows of {windows.size}/{windows.stride}"


@dataclass(frozen=True, slots=True)
class Space:
    """The values that are tried, each with each.

    Attributes:
        rank_windows: how many hits the model rescores.
        methods: of fusion.
        weights: of the rerank score, 0 to 1; ``replace`` has none.
        normalisers: each for either score; only ``weighted`` has them.
        templates: of passages; empty for the pipeline's own.
        passage_windows: how passages are cut, None for not at all; empty for the pipeline's own.
    """

    rank_windows: tuple[int, ...] = (20, 50, 100)
    methods: tuple[FusionName, ...] = ("weighted", "rrf", "replace")
    weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    normalisers: tuple[NormaliserName, ...] = ("min_max", "z_score", "rank")
    templates: tuple[str, ...] = ()
    passage_windows: tuple[Windows | None, ...] = ()

    def settings(self, config: PipelineConfig) -> tuple[Setting, ...]:
        """Every setting, each once, in a fixed order.

        The pipeline's own comes first, unless its rank window is wider than any that is asked for: scoring that far
        would cost more than was asked.
        """
        own = Setting.of(config)
        tried = [
            Setting(passage, window, fusion)
            for passage, window, fusion in product(
                self._passages(config.passage), self.rank_windows, tuple(self._fusions(config.fusion))
            )
        ]
        first = [own] if own.rank_window <= max(self.rank_windows) else []
        return tuple(dict.fromkeys(first + tried))

    def _passages(self, own: PassageTemplate) -> list[PassageTemplate]:
        cuts = self.passage_windows or (own.windows,)
        texts = self.templates or (own.template,)
        return [replace(own, template=text, windows=windows) for text, windows in product(texts, cuts)]

    def _fusions(self, own: Fusion) -> Iterator[Fusion]:
        """What a method does not use stays as it is, so that no two settings differ in name only."""
        for method in self.methods:
            if method == "replace":
                yield replace(own, method=method)
            elif method == "rrf":
                yield from (replace(own, method=method, weight=weight) for weight in self.weights)
            else:
                for weight, first, second in product(self.weights, self.normalisers, self.normalisers):
                    yield Fusion(method, weight, first, second, own.rrf_k)
