"""Answers that came over the diode since anybody looked, put on record: for a command, and for the pages' own watch."""

from __future__ import annotations

from protocol.content.answered import RecommendationAnswer
from receiver.governed.authority import Authority
from receiver.governed.recommendations import recommending
from receiver.governed.recommendations.outcomes import EVENTS, heard
from receiver.outputs.historian.read import Door


def take_answers(authority: Authority, door: Door) -> list[RecommendationAnswer]:
    """All answers that the history still has; those that are new are on record on return.

    Args:
        authority: The site's, up to date.
        door: Of the whole history: answers are events of the sender.

    Raises:
        StoreError, TrailError: the history cannot be read, or the trail not written.
    """
    found, held = heard(door.sender_events(EVENTS)), authority.recommendations
    if recommending.answer(held, found, authority.now):
        authority.act(lambda people, grants, now: recommending.answer(held, found, now))
    return found
