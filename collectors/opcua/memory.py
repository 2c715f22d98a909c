"""What outlives a connection: where nodes were found, which numbers a branch's nodes have, which alarms stand.

A server may give a node another id at its next start, and may then give the old id to another node. So the way to a
node by browse names, once learned, counts for more than its id; its namespaces stand in it by uri, since their indexes
may change as well. No I/O here and nothing of the library.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from collectors.base import Event
from collectors.opcua.address import Steps
from collectors.opcua.stamps import ClockDifference

MOST_EVENTS = 20_000
"""Events that wait for the poller: a flood of 5,000 a second through a pause of four seconds."""

MOST_CONDITIONS = 100_000
"""Standing conditions that are remembered; what is beyond is told again at each connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """What was told of a condition."""

    state: str
    acked: bool
    said_ns: int
    """Its own time [ns]; 0 where it said none."""
    source: str
    severity: int
    code: str
    text: str


@dataclass(slots=True)
class Spread:
    """The nodes that a branch was found to have, each with a number that it keeps.

    Args:
        first: The branch's point number.
        room: Numbers that it has.
    """

    first: int
    room: int
    numbers: dict[Steps, int] = field(default_factory=dict)
    left_out: set[Steps] = field(default_factory=set)
    """Found, and no room for it."""

    def place(self, steps: Steps) -> int | None:
        """The number of a node, None where there is no room."""
        if steps not in self.numbers and len(self.numbers) < self.room:
            self.numbers[steps] = self.first + len(self.numbers)
        if steps not in self.numbers:
            self.left_out.add(steps)
        return self.numbers.get(steps)


@dataclass(slots=True)
class Memory:
    """See above; one a device."""

    meant: dict[int, str] = field(default_factory=dict)
    """What typed indexes of namespaces mean (see `spaces`)."""
    paths: dict[int, Steps] = field(default_factory=dict)
    """Point number -> the way to its node."""
    spreads: dict[int, Spread] = field(default_factory=dict)
    """By the branch's point number."""
    stood: dict[tuple[str, str], Stood] = field(default_factory=dict)
    """Condition and branch -> what was told of it last; those that stand, or still wait for somebody."""
    happened: list[Event] = field(default_factory=list)
    """What the poller has not taken yet, in the order it came."""
    difference: ClockDifference = field(default_factory=ClockDifference)
    """Between the source's clock and ours."""
    remarks: list[str] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)
    _dropped: int = 0

    def stands(self, key: tuple[str, str], what: Stood | None) -> None:
        """What was told of a condition; None where it has gone for good."""
        if what is None:
            self.stood.pop(key, None)
        elif key in self.stood or len(self.stood) < MOST_CONDITIONS:
            self.stood[key] = what

    def happen(self, event: Event) -> None:
        """Keep an event for the poller; the oldest goes where there is no room, and is remarked."""
        self.happened.append(event)
        if len(self.happened) > MOST_EVENTS:
            del self.happened[0]
            self._dropped += 1

    def take_events(self) -> list[Event]:
        """What has happened since the last call."""
        events, self.happened = self.happened, []
        if self._dropped:
            self.remark(f"{self._dropped} events were dropped: more than {MOST_EVENTS} between two reads")
            self._dropped = 0
        return events

    def take_remarks(self) -> list[str]:
        """What was remarked since the last call."""
        if off := self.difference.told():
            self.remark(off)
        remarks, self.remarks = self.remarks, []
        return remarks

    def remark(self, line: str, *, once: bool = False) -> None:
        """A line for people; `once` keeps it from being said again."""
        if not once or line not in self._said:
            self.remarks.append(line)
        if once and len(self._said) < 1000:
            self._said.add(line)
