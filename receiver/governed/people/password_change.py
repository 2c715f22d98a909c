"""A person changes their own password: the old one and a code are asked for, and every other session ends.

A session that was left open, or stolen, is not enough: who has it knows neither. A wrong answer counts as a failed
sign-in, with the same limits. What was typed is on record nowhere; that the password changed is.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import ConfigError
from receiver.governed.people import passwords
from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person import Person
from receiver.governed.people.person_sessions import PersonSessions
from receiver.governed.people.secret_store import SecretStore
from receiver.governed.people.session_rules import Ending
from receiver.governed.people.sign_in import SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordForm:
    """What a person filled in."""

    old: str
    code: str
    password: str
    again: str


class PasswordChange:
    """Changes passwords; for any thread. `change` is slow, as passwords are."""

    def __init__(
        self, desk: PeopleDesk, store: SecretStore, sessions: PersonSessions, sign_in: SignIn, hasher: Passwords
    ) -> None:
        """
        Args:
            desk: The register.
            store: Where credentials are kept.
            sessions: Of everybody.
            sign_in: Checks the old password and the code, and counts failures.
            hasher: Makes the new hash.
        """
        self._desk, self._store, self._sessions = desk, store, sessions
        self._sign_in, self._hasher = sign_in, hasher

    def change(self, person: Person, form: PasswordForm, *, session: str, address: str) -> None:
        """Change it.

        Args:
            person: Who is signed in.
            form: What was filled in.
            session: Key of the session that goes on.
            address: Where it comes from.

        Raises:
            ConfigError: why not; the old one is good still.
            TrailError, StoreError: it cannot be put on record, or kept.
        """
        if form.password != form.again:
            raise ConfigError("the two new passwords differ", hint="type it twice")
        if why := passwords.refusal(form.password, person.login, person.name):
            raise ConfigError(why, hint="choose another one")
        if form.password == form.old:
            raise ConfigError("the new password is the old one", hint="choose another one")
        if self._sign_in.wait_s(person.login, address):
            raise ConfigError("too many attempts", hint="try again in some minutes")
        proven = self._sign_in.proven(person.login, form.old, form.code, address=address)
        if proven is None or proven.key != person.key:
            raise ConfigError(
                "the old password or the code does not fit", hint="wait for the next code; each is good once"
            )
        kept = self._hasher.hash(form.password)
        self._desk.note("password.changed", person.key, address, person=person.key, session=session)
        if not self._store.set_password(person.key, kept):
            raise ConfigError("a recovery was begun just now", hint="use the link that was issued")
        self._sessions.close_all(person.key, Ending.REVOKED, person.key, keep=session, address=address)
