"""Trips: a protection acts now and then, and its sequence of events is known to the millisecond.

    [[trip]]  name, asset, every_s, for_s, steps = [{ after_ms, tag, to, text, severity }]

    |---- every_s ----|---- every_s ----|       one trip in each period, at an instant drawn from the seed
        |begin   end|     |begin  end|          each step's tag is `to` from begin + after_ms until end = begin + for_s

The end is an event of its own: everything is as before. Each step is one `TripEvent`, numbered through for its asset
from EPOCH_S on, so that a recorder can be read out at any time and always tells the same story. Pure: time is an
argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from simulator.plant.shapes import key_of, uniform
from simulator.plant.signals import EPOCH_S, SECOND

Value: TypeAlias = float | int | bool | str

MILLISECOND = 1_000_000

_EPOCH = EPOCH_S * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class TripStep:
    """One thing that happens in a trip."""

    after_ms: int
    """From the trip's begin [ms]."""
    asset: str
    tag: str
    to: Value
    """The tag's value until the trip ends."""
    text: str
    severity: int
    """1 to 1000 (OPC 10000-5, 6.4.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A protection that acts."""

    name: str
    asset: str
    """Whose recorder keeps its events."""
    every_s: float
    """One trip in each period of this length [s]."""
    for_s: float
    """From its begin until everything is as before [s]."""
    steps: tuple[TripStep, ...]
    """In order of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TripEvent:
    """One entry of a sequence of events."""

    time_ns: int
    number: int
    """Counts up by one over all events of the asset, from 1 at EPOCH_S."""
    asset: str
    trip: str
    code: int
    """Number of the step, from 1; 0 for the end of the trip."""
    tag: str
    """`asset:name` of the tag that changed; empty for the end."""
    state: bool
    """Whether it became true, or anything but 0; false at the end."""
    text: str
    severity: int


class Trips:
    """All trips of a scene, under one seed."""

    def __init__(self, trips: Sequence[Trip], seed: int) -> None:
        self.all = tuple(trips)
        self._keys = [np.array([key_of(seed, one.asset, f"trip {one.name}")], np.uint64) for one in trips]

    def begin_ns(self, number: int, period: int) -> int:
        """When a trip begins in a period; both counted from 0, the period from EPOCH_S [ns since 1970]."""
        trip = self.all[number]
        free_ms = int((trip.every_s - trip.for_s) * 1000)
        share = float(uniform(self._keys[number], period)[0])
        return _EPOCH + period * round(trip.every_s * SECOND) + int(share * free_ms) * MILLISECOND

    def begun_ns(self, number: int, time_ns: int) -> int | None:
        """The begin of the trip that is on at `time_ns`, or None."""
        begin = self.begin_ns(number, self._period(number, time_ns))
        return begin if begin <= time_ns < begin + round(self.all[number].for_s * SECOND) else None

    def events(self, start_ns: int, end_ns: int, asset: str | None = None) -> list[TripEvent]:
        """What happened from `start_ns` until just before `end_ns`, in order; of one asset, or of all."""
        events = [
            event
            for number, trip in enumerate(self.all)
            if asset in (None, trip.asset)
            for period in range(self._period(number, start_ns), self._period(number, end_ns) + 1)
            for event in self._events(number, period)
            if start_ns <= event.time_ns < end_ns
        ]
        return sorted(events, key=lambda event: (event.time_ns, event.number))

    def newest(self, asset: str, time_ns: int, count: int) -> list[TripEvent]:
        """The last `count` events of an asset up to `time_ns`, newest first; fewer where there were no more."""
        own = [trip for trip in self.all if trip.asset == asset]
        if not own or count < 1:
            return []
        back_ns = round(max(trip.every_s for trip in own) * SECOND)
        start_ns = time_ns
        while True:
            start_ns -= back_ns * (1 + count // 2)
            events = self.events(max(start_ns, _EPOCH), time_ns + 1, asset)
            if len(events) >= count or start_ns <= _EPOCH:
                return events[: -count - 1 : -1]

    def _period(self, number: int, time_ns: int) -> int:
        return (time_ns - _EPOCH) // round(self.all[number].every_s * SECOND)

    def _events(self, number: int, period: int) -> Iterator[TripEvent]:
        trip, begin = self.all[number], self.begin_ns(number, period)
        times = [begin + step.after_ms * MILLISECOND for step in trip.steps]
        for code, (step, time_ns) in enumerate(zip(trip.steps, times, strict=True), 1):
            yield TripEvent(
                time_ns=time_ns,
                number=self._number(number, period, code, time_ns),
                asset=trip.asset,
                trip=trip.name,
                code=code,
                tag=f"{step.asset}:{step.tag}",
                state=bool(step.to),
                text=step.text,
                severity=step.severity,
            )
        end = begin + round(trip.for_s * SECOND)
        yield TripEvent(
            time_ns=end,
            number=self._number(number, period, len(times) + 1, end),
            asset=trip.asset,
            trip=trip.name,
            code=0,
            tag="",
            state=False,
            text=f"{trip.name} reset",
            severity=100,
        )

    def _number(self, own: int, period: int, place: int, time_ns: int) -> int:
        """How many events of the asset there were up to this one, itself included."""
        count = period * (len(self.all[own].steps) + 1) + place
        for number, trip in enumerate(self.all):
            if number == own or trip.asset != self.all[own].asset:
                continue
            now = self._period(number, time_ns)
            begin = self.begin_ns(number, now)
            offsets = [*(step.after_ms * MILLISECOND for step in trip.steps), round(trip.for_s * SECOND)]
            # at the same instant, the trip that stands first in the scene was first
            before = sum(begin + offset < time_ns + (number < own) for offset in offsets)
            count += now * len(offsets) + before
        return count
