"""A recommendation, from the vendor who makes it to the answer that comes back over the diode.

    made -> released -> carried in -> accepted | rejected
    made -> declined, or withdrawn by who made it, before it is carried

It is carried by a person, as a file (protocol/recommendation/). Nothing here reaches the plant; who accepts it there
makes the change by hand, or not. One that expires unanswered is told: somebody has to ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocol.content.answered import RecommendationAnswer
from protocol.recommendation.carried_file import CarriedRecommendation
from protocol.recommendation.proposal import Proposal, plain
from receiver.governed.sure_time import SureTime


class RecommendationState(StrEnum):
    """Where it stands, in the words that people see."""

    MADE = "waits for a release"
    RELEASED = "to be carried in"
    CARRIED = "carried in"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DECLINED = "not released"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired without an answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A plant engineer let it be carried in."""

    person: str
    name: str
    """As it stands in the file."""
    why: str
    at_ns: int
    expires_ns: int
    """From then on the high side accepts it no more [ns since 1970 UTC]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """A file of it was written, to be carried."""

    by: str
    sha256: str
    """Of the file, in hex."""
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """It goes no further: the engineer declined, or who made it wants it no more."""

    state: RecommendationState
    person: str
    why: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRecommendation:
    """One of them, as of the newest record."""

    key: str
    """Its number on both sides, `rec-..`."""
    proposal: Proposal
    person: str
    """Key of who made it."""
    name: str
    employer: str
    """Empty: of the site itself."""
    made_ns: int
    release: Release | None = None
    carried: tuple[Carrying, ...] = ()
    dropped: Dropped | None = None
    answer: RecommendationAnswer | None = None

    def state(self, now: SureTime) -> RecommendationState:
        """Where it stands."""
        if self.answer is not None:
            return RecommendationState.ACCEPTED if self.answer.accepted else RecommendationState.REJECTED
        if self.dropped is not None:
            return self.dropped.state
        if self.release is None:
            return RecommendationState.MADE
        if now.late_ns >= self.release.expires_ns:
            return RecommendationState.EXPIRED
        return RecommendationState.CARRIED if self.carried else RecommendationState.RELEASED

    def fits(self, answer: RecommendationAnswer) -> bool:
        """Whether an answer is about a file that was made of it here."""
        return answer.number == self.key and any(one.sha256.startswith(answer.digits) for one in self.carried)

    def to_carry(self) -> CarriedRecommendation:
        """What stands in its file: the same each time.

        Raises:
            ValueError: it was not released.
        """
        if self.release is None:
            raise ValueError(f"{self.key} was not released")
        return CarriedRecommendation(
            number=self.key,
            proposal=self.proposal,
            by=plain(self.name)[:200] or self.person,
            employer=plain(self.employer)[:200],
            made_ns=self.made_ns,
            released_by=plain(self.release.name)[:200] or self.release.person,
            released_why=self.release.why,
            released_ns=self.release.at_ns,
            expires_ns=self.release.expires_ns,
        )
