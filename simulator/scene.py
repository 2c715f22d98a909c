"""A scene: which false devices there are, on which ports, and what their tags do; read from a TOML file.

    [scene]     name, site, tick_ms
    [[server]]  asset, protocol, port and what the device says of itself
                modbus|opcua|enip.KEY    settings that only its protocol reads
                struct.NAME = [members]  a bundle of members, to be used as a type: a UDT, a bearing, a drive
                tag = [tables]           name, type (a catalog type or a struct), dims, signal, unit, range, address

Tags are declared as in a controller (`Entry`, with structs and dimensions) and flattened into scalar `Point`s, the
unit of everything else: `Zone[3]`, `Filler.Speed`, `Axis[1].Position`. A server that knows structures walks the
entries and finds each scalar's point by that path; the others walk the points.

Every mistake in a file is named, not the first one only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from protocol import units
from protocol.catalog import TYPES
from protocol.errors import ConfigError
from protocol.sample import Quality
from simulator.signals import KINDS, Counter, Fixed, Follow, Over, Signal, Step, Switch, Text

PROTOCOLS = ("modbus", "opcua", "enip")

SCENES = Path(__file__).parent / "scenes"
"""Scenes that are shipped; their stem may be given instead of a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A sensor that is not well, now and then."""

    quality: int
    """OPC UA StatusCode while it lasts; protocols without quality show the value as ever."""
    every_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tag or member as it is declared."""

    name: str
    type: str = "float32"
    """A catalog type, or the name of a struct of the same server."""
    dims: tuple[int, ...] = ()
    """Sizes of up to three dimensions; empty for a scalar."""
    signal: Signal | None = None
    """None where the type is a struct."""
    unit: str = ""
    """UCUM code."""
    low: float | None = None
    """Instrument range; a number is held inside it."""
    high: float | None = None
    description: str = ""
    at: str | int | None = None
    """The protocol's address (`holding:10`), or for a member its offset from its structure's [registers]."""
    length: int = 16
    """Characters of a string, for protocols that need to know."""
    decimals: int | None = None
    """Decimal places the instrument resolves; None for all."""
    every_ms: int = 0
    """It changes at whole multiples of this [ms]; 0 means the scene's tick."""
    spell: Spell | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """A bundle of members, in their order."""

    name: str
    members: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One scalar of one device."""

    number: int
    """Its place in `Moment.values`, over all servers of the scene."""
    asset: str
    name: str
    """Path within the asset: `Axis[1].Position`."""
    entry: Entry
    """What was declared for it: type, unit, range, signal."""
    description: str
    at: str
    """Address; for an element of an array its first one (see `element`)."""
    element: int
    """Row-major number of the element in the innermost array, 0 for a scalar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
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
    entries: tuple[Entry, ...] = ()
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a plant is made from."""

    name: str
    site: str
    tick_ms: int
    """The model's step [ms]: nothing changes between two ticks."""
    servers: tuple[Section, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """All points in number order."""
        return tuple(point for section in self.servers for point in section.points)


def load(given: str | Path) -> Scene:
    """Read a scene by path, or by name from those that are shipped.

    Raises:
        ConfigError: no such file, no TOML, or mistakes, each named with its place.
    """
    path = Path(given)
    shipped = SCENES / f"{given}.toml"
    if not path.is_file() and shipped.is_file():
        path = shipped
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        names = ", ".join(sorted(one.stem for one in SCENES.glob("*.toml")))
        raise ConfigError(f"{given}: {error.strerror}", hint=f"give a file, or one of: {names}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(body: Mapping[str, Any]) -> Scene:
    """A scene from the maps of its TOML file.

    Raises:
        ConfigError: one line for each mistake.
    """
    wrong = [f"unknown table `{key}`" for key in sorted(set(body) - {"scene", "server"})]
    head = dict(body.get("scene", {}))
    tick_ms = head.get("tick_ms", 100)
    if type(tick_ms) is not int or tick_ms < 1:
        wrong.append("scene.tick_ms: needs a whole number of milliseconds, 1 or more")
    sections: list[Section] = []
    number = 0
    for at, table in enumerate(body.get("server", [])):
        section = _section(table, f"server {at + 1}", number, wrong)
        if section is not None:
            sections.append(section)
            number += len(section.points)
    scene = Scene(
        name=str(head.get("name", "")), site=str(head.get("site", "")), tick_ms=tick_ms, servers=tuple(sections)
    )
    if not wrong:
        wrong += list(_contradictions(scene))
    if wrong:
        raise ConfigError("\n".join(wrong), hint="mend each line; simulator/scenes/small.toml is a complete example")
    return scene


def _section(table: Mapping[str, Any], where: str, number: int, wrong: list[str]) -> Section | None:
    given = dict(table)
    protocol, asset = given.get("protocol"), given.get("asset")
    if protocol not in PROTOCOLS or not isinstance(asset, str):
        wrong.append(f"{where}: needs an asset's name and a protocol, one of {', '.join(PROTOCOLS)}")
        return None
    where = f"{where} ({asset})"
    settings = given.pop(protocol, {})
    structs: dict[str, Struct] = {}
    for name, held in given.pop("struct", {}).items():
        members = tuple(_entry(member, f"{where}, struct {name}", structs, wrong) for member in held)
        structs[name] = Struct(name=name, members=members)
    entries = tuple(_entry(one, where, structs, wrong) for one in given.pop("tag", []))
    known = {one.name for one in fields(Section)} - {"settings", "structs", "entries", "points"}
    wrong += [f"{where}: unknown key `{key}`" for key in sorted(set(given) - known)]
    words = {key: given[key] for key in known & set(given)}
    if type(words.get("port")) is not int:
        wrong.append(f"{where}: needs a port number")
        return None
    points = tuple(_points(asset, entries, structs, number))
    return Section(**words, settings=settings, structs=structs, entries=entries, points=points)


def _entry(table: Mapping[str, Any], where: str, structs: Mapping[str, Struct], wrong: list[str]) -> Entry:
    given = dict(table)
    name = str(given.get("name", "?"))
    where = f"{where}, tag {name}"
    type_name = given.get("type", "float32")
    signal = given.pop("signal", None)
    spell = given.pop("spell", None)
    known = {one.name for one in fields(Entry)}
    wrong += [f"{where}: unknown key `{key}`" for key in sorted(set(given) - known)]
    words = {key: given[key] for key in known & set(given)}
    words["name"] = name
    words["dims"] = tuple(given.get("dims", ()))
    if type_name not in TYPES and type_name not in structs:
        wrong.append(f"{where}: type `{type_name}` is neither of {', '.join(TYPES)} nor a struct declared above")
    if (type_name in structs) != (signal is None):
        wrong.append(f"{where}: a tag of a simple type needs a signal, one of a struct has none")
    if signal is not None:
        words["signal"] = _built(signal, where, wrong)
    if spell is not None:
        words["spell"] = _spell(spell, where, wrong)
    return Entry(**words)


def _built(table: Mapping[str, Any], where: str, wrong: list[str]) -> Signal:
    """The signal of a table; a mistake is noted and a harmless one given back."""
    given = dict(table)
    kind = KINDS.get(str(given.pop("kind", "")))
    if kind is None:
        wrong.append(f"{where}: signal.kind must be one of {', '.join(KINDS)}")
        return Fixed(value=0)
    parts = {one.name: one for one in fields(kind)}
    unknown = sorted(set(given) - set(parts))
    missing = sorted(name for name, one in parts.items() if one.default is MISSING and name not in given)
    if unknown or missing:
        wrong.append(f"{where}: signal {kind.__name__.lower()}: unknown {unknown}, missing {missing}")
        return Fixed(value=0)
    times = ("period_s", "dwell_s", "swing_s")
    wrong += [f"{where}: signal.{key} must be above 0" for key in times if key in given and not given[key] > 0]
    signal: Signal = kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})
    return signal


def _spell(table: Mapping[str, Any], where: str, wrong: list[str]) -> Spell | None:
    try:
        quality = Quality[str(table["quality"]).upper()]
        return Spell(quality=int(quality), every_s=float(table["every_s"]), for_s=float(table["for_s"]))
    except (KeyError, ValueError) as error:
        names = ", ".join(one.name.lower() for one in Quality)
        wrong.append(f"{where}: spell: {error}; it needs every_s, for_s and quality, one of {names}")
        return None


def _points(asset: str, entries: tuple[Entry, ...], structs: Mapping[str, Struct], first: int) -> Iterator[Point]:
    """Flatten declarations into scalars, in the order of the file."""
    number = first

    def walk(entry: Entry, prefix: str, words: str, base: str) -> Iterator[Point]:
        nonlocal number
        at = _address(entry.at, base)
        text = ": ".join(part for part in (words, entry.description) if part)
        for element, index in enumerate(product(*map(range, entry.dims))):
            name = prefix + entry.name + (f"[{','.join(map(str, index))}]" if index else "")
            if entry.type in structs:
                for member in structs[entry.type].members:
                    yield from walk(member, f"{name}.", text, at)
            else:
                yield Point(
                    number=number, asset=asset, name=name, entry=entry, description=text, at=at, element=element
                )
                number += 1

    for entry in entries:
        yield from walk(entry, "", "", "")


def _address(at: str | int | None, base: str) -> str:
    """`base` moved by an offset, or the address itself."""
    if isinstance(at, str):
        return at
    table, _, start = base.partition(":")
    return f"{table}:{int(start) + (at or 0)}" if start.isdecimal() else base


def _contradictions(scene: Scene) -> Iterator[str]:
    """What is wrong between parts that are each well formed."""
    named = {(point.asset, point.name): point for point in scene.points}
    if len(named) < len(scene.points):
        seen: set[tuple[str, str]] = set()
        for point in scene.points:
            if (point.asset, point.name) in seen:
                yield f"{point.asset}, tag {point.name}: declared twice"
            seen.add((point.asset, point.name))
    for point in scene.points:
        entry, where = point.entry, f"{point.asset}, tag {point.name}"
        if entry.every_ms % scene.tick_ms:
            yield f"{where}: every_ms must be a multiple of the scene's tick_ms, {scene.tick_ms}"
        if not units.known(entry.unit):
            yield f"{where}: `{entry.unit}` is no UCUM code{_guess(entry.unit)}"
        if len(entry.dims) > 3 or prod(entry.dims) < 1:
            yield f"{where}: dims are up to three sizes, each 1 or more"
        if isinstance(entry.signal, Follow | Over):
            other = named.get(source_of(point, entry.signal))
            if other is None or isinstance(other.entry.signal, Follow | Over | Text | Counter | None):
                yield f"{where}: `{entry.signal.of}` must name a number that neither counts nor follows another"
        elif (entry.type == "string") != _is_text(entry.signal):
            yield f"{where}: type {entry.type} and its signal do not fit"
        elif isinstance(entry.signal, Switch) and entry.type != "bool":
            yield f"{where}: a switch is of type bool"
        elif isinstance(entry.signal, Step) and not entry.signal.levels:
            yield f"{where}: a step needs levels"
        elif isinstance(entry.signal, Counter) and "int" not in entry.type:
            yield f"{where}: a counter is of a whole-number type"


def _guess(unit: str) -> str:
    meant = units.meant(unit)
    return f", is `{meant}` meant?" if meant else ""


def _is_text(signal: Signal | None) -> bool:
    return isinstance(signal, Text) or (isinstance(signal, Fixed) and isinstance(signal.value, str))


def source_of(point: Point, signal: Follow | Over) -> tuple[str, str]:
    """(asset, name) that the signal of `point` looks at."""
    if signal.of.startswith("."):
        return point.asset, point.name.rpartition(".")[0] + signal.of
    asset, colon, name = signal.of.partition(":")
    return (asset, name) if colon and not asset.startswith("Program") else (point.asset, signal.of)
