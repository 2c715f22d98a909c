"""A person says that the clock is right: what its being wrong has ended stays ended.

The latest time that was ever believed only grows (`sure_time.py`). Where the clock once stood far ahead, that is for
ever, and nothing short can be granted any more. So a person may accept the clock as it stands, with a reason, on
record. Grants that were over by the time believed before, and would not be by the accepted one, are revoked in the same
act: setting the clock and accepting it brings none of them back.
"""

from __future__ import annotations

from receiver.governed.grants.deciding import SHORTEST_WHY, RuleRefusal
from receiver.governed.grants.grant import OVER, GrantState
from receiver.governed.grants.register import Grants
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact, TrailEntry

ENDED = "it had ended before the clock was accepted"


def accept_clock(grants: Grants, now: SureTime, wall_ns: int, *, who: str, why: str) -> list[TrailEntry]:
    """The entries of an acceptance.

    Args:
        grants: The register, up to date.
        now: Sure time before it.
        wall_ns: The wall clock, which is accepted [ns since 1970 UTC].
        who: As the trail names them.
        why: The written reason.

    Raises:
        RuleRefusal: The reason is missing, or there is nothing to accept.
    """
    if len(why.strip()) < SHORTEST_WHY:
        raise RuleRefusal(f"accepting the clock needs a written reason of at least {SHORTEST_WHY} characters")
    if now.late_ns <= wall_ns:
        raise RuleRefusal("the clock is believed as it stands; there is nothing to accept")
    accepted = SureTime(wall_ns, wall_ns)
    entries = []
    for one in grants.grants.values():
        if one.state(now) in OVER - {GrantState.REVOKED} and one.state(accepted) not in OVER:
            facts: dict[str, Fact] = {"grant": one.key, "person": one.person, "why": ENDED}
            entries.append(TrailEntry(kind="grant.revoked", at_ns=wall_ns, who="system", facts=facts))
    told: dict[str, Fact] = {"before_ns": now.late_ns, "accepted_ns": wall_ns, "why": why.strip()}
    return [*entries, TrailEntry(kind="clock.accepted", at_ns=wall_ns, who=who, facts=told)]
