"""The report as Chromium shows it, with no way to any network.

Skips where no Chromium is installed, also in CI: the text of the page is tested without one. Where there is one, a
Chromium that does not start is a failure. On Debian: apt-get install chromium
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="reports have pictures: pip install 'rebridge[eval]'")
pytest.importorskip("jinja2", reason="reports are written with Jinja2: pip install 'rebridge[eval]'")

from rebridge.evaluation.overview import write_overview
from rebridge.evaluation.report import write_report

from .report_data import collections, complete

pytestmark = pytest.mark.slow

_FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container has none; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
)
# What the browser asks for on its own account has no page as its origin.
_OWN = "not an origin"
_SIZES = """<script>
const shown = [...document.querySelectorAll("figure svg")].map(figure => {
  const box = figure.getBoundingClientRect();
  return {width: box.width, height: box.height, right: box.right, paths: figure.querySelectorAll("path").length};
});
const [ink, paper] = [document.querySelector("figure svg text"), document.body].map(item => getComputedStyle(item));
const page = {width: document.documentElement.scrollWidth, room: innerWidth,
  ink: ink.fill, paper: paper.backgroundColor};
document.documentElement.setAttribute("data-seen", JSON.stringify({shown, page}));
</script>"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of opening a page: its elements, what the console said, the addresses that it asked for."""

    dom: str
    console: list[str]
    asked: list[str]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs a browser: apt-get install chromium")
    return found


def visit(chromium: str, page: Path, *flags: str) -> Visit:
    """Open a page and note what happens."""
    log, profile = page.with_suffix(".netlog"), page.with_suffix(".profile")
    command = [chromium, *_FLAGS, *flags, f"--user-data-dir={profile}", f"--log-net-log={log}", "--dump-dom"]
    done = subprocess.run(  # noqa: S603 - our own page
        [*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    params = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
    asked = {item["url"] for item in params if "url" in item and item.get("initiator", _OWN) != _OWN}
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Visit(done.stdout, console, sorted(url for url in asked if not url.startswith(("file:", "data:"))))


def measured(chromium: str, page: Path, *flags: str) -> Any:
    """What a script finds in a copy of the page that lets it run."""
    text = page.read_text(encoding="utf-8")
    assert text.count("default-src 'none'; ") == 1
    copy = page.with_name("measured.html")
    copy.write_text(text.replace("default-src 'none'; ", "").replace("</body>", f"{_SIZES}</body>"), encoding="utf-8")
    dom = visit(chromium, copy, *flags).dom
    seen = dom.partition('data-seen="')[2].partition('"')[0]
    return json.loads(seen.replace("&quot;", '"'))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A report with every picture."""
    path = tmp_path / "report.html"
    write_report(path, complete())
    return path


def test_quiet(chromium: str, page: Path) -> None:
    """The page asks for nothing from outside and causes no message in the console."""
    seen = visit(chromium, page)
    assert "Queries that gained most" in seen.dom
    assert seen.asked == []
    assert seen.console == []


def test_overview(chromium: str, tmp_path: Path) -> None:
    """Several evaluations on one page are as quiet, and all their pictures are drawn."""
    page = tmp_path / "overview.html"
    write_overview(page, "All of them", collections())
    seen = visit(chromium, page)
    assert seen.dom.count("Queries that gained most") == 4
    assert seen.asked == []
    assert seen.console == []
    sizes = measured(chromium, page, "--window-size=360,900")
    assert len(sizes["shown"]) == 1 + 4 * 3
    assert all(figure["width"] > 250 and figure["paths"] > 5 for figure in sizes["shown"])
    assert sizes["page"]["width"] <= sizes["page"]["room"]


def test_the_checks_see(chromium: str, tmp_path: Path) -> None:
    """A page that does ask for something and does complain is seen to."""
    page = tmp_path / "loud.html"
    page.write_text("<img src='http://outside.example/x.png'><script>console.error('oh')</script>", encoding="utf-8")
    seen = visit(chromium, page)
    assert seen.asked == ["http://outside.example/x.png"]
    assert len(seen.console) == 1


@pytest.mark.parametrize("width", [360, 1200])
def test_figures_have_a_size(chromium: str, page: Path, width: int) -> None:
    """Every picture is drawn, fits into the window, and the page needs no scrolling sideways."""
    seen = measured(chromium, page, f"--window-size={width},900")
    assert len(seen["shown"]) == 4
    for figure in seen["shown"]:
        assert figure["width"] > 250
        assert figure["height"] > 120
        assert figure["right"] <= seen["page"]["room"]
        assert figure["paths"] > 5
    assert seen["page"]["width"] <= seen["page"]["room"]


def test_dark(chromium: str, page: Path) -> None:
    """Page and pictures are light on dark for readers who prefer that, dark on light for others."""
    light = measured(chromium, page, "--blink-settings=preferredColorScheme=1")["page"]
    dark = measured(chromium, page, "--blink-settings=preferredColorScheme=0")["page"]
    assert _brightness(light["paper"]) - _brightness(light["ink"]) > 100
    assert _brightness(dark["ink"]) - _brightness(dark["paper"]) > 100


def _brightness(colour: str) -> float:
    """The mean of ``rgb(r, g, b)``."""
    parts = [float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(parts) / 3
