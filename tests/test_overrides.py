"""What single requests may ask for, within what their pipeline allows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rebridge.overrides import NONE, Allowed, Overrides, overridden, permitted
from rebridge.pipeline import Pipeline
from rebridge.testing import MemoryConnector

PIPELINE = Pipeline("docs", MemoryConnector(), rank_window=50, model="own", deadline_s=2.0)
ALLOWED = st.builds(Allowed, st.booleans(), st.booleans(), st.booleans(), st.sampled_from([(), ("other",)]))
ASKED = st.builds(
    Overrides,
    st.none() | st.integers(-5, 100),
    st.booleans(),
    st.sampled_from([None, "own", "other", "third"]),
    st.none() | st.floats(-1, 5),
    st.sampled_from([(), ("deadline",), ("rank_window", "deadline")]),
)


@given(ASKED, ALLOWED, st.sampled_from([None, 2.0]))
def test_only_less(asked: Overrides, allowed: Allowed, deadline: float | None) -> None:
    """Windows and deadlines are only ever lowered, and to something that is there; models are those of the list."""
    pipeline = replace(PIPELINE, deadline_s=deadline)
    given, refused = permitted(asked, allowed, pipeline)
    changed = overridden(pipeline, given)
    assert 1 <= changed.rank_window <= 50
    assert changed.deadline_s is None or 0 < changed.deadline_s <= (deadline or 5)
    assert given.model in (None, *allowed.models)
    assert not given.skip or allowed.skip
    assert set(asked.odd) <= set(refused)
    assert changed == pipeline or given != NONE


@given(ASKED)
def test_everything_else_is_said(asked: Overrides) -> None:
    """What is not followed is named."""
    given, refused = permitted(asked, Allowed(deadline=False), PIPELINE)
    changed = overridden(PIPELINE, given)
    assert (changed.rank_window == asked.rank_window) or asked.rank_window is None or "rank_window" in refused
    assert (changed.deadline_s == asked.deadline_s) or asked.deadline_s is None or "deadline" in refused
    assert asked.model in (None, "own") or "model" in refused
    assert ("skip" in refused) == asked.skip
