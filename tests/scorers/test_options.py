"""What recipes may be told: values that are taken, and messages for those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import ConfigError
from rebridge.scorers import open_scorer
from rebridge.scorers.options import check_options

MINICPM = Path(__file__).parents[1] / "fixtures" / "models" / "minicpm"


@pytest.mark.parametrize("layers", [3, [3], [2, 6]])
def test_layers(layers: Any) -> None:
    """One layer may be given as a number, several as a list; in a pipeline's file too."""
    check_options("bge-reranker-layerwise", frozenset({"cutoff_layers"}), {"cutoff_layers": layers})
    assert ScorerSection(cutoff_layers=layers).options()["cutoff_layers"] == layers


@pytest.mark.parametrize("layers", [0, True, [], [0], "3", ["3"], 2.5])
def test_impossible_layers(layers: Any) -> None:
    """Anything else is refused, and the message says what is possible."""
    with pytest.raises(ConfigError, match="cutoff_layers must be a whole number, or a list of whole numbers"):
        check_options("bge-reranker-layerwise", frozenset({"cutoff_layers"}), {"cutoff_layers": layers})


def test_one_layer_is_read() -> None:
    """A number means the same as a list of that number."""
    passages = ["Mars is red.", "a boat trip"]
    scores = []
    for layers in (3, [3]):
        with open_scorer(MINICPM, device="cpu", dtype="float32", cutoff_layers=layers) as scorer:
            scores.append(scorer.score("red planet", passages))
    assert scores[0] == scores[1]
