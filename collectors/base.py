"""The contract: what a collector is given, what it must do, and what it gives back.

A collector reads one device. It is built from a `Device` (already validated), then the poller calls

    await open()            connect and learn what the device says of its points (`facts`)
    await read(scan)        one pass over the scan's points -> Columns
    await close()           leave the device as it was found

Columns come back with the *point number* in `tag` (its place in the device, see `Point.number`); the poller alone
knows stream ids. A device that fails as a whole raises `AssetError`: the poller then marks every point of the scan
bad with that quality, closes, and opens again after a back-off. A failure of some points is rows of kind NONE with
bad quality beside the good ones: what was read in a pass is kept, what failed is bad with its own reason, and where the
device was lost in the middle of the pass `lost` says so. Nothing is ever silently left out: each point of the scan that
was due has a row, except in a subscribing collector, whose `read` drains what has come since.

One coroutine at a time calls one collector. A blocking library runs in the collector's own single thread.

After each read the poller asks for `events` and `remarks`: alarms that came with it, and lines for people. What a
protocol can do beyond the plain minimum it names in `offers`; the configuration refuses such keys for all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from collectors.budget import Budget
from protocol.content.sample import Columns
from protocol.errors import AssetError

GENTLE_REQUESTS_S = 5.0
"""Most requests a second to a safety or protection device where nothing is typed [1/s]: one block of everything each
second and room for four more; no standard names a figure, the maker's manual may name a lower one."""


FORMATS = frozenset(
    (
        *("int48", "uint48", "mod10_32", "mod10_48", "mod10_64", "magnitude16", "magnitude32", "magnitude64"),
        *("exp8_int24", "exp8_uint24", "exp2_uint14", "unix32", "unix64", "unix64_ms", "date_words", "date_words_ms"),
        *("date_bytes", "date_bcd", "date_dmy", "cp56", "ipv4", "digits"),
    )
)
"""Words behind `type` beyond the catalog's types: how a device writes a value; `facts` says what type comes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One configured tag; with `count` > 1 an array that is read whole and split into `count` tags `name[i]`.

    A `pattern` stands for as many values as the device has below it, at most `count`; the collector gives them numbers
    and says their names in `facts`.
    """

    number: int
    """Its place in the device, from 0; an array occupies `number` to `number + count - 1`."""
    name: str
    at: str
    """The address as the person typed it."""
    type: str | None = None
    """Catalog type or one of `FORMATS`, or None where the device is asked for it."""
    count: int = 1
    unit: str = ""
    pattern: bool = False
    """The address names a branch, not one value."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Every other key of the tag's table, for the collector to read and check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Points that are read together, at one period."""

    every_s: float
    """Period [s]."""
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One asset as its collector sees it."""

    name: str
    url: str
    kind: str
    """`process`, `safety` or `protection` (the configuration's `class`)."""
    settings: Mapping[str, Any]
    """The table `[asset.<collector>]`."""
    scans: tuple[Scan, ...]
    timeout_s: float = 3.0
    """Longest wait for one reply [s]."""
    urls: tuple[str, ...] = ()
    """Every address of a redundant device, `url` the first; empty where there is one only."""
    requests_s: float | None = None
    """Most requests a second that a person allows [1/s]; None where nothing is typed."""
    never_read: tuple[str, ...] = ()
    """Addresses that must not be read, in the protocol's own notation."""
    folder: Path | None = None
    """Where a collector may keep a log of its own; None: it keeps none."""

    @property
    def gentle(self) -> bool:
        """Only what is typed is asked for, and slowly."""
        return self.kind != "process"

    @property
    def budget(self) -> float | None:
        """Most requests a second [1/s]; None: as many as the scans need."""
        return self.requests_s or (GENTLE_REQUESTS_S if self.gentle else None)

    @property
    def points(self) -> tuple[Point, ...]:
        """All points of all scans, in number order."""
        return tuple(sorted((point for scan in self.scans for point in scan.points), key=lambda point: point.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a point beyond its name and address; None where nothing is: the device says it, or what the
    collector makes of the point's table. The configuration's own words win."""

    type: str | None = None
    unit: str | None = None
    description: str | None = None
    low: float | None = None
    high: float | None = None
    states: tuple[str, ...] = ()
    name: str | None = None
    """Name of a value that a pattern found; such a value without a name is not there."""
    address: str | None = None
    """Where it was found."""
    conversion: str | None = None
    """How its value is made of what stands there, in words that change whenever its numbers would (`int16 x 0.1`); None
    where it is taken as it stands. Of `stated`, because it must be known before the device is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a device: an alarm that came, was acknowledged, or went."""

    source: str
    """What in the device it is about."""
    time_ns: int
    """The device's own time of it where it says one, else the time of reading [ns since 1970 UTC]."""
    severity: int
    """1 to 1000 (OPC 10000-5, 6.4.2)."""
    code: str
    """The device's short name for it."""
    text: str
    state: str
    """`active`, `acked` or `cleared`; empty for what just happened and does not stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the device says of itself; empty where it does not."""

    vendor: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One read that the plan would send, for `plan` and for people."""

    what: str
    """`read holding 0..9`, in the protocol's words."""
    every_s: float
    """Period [s]; infinite for what is sent once at each connect."""
    points: int
    """Points it serves."""
    request_bytes: int
    """On the wire, without TCP and IP headers [bytes]."""
    reply_bytes: int
    """Same, for the expected reply [bytes]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What `discover` found: a draft of the asset's section."""

    identity: Identity
    tags: tuple[Mapping[str, Any], ...]
    """One table a tag: `name`, `at`, and what else is known (`type`, `unit`, `count`)."""
    notes: tuple[str, ...] = ()
    """What a person should know (left out, not readable), printed as comments."""


class Collector(ABC):
    """One device, read only."""

    protocol: ClassVar[str]
    """Name in `collector = ".."`, the same as the entry point's."""

    subscribes: ClassVar[bool] = False
    """True where `read` drains notifications instead of asking."""

    offers: ClassVar[frozenset[str]] = frozenset()
    """Keys it honours beyond the minimum: `never_read`, `urls`, `most` (patterns), `range` (of `discover`), `states` (a
    table of sparse numbers), `map` (of `discover`)."""

    example: ClassVar[Mapping[str, Any]] = {}
    """A tag's table as it would stand in a configuration, for a draft in which nothing was found."""

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        """
        Args:
            device: What to read; `check` found nothing wrong with it.
            clock: Wall time [ns since 1970 UTC].
            refused: Called with one line for each request that the guard did not let through.
        """
        self.device = device
        self.clock = clock
        self.refused = refused
        self.budget = Budget(device.budget)
        """To be asked before each request; `await self.budget.wait()`."""

    @classmethod
    @abstractmethod
    def check(cls, device: Device) -> list[str]:
        """Every mistake in the url, the settings and the points, as `key: what is wrong; next step`. Empty if none."""

    @classmethod
    def doubts(cls, device: Device) -> list[str]:
        """What may be meant and looks wrong: `tags.NAME.key: what; next step`, or a text about the whole device; asked
        for where `check` finds no mistake."""
        return []

    @classmethod
    @abstractmethod
    def plan(cls, device: Device) -> list[Request]:
        """Every read request one cycle of each scan would send; no traffic."""

    @classmethod
    def stated(cls, device: Device) -> Mapping[int, Facts]:
        """Point number -> what its table says without the device (type, conversion); mistakes are passed over."""
        return {}

    @classmethod
    def notifies(cls, device: Device) -> bool:
        """Whether `read` of this very device drains notifications; for a protocol that may also be polled."""
        return cls.subscribes

    @classmethod
    def spreads(cls, at: str) -> bool:
        """Whether an address is a pattern, for as many values as the device has there."""
        return False

    @abstractmethod
    async def open(self) -> None:
        """Connect, and learn `facts` and `identity`. Raises AssetError when the device cannot be used."""

    @abstractmethod
    async def read(self, scan: Scan) -> Columns:
        """One pass over the scan's points; `tag` holds point numbers. Raises AssetError for the whole device."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the device; never raises, may be called twice."""

    def events(self) -> Sequence[Event]:
        """What has happened since the last call, in order; asked for after each read."""
        return ()

    def remarks(self) -> Sequence[str]:
        """Lines for people since the last call (a value set aside, another server taken); asked for after each read."""
        return ()

    def lost(self) -> AssetError | None:
        """Why the device must be given up although the last `read` gave rows: it ended in the middle of the pass."""
        return None

    def troubles(self) -> Sequence[str]:
        """What of the device has no values at present, and why, a line each; asked for after each read."""
        return ()

    @classmethod
    def drafted(cls, text: str, first: int) -> Draft:
        """A draft from a register map, a table in CSV, where `map` is offered; no traffic.

        Args:
            first: Number that the map gives to the first address, 0 or 1.

        Raises:
            ConfigError: it is no such table.
        """
        raise NotImplementedError

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        """Browse the opened device and draft its tags.

        Args:
            ranges: The parts that a person typed, in the protocol's own notation; empty: what it lists by itself.
        """
        return Draft(identity=self.identity(), tags=(), notes=("this protocol cannot be browsed; type the addresses",))

    def facts(self) -> Mapping[int, Facts]:
        """What the device says of its points, by point number; filled by `open`."""
        return {}

    def certificates(self) -> Mapping[str, int]:
        """What certificate the connection rests on, in words, and when it ends [ns since 1970 UTC]; asked for after
        `open`."""
        return {}

    def relearned(self) -> bool:
        """Whether `facts` says more or other than at `open`, or at the last call; asked for after each read."""
        return False

    def identity(self) -> Identity:
        """What the device says of itself; filled by `open`."""
        return Identity()


def numbered(tables: Sequence[tuple[float, Sequence[Mapping[str, Any]]]]) -> tuple[Scan, ...]:
    """Scans from `(every_s, tag tables)`, their points numbered in the order they stand.

    Keys that are fields of `Point` are taken out of a table, the rest become its `options`.
    """
    scans, number = [], 0
    for every_s, tables_of_scan in tables:
        points = []
        for table in tables_of_scan:
            own = {key: table[key] for key in ("name", "at", "type", "count", "unit", "pattern") if key in table}
            rest = {key: value for key, value in table.items() if key not in own}
            point = Point(number=number, options=rest, **own)
            points.append(point)
            number += point.count
        scans.append(Scan(every_s=every_s, points=tuple(points)))
    return tuple(scans)
