"""Break-glass: in an emergency a custodian on duty opens named equipment for a named person, and answers for it.

What makes it bearable: credentials that exist beforehand and are used once, one custodian a shift, written criteria
that are ticked, security told at once, a review within a day, and no next use while a review is open. A drill is the
same in all of it, so that what was practised is what happens; it is marked, and it counts as evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from receiver.governed.grants.asking import SHORTEST_REASON, span
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.policy import AccessPolicy
from receiver.governed.grants.preset import BREAK_GLASS, PRESETS
from receiver.governed.grants.register import Grants, told
from receiver.governed.grants.request import Period
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry

LONGEST_PLACE = 200
"""Of where a sealed code lies [characters]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """What a custodian fills in."""

    extent: Extent
    """The equipment of the emergency."""
    length_s: float
    criteria: Sequence[str]
    """Those that were ticked, word for word."""
    why: str
    credential: str
    """Key of the credential that was taken from its place; its secret has been checked by the caller."""
    drill: bool = False


def may_open(custodian: Person, grants: Grants, now: SureTime) -> None:
    """Raises RuleRefusal where a person may not break the glass now, and says why."""
    if not custodian.active or PersonRole.CUSTODIAN not in custodian.roles:
        raise RuleRefusal("only a custodian breaks the glass")
    if not any(one.person == custodian.key for one in grants.on_duty(PersonRole.CUSTODIAN, now)):
        raise RuleRefusal("you are not the custodian of this shift; the roster says who is")
    unreviewed = grants.open_glass()
    if unreviewed:
        keys = ", ".join(one.key for one in unreviewed)
        raise RuleRefusal(f"the review of the last use ({keys}) is open; it must be closed before the next")
    if not grants.credential:
        raise RuleRefusal("no break-glass credential lies ready: the last one was used and not renewed")


def open_glass(
    emergency: Emergency,
    custodian: Person,
    reader: Person,
    visible: Extent,
    grants: Grants,
    policy: AccessPolicy,
    now: SureTime,
    *,
    key: str,
) -> list[TrailEntry]:
    """The entry that opens the equipment for the reader, at once.

    Args:
        emergency: As it was filled in.
        custodian: Who opens.
        reader: Who reads.
        visible: What the reader's employer may see at all.
        grants: The register, up to date.
        policy: The site's.
        now: Sure time.
        key: The grant's.

    Raises:
        RuleRefusal: The rules do not allow it, and why.
    """
    may_open(custodian, grants, now)
    preset = policy.presets.get(BREAK_GLASS, PRESETS[BREAK_GLASS])
    longest_s = policy.longest_s(preset, emergency.extent)
    if reader.key == custodian.key:
        raise RuleRefusal("a custodian opens for somebody else, never for themselves")
    if not reader.active or PersonRole.READER not in reader.roles or now.late_ns >= reader.ends_ns:
        raise RuleRefusal("the reader is not enrolled")
    if emergency.credential != grants.credential:
        raise RuleRefusal("this is not the credential that lies ready")
    if not emergency.extent.assets or not visible.covers(emergency.extent):
        raise RuleRefusal("name the equipment of the emergency, among what the reader's employer may see")
    if not 0 < emergency.length_s <= longest_s:
        raise RuleRefusal(f"it opens for {span(longest_s)} at most")
    missing = [one for one in policy.criteria if one not in emergency.criteria]
    if missing:
        raise RuleRefusal(f"every written criterion must hold; not ticked: {'; '.join(missing)}")
    if len(emergency.why.strip()) < SHORTEST_REASON:
        raise RuleRefusal(f"what happened must be written down, in at least {SHORTEST_REASON} characters")
    period = Period(from_ns=now.early_ns, until_ns=now.late_ns + round(emergency.length_s * 1e9))
    names = (("grant", key), ("person", reader.key), ("custodian", custodian.key), ("credential", emergency.credential))
    more: dict[str, Fact] = {"criteria": [*policy.criteria], "why": emergency.why.strip(), "drill": emergency.drill}
    facts = told(emergency.extent, period, more, names)
    return [TrailEntry(kind="break-glass.opened", at_ns=now.late_ns, who=custodian.key, facts=facts)]


def prepare(credential: str, place: str, grants: Grants, by: str, now: SureTime) -> list[TrailEntry]:
    """The entry of a new credential; the one that lay ready opens nothing from then on.

    Args:
        credential: Key of the new one.
        place: Where its sealed code will lie, in words.
        grants: The register, up to date.
        by: Who prepares it, as the trail names it.
        now: Sure time.

    Raises:
        RuleRefusal: The place is missing.
    """
    if not place.strip() or len(place) > LONGEST_PLACE:
        raise RuleRefusal("say where the sealed code will lie, so that the next shift finds it")
    facts: dict[str, Fact] = {"credential": credential, "place": place.strip()}
    if grants.credential:
        facts["replaces"] = grants.credential
    return [TrailEntry(kind="break-glass.prepared", at_ns=now.late_ns, who=by, facts=facts)]
