"""What people decided about a recommendation, as an event of the sender: it is said, and decides nothing here."""

from __future__ import annotations

from collectors.base import Event
from protocol.content import answered
from protocol.content.answered import RecommendationAnswer


def event_of(answer: RecommendationAnswer) -> Event:
    """As it travels: the same words at each start."""
    return Event(
        source=answer.number,
        time_ns=answer.time_ns,
        severity=answered.SEVERITY,
        code=answered.CODE,
        text=answer.text(),
        state="",
    )
