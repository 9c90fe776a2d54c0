"""What was done to a reply, as JSON values for the reply itself. Connectors put them under the key `KEY`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rebridge.models import RankedHit, Summary

#: Name of the annotations, in the reply and in each hit.
KEY = "_rerank"


def of_summary(summary: Summary) -> dict[str, Any]:
    """What happened to a request, without what is not known."""
    return {key: value for key, value in asdict(summary).items() if value is not None}


def of_hit(hit: RankedHit) -> dict[str, Any]:
    """Why a hit stands where it does."""
    return {
        "rank": hit.rank,
        "first_stage_rank": hit.candidate.rank,
        "first_stage_score": hit.candidate.score,
        "rerank_score": hit.rerank_score,
        "windows": list(hit.windows),
        "flags": list(hit.flags),
    }
