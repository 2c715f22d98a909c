"""Calls to a server in a thread of their own: a slow server holds up neither the journal nor the status.

One call at a time. The thread begins with the first, is a daemon, and touches nothing but the server's connection.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

AnswerT = TypeVar("AnswerT")

STOP_S = 2.0
"""Longest wait for the thread at a stop [s]; what it had in hand stays in the store."""


class SendThread(Generic[AnswerT]):
    """Makes calls one after another."""

    def __init__(self, close: Callable[[], None]) -> None:
        """
        Args:
            close: Lets go of the connection; called in the thread, or where there never was one.
        """
        self._close = close
        self._thread: threading.Thread | None = None
        self._calls: queue.SimpleQueue[Callable[[], AnswerT] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[AnswerT] = queue.SimpleQueue()
        self.busy = False
        """A call was begun, and its answer was not fetched."""

    def begin(self, call: Callable[[], AnswerT]) -> None:
        """Make a call, which raises nothing; only while not busy."""
        assert not self.busy, "one at a time"
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()
        self.busy = True
        self._calls.put(call)

    def answer(self, patience_s: float) -> AnswerT | None:
        """What came of the call that was begun; None where that is not known after so long [s]."""
        try:
            out = self._answers.get(timeout=patience_s)
        except queue.Empty:
            return None
        self.busy = False
        return out

    def close(self) -> None:
        """End the thread, or leave it behind where its server holds it; the connection is let go."""
        if self._thread is None:
            self._close()
            return
        self._calls.put(None)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                self._answers.put(call())
        finally:
            self._close()
