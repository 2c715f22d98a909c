"""What one person sees of recommendations: a vendor nothing of another, the site's people what their roles need.

    who made it                     theirs, always
    a reader                        their employer's, while they may read its asset
    engineer, security, auditor     all
    a sponsor                       of the people sponsored

Pure: registers and now in, plain values out. A reason of the high side stands in an answer as it came; whoever may see
the recommendation may see it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from protocol.content.answered import RecommendationAnswer
from receiver.governed.grants.deciding import RuleRefusal
from receiver.governed.people.person import Person, PersonRole
from receiver.governed.people.register import People
from receiver.governed.recommendations.outcomes import RecommendationOutcome, outcomes
from receiver.governed.recommendations.recommending import may_judge
from receiver.governed.recommendations.register import Recommendations
from receiver.governed.recommendations.vendor_recommendation import RecommendationState, VendorRecommendation
from receiver.governed.sure_time import SureTime
from receiver.portal.granting.access_view import SEES_ALL

KEPT = 50
"""On one page, newest first; `checkvalve recommendation` has all of them."""

GOES = (RecommendationState.MADE, RecommendationState.RELEASED)
"""Who made it may withdraw it."""
CARRIABLE = (RecommendationState.RELEASED, RecommendationState.CARRIED)
"""A file of it may be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationRow:
    """One of them, as it is shown."""

    outcome: RecommendationOutcome
    may_withdraw: bool
    may_judge: bool
    """Release or decline it now."""
    why_not: str
    """Why a plant engineer may not, where it waits for one."""
    to_carry: bool
    """The command that writes its file is of use, to one of the site's own people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationView:
    """The page in values."""

    to_judge: tuple[RecommendationRow, ...]
    """Those that wait for this person, oldest first."""
    others: tuple[RecommendationRow, ...]
    """Newest first."""
    left_out: int
    """Older ones that are not on the page."""


def look(
    person: Person,
    people: People,
    held: Recommendations,
    found: Iterable[RecommendationAnswer],
    readable: Collection[tuple[str, str]],
    now: SureTime,
) -> RecommendationView:
    """Everything that one person may see of it now.

    Args:
        person: Who looks.
        people: Up to date.
        held: Up to date.
        found: Answers that came over the diode.
        readable: (site, asset) of what the person may read now.
        now: Sure time.
    """
    rows = [
        _row(one, person, held, now)
        for one in outcomes(held, found, now)
        if _sees(person, one.recommendation, people, readable, now)
    ]
    others = [one for one in rows if not one.may_judge]
    return RecommendationView(
        to_judge=tuple(one for one in rows[::-1] if one.may_judge),
        others=tuple(others[:KEPT]),
        left_out=max(len(others) - KEPT, 0),
    )


def _sees(
    person: Person, one: VendorRecommendation, people: People, readable: Collection[tuple[str, str]], now: SureTime
) -> bool:
    if one.person == person.key:
        return True
    if not person.employer and person.roles & (SEES_ALL | {PersonRole.ENGINEER}):
        return True
    maker = people.person(one.person, now)
    if maker is not None and maker.sponsor and maker.sponsor == person.key:
        return True
    colleague = PersonRole.READER in person.roles and one.employer == person.employer
    return colleague and (one.proposal.site, one.proposal.asset) in readable


def _row(one: RecommendationOutcome, person: Person, held: Recommendations, now: SureTime) -> RecommendationRow:
    may, why_not = False, ""
    if PersonRole.ENGINEER in person.roles and one.state is RecommendationState.MADE:
        try:
            may_judge(held, one.recommendation.key, person, now)
            may = True
        except RuleRefusal as error:
            why_not = str(error)
    return RecommendationRow(
        outcome=one,
        may_withdraw=one.recommendation.person == person.key and one.state in GOES,
        may_judge=may,
        why_not=why_not,
        to_carry=not person.employer and one.state in CARRIABLE,
    )
