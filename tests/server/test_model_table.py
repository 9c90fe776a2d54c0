"""Which model answers to which name."""

from __future__ import annotations

import json

import pytest

from rebridge.config import ScorerSection
from rebridge.errors import ConfigError, UnknownModel
from rebridge.server.models.table import ModelTable, ServedModel
from rebridge.server.settings import ModelSettings

ONE, TWO = ScorerSection(model="one"), ScorerSection(model="two", max_length=64)
TABLE = ModelTable([ServedModel("a", ONE, ("b*", "x")), ServedModel("b", TWO, ("x", "*"))])


@pytest.mark.parametrize(
    ("asked", "found"),
    [(None, "a"), ("", "a"), ("a", "a"), ("b", "b"), ("x", "a"), ("bc", "a"), ("rerank-v3.5", "b")],
)
def test_names_win_over_aliases_and_aliases_over_patterns(asked: str | None, found: str) -> None:
    """A request without a name gets the first model."""
    assert TABLE.find(asked).name == found


def test_the_default_can_be_chosen() -> None:
    """A request without a name gets the default model, which may be named by an alias."""
    assert ModelTable(TABLE.models, default="b").find(None).name == "b"


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    """The message names the nearest model and all others."""
    with pytest.raises(UnknownModel, match=r"Did you mean 'large'\? Valid: large, small"):
        ModelTable([ServedModel("small", ONE), ServedModel("large", TWO)]).find("larg")
    with pytest.raises(UnknownModel, match="names no model"):
        ModelTable([]).find(None)


def test_two_models_of_one_name_are_refused() -> None:
    """A name stands for one model."""
    with pytest.raises(ConfigError, match="same name"):
        ModelTable([ServedModel("a", ONE), ServedModel("a", TWO)])


def test_a_pipeline_shares_the_model_that_is_equal_to_its_own() -> None:
    """A section that is served already gets no second copy; others get a name that depends on nothing else."""
    three, four = ScorerSection(model="three"), ScorerSection(model="three", max_length=32)
    table = TABLE.with_sections([ScorerSection(model="one"), three, four, three])
    assert [model.name for model in table.models[:3]] == ["a", "b", "three"]
    assert len(table.models) == 4
    assert [table.find(table.name_of(section)).section for section in (ONE, three, four)] == [ONE, three, four]
    assert TABLE.with_sections([four]).name_of(four) == table.name_of(four)


def test_a_pipelines_model_never_takes_the_name_of_another() -> None:
    """A section whose plain name is another model's gets a name of its own."""
    table = ModelTable([ServedModel("one", TWO)]).with_sections([ONE])
    assert table.find("one").section == TWO
    assert table.find(table.name_of(ONE)).section == ONE


def test_settings_become_a_table() -> None:
    """Aliases and preload are the server's; the rest opens the scorer."""
    settings = {"m": ModelSettings(model="one", also=["alias"], preload=False, max_length=32)}
    (model,) = ModelTable.of(settings).models
    assert model == ServedModel("m", ScorerSection(model="one", max_length=32), ("alias",), preload=False)


def test_a_table_survives_the_way_to_the_process_with_its_secrets() -> None:
    """What is revealed for the process is JSON, and read back equal; a table shows no secrets otherwise."""
    section = ScorerSection.model_validate({"model": "one", "token": "hidden", "max_length": 16})
    table = ModelTable([ServedModel("a", section, ("b",), preload=True)], default="b")
    again = ModelTable.read(json.loads(json.dumps(table.reveal())))
    assert (again.models, again.default) == (table.models, "b")
    assert "hidden" not in repr(table.models)
    assert "hidden" not in table.name_of(section)


def test_what_is_revealed_is_read_again() -> None:
    """The process of the models gets every key as it is, secrets inside other keys included."""
    cache = {"redis": "redis://:sk-4711@cache/0", "ttl_s": 60}
    section = ScorerSection.model_validate({"model": "one", "token": "hf", "cache_dir": "/m", "score_cache": cache})
    table = ModelTable([ServedModel("a", section, ("b*",), preload=True)], default="a")
    revealed = json.loads(json.dumps(table.reveal()))
    assert "sk-4711" in json.dumps(revealed)
    assert ModelTable.read(revealed).models == table.models
