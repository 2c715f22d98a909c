"""`state/people.db`: what must not be in the trail. One file, 0600, written by the pages and by commands.

    credential   per person: argon2 hash, TOTP seed, the last step of which a code was used
    passkey      public keys and their counters
    link         one-time links, by the SHA-256 of their word
    session      open sessions, by the SHA-256 of the cookie
    token        of service credentials, by SHA-256
    attempt      failed sign-ins, counted under keyed hashes: what was typed as a login may be a password
    meta         what the keys of those hashes, and of forms, are made from

What is compared by hash has 256 bits of its own, so that a plain hash of it tells nothing. Every call is one short
transaction, from any thread. Who reads this file can guess passwords offline and make codes: it belongs into no backup
that others read (`docs/access.md`).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import StoreError
from protocol.process.as_owner import as_owner
from protocol.store import statefile

NAME = "people.db"

BUSY_S = 5.0
"""How long a transaction waits for another process's [s]."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS credential (
    person TEXT PRIMARY KEY, password TEXT NOT NULL, seed TEXT NOT NULL, step INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passkey (
    id BLOB PRIMARY KEY, person TEXT NOT NULL, public_key BLOB NOT NULL, count INTEGER NOT NULL, name TEXT NOT NULL,
    added_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS passkey_person ON passkey (person);
CREATE TABLE IF NOT EXISTS link (
    hash BLOB PRIMARY KEY, person TEXT NOT NULL, ends_ns INTEGER NOT NULL, seed TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
    hash BLOB PRIMARY KEY, key TEXT NOT NULL UNIQUE, person TEXT NOT NULL, how TEXT NOT NULL, address TEXT NOT NULL,
    agent TEXT NOT NULL, opened_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_person ON session (person);
CREATE TABLE IF NOT EXISTS token (
    hash BLOB PRIMARY KEY, service TEXT NOT NULL UNIQUE) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempt (
    name BLOB PRIMARY KEY, since_ns INTEGER NOT NULL, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a person signs in with, beside passkeys."""

    person: str
    password: str
    """As argon2 writes it."""
    seed: str
    """Of the codes, base32."""
    step: int
    """The last step of which a code was used; 0 before the first."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A public key that a person's device made for this site."""

    id: bytes
    person: str
    public_key: bytes
    count: int
    """As the device counted its uses last; 0 where it does not."""
    name: str
    added_ns: int
    used_ns: int


@dataclass(frozen=True, slots=True)
class SetUpLink:
    """A one-time link that was issued."""

    hash: bytes
    person: str
    """Empty: for the first administrator, who enrols by it."""
    ends_ns: int
    seed: str
    """Of the codes, for whoever uses it."""


@dataclass(frozen=True, slots=True)
class SignInSession:
    """Somebody who signed in."""

    hash: bytes
    key: str
    """Names it in the trail and on pages; nobody can sign in with it."""
    person: str
    how: str
    """`password`, `passkey` or `oidc`."""
    address: str
    agent: str
    """What the browser says it is, cut."""
    opened_ns: int
    used_ns: int


class SecretStore:
    """The file, open."""

    def __init__(self, state: Path) -> None:
        """
        Args:
            state: The state folder.

        Raises:
            StoreError: it cannot be opened, or is not what was written.
        """
        self.path = state / NAME
        self._lock = threading.Lock()
        try:
            with as_owner(state.stat()):  # its log and index are opened and made here, too
                _make(self.path)
                self._connection = sqlite3.connect(
                    self.path, isolation_level=None, timeout=BUSY_S, check_same_thread=False
                )
                with self._told():
                    self._connection.execute("PRAGMA journal_mode=WAL")
                    self._connection.execute("PRAGMA synchronous=FULL")
                    self._connection.execute("PRAGMA secure_delete=ON")
                    self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def secret(self, use: str) -> bytes:
        """A key of this site for one use, which tells nothing of those for other uses [32 bytes].

        Args:
            use: Names the use: `forms`, `attempts`.
        """
        with self._write() as sql:
            sql.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),))
            held = bytes(sql.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()[0])
        return hmac.digest(held, f"checkvalve people.db\0{use}".encode(), "sha256")

    def credential(self, person: str) -> Credential | None:
        """What a person signs in with."""
        with self._read() as sql:
            row = sql.execute("SELECT * FROM credential WHERE person = ?", (person,)).fetchone()
            return Credential(*row) if row else None

    def set_credential(self, credential: Credential) -> None:
        """Replace it."""
        with self._write() as sql:
            sql.execute(
                "REPLACE INTO credential VALUES (?, ?, ?, ?)",
                (credential.person, credential.password, credential.seed, credential.step),
            )

    def set_password(self, person: str, hashed: str) -> bool:
        """Replace the password alone; False where the person has none any more."""
        with self._write() as sql:
            row = (hashed, person)
            return sql.execute("UPDATE credential SET password = ? WHERE person = ?", row).rowcount == 1

    def use_step(self, person: str, step: int) -> bool:
        """Use up a code's step; False where it, or a later one, was used already."""
        with self._write() as sql:
            found = sql.execute("UPDATE credential SET step = ? WHERE person = ? AND step < ?", (step, person, step))
            return found.rowcount == 1

    def forget(self, person: str) -> None:
        """Take everything away that a person could sign in with, and every session."""
        with self._write() as sql:
            for table in ("credential", "passkey", "link", "session"):
                sql.execute(f"DELETE FROM {table} WHERE person = ?", (person,))  # noqa: S608 - a name of ours

    def passkeys(self, person: str) -> list[Passkey]:
        """A person's, the oldest first."""
        with self._read() as sql:
            rows = sql.execute("SELECT * FROM passkey WHERE person = ? ORDER BY added_ns", (person,)).fetchall()
            return [Passkey(*row) for row in rows]

    def passkey(self, ident: bytes) -> Passkey | None:
        """By the id that its device gave it."""
        with self._read() as sql:
            row = sql.execute("SELECT * FROM passkey WHERE id = ?", (ident,)).fetchone()
            return Passkey(*row) if row else None

    def add_passkey(self, key: Passkey) -> None:
        """Raises StoreError where it is there already."""
        with self._write() as sql:
            row = (key.id, key.person, key.public_key, key.count, key.name, key.added_ns, key.used_ns)
            sql.execute("INSERT INTO passkey VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def use_passkey(self, ident: bytes, count: int, now_ns: int) -> None:
        """Note a use."""
        with self._write() as sql:
            sql.execute("UPDATE passkey SET count = ?, used_ns = ? WHERE id = ?", (count, now_ns, ident))

    def drop_passkey(self, person: str, ident: bytes) -> bool:
        """Whether it was there, and the person's."""
        with self._write() as sql:
            return sql.execute("DELETE FROM passkey WHERE id = ? AND person = ?", (ident, person)).rowcount == 1

    def set_link(self, link: SetUpLink) -> None:
        """Issue a link; those that the person had before are void."""
        with self._write() as sql:
            sql.execute("DELETE FROM link WHERE person = ?", (link.person,))
            sql.execute("INSERT INTO link VALUES (?, ?, ?, ?)", (link.hash, link.person, link.ends_ns, link.seed))

    def link(self, hashed: bytes, now_ns: int) -> SetUpLink | None:
        """A link that is good now."""
        with self._read() as sql:
            row = sql.execute("SELECT * FROM link WHERE hash = ? AND ends_ns > ?", (hashed, now_ns)).fetchone()
            return SetUpLink(*row) if row else None

    def take_link(self, hashed: bytes) -> bool:
        """Use a link up; False where somebody was faster."""
        with self._write() as sql:
            return sql.execute("DELETE FROM link WHERE hash = ?", (hashed,)).rowcount == 1

    def open_session(self, session: SignInSession) -> None:
        """Put a session on the list."""
        with self._write() as sql:
            row = (session.hash, session.key, session.person, session.how, session.address, session.agent)
            sql.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, session.opened_ns, session.used_ns)
            )

    def session(self, hashed: bytes) -> SignInSession | None:
        """By the hash of its cookie."""
        with self._read() as sql:
            row = sql.execute("SELECT * FROM session WHERE hash = ?", (hashed,)).fetchone()
            return SignInSession(*row) if row else None

    def sessions(self, person: str | None = None) -> list[SignInSession]:
        """A person's, or everybody's, the newest first."""
        with self._read() as sql:
            wanted = "SELECT * FROM session WHERE person = ? OR ? IS NULL ORDER BY opened_ns DESC"
            return [SignInSession(*row) for row in sql.execute(wanted, (person, person))]

    def use_session(self, hashed: bytes, now_ns: int) -> None:
        """Note a use."""
        with self._write() as sql:
            sql.execute("UPDATE session SET used_ns = max(used_ns, ?) WHERE hash = ?", (now_ns, hashed))

    def close_session(self, key: str) -> bool:
        """Whether it was open."""
        with self._write() as sql:
            return sql.execute("DELETE FROM session WHERE key = ?", (key,)).rowcount == 1

    def set_token(self, service: str, hashed: bytes) -> None:
        """Give a service its token; the one before is void."""
        with self._write() as sql:
            sql.execute("DELETE FROM token WHERE service = ?", (service,))
            sql.execute("INSERT INTO token VALUES (?, ?)", (hashed, service))

    def drop_token(self, service: str) -> None:
        """Take a service its token."""
        with self._write() as sql:
            sql.execute("DELETE FROM token WHERE service = ?", (service,))

    def token(self, hashed: bytes) -> str:
        """The service whose token it is; empty: nobody's."""
        with self._read() as sql:
            row = sql.execute("SELECT service FROM token WHERE hash = ?", (hashed,)).fetchone()
            return str(row[0]) if row else ""

    def attempts(self, name: bytes) -> tuple[int, int]:
        """Since when failures are counted under a name [ns since 1970 UTC], and how many."""
        with self._read() as sql:
            row = sql.execute("SELECT since_ns, count FROM attempt WHERE name = ?", (name,)).fetchone()
            return (int(row[0]), int(row[1])) if row else (0, 0)

    def set_attempts(self, name: bytes, since_ns: int, count: int, *, forget_ns: int) -> None:
        """Count; what began before `forget_ns` goes, or strangers could fill the disk."""
        with self._write() as sql:
            sql.execute("DELETE FROM attempt WHERE since_ns < ?", (forget_ns,))
            if count:
                sql.execute("REPLACE INTO attempt VALUES (?, ?, ?)", (name, since_ns, count))
            else:
                sql.execute("DELETE FROM attempt WHERE name = ?", (name,))

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            yield self._connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error


def open_store(state: Path, *, wall_ns: int, say: Callable[[str], None]) -> SecretStore:
    """The file; one that is damaged is set aside, and nobody can sign in until they get a new link.

    Raises:
        StoreError: it cannot be opened or set aside.
    """
    try:
        return SecretStore(state)
    except StoreError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError) or isinstance(
            error.__cause__, sqlite3.OperationalError
        ):
            raise
        for end in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                (state / (NAME + end)).unlink()
        if statefile.set_aside(state / NAME, wall_ns) is None:
            raise
        say(f"{NAME} is not what was written and was set aside: nobody can sign in until they get a new link")
        return SecretStore(state)


def _make(path: Path) -> None:
    """Make the file where it is missing, for its owner alone."""
    try:
        made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if path.is_symlink() or not path.is_file():
            raise OSError(f"{path} is no plain file") from None
        return
    os.close(made)
