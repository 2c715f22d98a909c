"""The writing thread: takes complete blocks from a bounded queue into the journal.

    receiving thread                        writing thread
    put(arrival) -> queue, bounded  ------> hash, journal, sync, doorbells
    floors, outlooks, picture       ------> floor.json, the ledger, status-catch.json, once a second
    requests, damaged, failure      <------ accept.json, a damaged journal, a failing disk

The receiving thread never waits for this one and never touches the disk: a full queue refuses, what it is told lies in
plain attributes that are replaced as a whole. A full disk is waited out, and while it lasts the queue fills; a failing
one ends the thread, and `failure` says so.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any

from protocol.limits import QUEUE_BLOCKS
from protocol.process.statusfile import write_status
from protocol.store.record import record
from receiver.catch.intake import Arrival
from receiver.catch.store.floors import AcceptRequest, Floors, pop_request
from receiver.catch.store.journal import Journal

QUEUE_BYTES = 256 * 1024 * 1024
"""Most bytes of blocks in the queue [bytes]: 4,096 of the largest blocks would take 1 GiB."""

LINES = 1000
"""Most lines for people that wait to be written."""

LAST_TRIES_S = 2.0
"""How long a full disk is tried again at the end [s]; what then does not fit is healed by a repeat."""


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def in_ascii(text: str) -> str:
    """One line that is safe on any terminal: all but printable ASCII as its escape.

    Readers' programs have `protocol/inert.py`, which knows letters of every script; an end of the link does without.
    """
    return text.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)


class _Word(Enum):
    """What is put into the queue besides blocks."""

    SHOW = "show"
    END = "end"


class WritingThread:
    """One thread, one journal."""

    def __init__(self, journal: Journal, *, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        """
        Args:
            journal: Belongs to the thread from `start` on.
            clock: Monotonic time [s].
            wall: Wall time [ns since 1970 UTC].
        """
        self.floors: Floors = journal.floors
        """As the receiving thread has them now."""
        self.warnings: tuple[str, ...] = ()
        """What was found at the start and stays so."""
        self.requests: deque[AcceptRequest] = deque()
        """What people asked for; the receiving thread takes them."""
        self.damaged = journal.damaged
        """Stream, first, one past the last of what can no longer be read; the receiving thread takes them."""
        self.failure: BaseException | None = None
        """Why the thread ended before it was told to."""
        self._journal, self._clock, self._wall = journal, clock, wall
        self._queue: SimpleQueue[Arrival | _Word] = SimpleQueue()
        self._picture: dict[str, Any] = {}
        self._shown: dict[str, Any] | None = None
        self._in = self._in_bytes = 0  # counted by the receiving thread alone
        self._out = self._out_bytes = 0  # and these by the writing thread alone
        self._outlooks: deque[Mapping[bytes, dict[str, Any]]] = deque()
        self._lines: deque[str] = deque(maxlen=LINES)
        self._ends_at = math.inf
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to take blocks from the queue."""
        self._thread.start()

    def put(self, arrival: Arrival) -> bool:
        """Hand a block over; False where the queue is full, and the block is not taken. Never waits."""
        size = len(arrival.block)
        if self._in - self._out >= QUEUE_BLOCKS or self._in_bytes - self._out_bytes + size > QUEUE_BYTES:
            return False
        self._in += 1
        self._in_bytes += size
        self._queue.put(arrival)
        return True

    def remember(self, outlooks: Mapping[bytes, dict[str, Any]]) -> None:
        """What gaps.py wants back after a restart."""
        self._outlooks.append(outlooks)

    def show(self, picture: dict[str, Any]) -> None:
        """Write the receiving thread's part of the status, and do what else is done once a second."""
        self._picture = picture
        self._queue.put(_Word.SHOW)

    def say(self, line: str) -> None:
        """A line for people; the oldest go where too many wait."""
        self._lines.append(line)

    def stop(self) -> None:
        """Write what was put, sync, leave a last status, and end; a full disk is waited for LAST_TRIES_S."""
        self._ends_at = self._clock() + LAST_TRIES_S
        self._queue.put(_Word.END)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._step():
                pass
            self._finish()
        except BaseException as error:  # noqa: BLE001  told to the receiving thread, which ends the process
            self.failure = error

    def _step(self) -> bool:
        """Take one block, or do what is due; False once everything was taken and the end was asked for."""
        now = self._clock()
        self._journal.tick(now)
        if self._shown is not self._picture:
            self._second()
        wait_s = max(0.0, self._journal.deadline() - self._clock())
        if self._journal.full:
            time.sleep(min(wait_s, 0.1))  # what was taken must be on the disk before more is
            return now < self._ends_at
        try:
            arrival = self._queue.get(timeout=wait_s)
        except Empty:
            return True
        if isinstance(arrival, _Word):
            return arrival is not _Word.END
        stream, number, need, spare, how, time_ns, block = arrival
        order = self._journal.ledger.order(stream, self.floors.lowered)
        self._journal.append(record(stream, number, need, spare, block, how=how, time_ns=time_ns, order=order), now)
        self._out += 1
        self._out_bytes += len(block)
        return True

    def _second(self) -> None:
        self._journal.floors = self.floors
        while self._outlooks:
            self._journal.ledger.remember(self._outlooks.popleft())
        request = pop_request(self._journal.state, self.say, wall_ns=self._wall())
        if request is not None:
            self.requests.append(request)
        while self._lines:
            sys.stderr.write(in_ascii(f"catch: {self._lines.popleft()}") + "\n")
        self._write_status()

    def _write_status(self) -> None:
        self._shown = self._picture
        status = dict(self._shown)
        warnings = [*self.warnings, *self._journal.warnings, *status.pop("warnings", ())]
        if self._journal.full:
            warnings.insert(0, "the disk is full: blocks wait in memory; when that is full, repeats must heal them")
        write_status(self._journal.state, "catch", {"warnings": warnings, **status}, time_ns=self._wall())

    def _finish(self) -> None:
        self._journal.sync(self._clock())
        self._second()
        self._journal.save(self._clock())
        self._journal.close()
