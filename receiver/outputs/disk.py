"""SQLite as outputs use it: how files are opened, how a group of writes is committed, who must act on an error.

Write-ahead log with full sync: a committed transaction survives a killed process and a power cut, readers in other
processes never wait for the writer nor it for them. Writes are gathered as plain statements first and executed
together, so that a full disk can be waited out and the very same statements tried again.

    the error says          it is                who acts
    full, busy, no memory   `is_full`            wait and try again, whatever it takes
    not what was written    DamageError          the output: set the file aside, begin again from what is sure
    anything else           StoreError           a person: the disk fails, exit 3

Files are 0640 from their first byte (log and index take their mode from the file they belong to): samples are for the
service's group and for nobody else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from protocol.errors import HeldError, StoreError
from protocol.process.full_disk import no_room
from protocol.store import statefile

Connection: TypeAlias = sqlite3.Connection
Result = TypeVar("Result")

PAGE_BYTES = 8192
"""Database page [bytes]: a chunk of some hundred rows fits one page beside others (4096 splits most)."""
CACHE_KIB = 32 * 1024
"""Page cache of a writer [KiB]: the historian's hot pieces and the current values of some ten thousand tags."""
FULL_WAIT_S = 1.0
"""Pause between two tries while the disk is full [s]."""
LOG_BYTES = 16 * 1024 * 1024
"""Size of a write-ahead log from which on it is cut back [bytes]: twice what a checkpoint waits for, so that only what
a slow reader or a large step let grow is given back."""
LOOK_S = 3.0
"""Longest look through a file at its opening [s]: some hundred megabytes; more are rare."""
LOOK_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock, under a millisecond."""
LOG_WAIT_S = 0.25
"""Longest wait for readers to let the log be cut back [s]; it is tried again later."""
BUSY_S = 2.0
"""Longest wait inside SQLite for another connection [s]: a stop must not wait behind it."""
MODE = 0o640
"""Of every file of an output."""
ASIDE_KEPT = 3
"""Damaged databases that are kept of one name, newest first: they are large."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
"""Primary result codes that pass by themselves or by an operator's hand; all others are a failing store."""
_FULL_EXTENDED = {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_NOMEM}
"""The index of the write-ahead log cannot grow: a full disk under another name."""
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_INTERNAL,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_READONLY,
}
"""Primary codes of a file that is not what was written: no such table, an index that contradicts its table, a text that
is none; READONLY: its header asks for a later SQLite (a file this user may not write is told before it is opened)."""
_DAMAGE_EXTENDED = {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
SIDES = ("-wal", "-shm", "-journal")
"""What SQLite opens beside a database, by the end of its name."""


class DamageError(StoreError):
    """A file is not what was written: damage at rest, another program's, or gone. Begin again from what is sure."""


UNBELIEVED = (ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError)
"""What reading a damaged row into memory raises besides SQLite's own errors."""


class Writes:
    """Statements that belong together, in order; each with the rows it is executed for."""

    def __init__(self) -> None:
        self._held: list[tuple[str, Iterable[Sequence[Any]]]] = []

    def add(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute `sql` once for each of `rows`; those of an iterator can be run once."""
        if rows:
            self._held.append((sql, rows))

    def extend(self, other: Writes) -> None:
        """All that `other` holds, after what is held."""
        self._held += other._held

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


def open_writer(
    path: Path, schema: str, ours: str, *, log_pages: int = 1000, page_bytes: int = PAGE_BYTES
) -> Connection:
    """Open or make a file for the one process that writes it.

    Args:
        schema: Makes what is missing.
        log_pages: Pages in the log at which they are written back into the file (SQLite's own: 1000).
        ours: A table that is in every file of this kind: one with others alone is another program's.
        page_bytes: Of a new file; one that is there keeps its own.

    Raises:
        DamageError: it is no database, or another program's.
        StoreError: it cannot be opened.
        sqlite3.Error: the disk is full (`is_full`).
    """
    _make(path)
    connection = None
    try:
        with sorted_errors(path):
            connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
            connection.execute(f"PRAGMA page_size={page_bytes}")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file, too: see `give_back`
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables and ours not in tables:
                raise DamageError(f"{path}: another program's database")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint={log_pages}")
            connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def look_through(connection: Connection, path: Path, *, most_s: float = LOOK_S) -> None:
    """Let SQLite look at every page.

    Args:
        most_s: It is ended after so long, having looked at a part [s].

    Raises:
        DamageError: a page is not what was written.
        sqlite3.Error: the disk fails.
    """
    until = time.monotonic() + most_s
    connection.set_progress_handler(lambda: int(time.monotonic() > until), LOOK_STEPS)
    try:
        said = [str(one) for (one,) in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.OperationalError as error:
        if _code(error) & 0xFF != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    finally:
        connection.set_progress_handler(None, 0)
    if said != ["ok"]:
        raise DamageError(f"{path}: not what was written: {' '.join(' '.join(said).split())}")


def cut_log(connection: Connection, path: Path) -> None:
    """Write a log that has grown back into its file and cut it to nothing, where readers let go of it soon.

    A log can only begin anew at a moment at which no reader is in the middle of it. With many readers there is none by
    itself, and the log grows for as long as they read.

    Raises:
        sqlite3.Error: the disk is full or fails.
    """
    try:
        if path.with_name(path.name + "-wal").stat().st_size < LOG_BYTES:
            return
    except FileNotFoundError:
        return
    connection.execute(f"PRAGMA busy_timeout={int(LOG_WAIT_S * 1000)}")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_S * 1000)}")


def give_back(connection: Connection, most: int) -> bool:
    """Give free pages at the end of a file back to the disk; True where there are more. A file of before keeps them.

    Args:
        most: Pages that are given back now: 1,000 take some 20 ms.

    Raises:
        sqlite3.Error: the disk is full or fails.
    """
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 2 or not _free_pages(connection):
        return False
    connection.executescript(f"PRAGMA incremental_vacuum({most})")  # `execute` ends after the first page
    return _free_pages(connection) > 0


def _free_pages(connection: Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def open_reader(path: Path) -> Connection | None:
    """Open a file for reading only; None where it is not there (yet).

    Raises:
        sqlite3.Error: it cannot be opened; also where it, or what belongs to it, is no plain file: SQLite would follow
            a link and wait for a FIFO, and a service user may plant them where root looks.
    """
    if not path.exists():
        return None
    for one in _family(path):
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(one.lstat().st_mode):
                raise sqlite3.OperationalError(f"{one.name}: no plain file")
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
        StoreError: it cannot be made.
    """
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        if (mode := os.fstat(held).st_mode) & 0o777 & ~MODE:
            os.fchmod(held, mode & MODE)
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
        DamageError: the file is not what was written.
        StoreError: the disk or the file fails in a way that waiting does not mend.
    """
    when_room(lambda: writes.run(connection), waiting=waiting, wait=wait)


def when_room(work: Callable[[], Result], *, waiting: Callable[[str], None], wait: Callable[[float], None]) -> Result:
    """What `work` gives; while the disk is full, wait and do it again. As `commit`, for any work."""
    waited = False
    while True:
        try:
            with sorted_errors():
                done = work()
        except sqlite3.Error as error:
            waited = True
            waiting(f"{error}: waiting for space, nothing is lost meanwhile")
            wait(FULL_WAIT_S)
            continue
        if waited:
            waiting("")
        return done


@contextlib.contextmanager
def sorted_errors(path: Path | None = None) -> Iterator[None]:
    """Turn SQLite's errors into the families of the table above; a full disk's is let through."""
    try:
        yield
    except sqlite3.Error as error:
        if is_full(error):
            raise
        where = "the store" if path is None else str(path)
        if is_damage(error):
            raise DamageError(f"{where}: not what was written: {error}") from error
        raise StoreError(f"{where} cannot be written: {error}") from error
    except UnicodeDecodeError as error:  # the message of an SQLite error that quotes a damaged schema
        raise DamageError(f"{path or 'the store'}: not what was written: {error}") from error


def is_full(error: sqlite3.Error) -> bool:
    """Whether the error is a full (or briefly busy) disk rather than a failing one."""
    code = _code(error)
    return code & 0xFF in _FULL or code in _FULL_EXTENDED


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is not what was written."""
    code = _code(error)
    return (code & 0xFF in _DAMAGE or code in _DAMAGE_EXTENDED) and not isinstance(error, sqlite3.ProgrammingError)


def set_aside(path: Path, wall_ns: int) -> str:
    """Give a damaged database, its log and its index names with the time; returns the new name, or why it has none.

    Args:
        path: Nobody may have it open.
        wall_ns: Wall time, for the name [ns since 1970 UTC].
    """
    aside = statefile.set_aside(path, wall_ns)
    for side in SIDES:
        beside = path.with_name(path.name + side)
        if aside is None:
            statefile.set_aside(beside, wall_ns)
        else:  # under the name at which SQLite looks for it
            with contextlib.suppress(OSError):
                beside.rename(aside.with_name(aside.name + side))
    _forget_asides(path)
    return "nothing was left of it" if aside is None else f"it stands as {aside.name}"


def _forget_asides(path: Path) -> None:
    """The oldest of those set aside under this name; each with what belongs to it."""
    names = {re.sub(f"({'|'.join(SIDES)})$", "", one.name) for one in path.parent.glob(f"{path.name}.damaged-*")}
    for name in sorted(names)[:-ASIDE_KEPT]:
        for side in ("", *SIDES):
            with contextlib.suppress(OSError):
                path.with_name(name + side).unlink()


def _family(path: Path) -> list[Path]:
    """A database and what SQLite opens beside it."""
    return [path, *(path.with_name(path.name + side) for side in SIDES)]


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR))


def _make(path: Path) -> None:
    """Make the file where it is missing, with its mode; tighten that of one that is there, and of what belongs to it.

    A file that is there is not opened for it: closing it would drop the locks of other connections of this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE))
    except FileExistsError:
        pass
    except OSError as error:
        if no_room(error):
            full = sqlite3.OperationalError(f"{path.name} cannot be made: {error.strerror}")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full from error
        raise StoreError(f"{path}: cannot be made: {error.strerror}") from error
    for one in _family(path):
        try:
            mode = one.lstat().st_mode
            if not stat.S_ISREG(mode):
                raise DamageError(f"{one}: no plain file")
            if mode & 0o777 & ~MODE:
                one.chmod(mode & MODE)
            if not os.access(one, os.R_OK | os.W_OK):
                raise StoreError(f"{one}: this user may not write it")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{one}: {error.strerror}") from error
