"""What `checkvalve person` does: between the command line and `receiver/governed/people`."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from receiver.config import ReceiverConfig, load
from receiver.governed import ending_access
from receiver.governed.open_authority import open_authority, running_ns
from receiver.governed.people import logins, set_up
from receiver.governed.people.acts import PeopleActs
from receiver.governed.people.desk import PeopleDesk, new_key
from receiver.governed.people.enrolment import Enrolment, PersonDraft, Standing, last_day
from receiver.governed.people.person import PersonRole
from receiver.governed.people.person_sessions import PersonSessions
from receiver.governed.people.secret_store import SecretStore, open_store
from receiver.governed.people.tasks import tasks
from receiver.governed.trail.entry import TrailEntry
from receiver.publish.portal_note import read_note


class CommandDesk:
    """People, secrets and who types."""

    def __init__(self, config: ReceiverConfig, desk: PeopleDesk, store: SecretStore) -> None:
        self.config, self.desk, self.store = config, desk, store
        self.by = f"command:{typist()}"

    def key(self, who: str) -> str:
        """By key or login.

        Raises:
            ConfigError: nobody is called so.
        """
        people = self.desk.refresh()
        found = people.get(who) or people.find(logins.normal(who))
        if found is None:
            raise ConfigError(f"nobody is called {who}", hint="checkvalve person list names everybody")
        return found.key

    def act(self, wish: Callable[[PeopleActs], Sequence[TrailEntry]]) -> None:
        """On record, or not done."""
        self.desk.act(self.by, wish)

    def address(self, word: str) -> str:
        """Of the page behind a link: where the pages are now, or would be."""
        note, portal = read_note(self.config.state), self.config.portal
        host, port = portal.listen
        if portal.names:
            host = portal.names[0]
        where = f"{'https' if portal.encrypted else 'http'}://{host}:{port}/"
        return f"{note.url if note and not portal.names else where}set-up/{word}"


@contextmanager
def opened(file: Path) -> Iterator[CommandDesk]:
    """The people of a low side; raises ConfigError, TrailError, StoreError."""
    config = load(file)
    config.state.mkdir(parents=True, exist_ok=True)
    authority = open_authority(config.path.parent, config.state)
    try:
        store = open_store(config.state, wall_ns=time.time_ns(), say=_refused)
        try:
            yield CommandDesk(config, PeopleDesk(authority, time.time_ns, running_ns), store)
        finally:
            store.close()
    finally:
        authority.trail.close()


def enrol(file: Path, *, roles: Sequence[str], until: str, sponsor: str, login: str, **texts: str) -> dict[str, str]:
    """Enrol, and issue the link."""
    with opened(file) as here:
        draft = PersonDraft(
            login=logins.normal(login),
            roles=_roles(roles),
            ends_ns=last_day(until),
            sponsor=here.key(sponsor) if sponsor else "",
            **{name: text.strip() for name, text in texts.items()},
        )
        key = new_key("p")
        here.act(lambda acts: acts.enrol(key, draft))
        return _link(here, key, recovery=False)


def link(file: Path, who: str, *, recovery: bool) -> dict[str, str]:
    """Issue a link."""
    with opened(file) as here:
        return _link(here, here.key(who), recovery=recovery)


def change(
    file: Path,
    who: str,
    given: Mapping[str, str | None],
    *,
    roles: Sequence[str] | None,
    until: str | None,
    sponsor: str | None,
) -> str:
    """Change what is given."""
    with opened(file) as here:
        key = here.key(who)
        changes: dict[str, Any] = {name: text.strip() for name, text in given.items() if text is not None}
        if "login" in changes:
            changes["login"] = logins.normal(changes["login"])
        if roles:
            changes["roles"] = _roles(roles)
        if until:
            changes["ends_ns"] = last_day(until)
        if sponsor:
            changes["sponsor"] = here.key(sponsor)
        here.act(lambda acts: acts.change(key, **changes))
        return f"{key}: changed"


def suspend(file: Path, who: str, why: str) -> str:
    """Suspend, and end the sessions."""
    with opened(file) as here:
        key = here.key(who)
        ending_access.suspend(here.desk, here.store, key, why, by=here.by)
        return f"{key}: suspended; sessions are closed"


def resume(file: Path, who: str, why: str) -> str:
    """Undo it."""
    with opened(file) as here:
        key = here.key(who)
        here.act(lambda acts: acts.resume(key, why))
        return f"{key}: resumed"


def end(file: Path, who: str, why: str, *, left: str | None, reported: str | None) -> str:
    """End for ever; what they could sign in with goes."""
    with opened(file) as here:
        key = here.key(who)
        left_ns, reported_ns = (_moment(text) if text else None for text in (left, reported))
        ending_access.end(here.desk, here.store, key, why, by=here.by, left_ns=left_ns, reported_ns=reported_ns)
        return f"{key}: ended; sessions are closed"


def confirm(file: Path, employer: str, by: str, who: Sequence[str]) -> str:
    """Note a confirmation."""
    with opened(file) as here:
        keys = [here.key(one) for one in who]
        here.act(lambda acts: acts.confirm(employer, keys, by))
        return f"people of {employer}: confirmed by {by}"


def listed(file: Path, *, everybody: bool) -> dict[str, Any]:
    """Everybody, and what is due."""
    with opened(file) as here:
        now = here.desk.now()
        people = [
            _told(one, one.standing(now))
            for one in here.desk.people
            if everybody or one.standing(now) is not Standing.ENDED
        ]
        due = [{"what": one.what, "due_ns": one.due_ns, "overdue": one.overdue} for one in tasks(here.desk.people, now)]
        return {"people": people, "tasks": due}


def shown(file: Path, who: str) -> dict[str, Any]:
    """One person."""
    with opened(file) as here:
        found = here.desk.people.get(here.key(who))
        assert found is not None
        sessions = [
            {"session": one.key, "address": one.address, "how": one.how, "opened_ns": one.opened_ns}
            for one in PersonSessions(here.desk, here.store).of(found.key)
        ]
        return _told(found, found.standing(here.desk.now())) | {"sessions": sessions}


def list_lines(told: dict[str, Any]) -> Iterator[str]:
    """For people."""
    if not told["people"]:
        yield "nobody is enrolled"
    for one in told["people"]:
        roles, employer = ", ".join(one["roles"]), one["employer"] or "own"
        who = f"{one['person']}  {one['login']}  {one['name']} ({employer})"
        yield f"{who}: {roles}; {one['standing']}, until {shown_day(one['ends_ns'])}"
    for task in told["tasks"]:
        yield f"{'OVERDUE' if task['overdue'] else 'due'} {shown_day(task['due_ns'])}: {task['what']}"


def show_lines(told: dict[str, Any]) -> Iterator[str]:
    """For people."""
    for name, held in told.items():
        if name == "sessions":
            for one in held:
                since = shown_day(one["opened_ns"])
                yield f"  session {one['session']}: from {one['address']} by {one['how']} since {since}"
        elif name.endswith("_ns"):
            yield f"{name.removesuffix('_ns').replace('_', ' ')}: {shown_day(held)}"
        elif held:
            yield f"{name.replace('_', ' ')}: {', '.join(held) if isinstance(held, list) else held}"


def typist() -> str:
    """The login of whoever typed this, also behind sudo."""
    for name in ("SUDO_USER", "DOAS_USER"):
        if os.geteuid() == 0 and os.environ.get(name, "").isprintable() and os.environ.get(name):
            return os.environ[name][:64]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _link(here: CommandDesk, key: str, *, recovery: bool) -> dict[str, str]:
    word = set_up.issue(here.desk, here.store, key, by=here.by, recovery=recovery)
    found = here.desk.people.get(key)
    assert found is not None
    return {"person": key, "login": found.draft.login, "link": here.address(word)}


def _told(one: Enrolment, standing: Standing) -> dict[str, Any]:
    facts = asdict(one.draft) | {"roles": sorted(role.value for role in one.draft.roles)}
    told: dict[str, Any] = {"person": one.key, "standing": standing.value} | facts
    told |= {"enrolled_ns": one.enrolled_ns, "enrolled_by": one.enrolled_by, "confirmed_ns": one.confirmed_ns}
    if one.policy:
        told |= {"policy": one.policy.version, "acknowledged_ns": one.policy.at_ns}
    if one.suspended:
        told["suspended"] = one.suspended
    if one.leaving:
        leaving = {name: held for name, held in asdict(one.leaving).items() if held is not None}
        told |= {"why_ended": one.why_ended} | leaving
    return told


def _roles(texts: Sequence[str]) -> frozenset[PersonRole]:
    try:
        return frozenset(PersonRole(text) for text in texts)
    except ValueError as error:
        hint = "one or several of " + ", ".join(role.value for role in PersonRole)
        raise ConfigError(f"--role: {error}", hint=hint) from error


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text} is no time", hint="write it as 2026-11-28, or 2026-11-28T06:00+01:00") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**9


def shown_day(time_ns: int) -> str:
    """A moment for people, UTC; as its number where no calendar has it."""
    try:
        return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%MZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


def _refused(line: str) -> None:
    from protocol import terminal

    terminal.complain(f"warning: {line}")
