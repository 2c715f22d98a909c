"""Trips: a protection acts now and then, and its sequence of events is known to the millisecond.

    [[trip]]  name, asset, every_s, for_s, steps = [{ after_ms, tag, to, text, severity }]

    |---- every_s ----|---- every_s ----|       one trip in each period, at an instant drawn from the seed
        |begin   end|     |begin  end|          each step's tag is `to` from begin + after_ms until end = begin + for_s

The end is an event of its own: everything is as before. Each step is one `TripEvent`, numbered through for its asset
from EPOCH_S on, so that a recorder can be read out at any time and always tells the same story. A trip that somebody
asks for (`ask`) is one more in that story, as long as this process lives: it is no part of what the seed tells. Pure:
time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from protocol.errors import ConfigError
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
        self._asked: list[tuple[int, int]] = []

    def ask(self, number: int, begin_ns: int) -> None:
        """Let a trip happen besides those of its periods.

        Args:
            number: Its place among all.
            begin_ns: Later than whatever was told already [ns since 1970].

        Raises:
            ConfigError: it is on then, or comes by itself before this one would be over.
        """
        trip = self.all[number]
        long_ns = round(trip.for_s * SECOND)
        period = self._period(number, begin_ns)
        begins = [self.begin_ns(number, one) for one in (period - 1, period, period + 1)]
        begins += [begin for other, begin in self._asked if other == number]
        for begin in begins:
            if begin <= begin_ns < begin + long_ns:
                raise ConfigError(f"{trip.name} is on", hint=f"{(begin + long_ns - begin_ns) / 1e9:.0f} s more")
            if begin_ns < begin <= begin_ns + long_ns:
                raise ConfigError(f"{trip.name} comes by itself", hint=f"in {(begin - begin_ns) / 1e9:.0f} s")
        self._asked.append((number, begin_ns))

    def begin_ns(self, number: int, period: int) -> int:
        """When a trip begins in a period; both counted from 0, the period from EPOCH_S [ns since 1970]."""
        trip = self.all[number]
        free_ms = int((trip.every_s - trip.for_s) * 1000)
        share = float(uniform(self._keys[number], period)[0])
        return _EPOCH + period * round(trip.every_s * SECOND) + int(share * free_ms) * MILLISECOND

    def begun_ns(self, number: int, time_ns: int) -> int | None:
        """The begin of the trip that is on at `time_ns`, or None."""
        begins = [self.begin_ns(number, self._period(number, time_ns))]
        begins += [begin for other, begin in self._asked if other == number]
        long_ns = round(self.all[number].for_s * SECOND)
        return next((begin for begin in begins if begin <= time_ns < begin + long_ns), None)

    def events(self, start_ns: int, end_ns: int, asset: str | None = None) -> list[TripEvent]:
        """What happened from `start_ns` until just before `end_ns`, in order; of one asset, or of all."""
        events = [
            event
            for number, trip in enumerate(self.all)
            if asset in (None, trip.asset)
            for period in range(self._period(number, start_ns), self._period(number, end_ns) + 1)
            for event in self._events(number, self.begin_ns(number, period))
            if start_ns <= event.time_ns < end_ns
        ]
        events += [
            event
            for number, begin in self._asked
            if asset in (None, self.all[number].asset)
            for event in self._events(number, begin)
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

    def _events(self, number: int, begin: int) -> Iterator[TripEvent]:
        trip = self.all[number]
        times = [begin + step.after_ms * MILLISECOND for step in trip.steps]
        for code, (step, time_ns) in enumerate(zip(trip.steps, times, strict=True), 1):
            yield TripEvent(
                time_ns=time_ns,
                number=self._number(number, begin, code, time_ns),
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
            number=self._number(number, begin, len(times) + 1, end),
            asset=trip.asset,
            trip=trip.name,
            code=0,
            tag="",
            state=False,
            text=f"{trip.name} reset",
            severity=100,
        )

    def _number(self, own: int, begun: int, place: int, time_ns: int) -> int:
        """How many events of the asset there were up to this one, itself included.

        At the same instant the trip that stands first in the scene was first, and an asked one after those of the seed.
        """
        count = place
        for number, trip in enumerate(self.all):
            if trip.asset != self.all[own].asset:
                continue
            offsets = [*(step.after_ms * MILLISECOND for step in trip.steps), round(trip.for_s * SECOND)]
            now = self._period(number, time_ns)
            begins = [
                (False, self.begin_ns(number, now)),
                *((True, one) for other, one in self._asked if other == number),
            ]
            count += now * len(offsets)
            asked = begun != self.begin_ns(own, self._period(own, begun))
            for late, begin in begins:
                if (number, begin) != (own, begun):
                    first = (late, number) < (asked, own)
                    count += sum(begin + offset < time_ns + first for offset in offsets)
        return count
