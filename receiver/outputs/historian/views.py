"""What readers of the history are given: plain values, already cut to what the reader may see.

Times are nanoseconds since 1970 UTC. `time_ns` is the sample's own time, `*_received_ns` and `seen_ns` are the low
side's wall clock; neither ever orders anything (order is the packer's start counter, block number and row).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from protocol.content.applied import AppliedChange
from protocol.content.array import Array
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import NO_TIME, Value
from receiver.outputs.scope import Scope as Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    """One machine and how it is."""

    asset: Asset
    state: str
    """`up`, `down`, or `unknown` where no STATE block has told."""
    state_text: str
    state_ns: int
    """When the state was told, by the poller's clock; 0 where unknown."""
    tags: int
    """Tag names of this asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagView:
    """One series: a tag under one description. Another type, unit, address or conversion is a new one of its name."""

    series: int
    """Its number in this history, from 1."""
    site: str
    tag: Tag
    """`id` is 0: ids belong to streams, a series joins many."""
    version: int
    """From 1, in the order the descriptions were made."""
    current: bool
    """It is the newest version of its name."""
    earlier_start: bool = False
    """The sender neither described nor read it since a start after which it did so with others of the asset."""


class LatestView(NamedTuple):
    """The newest sample of a series, by the sender's order."""

    series: int
    time_ns: int
    other_ns: int
    """The source or server time that was not used; `NO_TIME` where there is none."""
    value: Value
    quality: int
    """OPC UA StatusCode."""
    native: int
    seen_ns: int
    """When it was last renewed, refresh rows included, by the low side's clock."""


class SampleView(NamedTuple):
    """One sample of the history."""

    time_ns: int
    value: Value
    quality: int
    native: int
    other_ns: int = NO_TIME
    healed: bool = False
    """Its block had been missing, and was completed later."""


class ReadValues(NamedTuple):
    """Every sample of a range as numbers, by time; parallel arrays."""

    time_ns: Array
    value: Array
    """float64; nan for texts, booleans are 0 and 1."""
    usable: Array
    """Good or uncertain, and finite where it is a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceView:
    """A time of which samples are missing: their blocks have not come, or they cannot be read."""

    from_ns: int
    """Last time before it, by the poller's clock."""
    to_ns: int | None
    """First time after it; None where nothing has come after it yet."""
    blocks: int
    """Block numbers missing."""
    stream: str
    """The stream's key in hex."""
    first: int
    """First missing block number."""
    site: str
    damage: str = ""
    """Where no block is missing but the history's own disk lost samples: what cannot be read, in words."""


class VersionChange(NamedTuple):
    """A tag was described anew: from here on its samples are of another series."""

    place: int
    """Number of the first bucket of the new version."""
    at_ns: int
    """Time of the first sample in it, or its start."""
    text: str
    """What changed, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A time range in equal buckets; only those that hold a sample. All arrays are equally long.

    Wide buckets are a whole number of `rollup.CELL_NS` and begin at a multiple of it, so the first one may begin before
    the range; what it holds does not.
    """

    start_ns: Array
    """Bucket starts, int64, rising."""
    low: Array
    """Least value, float64; nan where `count` is 0 and for texts."""
    high: Array
    mean: Array
    count: Array
    """Samples with a usable value (good or uncertain, finite where it is a number), int64."""
    bad: Array
    """The others, int64: bad quality, no value, or not a finite number."""
    absences: list[AbsenceView]
    """Those that overlap the range."""
    width_ns: int
    """How much time a bucket spans [ns]."""
    changes: tuple[VersionChange, ...] = ()
    """Where one version of the tag goes on as another; in a bucket of both, each stands by itself."""
    first: Array
    """The first usable number, by time; nan also where it is not known: what builds before roll-ups sealed."""
    last: Array
    first_ns: Array
    """When that was, by the tag's own time, int64; `start_ns` where no usable value is a number."""
    last_ns: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One asset's samples in one minute of the poller's clock (the minute its block was begun)."""

    asset: str
    minute_ns: int
    published: int
    """Stored here, refresh rows not counted."""
    healed: int
    """Of those, in blocks completed after having been missing."""
    read: int
    """Taken from the device, by the tally that closed in this minute; 0 where none did."""
    sent: int
    """Committed to the sender's spool, same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One asset's samples since the first stream, summed over streams."""

    read: int
    """By the newest tally of each stream."""
    sent: int
    """By the newest tally of each stream."""
    published: int
    healed: int
    lost: int
    """Sent by the newest tally of each stream, less those stored from the blocks that tally covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    """One STATE block's content."""

    asset: str
    time_ns: int
    what: str
    text: str
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One change of the sender's configuration."""

    received_ns: int
    """When it was first heard of."""
    change: AppliedChange


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One EVENT block's content."""

    asset: str
    source: str
    time_ns: int
    severity: int
    """1 to 1000 (OPC 10000-5, 6.4.2)."""
    code: str
    text: str
    state: str
    """`active`, `acked` or `cleared`; empty for what just happened and does not stand."""
    sequence: int
    received_ns: int
