"""The words of Solr's queries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebridge_solr import CONNECTOR, Request


def words(params: Any, json: Any = None) -> tuple[str | None, tuple[str, ...]]:
    asked = CONNECTOR.read(Request(params, json))
    return asked.query_text, asked.doubts


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("red shoe", "red shoe"),
        ('title:"red shoe"^2 AND text:leather~1', "red shoe leather"),
        ("+red -text:blue (shoe OR boot)", "red shoe boot"),
        ("red^=2.5 shoe", "red shoe"),
        ("red filter(lang:german) shoe", "red shoe"),
        ("price_i:[1 TO 5] red", "red"),
        ("*:*", None),
        ("title:*", None),
        ("", None),
        ("{!edismax qf=title}red shoe", "red shoe"),
        ("{!edismax qf='title text' v='red shoe'}", "red shoe"),
        ('{!edismax qf="title text" v=$words}', "warm boots"),
        ("{!dismax v=$words}ignored", "warm boots"),
        ("{!edismax v=$missing}", None),
        ("{!type=edismax qf=title}red -blue", "red"),
        ("{!cache=false}title:red", "red"),
        ("{!q.op=AND df=title}red shoe", "red shoe"),
        ("{!lucene v=$nested}", "warm boots"),
        ("{!lucene v=$loop}", None),
        ("{!simple}red +shoe -blue", "red shoe"),
        ('{!complexphrase inOrder=true}title:"red sh*"', "red sh*"),
        ("{!boost b=log(price)}red shoe", "red shoe"),
        ("{!boost b=log(price) v=$nested}", "warm boots"),
        ("{!boost b=price defType=dismax}red +shoe", "red shoe"),
        ("{!bool must=$words should=$nested must_not=red filter=blue}", "warm boots"),
        ("{!bool should='{!edismax v=red}' should=shoe}", "red shoe"),
        ('{!parent which="type:book"}title:red', "red"),
        ('{!child of="type:book" v=$words}', "warm boots"),
        ("{!payload_score f=text v='red shoe' func=max}", "red shoe"),
        ("{!knn_text_to_vector model=m f=v}red shoe", "red shoe"),
        ("{!maxscore}title:red text:shoe", "red shoe"),
        ("{!surround}3w(red, shoe)", "red shoe"),
        ("{!query defType=dismax v=$words}", "warm boots"),
        ("{!knn f=vector topK=10}[1.0, 2.0]", None),
        ("{!func}log(price)", None),
        ("{!join from=a to=b}red", None),
        ("{!geofilt sfield=store pt=1,2 d=5}", None),
        ("{!unknown}red", None),
        ("{!edismax", None),
        ('+_query_:"{!edismax qf=title}red shoe" -_query_:"{!edismax}blue"', "red shoe"),
        ("old {!edismax qf=title v=$words} -{!term f=x}y", "old warm boots"),
        ("({!edismax qf=title}red) AND shoe", "red shoe"),
        ("_query_:'{!dismax}red'", "red"),
        ("red red shoe", "red red shoe"),
    ],
)
def test_lucene(query: str, text: str | None) -> None:
    """Words of the default parser: without syntax and what is left out, through local parameters and references."""
    more = {"words": "warm boots", "nested": "{!edismax v=$words}", "loop": "{!lucene v=$loop}"}
    found, doubts = words({"q": query, **more})
    assert found == text
    assert doubts == ()


@pytest.mark.parametrize(
    ("kind", "query", "text"),
    [
        ("dismax", 'red +"leather shoe" -blue -"old one" a:b', "red leather shoe a:b"),
        ("edismax", "title:red AND -blue shoe", "red shoe"),
        ("edismax", "{!lucene}red", "red"),
        ("edismax", "train at 10:30 AND red", "train at 10:30 red"),
        ("edismax", r"10\:30 a\:b", "10:30 a:b"),
        ("dismax", "*:*", None),
        ("lucenePlusSort", "red", None),
        ("func", "{!edismax}red", "red"),
    ],
)
def test_def_type(kind: str, query: str, text: str | None) -> None:
    """Words of a request's own parser; dismax takes nothing for a field."""
    found, _ = words({"q": query, "defType": kind})
    assert found == text


def test_alternative_query() -> None:
    """The alternative query of dismax counts where there is no other."""
    assert words({"defType": "edismax", "q": " ", "q.alt": "title:red"})[0] == "red"
    assert words({"defType": "dismax", "q.alt": "title:red"})[0] == "red"
    assert words({"defType": "edismax", "q": "shoe", "q.alt": "title:red"})[0] == "shoe"
    assert words({"defType": "edismax", "q.alt": "*:*"})[0] is None


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("title:red", "red"),
        ({"edismax": {"query": "red shoe", "qf": "title"}}, "red shoe"),
        ({"lucene": {"v": "title:red", "df": "text"}}, "red"),
        ({"edismax": "red"}, "red"),
        (
            {"bool": {"must": ["title:red", {"edismax": {"query": "shoe"}}], "must_not": "blue", "filter": "de"}},
            "red shoe",
        ),
        ({"bool": {"should": "{!edismax}red"}}, "red"),
        ({"boost": {"query": {"dismax": {"query": "+red"}}, "b": "log(price)"}}, "red"),
        ({"parent": {"which": "type:a", "query": {"lucene": {"query": "title:red"}}}}, "red"),
        ({"#named": {"edismax": {"query": "red"}}}, "red"),
        ({"#named": "title:red"}, "red"),
        ({"param": "words"}, "warm boots"),
        ({"bool": {"must": [{"param": "first"}, {"param": "second"}]}}, "red shoe"),
        ("{!bool must=$first}", "red"),
        ({"knn": {"f": "v", "query": "[1,2]"}}, None),
        ({"bool": {"filter": "title:red"}}, None),
        ({"bool": 3}, None),
        ([], None),
        (3, "3"),
    ],
)
def test_json_query_dsl(query: Any, text: str | None) -> None:
    """Words of queries in JSON: objects, texts, lists, names and references."""
    queries = {"first": "title:red", "second": {"edismax": {"query": "shoe"}}}
    found, _ = words({"words": "warm boots"}, {"query": query, "queries": queries})
    assert found == text


def test_json_beats_the_parameter() -> None:
    """The body's query counts, not the parameter."""
    assert words({"q": "blue"}, {"query": "red"})[0] == "red"
    assert words({"q": "blue"}, {"query": {"edismax": {"query": "red"}}})[0] == "red"
    assert words({"q": "blue", "json.query": '"red"'})[0] == "red"
    assert words({}, {"params": {"q": "red -blue", "defType": "edismax"}})[0] == "red"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("id:d17", "d17"),
        ("id:(d1 OR d2)", "d1 d2"),
        ("product_id:17 AND brand_s:nike", "17 nike"),
        ("{!term f=brand}nike", "nike"),
        ("{!terms f=id}d1,d2", "d1,d2"),
        ("{!prefix f=sku}AB", "AB"),
        ("{!field f=brand_s}nike", "nike"),
    ],
)
def test_exact_values_are_doubtful(query: str, text: str) -> None:
    """Identifiers and codes are words only where there are no others, and then a doubt."""
    assert words({"q": query}) == (text, ("term_query",))
    assert words({"q": f"{query} OR title:red"} if not query.startswith("{") else {"q": f"red {query}"})[1] == ()


def test_fields_of_text_are_not_exact() -> None:
    """A field query for words is a query like any other."""
    assert words({"q": "title:shoe"}) == ("shoe", ())
    assert words({"q": "{!field f=title}red shoe"}) == ("red shoe", ())
    assert words({"q": "brand_s:nike shoe"}) == ("shoe", ())


def test_filters_are_doubtful() -> None:
    """Words of filters count only where the query has none, and then are a doubt."""
    assert words({"q": "*:*", "fq": ["title:shoe", "{!collapse field=brand}"]}) == ("shoe", ("filter_text",))
    assert words({"q": "*:*", "fq": "brand_s:nike"}) == ("nike", ("filter_text", "term_query"))
    assert words({"q": "red", "fq": "title:shoe"}) == ("red", ())
    assert words({"q": "*:*", "fq": "price_i:[1 TO 3]"}) == (None, ())
    assert words({}, {"query": "*:*", "filter": ["title:shoe"]}) == ("shoe", ("filter_text",))


@given(st.text(alphabet='ab {}!$=v"\\:()+-_query~^', max_size=40))
def test_never_fails(query: str) -> None:
    """Whatever a query is, reading it gives words or none."""
    found, _ = words({"q": query, "v": query, "a": "$b"})
    assert found is None or found.strip()
