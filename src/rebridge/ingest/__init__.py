"""Filling an index from files, for every engine: read, check, add in batches, resume where it stopped.

The public names are `read`, `Record` and `Reject` (`rebridge.ingest.readers`), `ingest` and `IngestReport`
(`rebridge.ingest.run`) and `infer_fields` (`rebridge.ingest.fields`).
"""

from __future__ import annotations

from rebridge.ingest.fields import FieldType, infer_fields
from rebridge.ingest.readers import Record, Reject, check_source, count_items, read
from rebridge.ingest.run import IngestReport, ingest

__all__ = [
    "FieldType",
    "IngestReport",
    "Record",
    "Reject",
    "check_source",
    "count_items",
    "infer_fields",
    "ingest",
    "read",
]
