"""FlagEmbedding: `compute_score` of its three rerankers, in fp32 on the CPU."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from official import Scorer

PLAIN = "FlagEmbedding==1.4.2 FlagReranker.compute_score"
GEMMA = "FlagEmbedding==1.4.2 FlagLLMReranker.compute_score (hidden_act forced to gelu_pytorch_tanh)"
LAYERWISE = "FlagEmbedding==1.4.2 LayerWiseFlagLLMReranker.compute_score"


def open_plain(folder: Path) -> Scorer:
    """Return a scorer of the encoder-only models."""
    from FlagEmbedding import FlagReranker

    return _scorer(FlagReranker(str(folder), use_fp16=False, devices="cpu"))


def open_gemma(folder: Path) -> Scorer:
    """Return a scorer of the Gemma model, whose config is corrected first: transformers 4.57 would run exact GELU."""
    from FlagEmbedding import FlagLLMReranker

    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        path = Path(copy, "config.json")
        config = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**config, "hidden_act": "gelu_pytorch_tanh"}), "utf-8")
        return _scorer(FlagLLMReranker(copy, use_fp16=False, devices="cpu"))


def open_layerwise(folder: Path) -> Scorer:
    """Return a scorer of the MiniCPM model; several `cutoff_layers` give one list of scores each."""
    from FlagEmbedding import LayerWiseFlagLLMReranker

    return _scorer(LayerWiseFlagLLMReranker(str(folder), use_fp16=False, devices="cpu"))


def _scorer(model: Any) -> Scorer:
    return lambda query, passages, **options: model.compute_score([(query, p) for p in passages], **options)
