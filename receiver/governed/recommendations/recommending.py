"""Recommending: who may make one, let it be carried in, and note what came of it.

Every function gives the entries to be written, or raises `RuleRefusal` with a reason in words; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from protocol.content.answered import RecommendationAnswer
from protocol.recommendation.proposal import Proposal
from receiver.governed.grants.deciding import SHORTEST_WHY, RuleRefusal
from receiver.governed.grants.preset import DAY_S
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.recommendations.register import Recommendations, proposal_facts
from receiver.governed.recommendations.vendor_recommendation import RecommendationState, VendorRecommendation
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry

MOST_OPEN = 20
"""Recommendations of one person that wait for a release at a time: an engineer reads each of them."""
LONGEST_S = 180 * DAY_S
"""Most time between a release and its end [s]: what was seen half a year ago is looked at anew."""
LONGEST_WHY = 2_000
"""Characters of a written reason at most."""


def make(
    proposal: Proposal, person: Person, seen: Collection[str], held: Recommendations, now: SureTime, *, key: str
) -> list[TrailEntry]:
    """A reader recommends a change of an asset that they see at this moment.

    Args:
        proposal: As it was filled in, its texts through `proposal.plain`.
        person: Who makes it.
        seen: Names of the assets in the person's scope now.
        held: The register, up to date.
        now: Sure time.
        key: The new one's number.

    Raises:
        RuleRefusal: The person may not, or something is missing or too long.
    """
    _enrolled(person, now)
    if PersonRole.READER not in person.roles:
        raise RuleRefusal("a recommendation is made by a reader")
    if proposal.asset not in seen:
        raise RuleRefusal("the asset is not among what you may read now")
    if faults := list(proposal.faults()):
        raise RuleRefusal("; ".join(faults))
    waiting = [one for one in held if one.person == person.key and one.state(now) is RecommendationState.MADE]
    if len(waiting) >= MOST_OPEN:
        raise RuleRefusal(f"{MOST_OPEN} of yours wait for a release already; withdraw what is no longer meant")
    names: dict[str, Fact] = {"recommendation": key, "person": person.key, "name": person.name}
    facts = {**names, "vendor": person.employer, **proposal_facts(proposal)}
    return [TrailEntry(kind="recommendation.made", at_ns=now.late_ns, who=person.key, facts=facts)]


def withdraw(held: Recommendations, key: str, person: Person, now: SureTime, *, why: str) -> list[TrailEntry]:
    """Who made it wants it no more; one that was carried in is beyond recall.

    Raises:
        RuleRefusal: It is not theirs, or too late.
    """
    one = held.get(key)
    if one is None or one.person != person.key:
        raise RuleRefusal("it is not your recommendation")
    if one.state(now) not in (RecommendationState.MADE, RecommendationState.RELEASED):
        raise RuleRefusal(f"it is {one.state(now).value} already")
    facts: dict[str, Fact] = {"recommendation": key, "why": _reason(why)}
    return [TrailEntry(kind="recommendation.withdrawn", at_ns=now.late_ns, who=person.key, facts=facts)]


def release(
    held: Recommendations, key: str, person: Person, now: SureTime, *, why: str, expires_ns: int
) -> list[TrailEntry]:
    """The plant engineer lets it be carried in; that says that it is worth reading there, and no more.

    Args:
        expires_ns: From then on the high side accepts it no more [ns since 1970 UTC].

    Raises:
        RuleRefusal: The person may not, it does not wait for one, or the reason is missing.
    """
    may_judge(held, key, person, now)
    left_s = (expires_ns - now.late_ns) / 1e9
    if not DAY_S <= left_s <= LONGEST_S:
        raise RuleRefusal(f"it is released for a day at least, and for {LONGEST_S / DAY_S:g} days at most")
    facts: dict[str, Fact] = {"recommendation": key, "name": person.name, "why": _reason(why), "expires_ns": expires_ns}
    return [TrailEntry(kind="recommendation.released", at_ns=now.late_ns, who=person.key, facts=facts)]


def decline(held: Recommendations, key: str, person: Person, now: SureTime, *, why: str) -> list[TrailEntry]:
    """The plant engineer does not let it be carried in, and says why.

    Raises:
        RuleRefusal: as `release`.
    """
    may_judge(held, key, person, now)
    facts: dict[str, Fact] = {"recommendation": key, "why": _reason(why)}
    return [TrailEntry(kind="recommendation.declined", at_ns=now.late_ns, who=person.key, facts=facts)]


def may_judge(held: Recommendations, key: str, person: Person, now: SureTime) -> VendorRecommendation:
    """The recommendation, where somebody may release or decline it now.

    Raises:
        RuleRefusal: They may not; the text says why.
    """
    _enrolled(person, now)
    if PersonRole.ENGINEER not in person.roles:
        raise RuleRefusal("a recommendation is released by the plant engineer")
    one = held.get(key)
    if one is None:
        raise RuleRefusal("there is no such recommendation")
    if one.person == person.key or (one.employer and one.employer == person.employer):
        raise RuleRefusal("nobody releases their own recommendation, nor one of their own employer's people")
    if one.state(now) is not RecommendationState.MADE:
        raise RuleRefusal(f"it is {one.state(now).value} already")
    return one


def carry(held: Recommendations, key: str, by: str, now: SureTime, *, sha256: str, signer: str) -> list[TrailEntry]:
    """A file of it is about to be written, to be carried in; written down first, and once for each file.

    Args:
        by: Who writes it: a person's key, or `command:LOGIN`.
        sha256: Of the file, in hex.
        signer: Id of the key that signed it, in hex.

    Raises:
        RuleRefusal: It is not released, or goes no further.
    """
    one = held.get(key)
    if one is None:
        raise RuleRefusal("there is no such recommendation")
    if one.state(now) not in (RecommendationState.RELEASED, RecommendationState.CARRIED):
        raise RuleRefusal(f"it is not to be carried in: {one.state(now).value}")
    facts: dict[str, Fact] = {"recommendation": key, "sha256": sha256, "key": signer}
    return [TrailEntry(kind="recommendation.carried", at_ns=now.late_ns, who=by, facts=facts)]


def answer(held: Recommendations, heard: Iterable[RecommendationAnswer], now: SureTime) -> list[TrailEntry]:
    """What of the answers heard over the diode is not on record yet; nothing where all of it is.

    The first answer counts: a recommendation is answered once. One that is about no file of ours is no answer.
    """
    entries: dict[str, TrailEntry] = {}
    for one in sorted(heard, key=lambda one: one.time_ns):
        known = held.get(one.number)
        if known is None or known.answer is not None or not known.fits(one):
            continue
        facts: dict[str, Fact] = {"recommendation": one.number, "accepted": one.accepted, "why": one.why}
        facts |= {"digits": one.digits, "time_ns": one.time_ns}
        entry = TrailEntry(kind="recommendation.answered", at_ns=now.late_ns, who="system", facts=facts)
        entries.setdefault(one.number, entry)
    return list(entries.values())


def _enrolled(person: Person, now: SureTime) -> None:
    if not person.active or now.late_ns >= person.ends_ns:
        raise RuleRefusal("your enrolment is not complete or has ended")


def _reason(why: str) -> str:
    if not SHORTEST_WHY <= len(why.strip()) <= LONGEST_WHY:
        raise RuleRefusal(f"a written reason of {SHORTEST_WHY} to {LONGEST_WHY} characters is needed")
    return why.strip()
