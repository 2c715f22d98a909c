"""What stands of trips and alarms, as the pages show it: the gravest that nobody acknowledged first. Pure.

trip      an event of severity 800 and above (OPC 10000-5, 6.4.2: 1 to 1000), active or acknowledged
alarm     one below it
doubtful  an earlier start of the sender told it and the later one has not: it may be over; shown, and said
over      the later start has read the asset, and the source where that is a tag, for long enough to tell it anew
retired   of an asset that was taken out of the configuration: nobody will ever end it, so it stands no more
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from protocol.content.sample import severity
from receiver.outputs.historian.events.standing_alarms import StandingAlarms, StandingView
from receiver.portal import words
from receiver.portal.plant_picture import LiveAsset, LiveTag

TRIP = 800
"""Severity from which an event is a trip."""
SHOWN = 200
"""Most alarms that a page lists; the rest is a number."""
OVER_S = 60.0
"""For so long a later start of the sender must have read the asset before an alarm it does not tell is over [s]: a
server tells what stands within a second of being asked, and tags are read once a second."""
PERIODS = 3
"""And for so many periods of the tag that tells the alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlarm:
    """One trip or alarm that stands."""

    asset: str
    source: str
    tag: bool
    """The source is a tag of the asset."""
    code: str
    text: str
    severity: int
    acknowledged: bool
    raised_ns: int
    """By the clock of who told it [ns since 1970 UTC]."""
    doubt: str
    """Why it may be over, in words; empty where nothing says so."""

    @property
    def trip(self) -> bool:
        """A protection has acted, or must have."""
        return self.severity >= TRIP


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCount:
    """Of one asset, or of all."""

    trips: int = 0
    alarms: int = 0
    unacknowledged: int = 0
    """Of both."""

    def text(self) -> str:
        """`1 trip, 2 alarms`; empty where there is none."""
        parts = ((self.trips, "trip"), (self.alarms, "alarm"))
        return ", ".join(f"{words.count(count)} {name}{'' if count == 1 else 's'}" for count, name in parts if count)


NONE_STANDS = AlarmCount()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingNow:
    """What stands."""

    alarms: tuple[StandingAlarm, ...] = ()
    """The unacknowledged first, of these the trips first; then by gravity and the sender's order, newest first."""
    retired: tuple[StandingAlarm, ...] = ()
    more: int = 0
    """That stand beyond those listed."""
    by_asset: Mapping[str, AlarmCount] = field(default_factory=dict)

    @property
    def count(self) -> AlarmCount:
        """Of all assets."""
        held = self.by_asset.values()
        return AlarmCount(
            trips=sum(one.trips for one in held),
            alarms=sum(one.alarms for one in held),
            unacknowledged=sum(one.unacknowledged for one in held),
        )

    def of(self, asset: str) -> StandingNow:
        """What of it concerns one asset."""
        return StandingNow(
            alarms=tuple(one for one in self.alarms if one.asset == asset),
            retired=tuple(one for one in self.retired if one.asset == asset),
            by_asset={asset: self.by_asset[asset]} if asset in self.by_asset else {},
        )

    def mark(self, newest: int) -> str:
        """Differs where a page has to be drawn anew.

        Args:
            newest: Number of the newest event.
        """
        return blake2b(repr((self.alarms, self.retired, self.more, newest)).encode(), digest_size=8).hexdigest()


def standing_now(told: StandingAlarms, assets: Mapping[str, LiveAsset]) -> StandingNow:
    """What stands, of what the history tells.

    Args:
        told: The gravest first.
        assets: As they are now, by name.
    """
    alarms: list[StandingAlarm] = []
    retired: list[StandingAlarm] = []
    tags: dict[str, dict[str, LiveTag]] = {}
    for view in told.alarms:
        name = view.event.asset
        asset = assets.get(name)
        if asset is not None and name not in tags:
            tags[name] = {one.tag.name: one for one in asset.tags}
        source = tags.get(name, {}).get(view.event.source)
        if asset is not None and asset.retired:
            retired.append(_alarm(view, source, ""))
        elif not _over(view, source):
            alarms.append(_alarm(view, source, _doubt(view, asset)))
    alarms.sort(key=lambda one: (one.acknowledged, not one.trip))  # stable: gravity and order within
    return StandingNow(
        alarms=tuple(alarms[:SHOWN]),
        retired=tuple(retired[:SHOWN]),
        more=max(told.total - len(told.alarms), 0) + max(len(alarms) - SHOWN, 0),
        by_asset=_counted(alarms),
    )


def _over(view: StandingView, source: LiveTag | None) -> bool:
    if view.unsaid_s is None:
        return False
    unread = source is not None and (not source.seen_ns or severity(source.quality) == 2)
    period_s = 0.0 if source is None else max(source.tag.scan_s, source.tag.max_silence_s)
    return not unread and view.unsaid_s >= max(OVER_S, PERIODS * period_s)


def _doubt(view: StandingView, asset: LiveAsset | None) -> str:
    if view.earlier_start:
        return "told before the sender's last start, and not again since: it may be over"
    return "as of its asset's last word: that is down" if asset is not None and asset.state == "down" else ""


def _alarm(view: StandingView, source: LiveTag | None, doubt: str) -> StandingAlarm:
    event = view.event
    return StandingAlarm(
        asset=event.asset,
        source=event.source,
        tag=source is not None,
        code=event.code,
        text=event.text,
        severity=event.severity,
        acknowledged=event.state == "acked",
        raised_ns=view.raised_ns,
        doubt=doubt,
    )


def _counted(alarms: Iterable[StandingAlarm]) -> dict[str, AlarmCount]:
    counts: dict[str, Counter[str]] = {}
    for one in alarms:
        held = counts.setdefault(one.asset, Counter())
        held["trips" if one.trip else "alarms"] += 1
        held["unacknowledged"] += not one.acknowledged
    return {name: AlarmCount(**held) for name, held in counts.items()}
