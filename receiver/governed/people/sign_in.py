"""Signing in with password and code: one answer for everything that is wrong, in the same time.

    counted out      too many failures: refused before anything is looked at, known login or not
    anything else    the hash of the password, or of nobody's, is checked; so is a code; then it is decided

A failure says `session.failed` in the trail with the person, where the login is one; never what was typed. The failure
that closes a window is an alert.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from protocol.errors import ConfigError
from receiver.governed.people import codes, logins
from receiver.governed.people.attempts import ADDRESS, BOTH, LOGIN, LONGEST_NS, AttemptLimit
from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person import Person
from receiver.governed.people.person_sessions import PersonSessions
from receiver.governed.people.secret_store import SecretStore


@dataclass(frozen=True, slots=True)
class SignInAnswer:
    """What came of an attempt."""

    word: str = ""
    """What the cookie holds; empty: refused."""
    wait_s: float = 0.0
    """Where it was counted out: how long [s]."""


class SignIn:
    """Checks passwords and codes. Slow: for a few threads of its own."""

    def __init__(self, desk: PeopleDesk, store: SecretStore, sessions: PersonSessions, passwords: Passwords) -> None:
        """
        Args:
            desk: Who is active.
            store: Hashes, seeds, counts.
            sessions: Opened for who is right.
            passwords: Checks them.
        """
        self._desk, self._store, self._sessions = desk, store, sessions
        self._passwords = passwords
        self._secret = store.secret("attempts")
        self._nobody = codes.new_seed()

    def attempt(self, login: str, password: str, code: str, *, address: str, agent: str) -> SignInAnswer:
        """Sign in.

        Args:
            login: As it was typed.
            password: As it was typed.
            code: As it was typed.
            address: Where it comes from.
            agent: What the browser says it is.

        Raises:
            TrailError, StoreError: it cannot be put on record: nobody signs in.
        """
        login = logins.normal(login)
        if wait_s := self.wait_s(login, address):
            return SignInAnswer(wait_s=wait_s)
        person = self.proven(login, password, code, address=address)
        if person is None:
            return SignInAnswer()
        return SignInAnswer(self._sessions.open(person, "password", address=address, agent=agent))

    def proven(self, login: str, password: str, code: str, *, address: str) -> Person | None:
        """Who this is, without a session; None for anybody who did not prove it, which counts as a failure.

        Args:
            login: As `logins.normal` gives it; `wait_s` has said that it need not wait.
            password: As it was typed.
            code: As it was typed; it is used up.
            address: Where it comes from.

        Raises:
            TrailError, StoreError: it cannot be put on record.
        """
        now = self._desk.now()
        enrolment = self._desk.refresh().find(login)
        person = enrolment.person(now) if enrolment else None
        credential = self._store.credential(person.key) if person else None
        right = self._passwords.fits(credential.password if credential else None, password)
        step = codes.step_of(credential.seed if credential else self._nobody, code, self._desk.wall())
        known = person is not None and person.active and right and step is not None
        if known and person is not None and step is not None and self._store.use_step(person.key, step):
            self._forget(BOTH, login, address)
            return person
        self.failed(login, "password", person.key if person else "", address=address)
        return None

    def prove_again(self, person: Person, code: str, *, address: str) -> None:
        """A code of who is signed in, before an act that a session which was left open is not enough for.

        Raises:
            ConfigError: it does not fit, which counts as a failure, or there were too many.
            TrailError, StoreError: it cannot be put on record.
        """
        if self.wait_s(person.login, address):
            raise ConfigError("too many attempts", hint="try again in some minutes")
        credential = self._store.credential(person.key)
        step = codes.step_of(credential.seed, code, self._desk.wall()) if credential else None
        if step is None or not self._store.use_step(person.key, step):
            self.failed(person.login, "code", person.key, address=address)
            raise ConfigError("your code does not fit", hint="wait for the next one; each is good once")

    def wait_s(self, login: str, address: str) -> float:
        """How long this login from this address has to wait [s]; 0.0: not at all."""
        now_ns = self._desk.now().late_ns
        waits = [limit.waits_ns(*self._store.attempts(name), now_ns) for limit, name in self._names(login, address)]
        return max(waits) / 1e9

    def failed(self, login: str, how: str, person: str, *, address: str) -> None:
        """Count a failure and put it on record.

        Args:
            login: As `logins.normal` gives it; empty where none was given.
            how: `password`, `passkey`, `oidc`, `link`, `token`, `code`.
            person: Key of whose login it is; empty for nobody's.
            address: Where it came from.
        """
        now_ns = self._desk.now().late_ns
        full: list[str] = []
        for limit, name in self._names(login, address):
            since_ns, count = limit.counted(*self._store.attempts(name), now_ns)
            self._store.set_attempts(name, since_ns, count, forget_ns=now_ns - LONGEST_NS)
            if count == limit.most:
                full.append(limit.name)
        self._desk.note("session.failed", person or "unknown", address, person=person, how=how)
        if full:
            self._desk.note("alert.raised", "system", address, what="failed sign-ins", person=person, limits=full)

    def _forget(self, limit: AttemptLimit, login: str, address: str) -> None:
        self._store.set_attempts(self._name(limit, login, address), 0, 0, forget_ns=0)

    def _names(self, login: str, address: str) -> list[tuple[AttemptLimit, bytes]]:
        if not login:
            return [(ADDRESS, self._name(ADDRESS, address))]
        return [
            (BOTH, self._name(BOTH, login, address)),
            (ADDRESS, self._name(ADDRESS, address)),
            (LOGIN, self._name(LOGIN, login)),
        ]

    def _name(self, limit: AttemptLimit, *words: str) -> bytes:
        told = "\0".join((limit.name, *words)).encode()
        return hmac.digest(self._secret, told, "sha256")
