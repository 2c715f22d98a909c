"""A request: who asks to read what, why, from when until when; and what was decided about it.

    open -> granted | denied | withdrawn | lapsed        refused at once, by a rule, with its reason

A request is never changed. Each yes and no is a decision with a written reason; when every seat of the preset is taken
the grant is given in the same act. An open request whose wanted time is over has lapsed: nobody need refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from receiver.governed import fact
from receiver.governed.grants import weekly
from receiver.governed.grants.extent import Extent
from receiver.governed.grants.weekly import Weekly
from receiver.governed.people.person import PersonRole
from receiver.governed.sure_time import SureTime
from receiver.governed.trail.entry import Fact


class RequestState(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    GRANTED = "granted"
    DENIED = "denied"
    REFUSED = "refused"
    """By a rule, when it was made."""
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One person's yes or no."""

    person: str
    role: PersonRole
    """The seat's role that the person took; of a no, one that the person holds."""
    yes: bool
    why: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """When reading is wanted or allowed [ns since 1970 UTC]."""

    from_ns: int
    until_ns: int
    """Not inside. With `length_s`: until when it must have been begun."""
    length_s: float | None = None
    """It runs from its first use, this long [s]; None: from `from_ns` to `until_ns`."""
    weekly: Weekly | None = None
    """Only in these hours; None: at any."""

    @property
    def most_s(self) -> float:
        """Time in which reading is possible, weekly hours not counted [s]."""
        return self.length_s if self.length_s is not None else (self.until_ns - self.from_ns) / 1e9

    def to_facts(self) -> dict[str, Fact]:
        """As it stands in the trail."""
        hours: dict[str, Fact] = {} if self.weekly is None else {"weekly": self.weekly.text, "zone": self.weekly.zone}
        return {"from_ns": self.from_ns, "until_ns": self.until_ns, "length_s": self.length_s} | hours

    @classmethod
    def of_facts(cls, given: Mapping[str, Fact]) -> Period:
        """From the trail.

        Raises:
            ValueError: It is not what `to_facts` wrote.
        """
        return cls(
            from_ns=fact.whole(given, "from_ns"),
            until_ns=fact.whole(given, "until_ns"),
            length_s=fact.seconds(given, "length_s"),
            weekly=weekly.read(fact.text(given, "weekly"), fact.text(given, "zone")) if "weekly" in given else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """What was asked for."""

    key: str
    person: str
    """Key of who shall read; `service:KEY` for a system."""
    preset: str
    extent: Extent
    reason: str
    """Why, in the asker's words."""
    purpose: str
    """What will be done with it: `diagnosis`, `commissioning`, .."""
    period: Period
    at_ns: int
    """When it was made."""
    ticket: str = ""
    extends: str = ""
    """Key of the grant that it goes on from; empty for a new one."""
    visit: str = ""
    """Key of the site visit that it belongs to."""
    decisions: tuple[Decision, ...] = ()
    state: RequestState = RequestState.OPEN
    why: str = ""
    """The reason of a refusal by a rule."""
    asker: str = ""
    """Key of who made it: the reader, or the owner of a system."""

    @property
    def theirs(self) -> frozenset[str]:
        """Whose request it is: of who shall read, and of who asked."""
        return frozenset({self.person, self.asker or self.person})

    def decided(self, decision: Decision) -> AccessRequest:
        """With one more decision; a no ends it."""
        state = self.state if decision.yes else RequestState.DENIED
        return replace(self, decisions=(*self.decisions, decision), state=state)

    def lapsed(self, now: SureTime) -> bool:
        """Open, and too late to be granted."""
        return self.state is RequestState.OPEN and now.late_ns >= self.period.until_ns
