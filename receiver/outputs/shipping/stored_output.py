"""An output that keeps what it sends in a store of its own: opened by one process, begun anew where it is damaged.

At the bound of the store `wants` is False, and the journal, which keeps days, waits. What a person wants sent again is
beyond that bound, so that it never holds up what is new.

A store that is damaged is set aside, told, and begun anew with no place: all that the journal still holds is sent once
more. Servers know a sample again, so that this costs time and traffic alone: a week of journal at 20,000 samples/s is
12 billion samples, 17 hours at the 200,000 a second that a server on 2 cores took.
"""

from __future__ import annotations

import os
import sqlite3
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from receiver.outputs import aside, disk
from receiver.outputs.aside import AsideWish
from receiver.outputs.base import Output
from receiver.outputs.disk import DamageError
from receiver.outputs.shipping.shipping_store import ShippingStore

StoreT = TypeVar("StoreT", bound=ShippingStore[Any])

MENDINGS = 3
"""Times that a running process begins its store anew: more is a failing disk."""
PENDING_BYTES = 64 * 1024 * 1024
"""Most that waits to be sent, compressed [bytes]: the journal holds the rest, and for longer."""
STORE_BYTES = 1024 * 1024 * 1024
"""Most that waits and is held [bytes]: a minute at the fastest a server takes lines, ten times over."""


class StoredOutput(Output, Generic[StoreT]):
    """One destination with a store of its own."""

    def __init__(self, store: Path, *, clock: Callable[[], int], wait: Callable[[float], None]) -> None:
        """
        Args:
            store: Its own database file.
            clock: Wall time [ns since 1970 UTC].
            wait: Pauses for so many seconds while the disk is full; may raise to give up.

        Raises:
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        self._path, self._clock, self._wait = store, clock, wait
        self._wishes = aside.wish_file(store.parent, store.stem)
        self._trouble = ""
        """Of its disk; empty where there is none."""
        self._told: list[str] = []
        self._moved_back = False
        self._lock = disk.lock(store.with_suffix(".lock"))
        try:
            self._store = self._opened()
        except BaseException:
            self._unlock()
            raise

    @abstractmethod
    def _open(self, path: Path) -> StoreT:
        """Open the store.

        Raises:
            DamageError: it is not what was written.
            StoreError: it cannot be read.
        """

    @abstractmethod
    def _work(self, now: float) -> float:
        """What is due by time; how long until it wants to be called again [s]. May raise for the store."""

    @abstractmethod
    def _forget(self, *, anew: bool) -> None:
        """What is on its way is loaded again from the store; `anew`: which holds nothing any more."""

    def place(self) -> bytes | None:
        """The place stored last, None for a new store."""
        return self._store.place

    def begun_again(self) -> bool:
        """Whether the store was begun anew: the journal is to be read from its beginning."""
        moved, self._moved_back = self._moved_back, False
        return moved

    def wants(self) -> bool:
        """Whether there is room in the store."""
        pending, held = self._store.pending.bytes, self._store.held.bytes
        if pending >= PENDING_BYTES:
            pending -= self._store.resent_bytes()
        return pending < PENDING_BYTES and pending + held < STORE_BYTES

    def step(self, now: float) -> float:
        """Take in an answer, send what is next, let go of what was held long enough."""
        try:
            with disk.sorted_errors(self._path):
                wait = self._work(now)
            self._trouble = ""
        except DamageError as error:
            self._begin_anew(error)
            return 0.0
        except sqlite3.Error as error:  # full: what was not written down is done again
            self._forget(anew=False)
            self._trouble = f"{error}: waiting for space"
            return disk.FULL_WAIT_S
        return wait

    def close(self) -> None:
        """Close everything; what is pending stays in the store. May be called twice."""
        if self._lock >= 0:
            self._store.close()
            self._unlock()

    def _unlock(self) -> None:
        os.close(self._lock)
        self._lock = -1

    def _disk_warnings(self) -> list[str]:
        return [*([f"its disk: {self._trouble}"] if self._trouble else []), *self._told]

    def _look_at_wishes(self) -> bool:
        """Do what a person wants done with what is set aside; True where it is to be sent again."""
        wished = aside.wished(self._wishes, wall_ns=self._clock())
        if wished is None:
            return False
        wish, upto = wished
        resend = wish is AsideWish.RESEND
        self._store.resend_aside(upto) if resend else self._store.drop_aside(upto)
        aside.done(self._wishes)
        return resend

    def _opened(self) -> StoreT:
        """The store; one that is damaged is set aside first."""
        try:
            return self._open(self._path)
        except DamageError as error:
            self._set_aside(error)
            return self._open(self._path)

    def _begin_anew(self, error: DamageError) -> None:
        """The open store is damaged."""
        self._store.close()
        if len(self._told) >= MENDINGS:
            raise error
        self._set_aside(error)
        self._store = self._opened()
        self._forget(anew=True)

    def _set_aside(self, error: DamageError) -> None:
        stands = disk.set_aside(self._path, self._clock())
        self._told.append(f"{error}: {stands}; everything that the journal still holds is sent again")
        self._moved_back = True

    def _waiting(self, why: str) -> None:
        self._trouble = why
