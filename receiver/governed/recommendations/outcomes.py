"""Recommendations beside what came back over the diode: what a page shows (pure).

The answer is an event of the sender itself (protocol/content/answered.py). An event of a device that looks like one is
none: a device says whatever somebody wrote into it. Whose recommendation it is decides who may see the row; the caller
cuts it, as with everything else that the trail knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.content import answered
from protocol.content.answered import RecommendationAnswer
from receiver.governed.recommendations.register import Recommendations
from receiver.governed.recommendations.vendor_recommendation import RecommendationState, VendorRecommendation
from receiver.governed.sure_time import SureTime
from receiver.outputs.historian.views import EventView

EVENTS = 5_000
"""Newest events of the sender to look through: an answer is said again at each start of poll, and is on record once it
was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationOutcome:
    """One recommendation, and where it stands."""

    recommendation: VendorRecommendation
    state: RecommendationState
    answer: RecommendationAnswer | None
    """What people at the high side decided; None: nothing has come back."""
    notes: tuple[str, ...]
    """What a person should know of it, in words."""


def heard(events: Iterable[EventView]) -> list[RecommendationAnswer]:
    """The answers among events of the history, each once, oldest first.

    Args:
        events: As a door of the whole history gives them.
    """
    found = {
        one
        for event in events
        if not event.asset and (one := answered.read(event.code, event.source, event.text, event.time_ns)) is not None
    }
    return sorted(found, key=lambda one: (one.time_ns, one.number, one.text()))


def outcomes(
    held: Recommendations, found: Iterable[RecommendationAnswer], now: SureTime
) -> list[RecommendationOutcome]:
    """Every recommendation, newest first.

    Args:
        held: The register, up to date.
        found: As `heard` gives them; what is on record already may be among them.
        now: Sure time.
    """
    answers: dict[str, list[RecommendationAnswer]] = {}
    for one in found:
        answers.setdefault(one.number, []).append(one)
    return [_outcome(one, answers.get(one.key, []), now) for one in list(held)[::-1]]


def _outcome(one: VendorRecommendation, found: list[RecommendationAnswer], now: SureTime) -> RecommendationOutcome:
    fitting = sorted((answer for answer in found if one.fits(answer)), key=lambda answer: answer.time_ns)
    answer = one.answer or (fitting[0] if fitting else None)
    state = one.state(now)
    if answer is not None:
        state = RecommendationState.ACCEPTED if answer.accepted else RecommendationState.REJECTED
    notes = []
    if state is RecommendationState.EXPIRED:
        notes.append("nothing came back before it expired: ask at the plant whether it was carried in and read")
    if any(other.digits != answer.digits or other.text() != answer.text() for other in fitting if answer):
        notes.append("another answer came too; the first one counts")
    if any(not one.fits(other) for other in found):
        notes.append("an answer came that is about another file than any written here: compare with the high side")
    return RecommendationOutcome(recommendation=one, state=state, answer=answer, notes=tuple(notes))
