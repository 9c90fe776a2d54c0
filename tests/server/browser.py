"""Driving a headless Chromium over its DevTools protocol: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

_FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container has none; the pages are ours
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_PATIENCE = 30.0

#: Key -> what Chromium calls it: https://www.w3.org/TR/uievents-key/ and the code of Windows.
_CODES = {"ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Escape": 27, "/": 191}
_TEXTS = {"Enter": "\r", "/": "/"}


class Browser:
    """One page.

    Attributes:
        said: what went wrong: exceptions of scripts, errors in the console, breaches of the page's policy.
        asked: every address that the page asked for.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.said: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """A command's result; events that come before it are noted."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(_PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self._note(message.get("method"), message.get("params", {}))

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is there."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def look(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait for an expression to be true."""
        limit = time.monotonic() + _PATIENCE
        while time.monotonic() < limit:
            if self.look(f"Boolean({expression})"):
                return
            time.sleep(0.02)
        raise AssertionError(f"never true: {expression}; the page said {self.said}")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            named = {"key": key, "windowsVirtualKeyCode": _CODES[key], "text": _TEXTS.get(key, "")}
            self.call("Input.dispatchKeyEvent", type="keyDown", **named)
            self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def write(self, text: str) -> None:
        """Write into what has the focus."""
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page another size, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, scheme: str) -> None:
        """Have the system prefer ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def _note(self, event: str | None, params: Any) -> None:
        if event == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.said.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
        elif event == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.said.append(params["entry"]["text"])
        elif event == "Runtime.consoleAPICalled":
            self.said.append(str(params["args"]))


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A Chromium with an empty page. Skips where none is installed; one that does not start is a failure."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")
    command = [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
    try:
        with connect(_page(profile, process), max_size=None, proxy=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _page(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the page's debugger; Chromium writes its port into its profile."""
    import httpx

    place, limit = profile / "DevToolsActivePort", time.monotonic() + _PATIENCE
    while time.monotonic() < limit and process.poll() is None:
        if place.is_file() and (lines := place.read_text(encoding="ascii").splitlines()):
            pages = httpx.get(f"http://127.0.0.1:{lines[0]}/json/list").json()
            if found := [page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"]:
                return str(found[0])
        time.sleep(0.05)
    raise AssertionError(f"Chromium did not start (status {process.poll()})")
