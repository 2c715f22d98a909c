"""Presets: what kinds of grant there are, how long each may last, and who must say yes.

A seat is one yes that is needed, and the roles that may give it. One person takes one seat, and the roles of two seats
differ: two yeses of the same office are one opinion. A preset without a longest time does not exist.

The tiers are those of a governed-access programme (docs/access.md); `standing` is this product's own: data that came
through a diode can be read for longer, because nobody reaches the plant by reading them.
"""

from __future__ import annotations

from dataclasses import dataclass

from receiver.governed.people.person import PersonRole

HOUR_S, DAY_S = 3600.0, 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One kind of grant."""

    name: str
    longest_s: float
    """Most time that a grant of this kind may be in force [s]."""
    seats: tuple[frozenset[PersonRole], ...]
    """Yeses that are needed; none: it is given by its own rule (break-glass)."""
    notice_s: float = 0.0
    """Least time between the request and its beginning [s]."""
    ahead_s: float = 90 * DAY_S
    """Most time between the request and its beginning [s]: grants are planned weeks ahead."""
    tell_security: bool = False
    """The people of security are told at once."""
    visit: bool = False
    """It belongs to a site visit, and cannot be asked for without one."""
    review_s: float = 0.0
    """Time after its end in which it must have been reviewed [s]; 0: none is due."""


BREAK_GLASS = "break-glass"
"""Name of the preset that nobody asks for: a custodian opens it."""

SITE_VISIT = "site-visit"
"""Name of the preset of a visit, which tier 2 belongs to. It lets nobody read: a visit is planned and recorded here."""

PRESETS = {
    one.name: one
    for one in (
        Preset(name="standing", longest_s=90 * DAY_S, seats=(frozenset({PersonRole.SPONSOR}),)),
        Preset(
            name="tier-1",
            longest_s=4 * HOUR_S,
            notice_s=DAY_S,
            seats=(frozenset({PersonRole.APPROVER, PersonRole.ENGINEER}),),
        ),
        Preset(
            name="tier-2",
            longest_s=12 * HOUR_S,
            seats=(frozenset({PersonRole.ENGINEER}), frozenset({PersonRole.APPROVER, PersonRole.SECURITY})),
            visit=True,
            review_s=48 * HOUR_S,
        ),
        Preset(
            name=SITE_VISIT,
            longest_s=14 * DAY_S,
            seats=(frozenset({PersonRole.ENGINEER}), frozenset({PersonRole.APPROVER, PersonRole.SECURITY})),
            review_s=48 * HOUR_S,
        ),
        Preset(
            name="tier-3",
            longest_s=8 * HOUR_S,
            seats=(frozenset({PersonRole.APPROVER, PersonRole.ENGINEER}),),
            tell_security=True,
            review_s=48 * HOUR_S,
        ),
        Preset(name=BREAK_GLASS, longest_s=4 * HOUR_S, seats=(), tell_security=True, review_s=24 * HOUR_S),
    )
}
"""Those that are always there; a site may write its own, and shorten these."""
