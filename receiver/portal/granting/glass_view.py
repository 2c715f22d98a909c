"""What one of the site's own people sees of break-glass: whether they may open now and why not, and its uses.

Pure: registers, now and the trail's notices in, plain values out. Uses are for who opens, who reviews and who sees
every record; to the others the page says whom to call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from receiver.governed.grants.break_glass import may_open
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.grant import OVER, Grant, GrantState
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import BREAK_GLASS
from receiver.governed.grants.register import Grants
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import TrailRecord
from receiver.portal.granting.access_view import REVIEWS, SEES_ALL

KEPT = 20
"""Uses on the page, newest first; the trail has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassUse:
    """One opening."""

    grant: Grant
    state: GrantState
    reader: str
    custodian: str
    due_ns: int
    """Until when its review must be closed [ns since 1970 UTC]; 0: it is closed."""
    overdue: bool
    findings: str
    """Of its review."""
    told: tuple[str, ...]
    """What became of telling security, a line a way."""
    may_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassView:
    """The page in values."""

    why_not: str
    """Why the person cannot open now; empty: they can."""
    uses: tuple[GlassUse, ...]
    readers: tuple[Person, ...]
    """Who can be let in, by name; for who may open."""


def look(
    person: Person,
    people: People,
    grants: Grants,
    policy: AccessPolicy,
    now: SureTime,
    notices: Iterable[TrailRecord] = (),
) -> GlassView:
    """What the person sees.

    Args:
        person: One of the site's own.
        people: Up to date.
        grants: Up to date.
        policy: The site's.
        now: Sure time.
        notices: Records `break-glass.opened` and `notice.`, oldest first: what became of telling security.
    """
    why_not = ""
    try:
        may_open(person, grants, now)
    except RuleRefusal as error:
        why_not = str(error)
    sees = bool(person.roles & (SEES_ALL | REVIEWS | {PersonRole.CUSTODIAN}))
    told = telling(notices)
    due = {one.grant.key: one.due_ns for one in grants.reviews_due(now, policy)}
    used = [one for one in grants.grants.values() if one.preset == BREAK_GLASS] if sees else []

    def use(one: Grant) -> GlassUse:
        state, review = one.state(now), grants.reviews.get(one.key)
        opener = grants.custodians.get(one.key, "")
        ends = person.key in (opener, one.person) or PersonRole.SECURITY in person.roles
        return GlassUse(
            grant=one,
            state=state,
            reader=_name(people, one.person, now),
            custodian=_name(people, opener, now),
            due_ns=0 if review else due.get(one.key, 0),
            overdue=not review and now.late_ns >= due.get(one.key, now.late_ns + 1),
            findings=review.findings if review else "",
            told=told.get(one.key, ()),
            may_end=ends and state not in OVER,
        )

    readers = [one for one in people.active(now) if PersonRole.READER in one.roles and one.key != person.key]
    return GlassView(
        why_not=why_not,
        uses=tuple(use(one) for one in sorted(used, key=lambda one: -one.given_ns)[:KEPT]),
        readers=() if why_not else tuple(sorted(readers, key=lambda one: (one.employer, one.name))),
    )


def telling(records: Iterable[TrailRecord]) -> dict[str, tuple[str, ...]]:
    """By grant: what became of telling security that its glass was broken, the last word of each way."""
    grant_of: dict[int, str] = {}
    words: dict[str, dict[str, str]] = {}
    for record in records:
        facts = record.entry.facts
        if record.entry.kind == "break-glass.opened":
            grant_of[record.number] = str(facts.get("grant", ""))
        elif record.entry.subject == "notice":
            cause, way = facts.get("notice"), str(facts.get("way", ""))
            grant = grant_of.get(cause) if isinstance(cause, int) else None
            if grant is not None:
                words.setdefault(grant, {})[way] = f"{way}: {_word(record)}"
    return {grant: tuple(ways.values()) for grant, ways in words.items()}


def _word(record: TrailRecord) -> str:
    facts = record.entry.facts
    match record.entry.kind:
        case "notice.delivered" if facts.get("confirmed") is True:
            return "delivered"
        case "notice.delivered":
            return "sent; nobody confirms that it arrived"
        case "notice.failed":
            return f"not delivered yet ({facts.get('why', '')}); it is tried again"
    return "under way"


def _name(people: People, key: str, now: SureTime) -> str:
    held = people.person(key, now)
    return held.name if held else key
