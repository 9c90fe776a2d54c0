"""What a page of HTML holds, and what must be true of every report."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page holds: its text, the names of its elements, their attributes, the ids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self._texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def check_that_it_needs_nothing(self) -> None:
        """No scripts, no resource outside the page, and a policy that forbids the browser to load any."""
        assert not {"script", "link", "iframe", "img", "object", "base"} & set(self.names)
        links = [value for name, value in self.attributes if name in {"src", "href", "xlink:href", "action", "data"}]
        assert links
        assert all(link.startswith("#") for link in links)
        assert any("default-src 'none'" in value for name, value in self.attributes if name == "content")
        assert "@import" not in self.text
        assert not re.findall(r"url\((?!#)", self.text)

    def check_references(self) -> None:
        """Every id is there once, and every reference has its target."""
        ids = [value for name, value in self.attributes if name == "id"]
        assert len(ids) == len(set(ids))
        used = {value[1:] for name, value in self.attributes if name in {"href", "xlink:href"}}
        used |= {name for _, value in self.attributes for name in re.findall(r"url\(#([^)]+)\)", value)}
        assert used
        assert used <= set(ids)
