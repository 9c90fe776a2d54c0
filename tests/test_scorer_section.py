"""The section `scorer` of pipeline files: remote scorers, kept scores, the token budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from rebridge.config import PipelineConfig, json_schema
from rebridge.config_files import load_config
from rebridge.errors import ConfigError
from rebridge.scorers import DEFAULT_MODEL

pytest.importorskip("tantivy", reason="the files under test name the embedded engine: pip install 'rebridge[embedded]'")

Write = Callable[..., Path]


class TestRemoteScorers:
    REMOTE = "scorer: {kind: remote, url: 'http://gpu:8080/', model: m, api_key: sk-secret, timeout_s: 2}"

    def test_is_read(self, write: Write) -> None:
        """A remote scorer's keys are read; the key is used but never shown."""
        config = load_config("docs", write(f"{self.REMOTE}\nfallbacks: [{{model: small}}, {{device: cpu}}]"))
        assert config.scorer.options() == {
            "url": "http://gpu:8080/",
            "dialect": "rebridge",
            "api_key": "sk-secret",
            "connections": 4,
            "timeout_s": 2.0,
        }
        assert [section.model for section in config.fallbacks] == ["small", DEFAULT_MODEL]
        assert [fallback.model for fallback in config.pipeline("docs").fallbacks] == ["small", DEFAULT_MODEL]
        assert "sk-secret" not in repr(config) + str(config.model_dump(mode="json"))

    def test_the_peer_has_its_own_default(self, write: Write) -> None:
        """Without a model a remote scorer asks for its peer's, and is called after its dialect."""
        config = load_config("docs", write("scorer: {kind: remote, url: http://gpu, dialect: tei}"))
        assert config.scorer.model == ""
        assert config.pipeline("docs").model == "tei"

    def test_what_was_written_can_be_read_again(self, write: Write) -> None:
        """A configuration is the same after it was written out and read."""
        for text in (self.REMOTE, "scorer: {model: x}"):
            config = load_config("docs", write(text))
            assert PipelineConfig.model_validate(config.model_dump()) == config

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "scorer:\n  url: http://gpu",
                "docs.yaml:2: scorer.url: a scorer of kind local has no url: set kind: remote",
            ),
            (
                "scorer:\n  kind: remote\n  url: http://gpu\n  device: cuda",
                "docs.yaml:4: scorer.device: a scorer of kind remote has no device: its peer decides on that",
            ),
            ("scorer: {kind: remote}", "docs.yaml:1: scorer: a scorer of kind remote needs its url"),
            ("scorer: {kind: remote, url: gpu}", "docs.yaml:1: scorer.url: an address is like"),
            ("scorer: {kind: remote, url: 'http://a:b@gpu'}", "must not hold user and password"),
            ("scorer: {kind: remote, url: http://gpu, dialect: coher}", "scorer.dialect: Input should be 'rebridge'"),
            (
                "passage: {windows: {}}\nscorer: {kind: remote, url: http://gpu, dialect: tei}",
                "docs.yaml:2: scorer: dialect tei cannot cut passages into windows: remove passage.windows",
            ),
            ("fallbacks:\n- model: a\n- modle: b", "docs.yaml:3: fallbacks.1.modle: unknown key 'modle'. Did you mean"),
        ],
    )
    def test_mistakes(self, write: Write, text: str, message: str) -> None:
        """A key that has no effect, or cannot be, is named with its line."""
        with pytest.raises(ConfigError) as caught:
            load_config("docs", write(text))
        assert message in str(caught.value)

    def test_the_key_from_the_environment(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """The secret need not stand in the file."""
        monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__SCORER__API_KEY", "sk-env")
        config = load_config("docs", write("scorer: {kind: remote, url: http://gpu}"))
        assert config.scorer.options()["api_key"] == "sk-env"

    def test_the_schema_knows_them(self) -> None:
        """Editors take remote scorers and fallbacks, and no unknown key in them."""
        validator = jsonschema.Draft202012Validator(json_schema())
        validator.validate({"scorer": {"kind": "remote", "url": "http://gpu", "dialect": "tei"}, "fallbacks": [{}]})
        assert not validator.is_valid({"fallbacks": [{"modle": "x"}]})


@pytest.mark.parametrize(
    ("said", "expected"),
    [("true", (100_000, 86_400.0)), ("{}", (100_000, 86_400.0)), ("{size: 5, ttl_s: 60}", (5, 60.0)), ("false", None)],
)
def test_a_score_cache_is_switched_or_described(write: Write, said: str, expected: tuple[int, float] | None) -> None:
    """Scores are kept where the pipeline says so, as long and as many as it says."""
    cache = load_config("docs", write(f"scorer: {{score_cache: {said}}}")).scorer.score_cache
    assert (None if cache is None else (cache.size, cache.ttl_s)) == expected
    assert load_config("docs", write("")).scorer.score_cache is None


def test_a_score_cache_from_outside(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a Redis can come from the environment, and is shown nowhere."""
    monkeypatch.setenv("REBRIDGE_PIPELINE__DOCS__SCORER__SCORE_CACHE__REDIS", "redis://:sk-4711@cache:6380/0")
    section = load_config("docs", write("scorer: {score_cache: {size: 5}}")).scorer
    assert section.score_cache is not None
    assert section.score_cache.size == 5
    assert section.score_cache.redis_place == "cache:6380"
    assert "4711" not in f"{section!r} {section.model_dump_json()}"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("{redis: 'http://:sk-4711@cache'}", "must be an address like redis://"),
        ("{redis: 'redis://:sk-4711@cache:99999'}", "must be an address like redis://"),
        ("{redis: 'redis://:sk-4711@cache?decode_responses=true'}", "remove decode_responses"),
        ("{sise: 5}", "Did you mean 'size'?"),
        ("{size: 0}", "greater than or equal to 1"),
        ("{ttl_s: 0}", "greater than or equal to 1"),
        ("7", "score_cache"),
    ],
)
def test_a_score_cache_that_cannot_be(write: Write, said: str, problem: str) -> None:
    """What is wrong is named with its line, without what may be secret."""
    with pytest.raises(ConfigError) as caught:
        load_config("docs", write(f"scorer:\n  score_cache: {said}"))
    assert problem in str(caught.value)
    assert "docs.yaml:2" in str(caught.value)
    assert "4711" not in str(caught.value)


def test_the_token_budget_is_a_number_or_automatic(write: Write) -> None:
    """The word says what a missing key means, and no other word will do."""
    assert load_config("docs", write("scorer: {token_budget: auto}")).scorer == load_config("docs", write("")).scorer
    assert load_config("docs", write("scorer: {token_budget: 512}")).scorer.token_budget == 512
    with pytest.raises(ConfigError, match="token_budget"):
        load_config("docs", write("scorer: {token_budget: much}"))
