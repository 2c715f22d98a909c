"""The trail as the one truth: entries appended in order, hashed in a chain, durable before anybody goes on.

    act    the portal or a command decides: one exclusive transaction over all processes, in which it first sees every
           governing entry that it has not seen
    note   looks and sign-ins: written down without deciding

Many readers share one sync: who wants to note leaves the entries in a queue and asks for the pen. Whoever gets it
writes all that is in the queue; the others find theirs written. So a group is as large as what came during the last
sync, and nobody waits for a clock. Coroutines leave theirs to one thread, which holds the pen for them.

A look waits for its own row alone. What finds it later, its marks (trail_file.py), are made for `MARK_AT` looks
together, once those who waited have been told. An act makes all that are still lacking in its own transaction.

Nothing is taken on trust from the file, neither by what reads (trail_reader.py) nor here. A new entry goes onto the
last one only when that one fits the hash before it and follows from what this process saw last. A file that was
exchanged under us, or lies behind its newest checkpoint, is told. Each of these is a TrailError, and whoever gets one
refuses: no trail, no act and no read. What none of this can find is a file that was written anew as a whole while
nothing ran: that takes a checkpoint which has left the machine (checkpoint.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from receiver.governed.trail import checkpoint, trail_file
from receiver.governed.trail.entry import TrailEntry, TrailRecord
from receiver.governed.trail.form import BEGINNING, body_of, hash_of, mark_key, marks_of, read_body
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.trail_file import told
from receiver.governed.trail.trail_reader import TrailReader

MARK_AT = 100
"""Entries without marks at which they are made: some milliseconds of work, as reading as many one by one takes."""

HAND_S = 0.0005
"""Longest time for which the thread of a coroutine stands back until its entry is on its way to the disk [s]. Python
runs one thread at a time: without it the entry is written after the answer is made, and not meanwhile."""

_log = logging.getLogger("receiver.governed")

Decide = Callable[[Sequence[TrailRecord]], Sequence[TrailEntry]]
"""Takes the governing records that its register has not seen, gives entries to append, or raises."""


@dataclass(slots=True)
class _Wish:
    """Entries that somebody wants noted, and what came of it."""

    entries: Sequence[TrailEntry]
    written: list[TrailRecord] | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)
    leaving: threading.Event = field(default_factory=threading.Event)
    """Set once it is on its way to the disk."""
    tell: Callable[[], None] | None = None
    """Called once it is done, by whoever wrote it."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the trail, as this process saw it last."""

    number: int = 0
    governing: int = 0
    """Number of the last entry that governs."""
    hash: bytes = BEGINNING
    marked: int = 0
    """Up to which entry the marks are there."""


class Trail(TrailReader):
    """A low side's `state/trail.db`, for any number of threads and processes."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: The file, made where it is missing.

        Raises:
            TrailError: it cannot be opened, or its end does not fit its own hashes.
        """
        self._pen, self._gate = threading.Lock(), threading.Lock()
        self._wishes: list[_Wish] = []
        self._end = _End()
        self._seen: int | None = None
        """SQLite's count of what other connections wrote, when `_end` was looked at: the same, nobody has since."""
        self._scribe: threading.Thread | None = None
        """Writes for coroutines; made for the first."""
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._writer = trail_file.open_writer(path)
        self._lost = False
        """The connection was given up, and is made anew with the next transaction."""
        try:
            super().__init__(path)
        except BaseException:
            self._writer.close()
            raise
        self._file = _identity(path)
        try:
            with told(path):
                self._look_at_end()
                self._look_at_checkpoint()
        except BaseException:
            self.close()
            raise

    def act(self, after: int, decide: Decide) -> list[TrailRecord]:
        """Let `decide` see what is new and append what it gives, as one; durable on return.

        Args:
            after: Number of the last governing record that the register behind `decide` has taken.
            decide: Handed the governing records above it; it may not use this trail to write. When it raises, nothing
                is written, and the error goes on to the caller.

        Returns:
            The records appended, which the register has still to take.

        Raises:
            TrailError: nothing was written (or nobody can say whether it was: the disk failed in the middle of it).
        """
        with self._pen:
            return self._transaction(lambda: decide(self._unseen(after)))

    def note(self, entries: Sequence[TrailEntry]) -> list[TrailRecord]:
        """Append entries; durable on return. As `act` in all else.

        Raises:
            TrailError: as `act`.
            ValueError: an entry that cannot be written down (form.py); none of `entries` was.
        """
        wish = _Wish(entries)
        with self._gate:
            self._wishes.append(wish)
        while not wish.done.is_set():
            with self._pen:
                if not wish.done.is_set():
                    self._grant_wishes()
                    self._mark_some()
        if wish.error is not None:
            raise wish.error
        assert wish.written is not None
        return wish.written

    def note_async(self, entries: Sequence[TrailEntry]) -> asyncio.Future[list[TrailRecord]]:
        """`note` for a coroutine: the loop goes on meanwhile, and many of them share a sync all the same.

        It is begun here and now; whoever awaits what it gives goes on when the entries are on the disk, or gets the
        error of `note`.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[list[TrailRecord]] = loop.create_future()
        wish = _Wish(entries)

        def settle() -> None:
            if waiting.done():
                return  # nobody waits any more
            if wish.error is not None:
                waiting.set_exception(wish.error)
            else:
                waiting.set_result(wish.written or [])

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle)

        wish.tell = tell
        with self._gate:
            self._wishes.append(wish)
            if self._scribe is None:
                self._scribe = threading.Thread(target=self._write_for_coroutines, name="trail", daemon=True)
                self._scribe.start()
        idle = not self._pen.locked()
        self._calls.put(True)
        if idle:
            wish.leaving.wait(HAND_S)
        return waiting

    def close(self) -> None:
        """Let go of the file; may be called twice. Every entry has its marks then. The writer goes last: it takes the
        log into the file."""
        with self._gate:
            scribe, self._scribe = self._scribe, None
        if scribe is not None:
            self._calls.put(False)
            scribe.join()
        with self._pen:
            self._mark_some(1)
        super().close()
        self._writer.close()

    def _write_for_coroutines(self) -> None:
        while self._calls.get():
            try:
                with self._pen:
                    self._grant_wishes()
                    self._mark_some()
            except Exception:  # noqa: BLE001 - who waited was told; the next wish is another
                _log.exception("writing the trail")

    def _grant_wishes(self) -> None:
        """Write what is in the queue, all in one; where an entry among it cannot be written down, each wish alone."""
        with self._gate:
            wishes, self._wishes = self._wishes, []
        if not wishes:
            return
        try:
            self._write_wishes(wishes)
        except ValueError:
            for one in wishes:
                try:
                    self._write_wishes([one])
                except (ValueError, TrailError) as error:
                    one.error = error
        except TrailError as error:
            for one in wishes:
                one.error = TrailError(str(error))
        finally:
            for one in wishes:
                if one.written is None and one.error is None:
                    one.error = TrailError(f"{self._path}: not written")
                one.done.set()
                if one.tell is not None:
                    one.tell()

    def _mark_some(self, least: int = MARK_AT) -> None:
        """Make marks that are lacking, where there are many; nobody waits for it, and the next time will do as well."""
        if self._end.number - self._end.marked < least:
            return
        with contextlib.suppress(TrailError, sqlite3.Error):
            self._transaction(list, marking=True)
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")  # or a look would have to, now and then

    def _write_wishes(self, wishes: Sequence[_Wish]) -> None:
        def leave() -> None:
            for one in wishes:
                one.leaving.set()

        records = self._transaction(lambda: [entry for one in wishes for entry in one.entries], leave=leave)
        for one in wishes:
            one.written, records = records[: len(one.entries)], records[len(one.entries) :]

    def _transaction(
        self,
        decide: Callable[[], Sequence[TrailEntry]],
        *,
        marking: bool = False,
        leave: Callable[[], None] = lambda: None,
    ) -> list[TrailRecord]:
        with told(self._path):
            if _identity(self._path) != self._file:
                raise TrailError(f"{self._path}: exchanged or taken away while it was open: verify it, start again")
            if self._lost:
                self._writer, self._lost, self._seen = trail_file.open_writer(self._path), False, None
            self._writer.execute("BEGIN IMMEDIATE")
        try:
            with told(self._path):
                self._look_at_end()
            entries = decide()
            with told(self._path):
                records, end = self._append(entries)
                if marking or end.governing > self._end.governing:
                    end = self._mark(end)
                leave()
                self._writer.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._end = end
        return records

    def _unseen(self, after: int) -> list[TrailRecord]:
        with told(self._path):
            return list(self._governing_after(self._writer, after))

    def _append(self, entries: Sequence[TrailEntry]) -> tuple[list[TrailRecord], _End]:
        number, governing, held = self._end.number, self._end.governing, self._end.hash
        rows, records = [], []
        for entry in entries:
            number += 1
            body = body_of(entry, number, governing)
            held = hash_of(held, body)
            rows.append((number, body.decode("ascii"), held))
            read = read_body(body, number)
            records.append(TrailRecord(number=number, entry=read.entry, hash=held))
            if read.governs:
                governing = number
        self._writer.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
        return records, _End(number, governing, held, self._end.marked)

    def _mark(self, end: _End) -> _End:
        """Make the marks that are lacking up to the end."""
        marks = [
            (mark_key(mark), record.number)
            for record, body in self._after(self._writer, end.marked, end.number)
            for mark in marks_of(record.entry, governs=body.governs)
        ]
        self._writer.executemany("INSERT OR IGNORE INTO mark VALUES (?, ?)", sorted(marks))
        self._writer.execute("INSERT INTO marked VALUES (?)", (end.number,))
        return replace(end, marked=end.number)

    def _roll_back(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:  # a failing disk refuses this too
            self._writer.close()
            self._lost = True

    def _look_at_end(self) -> None:
        """Take up what other processes appended; it must follow from what this one saw.

        Raises:
            TrailError: what was seen is there no more, or the last entry does not fit the hash before it.
        """
        seen = self._writer.execute("PRAGMA data_version").fetchone()[0]
        if seen == self._seen:
            return
        last, now = self._end, _End()
        number = self._writer.execute("SELECT max(number) FROM entry").fetchone()[0] or 0
        marked = trail_file.marked(self._writer)
        if number < last.number or (last.number and self._hash_at(last.number) != last.hash):
            raise TrailError(f"{self._path}: entry {last.number}, written before, is not there any more")
        if marked > number:
            raise TrailError(f"{self._path}: its index goes up to entry {marked}, and the last one is {number}")
        if number:
            record, body = self._one(self._writer, number)
            now = _End(number, number if body.governs else body.governing, record.hash, marked)
        self._end, self._seen = now, seen

    def _look_at_checkpoint(self) -> None:
        """The newest that is kept here must be met: an older copy that was put back by mistake is not gone on with."""
        one = checkpoint.newest(self._path.parent / checkpoint.FOLDER)
        if one is not None and self._hash_at(one.number) != one.hash:
            raise TrailError(
                f"{self._path}: its checkpoint of {one.time} names entry {one.number} with another hash, or none is "
                f"there; an older copy, or another trail: put the newest one back (docs/trail.md)"
            )

    def _hash_at(self, number: int) -> object:
        row = self._writer.execute("SELECT hash FROM entry WHERE number = ?", (number,)).fetchone()
        return row[0] if row else None


def _identity(path: Path) -> tuple[int, int]:
    about = os.stat(path, follow_symlinks=False)
    return about.st_dev, about.st_ino
