"""Several processes, a crash, damage, a full disk: embeddings on disk are never the reason why a search fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rebridge.scorers.cache import text_key
from rebridge.scorers.embeddings import file as file_module
from rebridge.scorers.embeddings import store as store_module
from rebridge.scorers.embeddings import writer as writer_module
from rebridge.scorers.embeddings.store import DiskStore

from .conftest import matrix

#: Embeddings of one kind, written by a process of its own until somebody ends it.
WRITES = """
import sys
from pathlib import Path
import numpy as np
from rebridge.scorers.cache import EmbeddingCache, text_key
from rebridge.scorers.embeddings.store import DiskStore
folder, name, count = sys.argv[1:]
store = DiskStore(EmbeddingCache(0), Path(folder) / "e.sqlite", max_bytes=2**30, precision="float32", fingerprint=b"m")
for number in range(int(count)):
    store.put(text_key(f"{name} {number}"), np.full((40, 96), number, dtype=np.float32))
    if number % 50 == 0:
        store.flush()
        print(number, flush=True)
store.close()
assert store.failures == 0, store.problem
"""


def writing(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITES, folder, name, str(count)], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program


def test_many_processes(make: Callable[..., DiskStore], tmp_path: Path) -> None:
    """Processes that begin at once and write into one file lose nothing."""
    (tmp_path / "store").mkdir()
    processes = [writing(tmp_path / "store", name, 120) for name in "abc"]
    assert [process.communicate(timeout=100) and process.returncode for process in processes] == [0, 0, 0]
    store = make(max_bytes=2**30, precision="float32", fingerprint=b"m")
    keys = [text_key(f"{name} {number}") for name in "abc" for number in range(120)]
    found = store.find(keys)
    assert len(found) == len(keys)
    assert np.array_equal(found[keys[7]], matrix(7, tokens=40))


def test_killed_while_writing(make: Callable[..., DiskStore], tmp_path: Path) -> None:
    """A process that is killed while it writes leaves a sound file with all that it had written before."""
    (tmp_path / "store").mkdir()
    process = writing(tmp_path / "store", "a", 10**6)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 200:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = make(max_bytes=2**30, precision="float32", fingerprint=b"m")
    assert len(store.find([text_key(f"a {number}") for number in range(201)])) == 201
    store.put(b"more", matrix(1))
    store.flush()
    assert store.missing([b"more"]) == set()
    assert store.failures == 0
    with sqlite3.connect(tmp_path / "store" / "e.sqlite") as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    other.close()


def test_a_fork(make: Callable[..., DiskStore]) -> None:
    """Parent and child of a fork both go on reading and writing."""
    store = make()
    store.put(b"parent", matrix(0.5))
    store.flush()
    child = os.fork()
    if not child:
        try:
            found = b"parent" in store.find([b"parent"])
            store.put(b"child", matrix(0.25))
            store.flush()
        finally:
            os._exit(0 if found and not store.failures else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.missing([b"parent", b"child"]) == set()


def spoil(path: Path, how: str) -> None:
    """Damage a file of embeddings that nobody has open."""
    content = path.read_bytes()
    if how == "another format":
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version=99")
        other.close()
        return
    changed = {"cut off": content[: len(content) // 2], "zeros": bytes(len(content)), "text": b"not a database " * 999}
    path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["cut off", "zeros", "text", "another format"])
def test_a_damaged_file(
    make: Callable[..., DiskStore], tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """Nothing is found in a damaged file, nothing fails, and one record of the log says what to do."""
    first, keys = make(), [f"{number}".encode() for number in range(100)]
    for key in keys:
        first.put(key, matrix(0.5))
    first.close()
    spoil(tmp_path / "store" / "e.sqlite", how)
    store = make()
    for _ in range(2):
        assert store.find(keys) == {}
        store.put(b"new", matrix(0.1))
        store.flush()
    assert store.failures == 2  # once for reading, once for writing; then it is left alone for a while
    assert len([record for record in caplog.records if "delete it" in record.message]) == 1


def test_a_damaged_entry(make: Callable[..., DiskStore], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An entry with wrong bytes is missing, counted and told once; kept anew, it is found again."""
    first = make()
    for key in (b"a", b"b"):
        first.put(key, matrix(0.5))
    first.close()
    with sqlite3.connect(tmp_path / "store" / "e.sqlite") as other:
        other.execute("UPDATE outputs SET packed = zeroblob(length(packed)) WHERE id = 1")
    other.close()
    store = make()
    assert list(store.find([b"a", b"b"])) == list(store.find([b"b", b"a"])) == [b"b"]
    assert store.failures == 2
    assert len([record for record in caplog.records if "checksum" in record.message]) == 1
    store.put(b"a", matrix(0.5))
    store.flush()
    assert store.find([b"a"])


def test_a_full_disk(make: Callable[..., DiskStore], tmp_path: Path) -> None:
    """A disk without room costs nothing but the embeddings that it has no room for."""
    program = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from rebridge.scorers.cache import EmbeddingCache\n"
        "from rebridge.scorers.embeddings.store import DiskStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "path = Path(sys.argv[1]) / 'e.sqlite'\n"
        "store = DiskStore(EmbeddingCache(0), path, max_bytes=2**30, precision='float16', fingerprint=b'model')\n"
        "for number in range(500):\n"
        "    store.put(str(number).encode(), np.full((30, 96), 0.5, dtype=np.float32))\n"
        "    if number == 9: store.flush()\n"
        "store.flush()\n"
        "assert store.failures == 1 and not store.missing([b'3'])\n"  # it is read all the same
        "store.close(); print(store.problem)\n"
    )
    (tmp_path / "store").mkdir()
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, tmp_path / "store"], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be used" in done.stdout
    assert make().find([b"3"])


def test_a_folder_that_cannot_be_written(make: Callable[..., DiskStore], tmp_path: Path) -> None:
    """Where no file can be made, nothing is found and nothing fails."""
    (tmp_path / "file").write_text("in the way")
    store = make(path=tmp_path / "file" / "e.sqlite")
    store.put(b"a", matrix(0.5))
    store.flush()
    assert store.find([b"a"]) == {}
    assert store.missing([b"a"]) == {b"a"}
    assert store.failures == 2  # once for reading, once for writing; then it is left alone for a while


def ends(action: Callable[[], None]) -> bool:
    """Whether it ends within 10 seconds."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


@pytest.mark.parametrize("error", [MemoryError, SystemExit])
def test_an_odd_failure(
    make: Callable[..., DiskStore], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Whatever writing fails with, it is counted, nobody waits for ever, and what comes later is kept."""
    monkeypatch.setattr(writer_module, "_MOST_BYTES", 1)
    store = make()

    def fail(*_: object) -> int:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(file_module.EmbeddingFile, "write", fail)
        store.put(b"a", matrix(0.5))
        assert ends(store.wait_for_room)
        assert ends(store.flush)
    assert (store.failures, error.__name__ in str(store.problem)) == (1, True)
    store.put(b"b", matrix(0.5))
    store.flush()
    assert store.missing([b"a", b"b"]) == {b"a"}


def test_a_locked_file(make: Callable[..., DiskStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else has locked the file, searches go on reading it; what cannot be written is dropped."""
    monkeypatch.setattr(file_module, "_WRITE_PATIENCE", 0.1)
    monkeypatch.setattr(store_module, "REST_SECONDS", 0.0)
    store = make()
    store.put(b"a", matrix(0.5))
    store.flush()
    other = sqlite3.connect(tmp_path / "store" / "e.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    store.put(b"b", matrix(0.5))
    began = time.monotonic()
    assert list(store.find([b"a", b"b"])) == [b"a"]
    assert time.monotonic() - began < 1
    store.flush()
    assert store.failures == 1
    assert "locked" in str(store.problem)
    other.rollback()
    other.close()
    store.put(b"b", matrix(0.5))
    store.flush()
    assert store.missing([b"a", b"b"]) == set()
