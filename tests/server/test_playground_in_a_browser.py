"""The playground as Chromium shows it. Skips where no Chromium is installed: apt-get install chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import pytest

from rebridge.errors import ScorerError
from rebridge.scorers import FakeScorer
from rebridge.testing import MemoryEngine

from .browser import Browser, browsing
from .playing import BOOTS, HOSTILE, Away, Held, playground, shelf
from .reranking import serving

pytestmark = pytest.mark.slow

MANY = {f"d{n}": {"title": "boots " * (25 - n), "text": f"number {n} " + "is long " * (n * 7 % 25)} for n in range(25)}
FINAL = "[...document.querySelectorAll('#final-hits .card')]"
FIRST = "[...document.querySelectorAll('#first-hits .card')]"
FOCUS = "document.activeElement"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests."""
    with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser on an empty page, of which nothing may complain that a test does not expect."""
    chromium.open("about:blank")
    chromium.resize(1280)
    chromium.prefer("light")
    chromium.said.clear()
    chromium.asked.clear()
    yield chromium
    assert chromium.said == []


@pytest.fixture
def pages() -> Iterator[Any]:
    """Serves a playground and gives its address."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(serving(app))


@pytest.fixture
def many(pages: Any) -> str:
    """The address of a playground with 25 documents about boots."""
    return str(pages(playground(shelf({"shop": MemoryEngine(MANY)}))))


def ask(browser: Browser, url: str, query: str, **more: Any) -> None:
    browser.open(f"{url}/#{urlencode({'pipeline': 'shop', 'q': query, **more})}")
    browser.until("document.title.startsWith('boots') || document.title.startsWith('word')")


def ids(browser: Browser, cards: str) -> list[str]:
    found = browser.look(f"{cards}.map(card => card.querySelector('.title').textContent.trim())")
    assert isinstance(found, list)
    return found


def test_a_search(browser: Browser, pages: Any) -> None:
    """Who writes words and presses Enter sees both orders, the movements between them, and how long it took."""
    url = pages(playground(shelf({"shop": MemoryEngine(BOOTS)}, fusion={"method": "replace"})))
    browser.open(url)
    browser.until("document.querySelector('#pipeline').value === 'shop' && document.activeElement.id === 'query'")
    browser.write("boots")
    browser.press("Enter")
    browser.until("document.title.startsWith('boots')")
    assert ids(browser, FIRST) == ["boots boots boots", "boots boots", "boots"]
    assert ids(browser, FINAL) == ["boots", "boots boots boots", "boots boots"]
    assert browser.look(f"{FINAL}.map(card => card.querySelector('.badge').textContent)") == ["▲2", "▼1", "▼1"]
    assert browser.look("[...document.querySelectorAll('.line')].map(line => line.classList[1])") == [
        "down", "down", "up",
    ]  # fmt: skip
    assert browser.look("document.querySelector('#timing').textContent").count("ms") == 3
    assert browser.look("document.querySelector('#said').textContent").startswith("Reranked. ")
    assert browser.look("location.hash") == "#pipeline=shop&q=boots"
    assert all(address.startswith((url, "data:image/svg")) for address in browser.asked)
    assert len(browser.asked) > 5


def test_lines_meet_their_cards(browser: Browser, many: str) -> None:
    """Every line begins and ends at the middle of its card's head, also after a card was opened."""
    ask(browser, many, "boots")
    ends = """(() => { const top = document.querySelector('#lines').getBoundingClientRect().top;
      const middle = key => [...document.querySelectorAll(`#final-hits [data-key="${key}"] .head`)].map(head => {
        const box = head.getBoundingClientRect(); return box.top + box.height / 2 - top; })[0];
      return Math.max(...[...document.querySelectorAll('.line:has(circle + circle)')].map(line =>
        Math.abs(line.lastElementChild.cy.baseVal.value - middle(line.dataset.key)))); })()"""
    assert browser.look(ends) < 1
    browser.look(f"{FINAL}[0].querySelector('.head').click()")
    browser.until(f"{FINAL}[0].offsetHeight > 150 && {ends} < 1")


def test_hostile_documents(browser: Browser, pages: Any) -> None:
    """Markup in documents is shown as text, and no text leaves its card or the page."""
    url = pages(playground(shelf({"shop": MemoryEngine(HOSTILE)})))
    for width in (1280, 360):
        browser.resize(width)
        ask(browser, url, "word")
        assert "<script>document.title='taken'</script> word word" in ids(browser, FIRST)
        assert "<b>id</b>" in ids(browser, FIRST)
        browser.look("document.querySelectorAll('.head').forEach(head => head.click())")
        assert browser.look("document.querySelectorAll('main script, main img, main b').length") == 0
        assert browser.look("document.documentElement.scrollWidth <= innerWidth")
        outside = "card => [...card.querySelectorAll('*')].some(one => one.getBoundingClientRect().right > innerWidth)"
        assert not browser.look(f"{FINAL}.some({outside})")
    assert browser.look("document.title") == "word · rebridge playground"
    directions = browser.look(f"{FIRST}.map(card => getComputedStyle(card.querySelector('.title')).direction)")
    assert sorted(directions) == ["ltr"] * 5 + ["rtl"]


def test_marks(browser: Browser, many: str) -> None:
    """The query's words are marked as they stand in the passage, in titles, excerpts and whole passages."""
    ask(browser, many, "boots (number")
    browser.look(f"{FINAL}[0].querySelector('.head').click()")
    marked = browser.look(f"[...{FINAL}[0].querySelectorAll('mark')].map(mark => mark.textContent.toLowerCase())")
    assert set(marked) == {"boots", "number"}
    assert browser.look(f"{FINAL}[0].querySelector('.passage mark') !== null")


def test_keyboard(browser: Browser, many: str) -> None:
    """Everything can be done without a mouse."""
    ask(browser, many, "boots")
    browser.press("/")
    assert browser.look(f"{FOCUS}.id") == "query"
    browser.press("ArrowDown")
    assert browser.look(f"{FIRST}[0].contains({FOCUS})")
    browser.press("ArrowDown", "ArrowDown", "ArrowUp")
    assert browser.look(f"{FIRST}[1].contains({FOCUS})")
    key = browser.look(f"{FIRST}[1].dataset.key")
    browser.press("ArrowRight")
    assert browser.look(f"{FOCUS}.closest('#final-hits') !== null")
    if key in browser.look(f"{FINAL}.map(card => card.dataset.key)"):
        assert browser.look(f"{FOCUS}.closest('.card').dataset.key") == key
    browser.press("Enter")
    assert browser.look(f"{FOCUS}.getAttribute('aria-expanded')") == "true"
    assert browser.look(f"getComputedStyle({FOCUS}.closest('.card')).outlineStyle") == "solid"
    browser.press("Escape")
    assert browser.look(f"{FOCUS}.getAttribute('aria-expanded')") == "false"
    browser.press("ArrowLeft")
    assert browser.look(f"{FOCUS}.closest('#first-hits') !== null")
    browser.press("Escape")
    assert browser.look(f"{FOCUS}.id") == "query"
    assert browser.look(
        "[...document.querySelectorAll('ol')].map(list => list.querySelectorAll('.head[tabindex=\"0\"]').length)"
    ) == [1, 1]


def test_pages_and_addresses(browser: Browser, many: str) -> None:
    """The address holds pipeline, query and page: it can be shared, and the browser's Back goes back."""
    ask(browser, many, "boots", page=3)
    assert browser.look(f"{FIRST}.length") == 5
    assert browser.look("document.querySelector('#after').disabled")
    browser.look("document.querySelector('#before').click()")
    browser.until("document.querySelector('#place').textContent === 'Page 2'")
    assert browser.look("location.hash") == "#pipeline=shop&q=boots&page=2"
    browser.look("history.back()")
    browser.until("document.querySelector('#place').textContent === 'Page 3'")


def test_an_old_answer_never_replaces_a_newer(browser: Browser, pages: Any) -> None:
    """A search that is slower than the next one is given up."""
    engine = Held(BOOTS)
    url = pages(playground(shelf({"shop": engine})))
    browser.open(f"{url}/#pipeline=shop&q=slow+boots")
    browser.until("document.body.dataset.busy === ''")
    browser.look("location.hash = '#pipeline=shop&q=boots'")
    browser.until("document.title.startsWith('boots')")
    engine.go.set()
    browser.look("new Promise(done => setTimeout(done, 300))")
    assert browser.look("document.title") == "boots · rebridge playground"
    assert browser.look("document.body.dataset.busy === undefined")


def test_stopping(browser: Browser, pages: Any) -> None:
    """Escape ends a search that takes long; before, the page says that it waits."""
    engine = Held(BOOTS)
    browser.open(f"{pages(playground(shelf({'shop': engine}), loaded=False))}/#pipeline=shop&q=slow+boots")
    browser.until("document.querySelector('#said').textContent.startsWith('Loading the model')")
    browser.press("Escape")
    browser.until("document.querySelector('#outcome').textContent === 'Stopped'")
    engine.go.set()


def test_degraded(browser: Browser, pages: Any) -> None:
    """An answer without the model says so, and why."""
    scorers = [FakeScorer(error=ScorerError("gone"))]
    ask(browser, pages(playground(shelf({"shop": MemoryEngine(BOOTS)}, scorers))), "boots")
    assert browser.look("document.querySelector('.pill').textContent") == "Degraded"
    assert "The model failed or is away." in browser.look("document.querySelector('#notice').textContent")
    assert browser.look("document.querySelector('#final-title').textContent").startswith("Answer, in the engine")


def test_removed_hits(browser: Browser, pages: Any) -> None:
    """A hit that was removed says so in the engine's list, within its card."""
    ask(browser, pages(playground(shelf({"shop": MemoryEngine(BOOTS)}, min_rerank_score=17))), "boots")
    assert ids(browser, FINAL) == ["boots", "boots boots boots"]
    assert browser.look(f"{FIRST}.map(card => card.querySelector('.badge')?.textContent ?? '')") == ["", "✕", ""]
    assert "removed" in browser.look("document.querySelector('.line text').textContent")
    room = "card => card.querySelector('.score').getBoundingClientRect().right < card.getBoundingClientRect().right"
    assert browser.look(f"{FIRST}.every({room})")


def test_an_engine_that_is_away(browser: Browser, pages: Any) -> None:
    """The page tells cause and cure, and takes the next search."""
    browser.open(f"{pages(playground(shelf({'shop': Away()})))}/#pipeline=shop&q=boots")
    browser.until("document.querySelector('#notice').hidden === false")
    told = browser.look("document.querySelector('#notice').innerText")
    assert "The engine cannot answer" in told
    assert "start it" in told
    assert [text for text in browser.said if "502" not in text] == []
    browser.said.clear()


def test_no_hits(browser: Browser, many: str) -> None:
    """A query without hits says so."""
    browser.open(f"{many}/#pipeline=shop&q=sandals")
    browser.until("document.querySelector('#notice').hidden === false")
    assert browser.look("document.querySelector('#notice').innerText").startswith("No hits")


def test_keys(browser: Browser, pages: Any) -> None:
    """Where the server wants a key, the page asks for one, keeps it for the tab, and never shows it in an address."""
    url = pages(playground(shelf({"shop": MemoryEngine(BOOTS)}), keys=["k3y"]))
    browser.open(f"{url}/#pipeline=shop&q=boots")
    for key, then in (
        ("wrong", "document.querySelector('#key-note').textContent.startsWith('The server does not know')"),
        ("k3y", "document.title.startsWith('boots')"),
    ):
        browser.until("document.querySelector('#ask-key').open")
        browser.look("document.querySelector('#key').focus()")
        browser.write(key)
        browser.press("Enter")
        browser.until(then)
    assert browser.look("sessionStorage.apiKey") == "k3y"
    assert not any(
        "k3y" in address or "wrong" in address for address in [*browser.asked, browser.look("location.href")]
    )
    assert [text for text in browser.said if "401" not in text] == []
    browser.said.clear()


def test_light_and_dark(browser: Browser, many: str) -> None:
    """Colours are as the system prefers, or as the button says, which stays so."""
    ask(browser, many, "boots")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = browser.look(colour)
    browser.prefer("dark")
    dark = browser.look(colour)
    assert light != dark
    browser.look("document.querySelector('#theme').click()")
    assert browser.look(colour) == light
    browser.open("about:blank")
    ask(browser, many, "boots")
    assert browser.look(colour) == light
    assert (
        browser.look("document.querySelector('#theme').getAttribute('aria-label')") == "Colours: light. Change to dark"
    )


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_width(browser: Browser, many: str, width: int) -> None:
    """The page needs no scrolling sideways; on a phone the answer stands above the engine's list, without lines."""
    browser.resize(width)
    ask(browser, many, "boots")
    assert browser.look("document.documentElement.scrollWidth <= innerWidth && innerWidth") == width
    tops = browser.look("['#first', '#final'].map(id => document.querySelector(id).getBoundingClientRect().top)")
    assert (tops[0] > tops[1]) == (width < 800)
    assert browser.look("getComputedStyle(document.querySelector('#lines')).display !== 'none'") == (width > 800)


def test_nothing_jumps(browser: Browser, many: str) -> None:
    """While a search replaces another one, no card changes its place."""
    ask(browser, many, "boots")
    browser.look(
        "window.jumps = 0; new PerformanceObserver(list => list.getEntries().forEach(jump => jumps += jump.value))"
        ".observe({type: 'layout-shift', buffered: false})"
    )
    browser.look("location.hash = '#pipeline=shop&q=boots+number'")
    browser.until("document.title.startsWith('boots number')")
    browser.look("new Promise(done => setTimeout(done, 200))")
    assert browser.look("jumps") < 0.01
