"""Reads a scene from a TOML file. Every mistake in it is named, not the first one only.

Two words make a large scene short:

    [[server]] repeat = 18          eighteen devices: `{n}` in any text becomes 1 to 18 (`{n:02}`: 01 to 18), and each
                                    port is one higher than the last
    { name = "T{i}", repeat = 40 }  forty tags, `{i}` likewise; with `step` the address moves up by that much a tag

`same = "asset:name"` makes a tag another view of one that is declared elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from protocol import text
from protocol.content.catalog import TYPES
from protocol.content.sample import Quality
from protocol.errors import ConfigError
from protocol.settings.dataclass_parts import built, fitting
from protocol.settings.findings import Findings, read_tables, unknown
from protocol.settings.toml_file import read
from simulator.plant.signals import KINDS, FixedSignal, Signal
from simulator.plant.trips import Trip, TripStep
from simulator.scene.scene import (
    PROTOCOLS,
    Condition,
    DeviceSection,
    Scene,
    ScenePoint,
    Spell,
    Struct,
    TagEntry,
    Timed,
    named,
)
from simulator.scene.validate import contradictions

SCENES = Path(__file__).parent.parent / "scenes"
"""Scenes that are shipped; their stem may be given instead of a path."""

TABLES = ("scene", "server", "trip", "fault")
"""Tables of the file."""

TIMES = ("period_s", "dwell_s", "swing_s")
"""Fields of signals that must be above 0."""


def load(given: str | Path) -> Scene:
    """Read a scene by path, or by name from those that are shipped.

    Raises:
        ConfigError: no such file, no TOML, or mistakes, each named with its place.
    """
    path = Path(given)
    shipped = SCENES / f"{given}.toml"
    if not path.is_file() and shipped.is_file():
        path = shipped
    names = ", ".join(sorted(one.stem for one in SCENES.glob("*.toml")))
    return parse(read(path, hint=f"give a file, or one of: {names}").tables)


def parse(body: Mapping[str, Any]) -> Scene:
    """A scene from the maps of its TOML file.

    Raises:
        ConfigError: one line for each mistake.
    """
    reader = _Reader()
    scene = reader.scene(body)
    wrong = reader.wrong or list(contradictions(scene))
    if wrong:
        raise ConfigError("\n".join(wrong), hint="mend each line; simulator/scenes/small.toml is a complete example")
    return scene


@dataclass(slots=True)
class _Reader:
    """Builds the parts, and collects what is wrong."""

    wrong: list[str] = field(default_factory=list)

    def scene(self, body: Mapping[str, Any]) -> Scene:
        """The whole; with mistakes something harmless stands in their places."""
        self.wrong += [f"{key}: {unknown(key, TABLES, 'table')}" for key in sorted(set(body) - set(TABLES))]
        head = self.table(body.get("scene", {}), "scene")
        tick_ms = head.get("tick_ms", 100)
        if type(tick_ms) is not int or tick_ms < 1:
            tick_ms = 100
            self.wrong.append("scene.tick_ms: needs a whole number of milliseconds, 1 or more")
        sections: list[DeviceSection] = []
        number = 0
        for at, table in enumerate(self.copies(body.get("server", []), "n", "server"), 1):
            section = self.section(table, f"server {at}", number)
            if section is not None:
                sections.append(section)
                number += len(section.points)
        trips = [
            self.trip(table, f"trip {at}") for at, table in enumerate(self.tables(body.get("trip", []), "trip"), 1)
        ]
        faults = [
            self.timed(table, f"fault {at}") for at, table in enumerate(self.tables(body.get("fault", []), "fault"), 1)
        ]
        return Scene(
            name=str(head.get("name", "")),
            site=str(head.get("site", "")),
            tick_ms=tick_ms,
            servers=self.resolved(sections),
            trips=tuple(trip for trip in trips if trip is not None),
            faults=tuple(fault for fault in faults if fault is not None),
        )

    def section(self, table: Mapping[str, Any], where: str, number: int) -> DeviceSection | None:
        """One device; None where it is not even clear which."""
        given = dict(table)
        protocol, asset = given.get("protocol"), given.get("asset")
        if protocol not in PROTOCOLS or not isinstance(asset, str):
            self.wrong.append(f"{where}: needs an asset's name and a protocol, one of {', '.join(PROTOCOLS)}")
            return None
        where = f"{where} ({asset})"
        settings = self.table(given.pop(protocol, {}), f"{where}.{protocol}")
        structs: dict[str, Struct] = {}
        for name, held in self.table(given.pop("struct", {}), f"{where}.struct").items():
            at = f"{where}, struct {name}"
            members = [self.entry(one, at, structs) for one in self.copies(held, "i", at)]
            structs[name] = Struct(name=name, members=tuple(members))
        tags = self.copies(given.pop("tag", []), "i", f"{where}.tag")
        entries = tuple(self.entry(one, where, structs) for one in tags)
        words = self.words(DeviceSection, given, where, without={"settings", "structs", "entries", "points"})
        words.setdefault("port", 0 if "behind" in settings or "port" in given else None)
        if words["port"] is None:
            self.wrong.append(f"{where}.port: missing; write port = 15020")
            words["port"] = 0
        points = tuple(_points(asset, entries, structs, number))
        return DeviceSection(**words, settings=settings, structs=structs, entries=entries, points=points)

    def entry(self, table: Mapping[str, Any], where: str, structs: Mapping[str, Struct]) -> TagEntry:
        """A tag or a member."""
        given = dict(table)
        name = str(given.get("name", "?"))
        where = f"{where}, tag {name}"
        type_name = str(given.get("type", "float32"))
        signal, spell, alarm = (given.pop(key, None) for key in ("signal", "spell", "alarm"))
        words = self.words(TagEntry, given, where)
        words["name"] = name
        if type_name not in TYPES and type_name not in structs:
            known = ", ".join(TYPES)
            self.wrong.append(f"{where}: type `{type_name}` is neither of {known} nor a struct declared above")
        if "same" in words:
            if signal is not None or words.get("dims"):
                self.wrong.append(f"{where}: `same` is a scalar that has neither dims nor a signal of its own")
        elif (type_name in structs) != (signal is None):
            self.wrong.append(f"{where}: a tag of a simple type needs a signal, one of a struct has none")
        if signal is not None:
            words["signal"] = self.signal(signal, where)
        if spell is not None:
            words["spell"] = self.spell(spell, where)
        if alarm is not None:
            words["alarm"] = self.built(Condition, alarm, f"{where}.alarm", Condition(text=""))
        return TagEntry(**words)

    def signal(self, table: Mapping[str, Any], where: str) -> Signal:
        """What a tag does; a mistake is noted and a harmless signal given back."""
        given = self.table(table, f"{where}.signal")
        kind = KINDS.get(str(given.pop("kind", "")))
        if kind is None:
            self.wrong.append(f"{where}: signal.kind must be one of {', '.join(KINDS)}")
            return FixedSignal(value=0)
        made: Signal = self.built(kind, given, f"{where}.signal", FixedSignal(value=0))
        self.wrong += [f"{where}.signal.{key}: must be above 0" for key in TIMES if not getattr(made, key, 1) > 0]
        return made

    def spell(self, table: Mapping[str, Any], where: str) -> Spell | None:
        """When a sensor is unwell."""
        table = self.table(table, f"{where}.spell")
        try:
            quality = Quality[str(table["quality"]).upper()]
            return Spell(quality=int(quality), every_s=float(table["every_s"]), for_s=float(table["for_s"]))
        except (KeyError, TypeError, ValueError) as error:
            names = ", ".join(one.name.lower() for one in Quality)
            self.wrong.append(f"{where}: spell: {error}; it needs every_s, for_s and quality, one of {names}")
            return None

    def trip(self, table: Mapping[str, Any], where: str) -> Trip | None:
        """A protection with its steps; the steps are put into the order of time."""
        given = dict(table)
        asset = str(given.get("asset", ""))
        steps = []
        for at, step in enumerate(self.tables(given.pop("steps", []), f"{where}.steps"), 1):
            words = dict(step)
            owner, colon, tag = str(words.get("tag", "")).partition(":")
            whole = bool(colon) and owner != "Program"
            words["asset"], words["tag"] = (owner, tag) if whole else (asset, words.get("tag", ""))
            default = {"after_ms": 0, "to": True, "text": f"{words['tag']} operated", "severity": 500}
            made = self.built(TripStep, {**default, **words}, f"{where}, step {at}", None)
            steps += [made] if made is not None else []
        given["steps"] = sorted(steps, key=lambda step: step.after_ms)
        made = self.built(Trip, given, where, None)
        return made if isinstance(made, Trip) else None

    def timed(self, table: Mapping[str, Any], where: str) -> Timed | None:
        """A fault and its times, written as durations: `at = "20s"`, `for = "10s"`, `every = "5m"`."""
        given = {"at": "0s", **table}
        for key in ("at", "for", "every"):
            if key in given:
                try:
                    given[f"{key}_s"] = text.seconds(str(given.pop(key)))
                except ValueError as error:
                    self.wrong.append(f"{where}: {key}: {error}")
        made = self.built(Timed, given, where, None)
        return made if isinstance(made, Timed) else None

    def built(self, kind: type[Any], table: object, where: str, harmless: Any) -> Any:
        """A dataclass from a table; what is unknown, missing or does not fit is noted, and a harmless one given."""
        found = Findings()
        made = built(kind, self.table(table, where), where, found)
        self.wrong += found.mistakes.values()
        return harmless if made is None else made

    def words(
        self, kind: type[Any], given: Mapping[str, Any], where: str, without: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The fields of a dataclass that a table has; unknown keys and values that do not fit are noted."""
        found = Findings()
        fit = fitting(kind, given, where, found, without=without)
        self.wrong += found.mistakes.values()
        return fit

    def table(self, given: object, where: str) -> dict[str, Any]:
        """One table; another thing is noted, and an empty one given."""
        if isinstance(given, dict):
            return dict(given)
        self.wrong.append(f"{where}: {given!r} is no table; write its keys in braces")
        return {}

    def tables(self, given: object, where: str) -> list[dict[str, Any]]:
        """A list of tables; whatever else is in it is noted and left out."""
        found = Findings()
        held = [one for _, one in read_tables(given, where, found)]
        self.wrong += found.mistakes.values()
        return held

    def copies(self, given: object, letter: str, where: str) -> Iterator[Mapping[str, Any]]:
        """The tables of a list, each as often as it says."""
        return _copies(self.tables(given, where), letter, self.wrong)

    def resolved(self, sections: Sequence[DeviceSection]) -> tuple[DeviceSection, ...]:
        """The sections with each `same` tag described as the tag that it is another view of."""
        known = {(point.asset, point.name): point for section in sections for point in section.points}
        out = []
        for section in sections:
            views: dict[str, TagEntry] = {}
            points = []
            for point in section.points:
                if not point.entry.same:
                    points.append(point)
                    continue
                source = known.get(named(point, point.entry.same))
                if source is None or source.entry.same:
                    self.wrong.append(f"{point.asset}, tag {point.name}: `{point.entry.same}` names no tag of its own")
                    continue
                entry = _view(point.entry, source.entry)
                views[point.name] = entry
                points.append(replace(point, entry=entry, description=entry.description or source.description))
            entries = tuple(views.get(entry.name, entry) if entry.same else entry for entry in section.entries)
            out.append(replace(section, points=tuple(points), entries=entries))
        return tuple(out)


def _view(own: TagEntry, source: TagEntry) -> TagEntry:
    """The source's description under the view's own name and address."""
    return replace(
        source,
        name=own.name,
        same=own.same,
        at=own.at,
        description=own.description or source.description,
        dims=(),
        signal=None,
        alarm=own.alarm,
        variant=own.variant,
    )


def _copies(tables: Iterable[Mapping[str, Any]], letter: str, wrong: list[str]) -> Iterator[Mapping[str, Any]]:
    """Each table as often as its `repeat` says, with the copy's number in its texts."""
    for table in tables:
        given = dict(table)
        count, step = given.pop("repeat", None), given.pop("step", 0)
        if count is None:
            yield given
            continue
        if type(count) is not int or count < 1 or type(step) is not int:
            wrong.append(f"{given.get('asset', given.get('name', '?'))}: repeat is a whole number, 1 or more")
            continue
        for number in range(1, count + 1):
            copy: dict[str, Any] = _numbered(given, letter, number)
            if step and isinstance(copy.get("at"), str):
                table_name, _, start = copy["at"].partition(":")
                if start.isdecimal():
                    copy["at"] = f"{table_name}:{int(start) + step * (number - 1)}"
            if letter == "n" and type(copy.get("port")) is int:
                copy["port"] += number - 1
            yield copy


def _numbered(value: Any, letter: str, number: int) -> Any:
    """`{n}` and `{n:02}` in every text of a table replaced by the number."""
    if isinstance(value, str):
        return re.sub(r"\{" + letter + r"(?::0(\d))?\}", lambda match: f"{number:0{match[1] or 1}}", value)
    if isinstance(value, dict):
        return {_numbered(key, letter, number): _numbered(one, letter, number) for key, one in value.items()}
    return [_numbered(one, letter, number) for one in value] if isinstance(value, list) else value


def _points(
    asset: str, entries: tuple[TagEntry, ...], structs: Mapping[str, Struct], first: int
) -> Iterator[ScenePoint]:
    """Flatten declarations into scalars, in the order of the file."""
    number = first

    def walk(entry: TagEntry, prefix: str, words: str, base: str) -> Iterator[ScenePoint]:
        nonlocal number
        at = _address(entry.at, base)
        described = ": ".join(part for part in (words, entry.description) if part)
        for element, index in enumerate(product(*map(range, entry.dims))):
            name = prefix + entry.name + (f"[{','.join(map(str, index))}]" if index else "")
            if entry.type in structs:
                for member in structs[entry.type].members:
                    yield from walk(member, f"{name}.", described, at)
            else:
                yield ScenePoint(
                    number=number, asset=asset, name=name, entry=entry, description=described, at=at, element=element
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
