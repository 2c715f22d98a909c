"""What is contradictory in a scene whose parts are each well formed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

from protocol.content import ucum
from simulator.plant.signals import (
    RELATED,
    AlarmSignal,
    BatchSignal,
    CounterSignal,
    FixedSignal,
    FollowSignal,
    ProductSignal,
    RecordSignal,
    Signal,
    StepSignal,
    SwitchSignal,
    TextSignal,
)
from simulator.scene.scene import DeviceSection, Scene, ScenePoint, named, sources_of

LOOKS = 120
"""Most looks back of one alarm, delay and hold together: each is a node to evaluate."""

FIELDS = ("time_ms", "number", "code", "state", "text")
"""Fields of a recorded event."""


def contradictions(scene: Scene) -> Iterator[str]:
    """One line for each mistake, with its place."""
    known: dict[tuple[str, str], ScenePoint] = {}
    for point in scene.points:
        if (point.asset, point.name) in known:
            yield f"{point.asset}, tag {point.name}: declared twice"
        known[point.asset, point.name] = point
    assets = [section.asset for section in scene.servers]
    yield from (f"{asset}: two servers have this asset" for asset in sorted(set(assets)) if assets.count(asset) > 1)
    for point in scene.points:
        where = f"{point.asset}, tag {point.name}"
        yield from (f"{where}: {text}" for text in _entry(point, scene.tick_ms))
        signal = point.entry.signal
        if signal is not None:
            yield from (f"{where}: {text}" for text in _signal(point, signal, known, scene.tick_ms))
    for section in scene.servers:
        yield from _behind(section, scene)
    yield from _trips(scene, known)
    for one in scene.faults:
        if one.asset not in assets:
            yield f"fault `{one.what}`: no asset `{one.asset}`"
        if one.every_s is not None and not one.every_s > (one.for_s or 0.0):
            yield f"fault `{one.what}`: `every` must be longer than `for`"


def _entry(point: ScenePoint, tick_ms: int) -> Iterator[str]:
    entry = point.entry
    if entry.every_ms % tick_ms:
        yield f"every_ms must be a multiple of the scene's tick_ms, {tick_ms}"
    if not ucum.known(entry.unit):
        meant = ucum.meant(entry.unit)
        yield f"`{entry.unit}` is no UCUM code{f', is `{meant}` meant?' if meant else ''}"
    if len(entry.dims) > 3 or prod(entry.dims) < 1:
        yield "dims are up to three sizes, each 1 or more"
    if entry.alarm is not None and (entry.type != "bool" or not 1 <= entry.alarm.severity <= 1000):
        yield "an alarm is of type bool, its severity 1 to 1000"
    if entry.states and entry.type != "bool" and "int" not in entry.type:
        yield "states belong to a bool or a whole number"


def _signal(point: ScenePoint, signal: Signal, known: dict[tuple[str, str], ScenePoint], tick_ms: int) -> Iterator[str]:
    entry = point.entry
    if isinstance(signal, RELATED):
        yield from _relation(point, signal, known, entry.every_ms or tick_ms)
    elif isinstance(signal, RecordSignal):
        if signal.field not in FIELDS:
            yield f"a record's field is one of {', '.join(FIELDS)}"
        elif (entry.type == "string") != (signal.field == "text"):
            yield f"type {entry.type} cannot hold a record's {signal.field}"
    elif (entry.type == "string") != _is_text(signal):
        yield f"type {entry.type} and its signal do not fit"
    elif isinstance(signal, SwitchSignal) and entry.type != "bool":
        yield "a switch is of type bool"
    elif isinstance(signal, StepSignal) and not signal.levels:
        yield "a step needs levels"
    elif isinstance(signal, CounterSignal) and "int" not in entry.type:
        yield "a counter is of a whole-number type"
    elif isinstance(signal, BatchSignal):
        times = signal.times_s
        rising = all(one < other for one, other in pairwise(times))
        if len(times) != len(signal.levels) or len(times) < 2 or times[0] != 0 or not rising:
            yield "a batch needs times_s that rise from 0 and as many levels"


def _relation(
    point: ScenePoint,
    signal: FollowSignal | ProductSignal | Signal,
    known: dict[tuple[str, str], ScenePoint],
    every_ms: int,
) -> Iterator[str]:
    if point.entry.type == "string":
        yield "type string and its signal do not fit"
    sources = sources_of(point)
    if not sources:
        yield "`of` names no tag"
    for asset, name in sources:
        other = known.get((asset, name))
        if (
            other is None
            or isinstance(other.entry.signal, TextSignal | CounterSignal | RecordSignal)
            or other.entry.type == "string"
        ):
            yield f"`{name}` must name a number of the scene, and not one that counts"
    if _circular(point, known):
        yield "it depends on itself"
    if isinstance(signal, AlarmSignal):
        waits = (signal.delay_s * 1000, signal.hold_s * 1000)
        if any(one < 0 or one % every_ms for one in waits) or sum(waits) > LOOKS * every_ms:
            yield f"delay_s and hold_s are multiples of {every_ms} ms, together at most {LOOKS} of them"


def _circular(point: ScenePoint, known: dict[tuple[str, str], ScenePoint]) -> bool:
    """Whether the point is among all that it depends on."""
    own, seen, waiting = (point.asset, point.name), set[tuple[str, str]](), list(sources_of(point))
    while waiting:
        one = waiting.pop()
        if one == own:
            return True
        if one in known and one not in seen:
            seen.add(one)
            other = known[one]
            waiting += [named(other, other.entry.same)] if other.entry.same else sources_of(other)
    return False


def _is_text(signal: Signal) -> bool:
    return isinstance(signal, TextSignal) or (isinstance(signal, FixedSignal) and isinstance(signal.value, str))


def _behind(section: DeviceSection, scene: Scene) -> Iterator[str]:
    """A device behind a gateway names another Modbus device of the scene that is not behind one itself."""
    name = section.settings.get("behind")
    if name is None:
        return
    gateways = [
        one.asset
        for one in scene.servers
        if one.protocol == "modbus" and "behind" not in one.settings and one.port >= 0
    ]
    if section.protocol != "modbus" or name not in gateways:
        yield f"{section.asset}: modbus.behind must name a Modbus device with a port: {', '.join(gateways) or 'none'}"


def _trips(scene: Scene, known: dict[tuple[str, str], ScenePoint]) -> Iterator[str]:
    for trip in scene.trips:
        if not 0 < trip.for_s < trip.every_s:
            yield f"trip {trip.name}: for_s must be above 0 and less than every_s"
        if not trip.steps:
            yield f"trip {trip.name}: it needs steps"
        if trip.asset not in {section.asset for section in scene.servers}:
            yield f"trip {trip.name}: no asset `{trip.asset}`"
        for step in trip.steps:
            where = f"trip {trip.name}, {step.asset}:{step.tag}"
            point = known.get((step.asset, step.tag))
            if point is None or point.entry.same:
                yield f"{where}: no such tag, or only a view of one"
            elif (point.entry.type == "string") != isinstance(step.to, str):
                yield f"{where}: type {point.entry.type} cannot be {step.to!r}"
            if not 0 <= step.after_ms < trip.for_s * 1000:
                yield f"{where}: after_ms must lie within the trip"
            if not 1 <= step.severity <= 1000:
                yield f"{where}: severity is 1 to 1000"
