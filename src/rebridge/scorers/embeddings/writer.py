"""Writing in the background, so that no search waits for the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

#: Bytes that may wait. What comes on top is not kept: the disk is slower than the model.
_MOST_BYTES = 64 * 2**20
Write = Callable[[Mapping[bytes, bytes], Collection[bytes]], None]


class BackgroundWriter:
    """Hands outputs on to be written, in batches, in a thread that lives as long as there are any.

    Args:
        write: writes outputs by key, and notes that other keys were used. What it fails with is not kept.
        failed: told of such a failure.
        batch_bytes: how much is written at a time, while other processes wait for their turn.
    """

    def __init__(self, write: Write, failed: Callable[[BaseException], None], batch_bytes: int) -> None:
        self._write, self._failed, self._batch_bytes = write, failed, batch_bytes
        self._changed = threading.Condition()
        self._outputs: dict[bytes, bytes] = {}
        self._used: set[bytes] = set()
        self._bytes = 0
        self._thread: threading.Thread | None = None

    def put(self, key: bytes, packed: bytes) -> bool:
        """Write an output later; false if too many wait already, so that this one is not kept."""
        with self._changed:
            if self._bytes >= _MOST_BYTES:
                return False
            self._bytes += len(packed) - len(self._outputs.get(key, b""))
            self._outputs[key] = packed
            self._start()
        return True

    def touch(self, keys: Collection[bytes]) -> None:
        """Note later that these keys were used."""
        if keys:
            with self._changed:
                self._used.update(keys)
                self._start()

    def waiting(self, keys: Collection[bytes]) -> set[bytes]:
        """Those of these keys whose outputs are still to be written."""
        with self._changed:
            return self._outputs.keys() & set(keys)

    def wait_for_room(self) -> None:
        """Block until `put` takes an output."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < _MOST_BYTES)

    def flush(self, timeout: float | None = None) -> None:
        """Block until all is written; for at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None, timeout)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="rebridge-embeddings", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while batch := self._next():
            outputs, used = batch
            try:
                self._write(outputs, used)
            except BaseException as error:  # noqa: BLE001 - whoever waits for this thread would wait for ever
                self._failed(error)
            finally:
                self._drop(outputs)

    def _drop(self, outputs: Mapping[bytes, bytes]) -> None:
        """Forget outputs that do not wait any more; those that came meanwhile under the same keys still do."""
        with self._changed:
            for key, packed in outputs.items():
                if self._outputs.get(key) is packed:
                    del self._outputs[key]
            self._bytes = sum(map(len, self._outputs.values()))
            self._changed.notify_all()

    def _next(self) -> tuple[dict[bytes, bytes], set[bytes]] | None:
        """What to write next; None, and the end of the thread, if there is nothing."""
        with self._changed:
            outputs, size = dict[bytes, bytes](), 0
            for key, packed in self._outputs.items():
                size += len(packed)
                if outputs and size > self._batch_bytes:
                    break
                outputs[key] = packed
            used, self._used = self._used, set()
            if outputs or used:
                return outputs, used
            self._thread = None
            self._changed.notify_all()
            return None
