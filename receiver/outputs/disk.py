"""SQLite as outputs use it: how files are opened, how a group of writes is committed, who must act on an error.

Write-ahead log with full sync: a committed transaction survives a killed process and a power cut, readers in other
processes never wait for the writer nor it for them. Writes are gathered as plain statements first and executed
together, so that a full disk can be waited out and the very same statements tried again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from protocol.errors import HeldError, StoreError

Connection: TypeAlias = sqlite3.Connection

PAGE_BYTES = 8192
"""Database page [bytes]: a chunk of some hundred rows fits one page beside others (4096 splits most)."""
CACHE_KIB = 32 * 1024
"""Page cache of a writer [KiB]: the historian's hot pieces and the current values of some ten thousand tags."""
LOG_BYTES = 16 * 1024 * 1024
"""The write-ahead log is cut to this when it begins anew [bytes]: twice what a checkpoint waits for, so that only what
a slow reader or a large step let grow is given back."""
FULL_WAIT_S = 1.0
"""Pause between two tries while the disk is full [s]."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
"""Primary result codes that pass by themselves or by an operator's hand; all others are a failing store."""
_FULL_EXTENDED = {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_NOMEM}
"""The index of the write-ahead log cannot grow: a full disk under another name."""


class Writes:
    """Statements that belong together, in order; each with the rows it is executed for."""

    def __init__(self) -> None:
        self._held: list[tuple[str, Iterable[Sequence[Any]]]] = []

    def add(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute `sql` once for each of `rows`."""
        if rows:
            self._held.append((sql, rows))

    def __len__(self) -> int:
        """How many statements."""
        return len(self._held)

    def run(self, connection: Connection) -> None:
        """One transaction; all of it or nothing is in the file afterwards."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in self._held:
                connection.executemany(sql, rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def open_writer(path: Path, schema: str) -> Connection:
    """Open or make a file for the one process that writes it.

    Raises:
        StoreError: it cannot be opened, or is no database.
        sqlite3.Error: the disk is full (`is_full`).
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=10.0, check_same_thread=False)
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
        connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
    except sqlite3.Error as error:
        if is_full(error):
            raise
        raise StoreError(f"{path}: cannot be opened: {error}") from error
    return connection


def open_reader(path: Path) -> Connection | None:
    """Open a file for reading only; None where it is not there (yet)."""
    if not path.exists():
        return None
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0, check_same_thread=False)
    except sqlite3.OperationalError:
        if not path.exists():
            return None  # retention took it away meanwhile
        raise


def lock(path: Path) -> int:
    """Hold a lock file, so that one process writes beside it; returns what `os.close` lets go.

    Raises:
        HeldError: another process holds it.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise HeldError(f"{path.parent}: another process writes this store") from error
    return held


def commit(
    connection: Connection, writes: Writes, *, waiting: Callable[[str], None], wait: Callable[[float], None]
) -> None:
    """Run the writes; while the disk is full, wait and try the same again.

    Args:
        waiting: Told why it waits, and `""` when it no longer does.
        wait: Pauses for so many seconds; may raise to give up (nothing is stored then).

    Raises:
        StoreError: the disk or the file fails in a way that waiting does not mend.
    """
    waited = False
    while True:
        try:
            writes.run(connection)
        except sqlite3.Error as error:
            if not is_full(error):
                raise StoreError(f"the store cannot be written: {error}") from error
            waited = True
            waiting(f"{error}: waiting for space, nothing is lost meanwhile")
            wait(FULL_WAIT_S)
            continue
        if waited:
            waiting("")
        return


def is_full(error: sqlite3.Error) -> bool:
    """Whether the error is a full (or briefly busy) disk rather than a failing one."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in _FULL or code in _FULL_EXTENDED
