"""What may be done to people: each act looks at the register and gives the entries to write, or says why not.

Handed to `Trail.act`, so that the register it looks at is the trail's, up to the last entry, while nobody else writes.
`by` is who acts, as the trail names it; random keys are handed in. All raise ConfigError, and nothing is written then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from protocol.errors import ConfigError
from receiver.governed.people.enrolment import Enrolment, PersonDraft, Standing
from receiver.governed.people.person import PersonRole
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry

LINK_HOURS = 72
"""How long a one-time link is good [h]: over a weekend."""


class PeopleActs:
    """Everything that one actor may wish to do at one moment."""

    def __init__(self, people: People, now: SureTime, *, at_ns: int, by: str, origin: str = "") -> None:
        """
        Args:
            people: Up to date.
            now: What is believed of the time: ends are compared with it.
            at_ns: The wall clock, for the entries [ns since 1970 UTC].
            by: Key of the person who acts, `command:LOGIN` or `system`.
            origin: Network address the wish came from.
        """
        self._people, self._now, self._at_ns, self._by, self._origin = people, now, at_ns, by, origin

    def enrol(self, key: str, draft: PersonDraft) -> Sequence[TrailEntry]:
        """Enrol a person under a new key."""
        self._check(draft)
        held = self._people.find(draft.login)
        if held and held.standing(self._now) is not Standing.ENDED:
            hint = f"checkvalve person show {held.key} tells what is known; change or end that enrolment"
            raise ConfigError(f"{draft.login} is enrolled already, as {held.key}", hint=hint)
        return [self._entry("person.enrolled", key, draft.facts())]

    def enrol_first(self, key: str, draft: PersonDraft) -> Sequence[TrailEntry]:
        """Enrol the first administrator by the link that was printed: only while nobody else ever was."""
        if len(self._people):
            raise ConfigError("somebody is enrolled already", hint="checkvalve person link makes another link")
        return self.enrol(key, draft)

    def change(self, key: str, **changes: Any) -> Sequence[TrailEntry]:
        """Change fields of the draft; an end may be moved like anything else, within what `PersonDraft` allows."""
        held = self._living(key)
        draft = replace(held.draft, **changes)
        self._check(draft)
        other = self._people.find(draft.login)
        if other and other.key != key and other.standing(self._now) is not Standing.ENDED:
            raise ConfigError(f"{draft.login} is the login of {other.key}", hint="choose another")
        before, after = held.draft.facts(), draft.facts()
        changed = {name: fact for name, fact in after.items() if fact != before[name]}
        if not changed:
            raise ConfigError("nothing would be other than it is", hint="name what is to change")
        return [self._entry("person.changed", key, changed)]

    def link(self, key: str, *, recovery: bool, first: bool = False) -> Sequence[TrailEntry]:
        """Issue a one-time link; with `recovery` the credentials that were lost go, with `first` there are none yet."""
        held = self._living(key)
        if first and held.policy is not None:
            raise ConfigError(f"{held.draft.login} has set up", hint="what was lost is replaced by a command")
        if held.suspended:
            raise ConfigError(f"{held.draft.login} is suspended: {held.suspended}", hint="resume first")
        return [self._entry("person.linked", key, {"recovery": recovery, "hours": LINK_HOURS})]

    def acknowledge(self, key: str, policy: str) -> Sequence[TrailEntry]:
        """The person acknowledged the policy of this version."""
        self._living(key)
        return [self._entry("person.acknowledged", key, {"policy": policy})]

    def suspend(self, key: str, why: str) -> Sequence[TrailEntry]:
        """Let nothing be read until `resume`."""
        held = self._living(key)
        if held.suspended:
            raise ConfigError(f"{held.draft.login} is suspended already: {held.suspended}", hint="nothing is to do")
        return [self._entry("person.suspended", key, {"why": _reason(why)})]

    def resume(self, key: str, why: str) -> Sequence[TrailEntry]:
        """Undo a suspension."""
        held = self._living(key)
        if not held.suspended:
            raise ConfigError(f"{held.draft.login} is not suspended", hint="nothing is to do")
        return [self._entry("person.resumed", key, {"why": _reason(why)})]

    def end(
        self, key: str, why: str, *, left_ns: int | None = None, reported_ns: int | None = None
    ) -> Sequence[TrailEntry]:
        """End an enrolment for ever.

        Args:
            key: Whose.
            why: In words.
            left_ns: When the person left the employer, where that is why [ns since 1970 UTC].
            reported_ns: When the employer said so; left out: now.
        """
        self._living(key)
        facts: dict[str, Fact] = {"why": _reason(why)}
        if left_ns is not None:
            reported = self._at_ns if reported_ns is None else reported_ns
            if not left_ns <= reported <= self._at_ns:
                raise ConfigError(
                    "left, reported, now: these do not follow each other", hint="give --left and --reported"
                )
            facts |= {"left_ns": left_ns, "reported_ns": reported}
        return [self._entry("person.ended", key, facts)]

    def confirm(self, employer: str, keys: Iterable[str], by: str) -> Sequence[TrailEntry]:
        """The employer's contact confirmed these people; the others of the employer stay due.

        Args:
            employer: Whose people.
            keys: Who was confirmed; empty for all of them.
            by: The contact who said so, by name.
        """
        here = {
            one.key
            for one in self._people
            if one.draft.employer == employer and one.standing(self._now) is not Standing.ENDED
        }
        named = set(keys) or here
        if strangers := named - here:
            raise ConfigError(
                f"{', '.join(sorted(strangers))}: nobody of {employer or 'the site'} now", hint="list them"
            )
        if not named:
            raise ConfigError(f"nobody of {employer or 'the site'} is enrolled", hint="write the employer as assets do")
        if not by.strip():
            raise ConfigError("who confirmed is not named", hint="name the contract's contact with --by")
        facts: dict[str, Fact] = {"employer": employer, "persons": [*sorted(named)], "by": by.strip()}
        return [TrailEntry(kind="person.confirmed", at_ns=self._at_ns, who=self._by, origin=self._origin, facts=facts)]

    def _living(self, key: str) -> Enrolment:
        held = self._people.get(key)
        if held is None:
            raise ConfigError(f"nobody has the key {key}", hint="checkvalve person list names everybody")
        if held.standing(self._now) is Standing.ENDED:
            raise ConfigError(f"the enrolment of {held.draft.login} has ended", hint="enrol the person anew")
        return held

    def _check(self, draft: PersonDraft) -> None:
        wrong = [f"{key}: {text}" for key, text in draft.mistakes(self._at_ns)]
        if draft.sponsor:
            sponsor = self._people.person(draft.sponsor, self._now)
            if sponsor is None or not sponsor.active or PersonRole.SPONSOR not in sponsor.roles:
                wrong.append(f"sponsor: {draft.sponsor} is no active sponsor of the site")
        if wrong:
            raise ConfigError("not enrolled so: " + "; ".join(wrong), hint="mend what is named and try again")

    def _entry(self, kind: str, key: str, facts: dict[str, Fact]) -> TrailEntry:
        whole: dict[str, Fact] = {"person": key, **facts}
        return TrailEntry(kind=kind, at_ns=self._at_ns, who=self._by, origin=self._origin, facts=whole)


def _reason(why: str) -> str:
    if not why.strip() or len(why) > 1000:
        raise ConfigError("no reason is given, or more than 1000 characters of it", hint="say why, in a sentence")
    return why.strip()
