"""The text of a tuned pipeline file: the user's own, but for the keys that were chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rebridge.config import PipelineConfig
from rebridge.errors import ConfigError
from rebridge.evaluation.tuning import MARK, Setting, check_changeable, tuned_text
from rebridge.fusion import Fusion
from rebridge.passages import PassageTemplate
from rebridge.steps import Windows

FILE = """\
# How docs are searched.
connector: {name: tantivy, path: /srv/docs}   # on the big disk

passage:
  template: |
    {title}
    {text}
  # what about {author}?

# The model.
scorer:
  model: some/model

rank_window: 50       # enough
fusion:
  weight: 0.6   # as measured
also:
    - manuals   # old name
    - 'no'
"""
SETTING = Setting(PassageTemplate("{title}: {text}"), 20, Fusion("weighted", 0.3, "z_score", "rank"))


def read(text: str) -> PipelineConfig:
    """The pipeline that a text means."""
    return PipelineConfig.model_validate(yaml.safe_load(text) or {})


def test_rest_stays() -> None:
    """Comments, order and all other keys stay as they are, to the byte."""
    assert tuned_text(FILE, SETTING, ["by hand"]) == (
        FILE.replace("|\n    {title}\n    {text}\n", '"{title}: {text}"\n')
        .replace("rank_window: 50 ", "rank_window: 20 ")
        .replace(
            "  weight: 0.6   # as measured\n",
            "  weight: 0.3   # as measured\n"
            "  method: weighted\n  first_stage_normaliser: z_score\n  rerank_normaliser: rank\n",
        )
    ).join([f"{MARK}by hand\n", ""])


fusions = st.builds(
    Fusion,
    method=st.sampled_from(["weighted", "rrf", "replace"]),
    weight=st.floats(0, 1),
    first_stage_normaliser=st.sampled_from(["min_max", "z_score"]),
    rerank_normaliser=st.sampled_from(["min_max", "sigmoid"]),
    rrf_k=st.integers(1, 99),
)
cuts = st.none() | st.builds(Windows, size=st.integers(8, 99), stride=st.integers(1, 8), pool=st.just("top_k_mean"))
templates = st.text(st.characters(codec="utf-8", exclude_characters="{}"), max_size=9).map("{title}".__add__)
passages = st.builds(PassageTemplate, template=templates, windows=cuts, strip_html=st.booleans())
settings = st.builds(Setting, passages, st.integers(1, 10_000), fusions)


@given(
    before=settings,
    after=settings,
    left_out=st.sets(st.sampled_from(["passage", "rank_window", "fusion"])),
    how=st.data(),
)
def test_means_the_setting(before: Setting, after: Setting, left_out: set[str], how: st.DataObject) -> None:
    """However the file is laid out, its tuned text means the same pipeline with the chosen setting."""
    after = replace(after, passage=replace(after.passage, strip_html=before.passage.strip_html))
    config = PipelineConfig(passage=before.passage, rank_window=before.rank_window, fusion=before.fusion)
    wanted = {"passage", "rank_window", "fusion", "on_error"} - left_out
    content = config.model_dump(mode="json", include=wanted)
    if "passage" in left_out:
        after = replace(after, passage=replace(after.passage, strip_html=False))
    text = yaml.safe_dump(
        content,
        default_flow_style=how.draw(st.sampled_from([True, False, None])),
        allow_unicode=True,
        width=how.draw(st.integers(5, 200)),
    )
    tuned = read(tuned_text(text, after, ["x"]))
    assert Setting.of(tuned) == after
    assert tuned == read(text).model_copy(
        update={"passage": after.passage, "rank_window": after.rank_window, "fusion": after.fusion}
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "---\n# all defaults\n"])
def test_empty_file(text: str) -> None:
    """A file that leaves everything to the defaults gets the chosen keys, and keeps its comments."""
    tuned = tuned_text(text, SETTING, [])
    assert Setting.of(read(tuned)) == SETTING
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in tuned.splitlines() if line.startswith("#")
    ]


def test_tuned_again() -> None:
    """Tuning a tuned file replaces the lines about the evidence."""
    once = tuned_text(FILE, SETTING, ["first", "more"])
    assert tuned_text(once, SETTING, ["second"]) == once.replace(f"{MARK}first\n{MARK}more\n", f"{MARK}second\n")


def test_shared_keys() -> None:
    """A file whose keys are shared by anchors is refused before anything is tuned, with the cure."""
    shared = "rank_window: &n 50\nfusion: {rrf_k: *n}\n"
    with pytest.raises(ConfigError, match="anchors"):
        check_changeable(shared)
    check_changeable(FILE)


def test_environment_completes_it() -> None:
    """A file that is valid only together with environment variables is refused."""
    with pytest.raises(ConfigError, match="environment"):
        check_changeable("rank_window: -1\n")


def test_shipped_files() -> None:
    """Every pipeline file of this repository can be tuned."""
    found = sorted(Path(__file__).parents[2].glob("configs/**/*.yaml"))
    files = [file for file in found if file.parent.name != "server"]  # the server's own settings
    assert files
    for file in files:
        check_changeable(file.read_text(encoding="utf-8"))
