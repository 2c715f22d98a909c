"""A scene: which false devices there are, on which ports, what their tags do, and what goes wrong when.

    [scene]     name, site, tick_ms
    [[server]]  asset, protocol, port and what the device says of itself
                modbus|opcua|enip.KEY    settings that only its protocol reads
                struct.NAME = [members]  a bundle of members, to be used as a type: a UDT, a bearing, a drive
                tag = [tables]           name, type (a catalog type or a struct), dims, signal, unit, range, address
    [[trip]]    a protection that acts now and then, with its sequence of events     `plant/trips`
    [[fault]]   what a device does wrong, when and for how long                      `fault_schedule`

Tags are declared as in a controller (`TagEntry`, with structs and dimensions) and flattened into scalar `ScenePoint`s,
the unit of everything else: `Zone[3]`, `Filler.Speed`, `Axis[1].Position`. A server that knows structures walks the
entries and finds each scalar's point by that path; the others walk the points.

This is what a scene is; `file` reads one, `validate` finds what is contradictory in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.plant.signals import Signal, named_by
from simulator.plant.trips import Trip

PROTOCOLS = ("modbus", "opcua", "enip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A sensor that is not well, now and then."""

    quality: int
    """OPC UA StatusCode while it lasts; protocols without quality show the value as ever."""
    every_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a bool tag means when it is true: an alarm, told as an event by protocols that have events."""

    text: str
    severity: int = 500
    """1 to 1000 (OPC 10000-5, 6.4.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagEntry:
    """A tag or member as it is declared."""

    name: str
    type: str = "float32"
    """A catalog type, or the name of a struct of the same server."""
    dims: tuple[int, ...] = ()
    """Sizes of up to three dimensions; empty for a scalar."""
    signal: Signal | None = None
    """None where the type is a struct."""
    same: str = ""
    """`asset:name` of a tag that this is another view of: its type, value, time and quality; no signal of its own."""
    unit: str = ""
    """UCUM code."""
    low: float | None = None
    """Instrument range; a number is held inside it."""
    high: float | None = None
    states: tuple[str, ...] = ()
    """Words for the values 0, 1, .. of a whole number, or for false and true."""
    description: str = ""
    at: str | int | None = None
    """The protocol's address (Modbus `holding:10`, OPC UA a NodeId such as `i=1001`), or for a member its offset from
    its structure's [registers]."""
    length: int = 16
    """Characters of a string, for protocols that need to know."""
    decimals: int | None = None
    """Decimal places the instrument resolves; None for all."""
    every_ms: int = 0
    """It changes at whole multiples of this [ms]; 0 means the scene's tick."""
    spell: Spell | None = None
    alarm: Condition | None = None
    variant: str = ""
    """OPC UA only: the built-in type it is served as where that is another than its type's (`DateTime`, `Guid`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """A bundle of members, in their order."""

    name: str
    members: tuple[TagEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePoint:
    """One scalar of one device."""

    number: int
    """Its place in `Moment.values`, over all servers of the scene."""
    asset: str
    name: str
    """Path within the asset: `Axis[1].Position`."""
    entry: TagEntry
    """What was declared for it: type, unit, range, signal."""
    description: str
    at: str
    """Address; for an element of an array its first one (see `element`)."""
    element: int
    """Row-major number of the element in the innermost array, 0 for a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSection:
    """One false device."""

    asset: str
    protocol: str
    port: int
    """The port it would like; a taken one moves up."""
    path: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The table named as the protocol."""
    structs: Mapping[str, Struct] = field(default_factory=dict)
    entries: tuple[TagEntry, ...] = ()
    points: tuple[ScenePoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A fault with its times, counted from the start of the simulator."""

    asset: str
    what: str
    """As it is typed live: `late 0.5s at holding:0-9`."""
    at_s: float = 0.0
    """When it comes [s]."""
    for_s: float | None = None
    """How long it stays [s]; None for ever."""
    every_s: float | None = None
    """It comes again after this long [s]; None for once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a plant is made from."""

    name: str
    site: str
    tick_ms: int
    """The model's step [ms]: nothing changes between two ticks."""
    servers: tuple[DeviceSection, ...]
    trips: tuple[Trip, ...] = ()
    faults: tuple[Timed, ...] = ()

    @property
    def points(self) -> tuple[ScenePoint, ...]:
        """All points in number order."""
        return tuple(point for section in self.servers for point in section.points)


def sources_of(point: ScenePoint) -> tuple[tuple[str, str], ...]:
    """(asset, name) of each tag that the signal of `point` looks at."""
    signal = point.entry.signal
    return () if signal is None else tuple(named(point, one) for one in named_by(signal))


def named(point: ScenePoint, other: str) -> tuple[str, str]:
    """(asset, name) of what `point` calls `other`: `name`, `.name` for a sibling, or `asset:name`."""
    if other.startswith("."):
        return point.asset, point.name.rpartition(".")[0] + other
    asset, colon, name = other.partition(":")
    return (asset, name) if colon and not asset.startswith("Program") else (point.asset, other)
