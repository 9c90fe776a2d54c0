"""Tuning: which rank window, fusion and passage suit an index best, and what that is worth on unseen queries.

A model's scores hang on the query, the passage template and its windows alone. So the widest rank window of each
template is scored once, and every setting's ranking is computed from that, by the functions that serve.
"""

from __future__ import annotations

from rebridge.evaluation.tuning.evidence import Evidence, collect, ranking
from rebridge.evaluation.tuning.job import FEW_QUERIES, Job, Report, run_job
from rebridge.evaluation.tuning.latency import Latency, time_windows
from rebridge.evaluation.tuning.pipeline_text import MARK, check_changeable, tuned_text
from rebridge.evaluation.tuning.search import Tried, Tuning, tune
from rebridge.evaluation.tuning.space import Setting, Space

__all__ = [
    "FEW_QUERIES",
    "MARK",
    "Evidence",
    "Job",
    "Latency",
    "Report",
    "Setting",
    "Space",
    "Tried",
    "Tuning",
    "check_changeable",
    "collect",
    "ranking",
    "run_job",
    "time_windows",
    "tune",
    "tuned_text",
]
