from __future__ import annotations

import io
import os
import re
import sys
import time
from pathlib import Path

import pytest

from rebridge import stdlib_docs
from rebridge.errors import RebridgeError


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """The documents by name."""
    return dict(stdlib_docs.documents())


def test_there_are_thousands_within_seconds() -> None:
    """The whole documentation is there in a few seconds, in the same order with the same words each time."""
    started = time.monotonic()
    first = list(stdlib_docs.documents())
    assert time.monotonic() - started < 20  # about one second; a busy machine gets more
    assert len(first) > 4000
    assert first == sorted(first) == list(stdlib_docs.documents())
    assert len(dict(first)) == len(first)


@pytest.mark.parametrize(
    ("name", "kind", "title", "words"),
    [
        ("concurrent.futures.Executor.submit", "method", "submit(fn, /, *args, **kwargs)", "Future instance"),
        ("threading.Thread.join", "method", "join(timeout=None)", "Wait until the thread terminates"),
        ("collections.deque", "class", "deque", "list-like sequence"),
        ("os.path.join", "function", "os.path.join(a, *p)", "Join two or more pathname"),
        ("random.shuffle", "function", "random.shuffle(x)", "Shuffle list x in place"),
        ("socket.socket.connect", "method", "socket.socket.connect(", "Connect the socket"),
        ("str.split", "method", "str.split(sep=None, maxsplit=-1)", "list of the substrings"),
        ("dict.fromkeys", "method", "dict.fromkeys(", "keys from iterable"),
        ("open", "function", "open(file, mode='r'", "Open file"),
        ("argparse", "module", "argparse", "Command-line parsing library"),
        ("difflib.unified_diff", "function", "difflib.unified_diff(a, b, fromfile=''", "unified diff"),
        ("timeit.timeit", "function", "timer=...", "timeit method"),
        ("multiprocessing.Pool", "function", "multiprocessing.Pool(processes=None", "process pool"),
        ("datetime.date.today", "method", "datetime.date.today", "Current date"),
        ("threading.Thread.daemon", "property", "threading.Thread.daemon", "whether this thread is a daemon"),
    ],
)
def test_things_have_their_public_name(
    found: dict[str, dict[str, str]], name: str, kind: str, title: str, words: str
) -> None:
    """What users look for is found under the name that they import, with its signature and its own words."""
    fields = found[name]
    assert fields["kind"] == kind
    assert fields["name"] == name
    assert title in fields["title"]
    assert words in fields["text"]


def test_only_public_words_that_someone_wrote(found: dict[str, dict[str, str]]) -> None:
    """No private names, no text twice, nothing that Python generates, nothing that differs from run to run."""
    assert all(fields.keys() == {"name", "title", "text", "module", "kind"} for fields in found.values())
    assert not [name for name in found if any(part.startswith("_") for part in name.split("."))]
    texts = [fields["text"] for fields in found.values()]
    assert len(set(texts)) == len(texts)
    assert not [text for text in texts if not text.strip() or re.fullmatch("Alias for field.*", text)]
    assert not [fields["title"] for fields in found.values() if " at 0x" in fields["title"]]
    assert {fields["kind"] for fields in found.values()} == {"module", "class", "function", "method", "property"}


def test_jokes_tests_and_windows_are_left_out(found: dict[str, dict[str, str]]) -> None:
    """Modules that do something when they are imported, or that nobody searches, are not there."""
    packages = {fields["module"].partition(".")[0] for fields in found.values()}
    assert not packages & {"antigravity", "this", "idlelib", "tkinter", "turtle", "test", "posixpath"}


def test_the_caller_is_left_alone(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No module is imported here, nothing is printed or read, and the environment has no say."""
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")  # would remove all docstrings
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    modules, folder, environment = set(sys.modules), set(Path.cwd().iterdir()), dict(os.environ)
    assert sum(1 for _ in stdlib_docs.documents()) > 4000
    assert set(sys.modules) == modules
    assert capfd.readouterr() == ("", "")
    assert (set(Path.cwd().iterdir()), dict(os.environ)) == (folder, environment)


def test_a_failing_interpreter_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second interpreter cannot be started, the error says so."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(RebridgeError, match="could not be read"):
        list(stdlib_docs.documents())
