"""The embedded engine keeps documents, and opens what is an index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tantivy")

from rebridge.errors import ConnectorError
from rebridge_tantivy import Index

from .shop import FIELDS, SHOP, ids, open_at


class TestWriting:
    def test_replaces_by_id_and_the_last_one_wins(self, shop: Index) -> None:
        """A document replaces the one with its id, also within one call."""
        assert shop.add([("red", {"title": "first"}), ("new", {}), ("red", {"title": "second"})]) == 3
        assert shop.get("red") == {"title": "second"}
        assert shop.count() == 4
        assert ids(shop, query="first") == []

    def test_delete_counts_what_was_there(self, shop: Index) -> None:
        """Ids that are not there, or twice in the call, do not count."""
        assert shop.delete(["red", "red", "nobody"]) == 1
        assert (shop.get("red"), shop.count()) == (None, 2)

    def test_harmless_values_are_taken_as_they_are_meant(self, shop: Index) -> None:
        """Numbers in text fields, numbers as text, dates as objects and missing values are no error."""
        fields = {"title": [7, None, ["x"]], "stock": "12", "price": 5, "used": "true", "brand": 3, "text": None}
        shop.add([("odd", fields), ("dated", {"added": date(2020, 1, 2), "extra": (1, 2)})])
        assert shop.get("odd") == fields
        assert shop.get("dated") == {"added": "2020-01-02", "extra": [1, 2]}
        assert ids(shop, query="7", filter={"stock": 12, "used": True, "brand": "3"}) == ["odd"]

    @pytest.mark.parametrize(
        ("doc_id", "fields", "told"),
        [
            ("bad", {"title": "\ud800"}, "'bad'.*'title' holds a lone surrogate"),
            ("bad", {"other": ["\ud800"]}, "'other' holds a lone surrogate"),
            ("bad", {"title": {"en": "x"}}, "'title': .* is not a valid text"),
            ("bad", {"stock": "a lot"}, "'stock': 'a lot' is not a valid integer"),
            ("bad", {"stock": 1.5}, "'stock'"),
            ("bad", {"stock": True}, "'stock'"),
            ("bad", {"stock": 2**63}, "'stock'"),
            ("bad", {"price": float("nan")}, "'price'"),
            ("bad", {"used": "maybe"}, "'used'"),
            ("bad", {"added": "yesterday"}, "'added'.*ISO 8601"),
            ("bad", {"added": "0001-01-01"}, "'added'"),
            ("bad", {"brand": "x" * 40_000}, "'brand'.*32766 bytes"),
            ("bad", {"thing": object()}, "'thing' cannot be stored"),
            ("", {}, "id is not"),
            ("\ud800", {}, "id holds a lone surrogate"),
            ("x" * 600, {}, "longer than 512"),
        ],
    )
    def test_a_bad_document_is_named_and_nothing_is_written(
        self, shop: Index, doc_id: str, fields: dict[str, Any], told: str
    ) -> None:
        """`validate` says in advance what `add` would raise, and a failed `add` leaves the index as it was."""
        problem = shop.validate(doc_id, fields)
        assert problem is not None
        with pytest.raises(ConnectorError, match=told) as caught:
            shop.add([("good", {"title": "good"}), (doc_id, fields)])
        assert str(caught.value) == problem
        assert shop.count() == 3
        assert shop.add([("good", {"title": "good"})]) == 1
        assert shop.get("\ud800") is None

    def test_a_good_document_is_valid(self, shop: Index) -> None:
        """`validate` has nothing to say about a document that `add` takes."""
        assert [shop.validate(*document) for document in SHOP] == [None] * 3

    def test_other_readers_see_a_commit_at_once(self, shop: Index, tmp_path: Path) -> None:
        """An index that was open before sees what another one wrote."""
        reader = open_at(tmp_path / "shop")
        assert reader.count() == 3
        shop.add([("new", {"title": "new"})])
        assert ids(reader, query="new") == ["new"]

    def test_a_second_writer_is_told_to_wait(self, shop: Index, tmp_path: Path) -> None:
        """Only one process writes at a time; the other one gets a clear error and can try again."""
        other = open_at(tmp_path / "shop")

        def documents() -> Any:
            with pytest.raises(ConnectorError, match="Another process is writing"):
                other.add([("2", {})])
            yield "1", {}

        assert shop.add(documents()) == 1
        assert other.add([("2", {})]) == 1
        assert shop.count() == 5

    def test_a_crash_leaves_the_last_commit(self, shop: Index, tmp_path: Path) -> None:
        """A process killed while it adds costs only its own call; the next one can write."""
        script = (
            "import itertools, os, sys\n"
            "from rebridge_tantivy import CONNECTOR, IndexSettings\n"
            "def documents():\n"
            "    for n in itertools.count():\n"
            "        yield str(n), {'title': 'word ' * 50}\n"
            f"        if n == 3000: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
            "CONNECTOR.open(IndexSettings(path=sys.argv[1])).add(documents())\n"
        )
        path = os.pathsep.join(sys.path)
        killed = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-c", script, str(tmp_path / "shop")], env={**os.environ, "PYTHONPATH": path}, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        assert open_at(tmp_path / "shop").count() == shop.count() == 3
        assert shop.add([("new", {})]) == 1

    def test_searching_goes_on_in_many_threads_while_adding(self, shop: Index) -> None:
        """Each search sees one whole commit."""
        seen: list[int] = []

        def search() -> None:
            seen.extend(len(ids(shop, query="pair", size=100)) for _ in range(100))

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(5):
            shop.add([(f"{number}{side}", {"title": "pair"}) for side in "ab"])
        for thread in threads:
            thread.join()
        assert len(seen) == 400
        assert all(found % 2 == 0 for found in seen)


class TestOpening:
    def test_an_index_remembers_how_it_was_made(self, shop: Index, tmp_path: Path) -> None:
        """The path alone is enough to open it again, in the settings of before."""
        with open_at(tmp_path / "shop") as again:
            assert ids(again, query="shoes") == ids(shop, query="shoes")
            assert ids(again, filter={"stock": {"gte": 7}}) == ["cafe"]

    def test_boosts_can_change_without_indexing_again(self, shop: Index, tmp_path: Path) -> None:
        """Weights belong to the search, so new ones in the settings simply hold."""
        heavy = open_at(tmp_path / "shop", fields={**FIELDS, "text": {"type": "text", "boost": 50}})
        assert ids(shop, query="running shoes")[0] == "red"
        assert ids(heavy, query="running red")[0] == "cafe"

    @pytest.mark.parametrize(
        ("given_", "told"),
        [
            ({"fields": {**FIELDS, "stock": "text"}}, "'stock' is text in the settings but integer in the index"),
            ({"fields": {**FIELDS, "size": "text"}}, "'size' is text in the settings but missing in the index"),
            ({"fields": {"title": "text"}}, "'added' is missing in the settings"),
            ({"language": "german"}, "language is german in the settings, english in the index"),
        ],
    )
    def test_other_settings_than_the_index_has(
        self, shop: Index, tmp_path: Path, given_: dict[str, Any], told: str
    ) -> None:
        """Settings that the index cannot meet are an error that names the field and the cure."""
        with pytest.raises(ConnectorError, match=f"{told}.*Leave the key out"):
            open_at(tmp_path / "shop", **given_)

    def test_a_missing_index_names_path_and_cure(self, tmp_path: Path) -> None:
        """Nothing is made unless asked for."""
        with pytest.raises(ConnectorError, match=r"no index at .*nowhere.*rebridge index"):
            open_at(tmp_path / "nowhere", fields=FIELDS)
        assert not (tmp_path / "nowhere").exists()

    def test_a_new_index_needs_fields_with_proper_names(self, tmp_path: Path) -> None:
        """What cannot be made leaves no folder behind."""
        with pytest.raises(ConnectorError, match="needs `fields`"):
            open_at(tmp_path / "i", create=True)
        with pytest.raises(ConnectorError, match="cannot be called '_id'"):
            open_at(tmp_path / "i", create=True, fields={"_id": "text"})
        assert not (tmp_path / "i").exists()

    def test_something_else_is_never_overwritten(self, tmp_path: Path) -> None:
        """A folder or file that is no index of ours stays as it is."""
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "a.txt").write_text("mine")
        for path in (tmp_path / "notes", tmp_path / "notes" / "a.txt"):
            with pytest.raises(ConnectorError, match="something else"):
                open_at(path, create=True, fields=FIELDS)
        assert [file.name for file in (tmp_path / "notes").iterdir()] == ["a.txt"]

    def test_damage_and_other_versions_are_told_apart(self, shop: Index, tmp_path: Path) -> None:
        """A broken description, one of another format, and broken segments each get their own message."""
        file = tmp_path / "shop" / "rebridge.json"
        whole = file.read_text()
        for content, told in (
            ("{", "is damaged"),
            ("[]", "is damaged"),
            (json.dumps({**json.loads(whole), "format": 99}), "has index format 99"),
        ):
            file.write_text(content)
            with pytest.raises(ConnectorError, match=told):
                open_at(tmp_path / "shop")
        file.write_text(whole)
        (tmp_path / "shop" / "meta.json").write_text("{")
        with pytest.raises(ConnectorError, match="cannot be opened"):
            open_at(tmp_path / "shop")

    def test_an_interrupted_creation_can_be_repeated(self, tmp_path: Path) -> None:
        """If the process died while making the index, making it again finishes it."""
        open_at(tmp_path / "i", create=True, fields={"t": "text"}).close()
        (tmp_path / "i" / "meta.json").unlink()
        with pytest.raises(ConnectorError, match="not finished"):
            open_at(tmp_path / "i")
        assert open_at(tmp_path / "i", create=True).count() == 0

    def test_check_finds_an_empty_index_and_empty_fields(self, tmp_path: Path) -> None:
        """`check` tells what makes an index useless, each with its cure."""
        index = open_at(tmp_path / "i", create=True, fields={"title": "text", "titel": "text", "n": "integer"})
        assert "is empty" in index.check()[0]
        index.add([("1", {"title": "x"})])
        assert [problem.split("'")[1] for problem in index.check()] == ["titel", "n"]

    def test_closing_twice_is_allowed_and_ends_the_use(self, shop: Index) -> None:
        """A closed index says so."""
        shop.close()
        shop.close()
        with pytest.raises(ConnectorError, match="is closed"):
            shop.count()
