"""Asking: a request is taken in, and one that a rule cannot allow is refused at once, with the reason.

Both are recorded: a refusal is part of the record as a denial is. The reason never says more about the plant than the
asker may know: an asset of somebody else and one that never was are refused in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

from receiver.governed.grants.extent import Extent
from receiver.governed.grants.grant import OVER
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import BREAK_GLASS, DAY_S, HOUR_S, SITE_VISIT, Preset
from receiver.governed.grants.register import Grants, told
from receiver.governed.grants.request import Period
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.services import SERVICE
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry

SHORTEST_REASON = 15
"""Characters of a written reason at least: `see ticket` is none."""

SLACK_NS = 300 * 10**9
"""A beginning may lie this far in the past, for the time it takes to fill in a page [ns]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an asker filled in."""

    preset: str
    extent: Extent
    reason: str
    purpose: str
    period: Period
    ticket: str = ""
    extends: str = ""
    visit: str = ""


def ask(
    asked: Asked,
    person: Person,
    visible: Extent,
    grants: Grants,
    policy: AccessPolicy,
    now: SureTime,
    *,
    key: str,
    by: str = "",
) -> list[TrailEntry]:
    """The entries of a request: that it was made, and that it was refused where a rule cannot allow it.

    Args:
        asked: As it was filled in.
        person: Who shall read: the asker, or a system of theirs.
        visible: What the asker may ask for: the assets that name the asker's employer as vendor; of the site's own
            people all.
        grants: The register, up to date.
        policy: The site's.
        now: Sure time.
        key: The new request's.
        by: Key of the asker, where it is for a system.
    """
    more: dict[str, Fact] = {"reason": asked.reason.strip(), "purpose": asked.purpose, "preset": asked.preset}
    links = {"ticket": asked.ticket, "extends": asked.extends, "visit": asked.visit}
    more |= {name: value for name, value in links.items() if value}
    names = (("request", key), ("person", person.key))
    facts = told(asked.extent, asked.period, more, names)
    made = TrailEntry(kind="request.made", at_ns=now.late_ns, who=by or person.key, facts=facts)
    why = refusal(asked, person, visible, grants, policy, now)
    if not why:
        return [made]
    return [
        made,
        TrailEntry(kind="request.refused", at_ns=now.late_ns, who="system", facts={"request": key, "why": why}),
    ]


def refusal(asked: Asked, person: Person, visible: Extent, grants: Grants, policy: AccessPolicy, now: SureTime) -> str:
    """Why a rule cannot allow it, in words for the asker; empty where none forbids it."""
    preset = policy.presets.get(asked.preset)
    if preset is None or asked.preset == BREAK_GLASS:
        kinds = ", ".join(sorted(name for name in policy.presets if name != BREAK_GLASS))
        return f"there is no such kind of grant to ask for; the kinds are {kinds}"
    return (
        _of_person(person, now)
        or _of_extent(asked, visible)
        or _of_texts(asked)
        or _of_period(asked, person, preset, policy, now)
        or _of_grant_before(asked, person, grants)
        or _of_visit(asked, preset, person, grants, now)
    )


def _of_person(person: Person, now: SureTime) -> str:
    if not person.active or now.late_ns >= person.ends_ns:
        return "your enrolment is not complete or has ended; your sponsor can renew it"
    if PersonRole.READER not in person.roles:
        return "you are not enrolled as a reader; an administrator can change that"
    return ""


def _of_extent(asked: Asked, visible: Extent) -> str:
    if not asked.extent.assets:
        return "no asset was chosen"
    if not visible.covers(asked.extent):
        return "some of what was chosen is not among what you may ask for"
    return ""


def _of_texts(asked: Asked) -> str:
    if len(asked.reason.strip()) < SHORTEST_REASON:
        return f"the reason is too short to be judged by; write at least {SHORTEST_REASON} characters"
    if not asked.purpose.strip():
        return "the purpose is missing"
    return ""


def _of_period(asked: Asked, person: Person, preset: Preset, policy: AccessPolicy, now: SureTime) -> str:
    period, longest_s = asked.period, policy.longest_s(preset, asked.extent)
    if not period.from_ns < period.until_ns:
        return "it ends before it begins"
    if period.length_s is not None and not 0 < period.length_s <= (period.until_ns - period.from_ns) / 1e9:
        return "its length does not fit between its beginning and its end"
    if period.most_s > longest_s:
        return f"it is longer than {span(longest_s)}, which is the most for {preset.name} on these assets"
    if period.from_ns < now.early_ns - SLACK_NS:
        return "it begins in the past"
    if preset.notice_s and period.from_ns - now.late_ns < preset.notice_s * 1e9 - SLACK_NS:
        return f"{preset.name} needs {span(preset.notice_s)} notice; choose a later beginning"
    if period.from_ns - now.late_ns > preset.ahead_s * 1e9:
        return f"it begins more than {span(preset.ahead_s)} from now"
    last_ns = period.until_ns + round((period.length_s or 0.0) * 1e9)
    if last_ns > person.ends_ns:
        return "it would outlast your enrolment; your sponsor can renew that"
    return ""


def _of_grant_before(asked: Asked, person: Person, grants: Grants) -> str:
    if not asked.extends:
        return ""
    before = grants.grants.get(asked.extends)
    if before is None or before.person != person.key:
        return "the grant that it extends is none of yours"
    if not before.extent.covers(asked.extent):
        return "an extension is for the same assets and tags, or fewer; ask for more by a new request"
    return ""


def _of_visit(asked: Asked, preset: Preset, person: Person, grants: Grants, now: SureTime) -> str:
    if asked.preset == SITE_VISIT and person.key.startswith(SERVICE):
        return "a system visits nobody; the visit is asked for by who comes"
    if not preset.visit:
        return "" if not asked.visit else f"{preset.name} belongs to no site visit"
    visit = grants.grants.get(asked.visit)
    if visit is None or visit.preset != SITE_VISIT or visit.person != person.key or visit.state(now) in OVER:
        return f"{preset.name} belongs to a site visit of yours; ask for the visit first"
    if not visit.extent.covers(asked.extent):
        return "the site visit is for other assets"
    inside = visit.period.from_ns <= asked.period.from_ns and asked.period.until_ns <= visit.end_ns
    return "" if inside and asked.period.length_s is None else "it does not lie within the site visit"


def span(seconds: float) -> str:
    """A length in words: `4 h`, `90 days`."""
    if seconds >= 2 * DAY_S and seconds % DAY_S == 0:
        return f"{seconds / DAY_S:g} days"
    return f"{seconds / HOUR_S:g} h" if seconds >= HOUR_S else f"{seconds / 60:g} min"
