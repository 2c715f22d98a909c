"""One-time links: how a person comes to a password and codes without anybody else ever knowing them.

    issue    an administrator's act; the link's word is shown once, and its SHA-256 is kept for 72 h
    look     what the page shows: opening a link uses nothing up, since mail programs open links by themselves
    use      password chosen, a code given, the policy acknowledged: now the link is used up and the person active

A recovery is the same with everything taken away first that the person could sign in with; there is no other recovery.
The first link of a site is for nobody yet: whoever has it enrols as its first administrator.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.errors import ConfigError
from receiver.governed.people import codes, passwords
from receiver.governed.people.acts import LINK_HOURS, PeopleActs
from receiver.governed.people.desk import PeopleDesk, new_key
from receiver.governed.people.enrolment import Enrolment, PersonDraft
from receiver.governed.people.passwords import Passwords
from receiver.governed.people.person_sessions import hashed
from receiver.governed.people.secret_store import Credential, SecretStore, SetUpLink
from receiver.governed.trail.entry import TrailEntry

WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A link that is good, and whose it is."""

    link: SetUpLink
    enrolment: Enrolment | None
    """None: the first administrator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpForm:
    """What a person filled in."""

    password: str
    again: str
    code: str
    policy: str
    """Version of the policy that was shown and acknowledged; empty: it was not."""
    draft: PersonDraft | None = None
    """Of the first administrator."""


class SetUp:
    """Issues and takes links; for any thread. `use` is slow, as passwords are."""

    def __init__(self, desk: PeopleDesk, store: SecretStore, hasher: Passwords) -> None:
        """
        Args:
            desk: The register.
            store: Where links and credentials are kept.
            hasher: Makes the hash.
        """
        self._desk, self._store, self._hasher = desk, store, hasher

    def use(self, word: str, chosen: SetUpForm, *, address: str) -> str:
        """Take what the person chose; returns the person's key.

        Raises:
            ConfigError: why it cannot be taken; the link is good for another try.
            TrailError, StoreError: it cannot be put on record.
        """
        found = look(self._desk, self._store, word)
        if found is None:
            raise ConfigError("this link is not good", hint="ask an administrator for another one")
        draft = chosen.draft if found.enrolment is None else found.enrolment.draft
        if draft is None:
            raise ConfigError("login, name and end are missing", hint="fill them in")
        if chosen.password != chosen.again:
            raise ConfigError("the two passwords differ", hint="type it twice")
        if why := passwords.refusal(chosen.password, draft.login, draft.name):
            raise ConfigError(why, hint="choose another one")
        if not chosen.policy:
            raise ConfigError("the policy is not acknowledged", hint="read it, and tick the box")
        step = codes.step_of(found.link.seed, chosen.code, self._desk.wall())
        if step is None:
            raise ConfigError("the code does not fit", hint="wait for the next one; the phone's time must be right")
        kept = self._hasher.hash(chosen.password)
        if not self._store.take_link(found.link.hash):
            raise ConfigError("this link was used just now", hint="ask an administrator for another one")
        try:
            key = self._recorded(found, draft, chosen.policy, address)
        except BaseException:
            self._store.set_link(found.link)
            raise
        self._store.set_credential(Credential(key, kept, found.link.seed, step))
        return key

    def _recorded(self, found: OpenLink, draft: PersonDraft, policy: str, address: str) -> str:
        if found.enrolment is not None:
            key = found.enrolment.key
        else:
            key = new_key("p")
            self._desk.act(key, lambda acts: acts.enrol_first(key, draft), origin=address)
        self._desk.act(key, lambda acts: acts.acknowledge(key, policy), origin=address)
        return key


def issue(
    desk: PeopleDesk,
    store: SecretStore,
    key: str,
    *,
    by: str,
    recovery: bool = False,
    first: bool = False,
    origin: str = "",
) -> str:
    """Issue a link for a person; returns its word.

    Args:
        desk: The register.
        store: Where links are kept.
        key: Whose.
        by: Who acts, as the trail names it.
        recovery: All that the person could sign in with is gone.
        first: Only for somebody who never set up.
        origin: Network address it came from.

    Raises:
        ConfigError: nobody has the key, or may have one now.
        TrailError, StoreError: it cannot be put on record.
    """

    def wish(acts: PeopleActs) -> Sequence[TrailEntry]:
        return acts.link(key, recovery=recovery, first=first)

    desk.act(by, wish, origin=origin)
    if recovery:
        store.forget(key)
    return _made(desk, store, key)


def first(desk: PeopleDesk, store: SecretStore) -> str:
    """The link of the first administrator; empty where somebody is enrolled. The one before is void."""
    return "" if len(desk.refresh()) else _made(desk, store, "")


def look(desk: PeopleDesk, store: SecretStore, word: str) -> OpenLink | None:
    """A link that is good now; None for any other word."""
    now = desk.now()
    link = store.link(hashed(word), now.late_ns)
    if link is None:
        return None
    people = desk.refresh()
    if not link.person:
        return OpenLink(link, None) if not len(people) else None
    enrolment = people.get(link.person)
    if enrolment is None or enrolment.suspended or enrolment.leaving or now.late_ns >= enrolment.draft.ends_ns:
        return None
    return OpenLink(link, enrolment)


def _made(desk: PeopleDesk, store: SecretStore, person: str) -> str:
    word = secrets.token_urlsafe(WORD_BYTES)
    ends_ns = desk.now().late_ns + LINK_HOURS * 3600 * 10**9
    store.set_link(SetUpLink(hashed(word), person, ends_ns, codes.new_seed()))
    return word
