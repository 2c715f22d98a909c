"""The tables of `state/trail.db`, and how the file is opened.

    entry   number, body, hash     append only: triggers refuse what changes or takes away a row, or leaves a number out
    mark    key, number            by what an entry is found (form.py); made from the bodies, and compared by `verify`
    marked  number                 the greatest one: up to this entry the marks are there, those after it are to be made

A look is one more row of `entry`, one page at the end of the file, and its marks are fifteen rows all over the index.
So who notes waits for the row alone; marks are made for some hundred looks together (trail.py), and whoever searches
reads the entries after `marked` one by one. An entry that governs is marked in the transaction that appends it.

The triggers stop accidents alone: whoever may write the file may drop them. So a file whose tables are not letter for
letter these is refused. What stands in a row is believed by nobody until its hash was made again.

The file is its owner's alone (0600): who looked at what is no business of the process at the link. Root opens it as
that owner.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from protocol.process.as_owner import as_owner
from receiver.governed.trail.form import LARGEST
from receiver.governed.trail.trail_error import TrailError

NAME = "trail.db"
"""In the `state` folder."""

TABLES = {
    "entry": "CREATE TABLE entry (number INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT",
    "mark": "CREATE TABLE mark (key INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (key, number))"
    " STRICT, WITHOUT ROWID",
    "marked": "CREATE TABLE marked (number INTEGER PRIMARY KEY) STRICT",
}
_NEXT = "(SELECT ifnull(max(number), 0) + 1 FROM entry)"
_REFUSED = "BEGIN SELECT raise(ABORT, 'the trail is append only'); END"
TRIGGERS = {
    "entry_update": f"CREATE TRIGGER entry_update BEFORE UPDATE ON entry {_REFUSED}",
    "entry_delete": f"CREATE TRIGGER entry_delete BEFORE DELETE ON entry {_REFUSED}",
    "mark_update": f"CREATE TRIGGER mark_update BEFORE UPDATE ON mark {_REFUSED}",
    "mark_delete": f"CREATE TRIGGER mark_delete BEFORE DELETE ON mark {_REFUSED}",
    "marked_update": f"CREATE TRIGGER marked_update BEFORE UPDATE ON marked {_REFUSED}",
    "marked_delete": f"CREATE TRIGGER marked_delete BEFORE DELETE ON marked {_REFUSED}",
    "entry_next": f"CREATE TRIGGER entry_next BEFORE INSERT ON entry WHEN new.number IS NOT {_NEXT} {_REFUSED}",
}
"""The last one against REPLACE, which tells no trigger of what it takes away."""

VERSION = 2
"""Of the tables, in the file's `user_version`. In version 1 there was no `marked`, and every entry had its marks: it is
read as it is, and made version 2 by who writes."""

_LATER = frozenset({"marked", "marked_update", "marked_delete"})
"""What version 1 had not."""

BUSY_S = 10.0
"""Longest wait for another process that writes [s]; a transaction takes milliseconds."""


def path_of(state: Path) -> Path:
    """Where the trail of a low side is."""
    return state / NAME


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file, made where it is missing; its text comes as bytes.

    Raises:
        TrailError: it cannot be, or is not a trail of this build.
    """
    with told(path):
        _make(path)
        with as_owner(path.lstat()):
            connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
            try:
                _prepare(connection)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN IMMEDIATE")
                _make_tables(connection)
                connection.execute("COMMIT")
                if odd := difference(connection):
                    raise TrailError(f"{path}: {odd}: checkvalve trail verify RECEIVER.toml tells more")
            except BaseException:
                connection.close()
                raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file to read, whatever its tables are (`difference`); its text comes as bytes.

    Raises:
        TrailError: it is not there, or cannot be read.
    """
    with told(path):
        about = _plain(path)
        with as_owner(about):
            connection = _connect_reader(path)
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
    return connection


def difference(connection: sqlite3.Connection) -> str:
    """How the tables differ from those that this build makes; empty where they do not."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        return f"written by a later build (version {version}, this one reads {VERSION})"
    there, wanted = _tables_of(connection), TABLES | TRIGGERS
    if version == 1:
        wanted = {name: statement for name, statement in wanted.items() if name not in _LATER}
    for name, statement in wanted.items():
        if there.pop(name, None) != statement:
            return f"its trigger {name} is not there" if name in TRIGGERS else f"its table {name} is none of a trail"
    if there:
        return f"it holds what is none of a trail's: {min(there)[:40]!r}"
    return ""


def marked(connection: sqlite3.Connection) -> int:
    """Up to which entry the marks are there.

    Raises:
        sqlite3.Error: the file is damaged.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    table = "entry" if version == 1 else "marked"
    row = connection.execute(f"SELECT max(number) FROM {table}").fetchone()  # noqa: S608  our own words
    return int(row[0] or 0)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Say errors of the disk and of SQLite as TrailError."""
    try:
        yield
    except sqlite3.Error as error:
        raise TrailError(f"{path}: {_why(error)}") from error
    except OSError as error:
        raise TrailError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:  # the message of an SQLite error that quotes a damaged schema
        raise TrailError(f"{path}: not what was written") from error


def _why(error: sqlite3.Error) -> str:
    code = int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; nobody reads until there is room"
    if code == sqlite3.SQLITE_BUSY:
        return f"another process has been writing it for {BUSY_S:g} s; end it, or wait"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"damaged ({error}): checkvalve trail verify RECEIVER.toml tells where"
    return str(error)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * LARGEST)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")


def _make_tables(connection: sqlite3.Connection) -> None:
    """In an empty file all of them; in one of version 1 what it lacks."""
    there = _tables_of(connection)
    if not there:
        wanted = TABLES | TRIGGERS
    elif connection.execute("PRAGMA user_version").fetchone()[0] == 1 and not difference(connection):
        wanted = {name: statement for name, statement in (TABLES | TRIGGERS).items() if name in _LATER}
    else:
        return
    for statement in wanted.values():
        connection.execute(statement)
    if there:
        connection.execute("INSERT INTO marked SELECT max(number) FROM entry HAVING max(number) > 0")
    connection.execute(f"PRAGMA user_version={VERSION}")


def _tables_of(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL LIMIT 100").fetchall()
    return {_text(name): _text(statement) for name, statement in rows}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _connect_reader(path: Path) -> sqlite3.Connection:
    where = path.absolute().as_uri()
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(
            f"{where}?{mode}", uri=True, isolation_level=None, timeout=BUSY_S, check_same_thread=False
        )
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            # a folder that may not be written, and no log: nobody writes, and nothing needs to be made beside it
            if mode == "mode=ro" and not path.with_name(f"{path.name}-wal").exists():
                continue
            raise
        except BaseException:
            connection.close()
            raise
        return connection
    raise AssertionError("one of both ways returned or raised")


def _plain(path: Path) -> os.stat_result:
    """A database and what lies beside it are plain files: SQLite would follow a link and wait for a FIFO."""
    for ending in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(Path(f"{path}{ending}").lstat().st_mode):
                raise TrailError(f"{path}{ending}: no plain file")
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode):
        raise TrailError(f"{path}: no plain file")
    return about


def _make(path: Path) -> None:
    """Make the file where it is missing; where root does, it belongs to who writes the history."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        _plain(path)
        return
    try:
        if os.geteuid() == 0:
            history = path.parent / "history"
            owner = (history if history.is_dir() and not history.is_symlink() else path.parent).lstat()
            os.fchown(file, owner.st_uid, owner.st_gid)
    finally:
        os.close(file)
