"""What was measured is kept for later processes on the same machine, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rebridge.scorers.encoders import linear
from rebridge.scorers.measurements import keep, kept, key_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of caches for one test alone."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "rebridge" / "measurements.json"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 9999])
def test_a_damaged_file_is_none(cache: Path, content: bytes) -> None:
    """Whatever stands in the file, nothing fails, and it is written anew."""
    cache.parent.mkdir()
    cache.write_bytes(content)
    assert kept("k") is None
    keep("k", 3)
    assert kept("k") == 3


def test_the_file_is_bounded(cache: Path) -> None:
    """Of many measurements the last ones are kept, and nothing else is left in the folder."""
    for number in range(600):
        keep(f"model {number}", number)
    assert (kept("model 599"), kept("model 100"), kept("model 99")) == (599, 100, None)
    keep("model 100", "anew")
    keep("model 600", 600)
    assert (kept("model 100"), kept("model 101")) == ("anew", None)
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing can be kept, nothing is, and nothing fails."""
    (tmp_path / "file").touch()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "file" / name)
    keep("k", 1)
    assert kept("k") is None


def test_containers_of_a_machine_share_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A measurement is for one processor and number of threads, whatever the host is called."""
    key = key_of("a", 1)
    assert key != key_of("a", 2)
    monkeypatch.setattr("platform.node", lambda: "f81d4fae7dec")
    assert key_of("a", 1) == key
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr("rebridge.scorers.measurements._CPUINFO", cpuinfo)
    monkeypatch.setattr("platform.processor", lambda: "unknown")
    keys = {key, key_of("a", 1)}
    for told in ("model name\t: Fast 9000", "model name\t: Slow 3", "model name\t: Slow 3\nflags\t: avx2"):
        cpuinfo.write_text(f"processor\t: 0\n{told}\ncpu MHz\t: 2000\n\nprocessor\t: 1\n", encoding="utf-8")
        keys.add(key_of("a", 1))
    cpuinfo.write_text(f"processor\t: 0\n{told}\ncpu MHz\t: 3000\n\nprocessor\t: 1\n", encoding="utf-8")
    assert len(keys | {key_of("a", 1)}) == 5
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert len(keys | {key_of("a", 1)}) == 6


def test_products_are_measured_once_per_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later process takes the speeds from the file; those that no process can have written are measured again."""
    shape = (256, 256, torch.float32)

    def in_a_new_process() -> dict[linear.Kind, float]:
        linear.measured_speeds.cache_clear()
        return linear.measured_speeds(*shape)

    first = in_a_new_process()
    with monkeypatch.context() as patch:
        patch.setattr(linear, "_speeds", lambda *_shape: pytest.fail("they were measured again"))
        assert in_a_new_process() == first
    key = key_of("matrix products", "alone", 512, *shape)
    assert kept(key) == first
    for damaged in ({"abacus": 5.0}, {"mkl": 5.0}, {"mkl": "fast", "onednn": 1.0}, {}, 7, None):
        keep(key, damaged)
        assert set(in_a_new_process()) == set(first)
    linear.measured_speeds.cache_clear()
