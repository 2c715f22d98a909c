"""Everything that signing in needs, made once for a portal: register, secrets, sessions, and the threads for slow work.

A check of a password takes 64 MiB and some 0.2 s of a processor on purpose. So at most `AT_ONCE` are made at the same
time, and where `WAITING` wait already the next one is told to come back.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from starlette.exceptions import HTTPException

from protocol.store import statefile
from receiver.governed.alerts.security_telling import SecurityTelling
from receiver.governed.authority import Authority
from receiver.governed.people import set_up
from receiver.governed.people.acts import LINK_HOURS
from receiver.governed.people.desk import PeopleDesk
from receiver.governed.people.passkeys import Passkeys
from receiver.governed.people.password_change import PasswordChange
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person import Person
from receiver.governed.people.person_sessions import Glance, PersonSessions, hashed
from receiver.governed.people.secret_store import SecretStore, SignInSession, open_store
from receiver.governed.people.session_rules import Ending
from receiver.governed.people.set_up import SetUp
from receiver.governed.people.sign_in import SignIn
from receiver.portal.signing_in.page_reader import PageReader, anyone
from receiver.portal.signing_in.reading_policy import ReadingPolicy

AT_ONCE = 2
"""Passwords that are checked at the same time."""

WAITING = 32
"""Most that wait for their turn: three seconds of work."""

FIRST = "first-administrator.link"
"""File of the state folder with the address that the first administrator opens."""

TIDY_S = 30.0
"""Between two looks for sessions past their limits [s]."""

_log = logging.getLogger("receiver.portal")

_Result = TypeVar("_Result")


class SignInOffice:
    """What the gate and the pages of signing in share."""

    def __init__(
        self, desk: PeopleDesk, store: SecretStore, policy: ReadingPolicy, passwords: Passwords | None = None
    ) -> None:
        """
        Args:
            desk: The register.
            store: Secrets.
            policy: What people acknowledge.
            passwords: Of another cost than usual.
        """
        passwords = passwords or Passwords()
        self.desk, self.store, self.policy = desk, store, policy
        self.sessions = PersonSessions(self.desk, store)
        self.sign_in = SignIn(self.desk, store, self.sessions, passwords)
        self.set_up = SetUp(self.desk, store, passwords)
        self.own_password = PasswordChange(self.desk, store, self.sessions, self.sign_in, passwords)
        self.passkeys = Passkeys(store)
        self.telling = SecurityTelling(desk.authority, socket.gethostname())
        """Watches the trail, once it is started; what the page of alerts shows."""
        self._first = store.path.with_name(FIRST)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sign-in")
        self._busy = 0

    async def slowly(self, work: Callable[[], _Result]) -> _Result:
        """Do something with passwords in one of the threads.

        Raises:
            HTTPException: 503, too many wait already.
        """
        if self._busy >= AT_ONCE + WAITING:
            raise HTTPException(503, headers={"Retry-After": "5"})
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._busy -= 1

    def glance(self, word: str, address: str) -> Glance | None:
        """What a cookie is worth."""
        return self.sessions.glance(word, address)

    def reader(self, person: Person, session: SignInSession, address: str) -> PageReader:
        """A person who is signed in."""

        def holds() -> bool:
            now = self.store.session(session.hash)
            held = self.desk.person(person.key)
            return now is not None and held is not None and held.active

        return PageReader(
            person=person,
            address=address,
            session=session.key,
            granted=lambda: self.desk.authority.granted(person.key),
            holds=holds,
        )

    def service(self, token: str, address: str) -> PageReader:
        """A system that shows a token; nobody, where it is none of ours or may not read from there now."""
        key = self.store.token(hashed(token))
        service = self.desk.services.get(key) if key else None
        person = service.reader(self.desk.people, self.desk.now(), address) if service else None
        if service is None or person is None:
            if not self.sign_in.wait_s("", address):
                self.sign_in.failed("", "token", f"service:{key}" if key else "", address=address)
            return anyone(address, None)

        def holds() -> bool:
            now, held = self.desk.now(), self.desk.services.get(key)
            reads = held is not None and held.reader(self.desk.people, now, address) is not None
            return reads and bool(self.store.token(hashed(token)))

        return PageReader(
            person=person,
            address=address,
            session="",
            granted=lambda: self.desk.authority.grants.granted(person, self.desk.now()),
            holds=holds,
        )

    def offer_first(self, where: str, say: Callable[[str], None]) -> None:
        """While nobody is enrolled: make the first administrator's link, and leave it in a file that only we read.

        Args:
            where: Address of the pages.
            say: Takes lines for a person at a terminal: a log is read by others.
        """
        word = set_up.first(self.desk, self.store)
        if not word:
            self.forget_first()
            return
        statefile.write(self._first, f"{where}set-up/{word}\n".encode(), 0o600)
        _log.warning("nobody is enrolled yet: the first administrator's link is in %s", self._first)
        if sys.stderr.isatty():
            say(f"the first administrator sets up here, within {LINK_HOURS} h: {where}set-up/{word}")

    def forget_first(self) -> None:
        """The first administrator is there."""
        self._first.unlink(missing_ok=True)

    def end_session(self, person: Person, key: str, address: str) -> None:
        """A person ends one of their own sessions."""
        for session in self.store.sessions(person.key):
            if session.key == key:
                self.sessions.close(session, Ending.REVOKED, person.key, address)

    async def tend(self) -> None:
        """Close what is past its limits, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_S)
            try:
                await asyncio.to_thread(self.sessions.tidy)
            except Exception as error:  # noqa: BLE001 - requests are refused by the gate meanwhile
                _log.error("sessions cannot be tidied: %s", error)

    def close(self) -> None:
        """Watch no more, and let go of the secrets."""
        self.telling.close()
        self._threads.shutdown(wait=True)
        self.store.close()


def open_office(
    state: Path, authority: Authority, policy: ReadingPolicy, *, wall: Callable[[], int], running: Callable[[], int]
) -> SignInOffice:
    """The office of a state folder.

    Raises:
        StoreError: the secrets cannot be opened.
    """
    desk = PeopleDesk(authority, wall, running)
    return SignInOffice(desk, open_store(state, wall_ns=wall(), say=_log.warning), policy)
