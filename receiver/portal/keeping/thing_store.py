"""`state/desk.db`: what people keep, in one table. 0600, written by the pages alone.

It holds nothing that decides what may be read, and nothing that is not also in the trail: a file that is damaged is set
aside, and the pages go on with an empty one. Every call is one short transaction, from any thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import orjson

from protocol.errors import StoreError
from protocol.process.as_owner import as_owner
from protocol.store import statefile
from receiver.portal.keeping.kept_thing import LARGEST, MOST, MOST_OF_ALL, KeptThing, ThingKind

NAME = "desk.db"

BUSY_S = 5.0
"""How long a transaction waits for another process's, a backup's for one [s]."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS thing (
        key TEXT PRIMARY KEY, kind TEXT NOT NULL, person TEXT NOT NULL, employer TEXT NOT NULL,
        made_ns INTEGER NOT NULL, asset TEXT NOT NULL, tag TEXT NOT NULL, at_ns INTEGER NOT NULL,
        held TEXT NOT NULL) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS thing_person ON thing (person, kind)",
    "CREATE INDEX IF NOT EXISTS thing_about ON thing (kind, asset, at_ns)",
)


class DeskFull(Exception):
    """One more would be too many; the text says of what."""


class ThingStore:
    """The file; it is opened for each call, and made by the first."""

    def __init__(self, state: Path, *, clock: Callable[[], int], say: Callable[[str], None]) -> None:
        """
        Args:
            state: The state folder.
            clock: The low side's wall time [ns since 1970 UTC].
            say: Takes a line where the file is damaged and was set aside.
        """
        self.path = state / NAME
        self._clock, self._say = clock, say
        self._lock = threading.Lock()

    def keep(self, thing: KeptThing, record: Callable[[], object]) -> None:
        """Put a thing down, in the place of one with its key.

        Args:
            thing: The thing.
            record: Writes it into the trail; where that raises, nothing is kept.

        Raises:
            DeskFull: the person, or the desk, holds as many as may be, or the thing is too large.
            StoreError: it cannot be written.
        """
        held = orjson.dumps(dict(thing.held))
        if len(held) > LARGEST:
            raise DeskFull(f"this {thing.kind} is too large")
        with self._write() as sql:
            own = sql.execute(
                "SELECT count(*) FROM thing WHERE person = ? AND kind = ? AND key != ?",
                (thing.person, thing.kind, thing.key),
            ).fetchone()[0]
            if own >= MOST[thing.kind]:
                raise DeskFull(f"you keep {own} of these already: drop one first")
            if sql.execute("SELECT count(*) FROM thing").fetchone()[0] >= MOST_OF_ALL:
                raise DeskFull("everybody together keeps as much as there is room for")
            row = (thing.key, thing.kind, thing.person, thing.employer, thing.made_ns, thing.asset, thing.tag)
            sql.execute("REPLACE INTO thing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, thing.at_ns, held.decode()))
            record()

    def drop(self, key: str, record: Callable[[], object]) -> None:
        """Take a thing away, and write that into the trail; where that raises, it stays."""
        with self._write() as sql:
            if sql.execute("DELETE FROM thing WHERE key = ?", (key,)).rowcount:
                record()

    def thing(self, key: str) -> KeptThing | None:
        """By its key."""
        return next(iter(self._read("WHERE key = ?", key)), None)

    def of_person(self, person: str, kind: ThingKind) -> list[KeptThing]:
        """Everything of a kind that a person keeps, the oldest first."""
        return self._read("WHERE person = ? AND kind = ? ORDER BY made_ns, key", person, kind)

    def of_kind(self, kind: ThingKind) -> list[KeptThing]:
        """Everything of a kind, by person."""
        return self._read("WHERE kind = ? ORDER BY person, made_ns, key", kind)

    def about(
        self,
        kind: ThingKind,
        assets: list[str],
        from_ns: int,
        to_ns: int,
        limit: int,
        shown: Callable[[KeptThing], bool] = lambda thing: True,
    ) -> list[KeptThing]:
        """Things about these assets in a range of time, `to_ns` left out; the latest `limit` of them, by time.

        Args:
            kind: Which.
            assets: Names.
            from_ns: Begin of the range [ns since 1970 UTC].
            to_ns: Its end.
            limit: Most that are given; what is not `shown` takes no place of what is.
            shown: Whether the one who looks may see a thing.
        """
        found = self._read(
            "WHERE kind = ? AND asset IN (SELECT value FROM json_each(CAST(? AS TEXT))) AND at_ns >= ? AND at_ns < ?"
            " ORDER BY at_ns DESC, key",
            kind,
            orjson.dumps(assets),
            from_ns,
            to_ns,
        )
        return [*islice((one for one in found if shown(one)), limit)][::-1]

    def _read(self, where: str, *values: object) -> list[KeptThing]:
        with self._opened() as sql:
            rows = sql.execute(f"SELECT * FROM thing {where}", values).fetchall()  # noqa: S608 - ours
        try:
            return [_thing(*row) for row in rows]
        except ValueError as error:
            raise StoreError(f"{self.path}: {error}") from error

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._opened() as sql:
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield sql
                sql.execute("COMMIT")
            except BaseException:
                if sql.in_transaction:
                    sql.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with contextlib.closing(self._sound()) as connection:
                    yield connection
            except (OSError, sqlite3.Error) as error:
                raise StoreError(f"{self.path}: {error}") from error

    def _sound(self) -> sqlite3.Connection:
        """The file, open; one that is damaged is set aside, and an empty one takes its place."""
        try:
            return self._connected()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                self.path.with_name(f"{NAME}-journal").unlink()
            if statefile.set_aside(self.path, self._clock()) is None:
                raise
            self._say(f"{NAME} is not what was written and was set aside: views, notes and thresholds begin anew")
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        with as_owner(self.path.parent.stat()):
            _make(self.path)
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_S)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            for statement in _SCHEMA:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def _thing(*row: str | int) -> KeptThing:
    key, kind, person, employer, made_ns, asset, tag, at_ns, held = row
    return KeptThing(
        key=str(key),
        kind=ThingKind(str(kind)),
        person=str(person),
        employer=str(employer),
        made_ns=int(made_ns),
        asset=str(asset),
        tag=str(tag),
        at_ns=int(at_ns),
        held=orjson.loads(str(held)),
    )


def _make(path: Path) -> None:
    """Make the file where it is missing, for its owner alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_symlink() or not path.is_file():
            raise OSError(f"{path} is no plain file") from None
