#!/usr/bin/env python3
"""Cross-encoders as ONNX files, for `bench_scorers`: exported by torch, scored by ONNX Runtime or OpenVINO.

`bench_exports.py FOLDER DTYPE...` writes the exports of the checkpoint in a folder, beside it: in float32 by torch's
exporter, with any number of inputs and tokens; in int8 by ONNX Runtime's dynamic quantisation of matrix products.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Score = Callable[[str, list[str]], Any]
#: Padded arrays to logits, shape (inputs, 1).
Run = Callable[[Mapping[str, Any]], Any]

DTYPES = ("float32", "int8")
#: What rebridge puts into a batch as long as nothing was measured, tokens with padding.
BUDGET = 1024
#: Most tokens of an input.
LONGEST = 512


def file(folder: str | Path, dtype: str) -> Path:
    """Where an export lies."""
    return Path(folder) / f"{dtype}.onnx"


def export(folder: str, dtypes: list[str]) -> None:
    """Write what is asked for."""
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder, return_dict=False).eval()
    example = {name: torch.from_numpy(array) for name, array in _example(folder).items()}
    free = {0: torch.export.Dim("inputs", max=BUDGET), 1: torch.export.Dim("tokens", min=2, max=LONGEST)}
    exact = file(folder, "float32")
    with torch.inference_mode():
        program = torch.onnx.export(model, kwargs=example, dynamic_shapes=dict.fromkeys(example, free), dynamo=True)
    program.save(exact)
    if "int8" in dtypes:
        weights = onnx.load(exact)
        del weights.graph.value_info[:]  # shapes of what the quantiser transposes
        quantize_dynamic(weights, file(folder, "int8"), per_channel=True, weight_type=QuantType.QInt8)


def open_onnxruntime(folder: str, dtype: str) -> Score:
    """ONNX Runtime with its defaults: all optimisations, a thread for each core."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file(folder, dtype), providers=["CPUExecutionProvider"])
    return _scorer(folder, lambda arrays: session.run(None, dict(arrays))[0])


def open_openvino(folder: str, dtype: str) -> Score:
    """OpenVINO for one batch at a time, in float32 also where the processor has shorter numbers."""
    import openvino

    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(file(folder, dtype), "CPU", hints)
    return _scorer(folder, lambda arrays: compiled(dict(arrays))[0])


OPENERS: dict[str, Callable[[str, str], Score]] = {"onnxruntime": open_onnxruntime, "openvino": open_openvino}


def _text(folder: str) -> Any:
    from transformers import AutoTokenizer

    from rebridge.scorers.tokens import TextEncoder

    return TextEncoder(AutoTokenizer.from_pretrained(folder), LONGEST)


def _example(folder: str) -> dict[str, Any]:
    text = _text(folder)
    arrays: dict[str, Any] = text.pad(text.pairs("how long", ["invoices are kept", "letters", "in the archive"]))
    return arrays


def _scorer(folder: str, run: Run) -> Score:
    """Batches as rebridge makes them: the longest inputs first, as many as the budget holds with their padding."""
    text = _text(folder)

    def score(query: str, passages: list[str]) -> list[float]:
        inputs = text.pairs(query, passages)
        order = sorted(range(len(inputs)), key=lambda number: -len(inputs[number]))
        scores = [0.0] * len(inputs)
        while order:
            rows = max(1, BUDGET // len(inputs[order[0]]))
            batch, order = order[:rows], order[rows:]
            logits = run(text.pad([inputs[number] for number in batch]))
            for number, logit in zip(batch, logits[:, 0].tolist(), strict=True):
                scores[number] = logit
        return scores

    return score


if __name__ == "__main__":
    export(sys.argv[1], sys.argv[2:])
