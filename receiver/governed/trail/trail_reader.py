"""Reading the trail: pages, newest first, for people; records, oldest first, for registers, reports and exports.

Nothing is taken on trust from the file: a record is handed out only when it fits the hash before it, governing records
only when each names the one before it (form.py), and what the index finds only when the entry says the same.
"""

from __future__ import annotations

import heapq
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from receiver.governed.trail import trail_file
from receiver.governed.trail.entry import TrailRecord
from receiver.governed.trail.form import BEGINNING, Body, hash_of, mark_key, marks_of, read_body
from receiver.governed.trail.trail_error import TrailError
from receiver.governed.trail.trail_file import told

STEP = 500
"""Records read in one statement: a reader never keeps the log of the database from being cut back for long."""

ALL = 1 << 62
"""Above every number."""


class TrailReader:
    """A low side's `state/trail.db`, for any number of threads, to read; another process may write it."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: The file, which must be there.

        Raises:
            TrailError: it is not, or is no trail.
        """
        self._path, self._eyes = path, threading.Lock()
        self._reader = trail_file.open_reader(path)
        with told(path):
            if odd := trail_file.difference(self._reader):
                self._reader.close()
                raise TrailError(f"{path}: {odd}: checkvalve trail verify RECEIVER.toml tells more")

    def governing(self, after: int = 0) -> Iterator[TrailRecord]:
        """The records that decide what is allowed, oldest first, none kept back up to the end as it is now.

        Args:
            after: Only those of greater number.

        Raises:
            TrailError: a record does not fit its hashes, or one is missing.
        """
        with self._eyes, told(self._path):
            records = list(self._governing_after(self._reader, after))
        yield from records

    def records(self, after: int = 0) -> Iterator[TrailRecord]:
        """All records, oldest first, up to the end as it is when it is reached.

        Raises:
            TrailError: a record does not fit its hashes, or one is missing.
        """
        for record, _ in self.bodies(after):
            yield record

    def bodies(self, after: int = 0) -> Iterator[tuple[TrailRecord, bytes]]:
        """`records`, each with the bytes that are hashed."""
        while True:
            with self._eyes, told(self._path):
                rows = self._reader.execute(
                    "SELECT number, body, hash FROM entry WHERE number >= ? ORDER BY number LIMIT ?", (after, STEP)
                ).fetchall()
            if after:
                if not rows or rows[0][0] != after:
                    raise TrailError(f"{self._path}: entry {after} is not there")
                before = rows.pop(0)[2]
            else:
                before = BEGINNING
            for number, body, held in rows:
                after += 1
                if number != after:
                    raise TrailError(f"{self._path}: entry {after} is not there")
                yield _record(number, body, held, before)[0], body
                before = held
            if len(rows) < STEP - 1:
                return

    def page(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        kinds: Sequence[str] = (),
        who: Sequence[str] = (),
        grant: Sequence[str] = (),
        request: Sequence[str] = (),
        asset: Sequence[str] = (),
        person: Sequence[str] = (),
        vendor: Sequence[str] = (),
    ) -> list[TrailRecord]:
        """The newest records that have one of each of the given, newest first.

        Args:
            before: Only those of smaller number: that of the last one shown.
            limit: Most of them.
            kinds: `SUBJECT` or `SUBJECT.VERB`.
            who: Who did it. The others are facts (form.INDEXED); of nothing given, all.

        Raises:
            TrailError: a record does not fit its hashes.
        """
        asked = [("kind", kinds), ("who", who), ("grant", grant), ("request", request), ("asset", asset)]
        asked += [("person", person), ("vendor", vendor)]
        assert not any(isinstance(values, str) for _, values in asked), "several texts, not one"
        groups = [[f"{name}={value}" for value in values] for name, values in asked if values]
        top = ALL if before is None else before
        with self._eyes, told(self._path):
            unmarked = self._unmarked(top, groups)  # first: what is marked meanwhile is found twice, and not never
            found = (self._numbers([mark_key(mark) for mark in marks], top, limit) for marks in product(*groups))
            newest = heapq.merge(unmarked, *found, reverse=True)
            records: list[TrailRecord] = []
            last = 0
            for number in newest:
                if len(records) == limit:
                    break
                if number == last:
                    continue
                last = number
                record, body = self._one(self._reader, number)
                marks = marks_of(record.entry, governs=body.governs)
                if not all(any(mark in marks for mark in group) for group in groups):
                    raise TrailError(f"{self._path}: the index finds entry {number} by what it is not about")
                records.append(record)
            return records

    def end(self) -> TrailRecord | None:
        """The last record; None of an empty trail.

        Raises:
            TrailError: it does not fit the hash before it.
        """
        return next(iter(self.page(limit=1)), None)

    def at(self, number: int) -> TrailRecord:
        """One record.

        Raises:
            TrailError: it is not there, or does not fit the hash before it.
        """
        with self._eyes, told(self._path):
            return self._one(self._reader, number)[0]

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._reader.close()

    def _one(self, connection: sqlite3.Connection, number: int) -> tuple[TrailRecord, Body]:
        """A record that fits the hash before it, and its body."""
        if type(number) is not int or number < 1:  # from an index that is damaged
            raise TrailError(f"{self._path}: not what was written: an entry of number {number!r}")
        rows = connection.execute(
            "SELECT number, body, hash FROM entry WHERE number BETWEEN ? AND ? ORDER BY number", (number - 1, number)
        ).fetchall()
        if not rows or rows[-1][0] != number or (number > 1 and len(rows) != 2):
            raise TrailError(f"{self._path}: entry {number}, or the one before it, is not there")
        return _record(number, rows[-1][1], rows[-1][2], rows[0][2] if number > 1 else BEGINNING)

    def _governing_after(self, connection: sqlite3.Connection, after: int) -> Iterator[TrailRecord]:
        """Each names the one before it, and the last entry of all names the last of them."""
        end = connection.execute("SELECT max(number) FROM entry").fetchone()[0] or 0
        if end < after:
            raise TrailError(f"{self._path}: entry {after}, seen before, is not there any more")
        if not end:
            return
        last = 0
        numbers = connection.execute(
            "SELECT number FROM mark WHERE key = ? AND number > ? AND number <= ? ORDER BY number",
            (mark_key("governing="), after, end),
        ).fetchall()
        for (number,) in numbers:
            record, body = self._one(connection, number)
            if not body.governs or (body.governing != last if last else body.governing > after):
                raise TrailError(f"{self._path}: a governing entry before {number} is kept back by its index")
            last = number
            yield record
        body = self._one(connection, end)[1]
        if (end if body.governs else body.governing) > max(last, after):
            raise TrailError(f"{self._path}: a governing entry up to {end} is kept back by its index")

    def _after(self, connection: sqlite3.Connection, after: int, last: int) -> Iterator[tuple[TrailRecord, Body]]:
        """The records above `after` up to `last`, oldest first, as far as there are any; they may be read but once."""
        rows = connection.execute(
            "SELECT number, body, hash FROM entry WHERE number BETWEEN ? AND ? ORDER BY number", (after, last)
        )
        before: object = BEGINNING
        if after:
            row = next(rows, None)
            if row is None or row[0] != after:
                raise TrailError(f"{self._path}: entry {after}, up to which its index goes, is not there")
            before = row[2]
        for number, body, held in rows:
            after += 1
            if number != after:
                raise TrailError(f"{self._path}: entry {after} is not there")
            yield _record(number, body, held, before)
            before = held

    def _unmarked(self, top: int, groups: Sequence[Sequence[str]]) -> list[int]:
        """Entries that have no marks yet and are asked for, newest first; without a question nobody needs marks."""
        after = trail_file.marked(self._reader) if groups else top
        if after >= top - 1:
            return []
        numbers = []
        for record, body in self._after(self._reader, after, top - 1):
            marks = marks_of(record.entry, governs=body.governs)
            if all(any(mark in marks for mark in group) for group in groups):
                numbers.append(record.number)
        return numbers[::-1]

    def _numbers(self, keys: Sequence[int], before: int, limit: int) -> list[int]:
        """The newest numbers that have all of these marks, newest first."""
        if not keys:
            rows = self._reader.execute(
                "SELECT number FROM entry WHERE number < ? ORDER BY number DESC LIMIT ?", (before, limit)
            )
            return _counting_down(self._path, rows)
        rarest, *others = sorted(keys, key=self._frequency) if len(keys) > 1 else keys
        also = " AND EXISTS (SELECT 1 FROM mark WHERE key = ? AND number = first.number)" * len(others)
        rows = self._reader.execute(
            f"SELECT number FROM mark AS first WHERE key = ? AND number < ?{also}"  # noqa: S608  our own words
            " ORDER BY number DESC LIMIT ?",
            (rarest, before, *others, limit),
        )
        return _counting_down(self._path, rows)

    def _frequency(self, key: int) -> int:
        """How often a mark is there, counted no further than is worth it."""
        row = self._reader.execute("SELECT count(*) FROM (SELECT 1 FROM mark WHERE key = ? LIMIT 1000)", (key,))
        return int(row.fetchone()[0])


def _counting_down(path: Path, rows: Iterable[tuple[object]]) -> list[int]:
    numbers: list[int] = []
    for (number,) in rows:
        if type(number) is not int or (numbers and number >= numbers[-1]):
            raise TrailError(f"{path}: the order of the file is damaged")
        numbers.append(number)
    return numbers


def _record(number: int, body: object, held: object, before: object) -> tuple[TrailRecord, Body]:
    if not (type(body) is type(held) is type(before) is bytes and hash_of(before, body) == held):
        raise TrailError(f"entry {number} of the trail does not fit the hash before it")
    read = read_body(body, number)
    return TrailRecord(number=number, entry=read.entry, hash=held), read
