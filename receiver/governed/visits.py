"""A site visit on record: what the diode saw change on its assets in its window, beside what was announced.

A visit is a grant of the preset `site-visit`: it lets nobody read, and nothing here says that the visitor did a thing.
It is what the history shows of that time, for the person who reviews it:

    tags           one of another unit, type, address or scale; one that was not there before
    nameplate      what the device said of itself when it came up again: vendor, model, firmware, serial
    states         up, down, and what was refused
    clock          times of the asset's events, and the sender's, that jump against the low side's clock
    events         how many, by severity
    configuration  changes of the high side's file, by whom and why
    gaps           times of which data are missing: of those nothing can be said

An entry is in the window by its own time or by that of its arrival: a clock that was set must not hide it. A door of
less than everything gives less: only one of the whole scope sees changes of the configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from protocol.content.catalog import Asset
from receiver.governed.grants.grant import Grant
from receiver.governed.grants.request import AccessRequest
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.versions import changed
from receiver.outputs.historian.views import AbsenceView, AssetView, ChangeView, EventView, StateView, TagView

STATES, EVENTS, CHANGES = 2_000, 20_000, 500
"""Newest that are looked through: of an asset's states, of its events, and of the configuration's changes."""
BUCKETS = 1_000
"""A tag's beginning is told to a thousandth of the window."""
STEP_NS = 5 * 10**9
"""A clock whose difference to the low side's changes by more than this was set [ns]; the link takes less."""
NEIGHBOURS = 5
"""Readings on each side of a step: the least difference of them is the clock's, what is above it was late."""
BANDS = ((667, "high"), (334, "medium"), (1, "low"))
"""Least severity of each band, highest first (OPC 10000-5, 6.4.2: 1 to 1000; in thirds, as ours)."""
ALL_TIME = -(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChange:
    """A tag was described anew, or for the first time."""

    tag: str
    at_ns: int
    """About when its first sample was taken [ns since 1970 UTC]."""
    text: str
    """What is other, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameplateChange:
    """The device came up with other words about itself than the time before."""

    at_ns: int
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """The times of an asset's events, or of the sender, jumped against the low side's clock."""

    at_ns: int
    """By the low side's clock [ns since 1970 UTC]."""
    by_s: float
    """Forwards above 0 [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetVisit:
    """One asset in the window."""

    name: str
    described: Asset | None
    """As it is described now; None: it is not known, or not to be seen."""
    tags: tuple[TagChange, ...]
    nameplates: tuple[NameplateChange, ...]
    states: tuple[StateView, ...]
    """Oldest first."""
    clock: tuple[ClockStep, ...]
    events: tuple[tuple[str, int], ...]
    """Band of severity, and how many; highest first, none left out."""
    cut: tuple[str, ...]
    """What of it reaches further back than was looked, in words."""

    @property
    def quiet(self) -> bool:
        """Nothing of it changed."""
        return not (self.tags or self.nameplates or self.states or self.clock or any(n for _, n in self.events))


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRecord:
    """A visit, as announced and as seen."""

    grant: str
    from_ns: int
    until_ns: int
    """Not inside."""
    purpose: str
    reason: str
    ticket: str
    """These three as they were announced; empty where no request is known."""
    assets: tuple[AssetVisit, ...]
    """In the order of their names."""
    configuration: tuple[ChangeView, ...]
    """Oldest first."""
    clock: tuple[ClockStep, ...]
    """The sender's, by its states and those it said of the assets."""
    gaps: tuple[AbsenceView, ...]


def visit_record(grant: Grant, request: AccessRequest | None, door: Door) -> VisitRecord:
    """What was seen in the window of a visit.

    Args:
        grant: The visit's.
        request: What it was granted for.
        door: To the history, as far as the reader of the record may see it.

    Raises:
        StoreError: the history cannot be read.
    """
    window = Window(grant.period.from_ns, grant.end_ns)
    views = {view.asset.name: view for view in door.assets()}
    states = [one for name in ("", *sorted(grant.extent.assets)) for one in door.states(name, STATES)]
    changes = [one for one in door.changes(CHANGES) if window.holds(one.change.time_ns, one.received_ns)]
    return VisitRecord(
        grant=grant.key,
        from_ns=window.from_ns,
        until_ns=window.until_ns,
        purpose=request.purpose if request else "",
        reason=request.reason if request else "",
        ticket=request.ticket if request else "",
        assets=tuple(_asset(name, views.get(name), door, window) for name in sorted(grant.extent.assets)),
        configuration=tuple(changes[::-1]),
        clock=clock_steps(((one.time_ns, one.received_ns) for one in states), window),
        gaps=tuple(door.absences(window.from_ns, window.until_ns)),
    )


@dataclass(frozen=True, slots=True)
class Window:
    """A time [ns since 1970 UTC]; `until_ns` is not inside."""

    from_ns: int
    until_ns: int

    def holds(self, *times_ns: int) -> bool:
        """Whether one of these is inside."""
        return any(self.from_ns <= one < self.until_ns for one in times_ns)


def clock_steps(readings: Iterable[tuple[int, int]], window: Window) -> tuple[ClockStep, ...]:
    """Where a clock was set, as far as the times of what was said with it show it.

    Args:
        readings: Its time and the time of arrival by the low side's clock, in any order [ns since 1970 UTC].
        window: Steps whose arrival is inside are told.
    """
    by_arrival = sorted(readings, key=lambda one: (one[1], one[0]))
    late = [arrived - said for said, arrived in by_arrival]
    found: list[tuple[int, int]] = []
    for place in range(1, len(late)):
        before, after = late[max(place - NEIGHBOURS, 0) : place], late[place : place + NEIGHBOURS]
        step = min(before) - min(after)
        if abs(step) > STEP_NS and _sure(before, after):
            found.append((place, step))
    told: list[tuple[int, int]] = []
    for place, step in found:  # one step is seen from several places: the place of its greatest is its own
        if told and place - told[-1][0] < NEIGHBOURS and (step > 0) == (told[-1][1] > 0):
            told[-1] = max(told[-1], (place, step), key=lambda one: abs(one[1]))
        else:
            told.append((place, step))
    return tuple(
        ClockStep(at_ns=by_arrival[place][1], by_s=step / 1e9)
        for place, step in told
        if window.holds(by_arrival[place][1])
    )


def _sure(before: Sequence[int], after: Sequence[int]) -> bool:
    """No late arrival alone: all after it are later than all before, or all earlier, and there are several of each."""
    return len(before) > 1 < len(after) and (min(after) > max(before) or max(after) < min(before))


def _asset(name: str, view: AssetView | None, door: Door, window: Window) -> AssetVisit:
    states, events = door.states(name, STATES), door.events(EVENTS, name)
    inside = [one for one in states if window.holds(one.time_ns, one.received_ns)]
    counted = Counter(_band(one.severity) for one in events if window.holds(one.time_ns, one.received_ns))
    return AssetVisit(
        name=name,
        described=view.asset if view else None,
        tags=tuple(_tags(door.tags(name), door, window)),
        nameplates=tuple(_nameplates(states[::-1], window)),
        states=tuple(inside[::-1]),
        clock=clock_steps(((one.time_ns, one.received_ns) for one in events), window),
        events=tuple((band, counted[band]) for _, band in BANDS),
        cut=tuple(_cut(states, events, window)),
    )


def _tags(views: Sequence[TagView], door: Door, window: Window) -> list[TagChange]:
    found = []
    versions = {(view.site, view.tag.name, view.version): view for view in views}
    for view in views:
        if door.samples(view.series, ALL_TIME, window.from_ns, 1):
            continue
        trend = door.trend(view.series, window.from_ns, window.until_ns, BUCKETS)
        if not len(trend.start_ns):
            continue
        before = versions.get((view.site, view.tag.name, view.version - 1))
        text = "Not seen before" if before is None else changed(before, view, whole=door.whole)
        at_ns = max(int(trend.start_ns[0]), window.from_ns)
        found.append(TagChange(tag=view.tag.name, at_ns=at_ns, text=text))
    return sorted(found, key=lambda one: (one.at_ns, one.tag))


def _nameplates(states: Sequence[StateView], window: Window) -> list[NameplateChange]:
    """From what the device said of itself each time that it came up, oldest first."""
    ups = [one for one in states if one.what == "up"]
    return [
        NameplateChange(at_ns=after.time_ns, before=before.text, after=after.text)
        for before, after in pairwise(ups)
        if before.text != after.text and window.holds(after.time_ns, after.received_ns)
    ]


def _band(severity: int) -> str:
    return next((band for least, band in BANDS if severity >= least), BANDS[-1][1])


def _cut(states: Sequence[StateView], events: Sequence[EventView], window: Window) -> list[str]:
    told = []
    for name, held, most in (("states", states, STATES), ("events", events, EVENTS)):
        if len(held) >= most and held[-1].received_ns >= window.from_ns:
            told.append(f"only the newest {most:,} {name} were looked through")
    return told
