"""The output of one folder: an hour's samples wait in the store until the hour is over, then they become one file.

    take -> the store, by hour -> due -> NAME.part -> NAME.parquet -> gone from the store

`take` writes into the store alone. `step` looks whether an hour is due and writes its file, a row group at a time:

    an hour                     `CLOSE_S` after its end, and after its last sample came
    what comes later            in a file of its own, once nothing more came for `CLOSE_S`, at the latest after an hour
    times nobody can believe    an hour after the first came
    more than `FILE_BYTES`      at once; the hour has several files then

A file that was closed is never written again: a reader may have it open, and copies of it would differ. A store that is
damaged is set aside, told, and begun anew with no place: the files in the folder say which blocks they hold, so that
only what was in none of them is taken from the journal again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from protocol.errors import ConfigError, HeldError, StoreError
from protocol.process.full_disk import no_room
from receiver.export.parquet_file import library
from receiver.outputs import disk
from receiver.outputs.base import OpenedBlock, Output
from receiver.outputs.disk import DamageError
from receiver.outputs.parquet.hour_file import HourFile
from receiver.outputs.parquet.hour_pieces import HOUR_NS, NO_HOUR, pieces
from receiver.outputs.parquet.hour_store import HourStore
from receiver.outputs.parquet.plant_folder import PlantFolder
from receiver.outputs.parquet.settings import ParquetTable
from receiver.outputs.settings import OutputTable

CLOSE_S = 300.0
"""From an hour's end to its file [s]: a sender's batches wait seconds, a link that was down for a moment heals."""
LATE_S = 3600.0
"""Longest that late samples wait for more of their hour [s]: so a trickle makes a file an hour, not one a sample."""
FILE_BYTES = 256 * 1024 * 1024
"""An hour with more than this in the store is written before its end [bytes, compressed]."""
STORE_BYTES = 1024 * 1024 * 1024
"""Most that waits in the store [bytes]: the journal holds the rest, and for longer."""
RETRY_S = 10.0
"""Between two tries while the folder is away or full [s]."""
IDLE_S = 10.0
"""How soon a step is wanted where nothing is due [s]."""
PAGES = 1000
"""Free pages of the store that a step gives back."""
MENDINGS = 3
"""Times that a running process begins its store anew: more is a failing disk."""
WARNINGS = 8
"""Most lines that are kept of the folder's files."""


class ParquetOutput(Output):
    """Hourly files of one folder; acknowledged is what stands in a file, synced."""

    kind = "parquet"
    table = ParquetTable

    @classmethod
    def build(cls, table: OutputTable, state: Path, *, wait: Callable[[float], None]) -> Self:
        """The output of a section; its store is `state/NAME.db`.

        Raises:
            ConfigError: pyarrow is not installed.
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        assert isinstance(table, ParquetTable)
        library()
        return cls(state / f"{table.name}.db", table.folder, keep_days=table.keep_days, wait=wait)

    def __init__(
        self,
        store: Path,
        folder: Path,
        *,
        keep_days: int | None = None,
        clock: Callable[[], int] = time.time_ns,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            store: Its own database file.
            folder: Where the files go.
            keep_days: Files of hours longer ago go [days]; None: all stay.
            clock: Wall time [ns since 1970 UTC].
            wait: Pauses for so many seconds while the disk is full; may raise to give up.

        Raises:
            HeldError: another process has the store open.
            StoreError: the store cannot be read.
        """
        self._path, self._keep_days, self._clock, self._wait = store, keep_days, clock, wait
        self._folder = PlantFolder(folder, store.stem)
        self._trouble, self._store_trouble, self._next_step = "", "", ""
        self._told: list[str] = []
        self._mendings = 0
        self._moved_back = self._looked = False
        self._file: HourFile | None = None
        self._came: dict[int, tuple[float, float]] = {}
        """Of each hour that waits: when its first and its last piece came, by running time [s]."""
        self._fresh: set[int] = set()
        """Hours that something came for since the last step."""
        self._now, self._next_try = 0.0, float("-inf")
        self._lock = disk.lock(store.with_suffix(".lock"))
        try:
            self._store = self._opened()
        except BaseException:
            os.close(self._lock)
            raise

    def place(self) -> bytes | None:
        """The place stored last, None for a new store."""
        return self._store.place

    def take(self, blocks: Sequence[OpenedBlock], place: bytes) -> None:
        """Store the blocks' samples and `place`; waits while the disk is full. Writes no file."""
        try:
            self._fresh.update(self._store.store(pieces(blocks), place, oldest=self._oldest()))
        except DamageError as error:
            self._begin_anew(error)

    def begun_again(self) -> bool:
        """Whether the store was begun anew: the journal is to be read from its beginning."""
        moved, self._moved_back = self._moved_back, False
        return moved

    def wants(self) -> bool:
        """Whether there is room in the store."""
        return self._store.stored_bytes < STORE_BYTES

    def step(self, now: float) -> float:
        """Write a part of a file that is due."""
        self._now = now
        for hour in self._store.hours:
            first, last = self._came.get(hour, (now, now))  # one that waited before this process counts from here
            self._came[hour] = (first, now if hour in self._fresh else last)
        self._fresh.clear()
        if now < self._next_try:
            return self._next_try - now
        try:
            with disk.sorted_errors(self._path):
                wait = self._go_on(now)
        except DamageError as error:
            self._begin_anew(error)
            return 0.0
        except sqlite3.Error as error:
            return self._held(now, f"{error}: waiting for space", "make room on the disk of the store")
        except (OSError, StoreError, ConfigError, HeldError) as error:
            return self._held(now, *_why(error))
        return wait

    def tidy(self) -> None:
        """Take away the files of hours that are longer ago than they are kept."""
        oldest = self._oldest()
        if oldest is None or not self._looked or self._trouble:
            return
        gone = []
        for name, (hour, closed_ns, _) in self._store.names().items():
            if (closed_ns // HOUR_NS if hour == NO_HOUR else hour) < oldest:
                try:
                    self._folder.remove(name)
                except OSError as error:
                    self._tell(f"{name} is older than it is kept, and cannot be taken away: {error.strerror}")
                    continue
                gone.append(name)
        try:
            self._store.forget(gone)
        except sqlite3.Error:
            return  # full: in ten minutes again

    def status(self) -> Mapping[str, Any]:
        """Counters in samples; what waits for its hour to end is not behind."""
        store = self._store
        over = [hour for hour in store.hours if self._due_in(hour) < 0] if self._trouble else []
        late = [-self._due_in(hour) for hour in over]
        return {
            "kind": self.kind,
            "folder": str(self._folder.path),
            "state": "held" if self._trouble else "writing" if self._file else "idle",
            "trouble": self._trouble or self._store_trouble,
            "next_step": "make room on the disk of the store" if self._store_trouble else self._next_step,
            "warnings": [*([f"its disk: {self._store_trouble}"] if self._store_trouble else []), *self._told],
            "taken": store.taken,
            "acknowledged": max(store.taken - store.waits - store.dated, 0),
            "behind_s": round(max(late, default=0.0), 1),
            "waits_for_hour": store.waits,
            "older_than_kept": store.dated,
            "store_bytes": store.stored_bytes,
            "files": store.files,
            "newest_file_ns": store.newest,
        }

    def close(self) -> None:
        """Close everything; what waits stays in the store. May be called twice."""
        if self._lock >= 0:
            self._drop()
            self._store.close()
            os.close(self._lock)
            self._lock = -1

    def _go_on(self, now: float) -> float:
        trouble, step = self._folder.trouble(begun=self._store.marked)
        if trouble:
            return self._held(now, trouble, step)
        if not self._looked:
            self._look()
        self._trouble = self._next_step = ""
        if self._file is None:
            due = [hour for hour in self._store.hours if self._due_in(hour) <= 0]
            if not due:
                more = self._store.give_back(PAGES)
                return 0.0 if more else min([IDLE_S, *(self._due_in(hour) for hour in self._store.hours)])
            self._begin(min(due))
            return 0.0
        if self._file.empty or self._file.file is not None or self._file.write_some():
            self._store.close_hour(self._file.hour, self._file.upto, self._file.file)
            if self._file.hour not in self._store.hours:
                self._came.pop(self._file.hour, None)
            self._file = None
        return 0.0

    def _begin(self, hour: int) -> None:
        now_ns, held = self._clock(), self._store.hours[hour]
        file = HourFile(
            self._store, hour, held.last, output=self._path.stem, after=_over_s(hour, now_ns) >= 0, now_ns=now_ns
        )
        try:
            if not file.empty:
                file.begin(self._folder.make(hour))
        except BaseException:
            file.drop()
            raise
        self._file = file

    def _due_in(self, hour: int) -> float:
        """How long until the hour's file is written [s]; below 0 where it could have been."""
        held = self._store.hours[hour]
        first, last = self._came.get(hour, (self._now, self._now))
        if held.bytes >= FILE_BYTES or (
            self._store.stored_bytes >= STORE_BYTES // 2 and hour == min(self._store.hours)
        ):
            return 0.0 if not self._trouble else first - self._now
        late = first + LATE_S - self._now
        if hour == NO_HOUR:
            return late
        return max(CLOSE_S - _over_s(hour, self._clock()), min(last + CLOSE_S - self._now, late))

    def _look(self) -> None:
        """At the folder: its mark, and files that the store does not know."""
        if not self._store.marked:
            self._folder.begin()
            self._store.mark()
        found = list(self._folder.found(self._store.names(), self._tell))
        if found:
            self._store.adopt(found)
        self._looked = True

    def _held(self, now: float, trouble: str, step: str) -> float:
        """It does not get on: what was written of a file goes, and is written anew later."""
        if self._file is not None and self._file.file is None:
            self._looked = self._looked and not self._file.named
            self._drop()
        self._trouble, self._next_step, self._next_try = trouble, step, now + RETRY_S
        return RETRY_S

    def _drop(self) -> None:
        if self._file is not None:
            self._file.drop()
            self._file = None

    def _oldest(self) -> int | None:
        """The first hour whose files are kept; None: all are.

        It is reckoned from the newest hour that samples came for: a clock that jumps ahead takes nothing away.
        """
        if self._keep_days is None or (newest := self._store.newest_hour()) is None:
            return None
        return min(self._clock() // HOUR_NS, newest) - self._keep_days * 24

    def _opened(self) -> HourStore:
        """The store; one that is damaged is set aside first."""
        try:
            return HourStore(self._path, waiting=self._waiting, wait=self._wait)
        except DamageError as error:
            self._set_aside(error)
            return HourStore(self._path, waiting=self._waiting, wait=self._wait)

    def _begin_anew(self, error: DamageError) -> None:
        """The open store is damaged."""
        self._drop()
        self._store.close()
        self._mendings += 1
        if self._mendings > MENDINGS:
            raise error
        self._set_aside(error)
        self._store = self._opened()
        self._looked = False
        self._came.clear()

    def _set_aside(self, error: DamageError) -> None:
        stands = disk.set_aside(self._path, self._clock())
        self._tell(f"{error}: {stands}; what is in no file yet is taken from the journal again")
        self._moved_back = True

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told = [*self._told[-WARNINGS + 1 :], line]

    def _waiting(self, why: str) -> None:
        self._store_trouble = why


def _over_s(hour: int, now_ns: int) -> float:
    """How long an hour has been over [s]; below 0 while it lasts."""
    return (now_ns - (hour + 1) * HOUR_NS) / 1e9


def _why(error: BaseException) -> tuple[str, str]:
    """Why a file could not be written, and what a person does."""
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, OSError) and no_room(cause):
        return f"{cause.strerror}: waiting for space", "make room on the disk of the folder, or lower keep_days"
    return str(error), getattr(error, "hint", "") or "look at the folder and its disk"
