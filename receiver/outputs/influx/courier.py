"""One request at a time in a thread of its own, so that who waits for it can do other things meanwhile.

A server may take its time: an answer that comes late must not keep the journal's reader, the status file or a stop
waiting. There is one request on its way, never two: its answer is fetched before the next one is given.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Courier:
    """Carries calls to a thread; the thread is begun with the first."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.away = False
        """A call was given, and its answer not fetched yet."""

    def give(self, call: Callable[[], Any]) -> None:
        """Have this called; it must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()
        self.away = True
        self._calls.put(call)

    def fetch(self, wait_s: float) -> tuple[Any] | None:
        """The answer in a tuple, None where it has not come within that time [s]."""
        try:
            answer = self._answers.get(timeout=wait_s) if wait_s > 0 else self._answers.get_nowait()
        except queue.Empty:
            return None
        self.away = False
        return (answer,)

    def end(self, wait_s: float) -> None:
        """Let the thread end; what is on its way is waited for so long [s], then left to itself."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(wait_s)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            self._answers.put(call())
