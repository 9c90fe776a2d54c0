"""The embedded engine answers searches."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count as counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("tantivy")

from rebridge.errors import ConnectorError
from rebridge_tantivy import CONNECTOR, Index

from .shop import SHOP, ids, open_at


class TestWords:
    def test_any_word_is_enough_and_word_forms_match(self, one_shop: Index) -> None:
        """By default one word is enough, whatever its ending, case or accents."""
        assert ids(one_shop, query="SHOES") == ["red", "blue"]
        assert set(ids(one_shop, query="runs cafe")) == {"red", "cafe"}

    def test_and_needs_every_word_but_not_in_the_same_field(self, one_shop: Index) -> None:
        """With `and` a document needs every word, in any of the fields that are searched."""
        assert ids(one_shop, query="red road ann", operator="and") == ["red"]
        assert ids(one_shop, query="red terrace", operator="and") == []
        assert ids(one_shop, query="red road", operator="and", fields={"title": 1}) == []

    def test_fields_restrict_and_weigh(self, one_shop: Index) -> None:
        """Only the given fields are searched, and their weight multiplies the score."""
        assert ids(one_shop, query="running", fields={"text": 1}) == ["cafe"]
        once, twice = (
            one_shop.search({"query": "running", "fields": {"text": weight}})["hits"]["max_score"] for weight in (1, 2)
        )
        assert twice == pytest.approx(2 * once)

    def test_a_word_counts_as_often_as_the_query_holds_it(self, one_shop: Index) -> None:
        """Like in BM25, a word that the query repeats weighs more."""
        once, twice = (
            one_shop.search({"query": query})["hits"]["max_score"] for query in ("terrace", "terrace terrace")
        )
        assert twice == pytest.approx(2 * once)

    def test_words_spread_over_fields_beat_one_field_alone(self, tmp_path: Path) -> None:
        """A document with both words, one in each field, comes before one that repeats a single word."""
        index = open_at(tmp_path / "i", create=True, fields={"brand": "text", "name": "text"})
        index.add([("one", {"brand": "dell", "name": "dell charger"}), ("both", {"brand": "dell", "name": "laptop"})])
        assert ids(index, query="dell laptop") == ["both", "one"]

    def test_no_query_matches_everything_and_no_words_nothing(self, one_shop: Index) -> None:
        """Without a query all documents match; a query without any word matches none."""
        assert len(ids(one_shop)) == 3
        assert ids(one_shop, query="?! ...") == []

    def test_language_none_keeps_words_whole(self, tmp_path: Path) -> None:
        """With language `none` only case and accents are levelled."""
        index = open_at(tmp_path / "i", create=True, fields={"t": "text"}, language="none")
        index.add([("1", {"t": "Shoes"})])
        assert ids(index, query="shoe") == []
        assert ids(index, query="shoes") == ["1"]

    def test_text_without_spaces_is_found(self, tmp_path: Path) -> None:
        """Chinese words are found inside of a sentence."""
        index = open_at(tmp_path / "i", create=True, fields={"t": "text"})
        index.add([("1", {"t": "我喜欢搜索引擎"}), ("2", {"t": "天气很好"})])
        assert ids(index, query="搜索") == ["1"]


@given(text=st.text(st.characters()) | st.text('+-"()[]{}^~*?:\\/<>=|& ANDORNOTtitle'), every=st.booleans())
def test_what_people_type_is_never_a_syntax_error(one_shop: Index, text: str, every: bool) -> None:  # noqa: FBT001
    """Plain words take any text at all, lone surrogates too."""
    one_shop.search({"query": text, "operator": "and" if every else "or", "highlight": True})
    CONNECTOR.read({"query": text})


class TestTantivySyntax:
    def test_operators_fields_and_phrases(self, one_shop: Index) -> None:
        """Tantivy's own query language is there for those who ask for it."""
        assert ids(one_shop, query='title:shoe -"red running"', syntax="tantivy") == ["blue"]

    @pytest.mark.parametrize(
        ("query", "told"),
        [("title:(", "character 7"), ("colour:red", "Field does not exist: 'colour'"), ("(" * 99_999, "at most 64")],
    )
    def test_an_error_says_what_and_where(self, one_shop: Index, query: str, told: str) -> None:
        """A query that is not valid is an error that shows the place; it never ends the process."""
        with pytest.raises(ConnectorError, match=told):
            one_shop.search({"query": query, "syntax": "tantivy"})


class TestFilter:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"brand": "Acme Sport"}, {"red"}),
            ({"brand": ["Acme", "Zed"]}, {"red", "blue"}),
            ({"brand": []}, set()),
            ({"_id": ["red", "nobody"]}, {"red"}),
            ({"stock": {"gt": 0}}, {"red", "cafe"}),
            ({"stock": {"gte": 0, "lt": 7}}, {"red", "blue"}),
            ({"price": {"lte": 20}}, {"blue"}),
            ({"used": True}, {"blue"}),
            ({"added": "2024-01-02T00:00:00+00:00"}, {"red"}),
            ({"added": {"gte": date(2024, 2, 1), "lte": datetime(2024, 12, 1, tzinfo=UTC)}}, {"blue"}),
            ({"used": False, "stock": 3}, {"red"}),
        ],
    )
    def test_values_lists_and_ranges(self, one_shop: Index, wanted: dict[str, Any], found: set[str]) -> None:
        """A filter takes one value, any of several, or a range; several filters must all hold."""
        assert set(ids(one_shop, filter=wanted)) == found

    def test_never_changes_a_score(self, one_shop: Index) -> None:
        """A hit has the same score with and without a filter."""
        plain, filtered = (
            {hit["_id"]: hit["_score"] for hit in one_shop.search({"query": "shoe", **extra})["hits"]["hits"]}
            for extra in ({}, {"filter": {"stock": 0, "brand": ["Zed"]}})
        )
        assert filtered == {"blue": plain["blue"]}

    @pytest.mark.parametrize(
        ("wanted", "told"),
        [
            ({"title": "x"}, "make it a keyword"),
            ({"colour": "x"}, "'colour' is unknown"),
            ({"stock": "many"}, "'many' is not a valid integer"),
            ({"brand": {"gte": "A"}}, "has no ranges"),
            ({"stock": {"from": 1}}, "a range has"),
            ({"stock": {"gt": 1, "gte": 1}}, "a range has"),
            ({"stock": None}, "None is not"),
        ],
    )
    def test_what_cannot_filter_says_why(self, one_shop: Index, wanted: dict[str, Any], told: str) -> None:
        """A filter that does not fit the index is an error with the reason, not an empty page."""
        with pytest.raises(ConnectorError, match=told):
            one_shop.search({"filter": wanted})


class TestReply:
    def test_has_the_shape_of_elasticsearch(self, one_shop: Index) -> None:
        """Totals, scores and the whole document are where Elasticsearch has them."""
        reply = one_shop.search({"query": "shoe", "size": 1})
        hit = reply["hits"]["hits"][0]
        assert reply["hits"]["total"] == {"value": 2, "relation": "eq"}
        assert reply["hits"]["max_score"] == hit["_score"] > 0
        assert hit == {"_index": "shop", "_id": "red", "_score": hit["_score"], "_source": dict(SHOP)["red"]}
        assert isinstance(reply["took"], int)

    def test_max_score_is_that_of_the_whole_result(self, one_shop: Index) -> None:
        """The second page has the same `max_score` as the first."""
        first, second = (one_shop.search({"query": "shoe", "size": 1, "from": offset})["hits"] for offset in (0, 1))
        assert first["max_score"] == second["max_score"] > second["hits"][0]["_score"]

    def test_size_zero_and_pages_behind_the_end_only_count(self, one_shop: Index) -> None:
        """Totals are there without hits, however large the numbers."""
        for page in ({"size": 0}, {"from": 5}, {"from": 10**9, "size": 10**12}):
            hits = one_shop.search({"query": "shoe", **page})["hits"]
            assert (hits["total"]["value"], hits["hits"]) == (2, [])

    @pytest.mark.parametrize(
        ("source", "kept"),
        [
            (["title", "meta.author"], {"title": "Red running shoes", "meta": {"author": ["Ann Lee", "Bob"]}}),
            (["colour", "nothing"], {"colour": {"hex": "#f00"}}),
            ([], {}),
        ],
    )
    def test_source_list_keeps_these_fields(self, one_shop: Index, source: list[str], kept: dict[str, Any]) -> None:
        """A source list keeps the named parts in the document's own shape."""
        (hit,) = one_shop.search({"filter": {"_id": "red"}, "source": source})["hits"]["hits"]
        assert hit["_source"] == kept

    def test_source_false_leaves_it_out(self, one_shop: Index) -> None:
        """With `source: false` hits have no `_source`."""
        assert all("_source" not in hit for hit in one_shop.search({"source": False})["hits"]["hits"])

    def test_sort_by_a_field(self, one_shop: Index) -> None:
        """Sorted hits carry their value instead of a score; documents without one come last."""
        hits = one_shop.search({"sort": {"price": "desc"}})["hits"]
        assert [(hit["_id"], hit["sort"], hit["_score"]) for hit in hits["hits"]] == [
            ("red", [79.5], None),
            ("blue", [20.0], None),
            ("cafe", [None], None),
        ]
        assert ids(one_shop, sort="stock") == ["blue", "red", "cafe"]

    def test_highlight(self, tmp_path: Path) -> None:
        """Snippets mark words in HTML, escape the text, and there is one for each value that holds a word."""
        index = open_at(tmp_path / "i", create=True, fields={"a": "text", "b": "text"})
        index.add([("1", {"a": ["cats & dogs", "birds", "a cat"], "b": "no match"})])
        for request in (
            {"highlight": True},
            {"highlight": {"fields": ["a", "b"]}},
            {"highlight": True, "source": False},
        ):
            (hit,) = index.search({"query": "cat", **request})["hits"]["hits"]
            assert hit["highlight"] == {"a": ["<b>cats</b> &amp; dogs", "a <b>cat</b>"]}
        (hit,) = index.search({"query": "a:bird", "syntax": "tantivy", "highlight": True})["hits"]["hits"]
        assert hit["highlight"] == {"a": ["<b>birds</b>"]}
        with pytest.raises(ConnectorError, match="'c' is not a text field"):
            index.search({"query": "cat", "highlight": {"fields": ["c"]}})


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"qery": "x"}, "qery: unknown key. Did you mean 'query'"),
        ({"zzz": 1}, "Known keys: query, .*from, size"),
        ({"size": -1}, "size: .*greater"),
        ({"fields": {"brand": 1}, "query": "x"}, "'brand' is not a text field. Text fields: title"),
        ({"fields": {"title": 0}}, "fields.title: "),
        ({"sort": "title"}, "'title' cannot be sorted by"),
        ({"sort": {"stock": "asc", "price": "asc"}}, "one field"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(one_shop: Index, request_: dict[str, Any], told: str) -> None:
    """No key is ignored: what a request cannot mean is an error that names it."""
    with pytest.raises(ConnectorError, match=told):
        one_shop.search(request_)


class TestPaging:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        batches=st.lists(
            st.lists(st.sampled_from(["cat", "cat dog", "dog dog cat"]), min_size=1), min_size=1, max_size=12
        ),
        size=st.integers(1, 30),
        request_=st.sampled_from(
            [{"query": "cat dog"}, {"query": "cat"}, {}, {"sort": "n"}, {"filter": {"n": [0, 1]}}]
        ),
    )
    def test_pages_put_together_are_the_ranking(
        self, tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]], size: int, request_: dict[str, Any]
    ) -> None:
        """Pages hold every hit once and in order, with equal scores, over several segments and in any page size."""
        index = open_at(
            tmp_path_factory.mktemp("i") / "i", create=True, fields={"t": "text", "u": "text", "n": "integer"}
        )
        number = counter()
        for batch in batches:
            index.add((str(next(number)), {"t": text, "u": "cat", "n": len(text) % 3}) for text in batch)
        total = index.count()
        whole = index.search({**request_, "size": total})["hits"]["hits"]
        paged = [
            hit
            for offset in range(0, total, size)
            for hit in index.search({**request_, "from": offset, "size": size})["hits"]["hits"]
        ]
        assert paged == whole
        assert len({hit["_id"] for hit in whole}) == len(whole)
