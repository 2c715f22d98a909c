"""An alert: something that somebody must look at, with the next step in words.

    event   it happened and stays true: failed sign-ins, a glass that was broken. Open until somebody acknowledges it.
    state   it is so now: a review past its time, a shift without a custodian. Open until it is mended; that somebody
            acknowledged it is shown beside it, and mends nothing.

Each is an entry `alert.raised` of the trail, with `what` (one of `ALERTS`) and, where the same must not be raised
twice, `subject`. The number of that entry is the alert's name. Who acknowledges writes `alert.acknowledged`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from receiver.governed.trail.entry import Fact, TrailEntry

RAISED, ACKNOWLEDGED = "alert.raised", "alert.acknowledged"


@dataclass(frozen=True, slots=True)
class AlertKind:
    """What can be raised."""

    next_step: str
    """For who reads it."""
    state: bool = False
    """It ends by being mended, and not by being acknowledged."""


ALERTS: Mapping[str, AlertKind] = {
    "failed sign-ins": AlertKind(
        "Ask the person by telephone whether it was them; if not, suspend the enrolment and issue a recovery link."
    ),
    "second address": AlertKind(
        "Ask the person where they sit; if a place is not theirs, suspend the enrolment: credentials are shared."
    ),
    "several browsers": AlertKind(
        "Ask the person which devices are theirs; if one is not, suspend the enrolment: credentials are shared."
    ),
    "address changed": AlertKind(
        "The session was closed. Ask the person whether they changed network; if not, suspend the enrolment."
    ),
    "reads refused": AlertKind(
        "Look at what was asked for (trail show --kind read.refused); a wrong link is harmless, a search is not."
    ),
    "read outside its grant": AlertKind(
        "This must never happen: revoke the grant, stop the pages, and report it to the maker with the trail."
    ),
    "break-glass opened": AlertKind(
        "Call the custodian; see that the review is closed within 24 h and a new credential is prepared."
    ),
    "wrong break-glass code": AlertKind(
        "Ask the custodian which envelope was opened; if it lies sealed in its place, somebody guessed: suspend them."
    ),
    "notice undelivered": AlertKind("Tell security by telephone now; then mend the channel ([[tell]] of access.toml)."),
    "clock stepped": AlertKind(
        "See who or what set the clock of the low side; grants that were about to begin wait until it has settled."
    ),
    "leaver acted on late": AlertKind(
        "See in the trail what the person did after leaving; remind whoever takes the vendor's calls of the 24 hours."
    ),
    "leaver reported late": AlertKind("Tell the contract's contact that leavers are reported within 24 hours."),
    "review overdue": AlertKind("Close the review now; a person who neither read nor approved may.", state=True),
    "confirmation overdue": AlertKind(
        "Ask the contract's contact who still works there; confirm those, end the others.", state=True
    ),
    "no custodian": AlertKind("Put a custodian on the roster for this shift: checkvalve roster set.", state=True),
}
"""By what is raised. A kind that a later build raises is shown without a next step, and as an event."""

OTHER = AlertKind("Look at the entry in the trail.")


def raised(
    what: str, told: str, *, at_ns: int, subject: str = "", origin: str = "", more: Mapping[str, Fact] | None = None
) -> TrailEntry:
    """The entry of an alert.

    Args:
        what: One of `ALERTS`.
        told: One sentence: what was seen.
        at_ns: The wall clock [ns since 1970 UTC].
        subject: What it is about, where the same must not be raised twice.
        origin: Network address, where one did it.
        more: `person`, `grant`, `vendor`, where it is about one.
    """
    facts: dict[str, Fact] = {"what": what, "told": told, **(more or {})}
    if subject:
        facts["subject"] = subject
    return TrailEntry(kind=RAISED, at_ns=at_ns, who="system", origin=origin, facts=facts)
