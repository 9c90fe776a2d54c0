"""The cache of embeddings is bounded in bytes and forgets what was not used for longest."""

from __future__ import annotations

import threading

import numpy as np

from rebridge.scorers.cache import EmbeddingCache, text_key

ENTRY = 400 + 256  # 100 numbers and the overhead


def numbers(value: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """An embedding."""
    return np.full(100, value, dtype=np.float32)


def test_least_recently_used_goes_first() -> None:
    """With room for two, using the first makes the second go."""
    cache = EmbeddingCache(2 * ENTRY)
    for name in (b"a", b"b"):
        cache.put(name, numbers(1))
    assert cache.get(b"a") is not None
    cache.put(b"c", numbers(2))
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None
    assert cache.used_bytes <= cache.max_bytes


def test_same_key_twice() -> None:
    """Putting a key again replaces it and counts it once."""
    cache = EmbeddingCache(2 * ENTRY)
    cache.put(b"a", numbers(1))
    cache.put(b"a", numbers(2))
    assert len(cache) == 1
    assert cache.used_bytes == ENTRY
    kept = cache.get(b"a")
    assert kept is not None
    assert kept[0] == 2


def test_keeps_its_own_copy() -> None:
    """A row of a batch is copied, so that it does not keep the batch alive."""
    cache = EmbeddingCache(10 * ENTRY)
    batch = np.ones((50, 100), dtype=np.float32)
    cache.put(b"a", batch[0])
    kept = cache.get(b"a")
    assert kept is not None
    assert kept.base is None


def test_too_large_for_the_cache() -> None:
    """An entry larger than the whole cache is not kept, and nothing else is lost for it."""
    cache = EmbeddingCache(ENTRY)
    cache.put(b"a", numbers(1))
    cache.put(b"b", np.ones(10_000, dtype=np.float32))
    assert cache.get(b"a") is not None
    assert cache.get(b"b") is None


def test_numbers_that_are_none_are_not_kept() -> None:
    """What went wrong once must not stay."""
    cache = EmbeddingCache(10 * ENTRY)
    for number in (np.nan, np.inf):
        cache.put(b"a", numbers(number))
    assert len(cache) == 0


def test_many_threads() -> None:
    """Readers and writers at once leave the count of bytes right."""
    cache = EmbeddingCache(20 * ENTRY)

    def work(seed: int) -> None:
        for number in range(300):
            key = str((number * seed) % 50).encode()
            if cache.get(key) is None:
                cache.put(key, numbers(number))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.used_bytes == len(cache) * ENTRY <= cache.max_bytes


def test_keys_tell_texts_apart() -> None:
    """Different texts have different keys, lone surrogates included."""
    assert len({text_key(text) for text in ("", "a", "a ", "\ud800", "\ufffd")}) == 5
