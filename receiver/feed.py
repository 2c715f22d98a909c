"""The process of one output: follows the journal, hands on what was opened, lets the output do what is due.

One process an output, so that none can slow another; each has its own cursor in its own store. This is the shell: the
only clock and the only wait.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

from protocol import keys
from protocol.statusfile import PERIOD, write_status
from receiver.config import ReceiverConfig
from receiver.follow import Follower
from receiver.outputs.base import Output
from receiver.scope import Scope

LOOK = 0.02
"""Longest wait for the journal's doorbell [s]."""
TIDY_PERIOD = 600.0
"""Period of retention [s]."""


class Feed:
    """Journal to output."""

    def __init__(
        self,
        config: ReceiverConfig,
        name: str,
        output: Output,
        scope: Scope,
        *,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            config: The low side's.
            name: Of the output, for its status file.
            output: Where samples go.
            scope: What it may see.
            tidy: Called now and then: retention.

        Raises:
            ConfigError: a key that is missing or wrong.
        """
        publics = [key for path in config.keys.senders for key in keys.load_public(path)]
        self._output, self._name, self._state, self._tidy = output, name, config.state, tidy
        self._stored = output.place()
        self._follower = Follower(
            config.journal,
            self._stored,
            own=keys.load(config.keys.own, "open"),
            signers={key.id: key for key in publics if key.kind == "sign"},
            scope=scope,
            now=time.monotonic(),
            wall_ns=time.time_ns(),
        )
        self._stop = False
        self._bell = _open_bell(config.state / f"doorbell-{name}")

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit code.

        Raises:
            StoreError: a failing disk, of the journal or of the output.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        gc.collect()
        gc.freeze()
        said, tidied = 0.0, time.monotonic()
        while not self._stop:
            now = time.monotonic()
            moved = self._output.wants() and self._hand_over()
            wait = self._output.step(now)
            if now >= said + PERIOD:
                said = now
                self._say()
            if now >= tidied + TIDY_PERIOD:
                tidied = now
                self._tidy()
            if not moved:
                self._pause(min(wait, LOOK))
        while self._output.wants() and self._hand_over():
            pass  # what was journaled before the stop
        self._say()
        self._output.close()
        return 0

    def _hand_over(self) -> bool:
        blocks, moved = self._follower.step(time.monotonic())
        if moved:
            place = self._follower.place()
            if blocks or place != self._stored:
                self._output.take(blocks, place)
                self._stored = place
        return moved

    def _say(self) -> None:
        told = {
            **self._output.status(),
            "waiting": self._follower.waiting,
            "refused": dict(self._follower.refused),
            "later_kinds": {str(kind): count for kind, count in self._follower.later.items()},
            "skipped_segments": self._follower.reader.skipped,
        }
        write_status(self._state, self._name, told, time_ns=time.time_ns())

    def _pause(self, seconds: float) -> None:
        if self._bell is None:
            time.sleep(max(0.0, seconds))
            return
        ready, _, _ = select.select([self._bell], [], [], max(0.0, seconds))
        if ready:
            os.read(self._bell, 4096)

    def _end(self, number: int, frame: object) -> None:
        self._stop = True


def _open_bell(path: Path) -> int | None:
    try:
        if not path.exists():
            os.mkfifo(path, 0o660)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # also a writer: it never reads as closed
    except OSError:
        return None
