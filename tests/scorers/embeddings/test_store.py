"""Embeddings on disk: found again by a later process, each model's for itself, and bounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rebridge.scorers.embeddings.file import EmbeddingFile
from rebridge.scorers.embeddings.store import DiskStore

from .conftest import MEBIBYTE, matrix


def test_found_again(make: Callable[..., DiskStore]) -> None:
    """What one process keeps, a later one finds, and then has in memory; what was never kept is left out."""
    first = make()
    first.put(b"a", matrix(0.5))
    first.flush()
    later = make(memory=MEBIBYTE)
    assert later.get(b"a") is None
    found = later.find([b"a", b"b"])
    assert list(found) == [b"a"]
    assert np.array_equal(found[b"a"], matrix(0.5))
    near = later.get(b"a")
    assert near is not None
    assert np.array_equal(near, matrix(0.5))
    assert later.missing([b"a", b"b"]) == {b"b"}


def test_models_have_their_own(make: Callable[..., DiskStore]) -> None:
    """Of another model, or in another precision, nothing is found, though it is in the same file."""
    first = make()
    first.put(b"a", matrix(0.5))
    first.flush()
    assert make(fingerprint=b"another").find([b"a"]) == {}
    assert make().find([b"a"])


def test_nothing_to_keep(make: Callable[..., DiskStore]) -> None:
    """Empty embeddings and those that are not finite are not kept, as `keep` says."""
    store = make()
    outputs = {b"a": matrix(np.nan), b"b": matrix(1.0, tokens=0), b"c": matrix(1.0)}
    assert [store.keep(key, output) for key, output in outputs.items()] == [False, False, True]
    store.flush()
    assert store.missing(outputs) == {b"a", b"b"}


def test_the_bound_holds(make: Callable[..., DiskStore], tmp_path: Path) -> None:
    """The file never grows beyond its bound; what was written last is there, what was first is gone."""
    store = make(max_bytes=4 * MEBIBYTE)
    names = [f"{number}".encode() for number in range(1500)]
    for number, name in enumerate(names):
        store.put(name, matrix(number / 1500))
        if number % 100 == 99:
            store.flush()
            assert (tmp_path / "store" / "e.sqlite").stat().st_size <= 4 * MEBIBYTE
    assert store.failures == 0
    assert store.crowded > 0
    gone = store.missing(names)
    there = [name for name in names if name not in gone]
    assert there == names[-len(there) :]
    assert len(there) * 30 * 96 * 2 > 2 * MEBIBYTE


def test_a_lower_bound(make: Callable[..., DiskStore], tmp_path: Path) -> None:
    """A file that is larger than the bound of today shrinks to it with the next writing."""
    for bound, name in ((16 * MEBIBYTE, "a"), (4 * MEBIBYTE, "b")):
        store = make(max_bytes=bound, memory=0)
        for number in range(1200):
            store.put(f"{name}{number}".encode(), matrix(0.1))
        store.flush()
        store.close()
    assert (tmp_path / "store" / "e.sqlite").stat().st_size <= 4 * MEBIBYTE


def test_what_was_used_stays(tmp_path: Path) -> None:
    """Entries that were read on a later day outlive those that were not, and reading twice a day writes once."""
    day = 1
    with EmbeddingFile(tmp_path / "e.sqlite", MEBIBYTE, lambda: day) as file:
        assert file.write({f"{number}".encode(): b"x" * 9000 for number in range(30)}) == 0
        assert file.read([b"0", b"1"])[1] == set()
        day = 2
        packed, stale = file.read([b"0", b"1"])
        assert set(packed) == stale == {b"0", b"1"}
        assert file.write({}, stale) == 0
        assert file.read([b"0"])[1] == set()
        for number in range(30, 120):
            assert file.write({f"{number}".encode(): b"x" * 9000}) == 0
        assert file.known([b"0", b"1", b"2", b"3"])[0] == {b"0", b"1"}


def test_too_large(make: Callable[..., DiskStore]) -> None:
    """An embedding that would fill a good part of the store is not kept, and nothing else goes for it."""
    store = make(max_bytes=MEBIBYTE)
    assert store.keep(b"a", matrix(0.1))
    assert not store.keep(b"b", matrix(0.1, tokens=5000))
    store.flush()
    assert store.missing([b"a", b"b"]) == {b"b"}
    assert (store.failures, store.crowded) == (0, 0)


def test_closed(make: Callable[..., DiskStore]) -> None:
    """Closing writes what waits; a closed store finds and keeps nothing, and may be closed again."""
    store = make()
    store.put(b"a", matrix(0.5))
    store.close()
    store.close()
    store.put(b"b", matrix(0.5))
    assert store.find([b"a"]) == {}
    assert make().missing([b"a", b"b"]) == {b"b"}
