"""Sessions: opened by whoever signed in, looked up with every request, closed by a limit, a move or a person.

The cookie is 256 random bits and is nowhere here: its SHA-256 names the session. What looks wrong is an alert in the
trail (`session_rules.py`): nobody is refused for it but who brings a cookie from another network than it was given to.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from receiver.governed.people.desk import PeopleDesk, new_key
from receiver.governed.people.person import Person
from receiver.governed.people.secret_store import SecretStore, SignInSession
from receiver.governed.people.session_rules import (
    BROWSERS,
    NOTED_NS,
    TOGETHER_NS,
    Ending,
    elsewhere,
    ending,
    network,
    seat,
)

WORD_BYTES = 32
"""Of a cookie."""

REMEMBERED = 10_000
"""Sessions whose last addresses are kept in mind."""

LONGEST_AGENT = 120
"""Of what a browser says of itself [characters]."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a cookie is worth now."""

    session: SignInSession
    person: Person | None
    """None: the session is over."""
    ending: Ending | None
    noting: bool
    """There is something to be written down, by `settle`."""
    wanders: str = ""
    """Another address of its network that the same cookie comes from at the same time."""


@dataclass(frozen=True, slots=True)
class AddressUse:
    """Where one session's cookie came from last."""

    before: str
    now: str
    since_ns: int
    """When it changed from the one to the other."""


class PersonSessions:
    """Everybody's sessions; for any thread."""

    def __init__(self, desk: PeopleDesk, store: SecretStore) -> None:
        """
        Args:
            desk: Who is active.
            store: Where sessions are kept.
        """
        self._desk, self._store = desk, store
        self._told: set[frozenset[str]] = set()
        """Sessions of which it was said that they are used from two addresses: a pair, or one by itself."""
        self._uses: dict[str, AddressUse] = {}
        """By the session's key; of this process, since a cookie that wanders is seen within minutes or not at all."""

    def open(self, person: Person, how: str, *, address: str, agent: str) -> str:
        """A new session; returns what the cookie holds.

        Raises:
            TrailError: it cannot be put on record, and is none.
        """
        word, now_ns = secrets.token_urlsafe(WORD_BYTES), self._desk.now().late_ns
        session = SignInSession(
            hash=hashed(word),
            key=new_key("n"),
            person=person.key,
            how=how,
            address=address,
            agent="".join(letter for letter in agent if letter.isprintable())[:LONGEST_AGENT],
            opened_ns=now_ns,
            used_ns=now_ns,
        )
        self._desk.note("session.opened", person.key, address, person=person.key, session=session.key, how=how)
        self._look_elsewhere(session, address, now_ns)
        self._look_browsers(session, address)
        self._store.open_session(session)
        return word

    def glance(self, word: str, address: str) -> Glance | None:
        """What a cookie is worth, without writing anything; None for what is no session's.

        Raises:
            TrailError, StoreError: nobody can say.
        """
        session = self._store.session(hashed(word))
        if session is None:
            return None
        now = self._desk.now()
        person = self._desk.people.person(session.person, now)
        if person is None or not person.active:
            return Glance(session, None, Ending.PERSON, noting=True)
        if why := ending(session, address, now.late_ns):
            return Glance(session, None, why, noting=True)
        wanders = self._wanders(session, address, now.late_ns)
        noting = bool(wanders) or now.late_ns - session.used_ns >= NOTED_NS
        return Glance(session, person, None, noting=noting, wanders=wanders)

    def settle(self, glance: Glance, address: str) -> None:
        """Write down what a glance found: a use, or that the session is over."""
        session, now_ns = glance.session, self._desk.now().late_ns
        if glance.ending is None:
            self._look_elsewhere(session, address, now_ns)
            if glance.wanders and frozenset({session.key}) not in self._told:
                self._told.add(frozenset({session.key}))
                self._alert("second address", session, address, [glance.wanders, address])
            self._store.use_session(session.hash, now_ns)
            return
        if self._store.close_session(session.key):
            if glance.ending is Ending.MOVED:
                self._alert("address changed", session, address, [network(session.address), network(address)])
            self._closed(session, glance.ending, "system", address)

    def close(self, session: SignInSession, why: Ending, by: str, address: str) -> None:
        """End a session because a person wants it."""
        if self._store.close_session(session.key):
            self._closed(session, why, by, address)

    def close_all(self, person: str, why: Ending, by: str, *, keep: str = "", address: str = "") -> None:
        """End every session of a person but the one of the key `keep`."""
        for session in self._store.sessions(person):
            if session.key != keep:
                self.close(session, why, by, address)

    def of(self, person: str) -> list[SignInSession]:
        """A person's that still hold, the newest first."""
        now_ns = self._desk.now().late_ns
        return [one for one in self._store.sessions(person) if ending(one, one.address, now_ns) is None]

    def tidy(self) -> None:
        """Close what is past its limits, though nobody asks for it any more."""
        now = self._desk.now()
        for session in self._store.sessions():
            person = self._desk.people.person(session.person, now)
            why = ending(session, session.address, now.late_ns)
            if person is None or not person.active:
                why = Ending.PERSON
            if why is not None and self._store.close_session(session.key):
                self._closed(session, why, "system", "")

    def _look_elsewhere(self, session: SignInSession, address: str, now_ns: int) -> None:
        others = [one for one in self._store.sessions(session.person) if one.key != session.key]
        found = [one for one in elsewhere(address, others, now_ns) if {one.key, session.key} not in self._told]
        if found:
            self._told |= {frozenset({one.key, session.key}) for one in found}
            self._alert("second address", session, address, [one.address for one in found] + [address])

    def _look_browsers(self, session: SignInSession, address: str) -> None:
        agents = {one.agent for one in self._store.sessions(session.person)}
        if session.agent not in agents and len(agents) + 1 >= BROWSERS:
            self._alert("several browsers", session, address, [address], agents=sorted(agents | {session.agent}))

    def _wanders(self, session: SignInSession, address: str, now_ns: int) -> str:
        """The other address of a cookie that went there and came back within `TOGETHER_NS`; empty: it did not."""
        use = self._uses.get(session.key) or AddressUse("", session.address, session.opened_ns)
        if seat(use.now) == seat(address):
            return ""
        if len(self._uses) >= REMEMBERED:
            self._uses.clear()
        self._uses[session.key] = AddressUse(use.now, address, now_ns)
        return use.now if use.before == address and now_ns - use.since_ns < TOGETHER_NS else ""

    def _alert(
        self, what: str, session: SignInSession, address: str, places: list[str], *, agents: list[str] | None = None
    ) -> None:
        self._desk.note(
            "alert.raised",
            "system",
            address,
            what=what,
            person=session.person,
            session=session.key,
            addresses=sorted(set(places)),
            agents=agents or [],
        )

    def _closed(self, session: SignInSession, why: Ending, by: str, address: str) -> None:
        self._desk.note("session.closed", by, address, person=session.person, session=session.key, why=why.value)


def hashed(word: str) -> bytes:
    """As a word of 256 random bits is kept."""
    return hashlib.sha256(word.encode()).digest()
