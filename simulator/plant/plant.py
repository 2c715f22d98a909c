"""The plant: every point's value, quality and time at any instant, as a pure function of scene, seed and time.

    plant = Plant(scene, seed)
    moment = plant.at(time_ns)             asked out of order, by anyone: the same answer for ever
    moment.values[point.number]            float, int, bool or str, already of the precision of the point's type
    moment.times_ns[point.number]          when it took this value: the last multiple of its period (source time)
    moment.quality[point.number]           OPC UA StatusCode
    plant.past(point, times_ns)            one point at many times: its history
    plant.events(start_ns, end_ns)         the sequence of events of its trips

Time is cut into ticks (`scene.tick_ms`) counted from 1970, so that all servers of a plant, and two plants of one
seed, change at the same instants. `advance(now)` keeps the newest moment in `plant.moment` and, if a tick has passed,
hands it to those that called `listen`; a protocol server fills its image in that callback and answers from it.

A protocol server gets its tags thus:

    for entry in section.entries:  entry.name, entry.type, entry.dims, section.structs[entry.type].members
    plant.point(section.asset, "Axis[1].Position") -> ScenePoint; its value is plant.moment.values[point.number]

`ScenePoint.name` is the path that a Logix client would type: `Tag`, `Array[i]` or `Array[i,j]`, `Tag.Member`,
`Program:Main.Tag`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.errors import ConfigError
from simulator.plant.network import Want
from simulator.plant.reading import LIMITS, Reading
from simulator.plant.signals import EPOCH_S, SECOND
from simulator.plant.trips import MILLISECOND, TripEvent, Trips, Value
from simulator.scene.scene import Scene, ScenePoint, named

__all__ = ["LIMITS", "Plant", "PlantMoment", "PointSample", "Value"]


@dataclass(frozen=True, slots=True)
class PlantMoment:
    """All points at one tick; each list is indexed by `ScenePoint.number`."""

    time_ns: int
    """The tick [ns since 1970 UTC]."""
    values: list[Value]
    times_ns: list[int]
    """When each took its value [ns]."""
    quality: list[int]
    """OPC UA StatusCodes."""


class PointSample(NamedTuple):
    """One point at one time."""

    time_ns: int
    """When it took the value [ns since 1970 UTC]."""
    value: Value
    quality: int


class Plant:
    """The model of one scene."""

    def __init__(self, scene: Scene, seed: int = 1) -> None:
        self.scene = scene
        self.seed = seed
        self.points = scene.points
        self.tick_ns = scene.tick_ms * MILLISECOND
        self.trips = Trips(scene.trips, seed)
        self._named = {(point.asset, point.name): point for point in self.points}
        self._listeners: list[Callable[[PlantMoment], None]] = []
        self._sources = {
            key: self._named[named(point, point.entry.same)] if point.entry.same else point
            for key, point in self._named.items()
        }
        wants = [self._want(point) for point in self.points]
        self._reading = Reading(wants, self._sources, self.trips, seed)
        self.moment = self.at(EPOCH_S * SECOND)

    def point(self, asset: str, name: str) -> ScenePoint:
        """The point of that path. Raises KeyError."""
        return self._named[asset, name]

    def listen(self, callback: Callable[[PlantMoment], None]) -> Callable[[], None]:
        """Call `callback` with each new moment; gives back what ends it."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def advance(self, now_ns: int) -> PlantMoment:
        """The moment at `now_ns`, kept in `moment`; listeners hear of it if it is another tick than the last."""
        if now_ns // self.tick_ns != self.moment.time_ns // self.tick_ns:
            self.moment = self.at(now_ns)
            for listener in tuple(self._listeners):
                listener(self.moment)
        return self.moment

    def at(self, time_ns: int) -> PlantMoment:
        """Every point at the tick that `time_ns` is in [ns since 1970 UTC]."""
        tick = time_ns - time_ns % self.tick_ns
        values, times, quality = self._reading.at(tick)
        return PlantMoment(tick, values, times, quality)

    def past(self, point: ScenePoint, times_ns: Sequence[int]) -> list[PointSample]:
        """One point at each of `times_ns`, in any order."""
        if not times_ns:
            return []
        want = self._want(point)
        latest = max(times_ns)
        tick = latest - latest % want.every_ns
        lags = [max(0, tick - (time_ns - time_ns % want.every_ns)) for time_ns in times_ns]
        wants = [Want(want.point, want.every_ns, lag_ns) for lag_ns in lags]
        values, times, quality = Reading(wants, self._sources, self.trips, self.seed).at(tick)
        return [PointSample(*one) for one in zip(times, values, quality, strict=True)]

    def period_ns(self, point: ScenePoint) -> int:
        """How often the point takes a new value [ns]."""
        return self._want(point).every_ns

    def events(self, start_ns: int, end_ns: int, asset: str | None = None) -> list[TripEvent]:
        """The sequence of events from `start_ns` until just before `end_ns`; of one asset's recorder, or of all."""
        return self.trips.events(start_ns, end_ns, asset)

    def trip(self, asset: str, name: str = "") -> str:
        """Let a protection of the asset act at the next tick; gives back its name.

        Args:
            asset: Whose.
            name: Which; empty for the first of the asset.

        Raises:
            ConfigError: there is none of that name, or it is on, or about to come by itself.
        """
        for place, one in enumerate(self.trips.all):
            if one.asset == asset and name in ("", one.name):
                self.trips.ask(place, self.moment.time_ns + self.tick_ns)
                return one.name
        held = ", ".join(f"{one.asset} {one.name}" for one in self.trips.all) or "none in this scene"
        raise ConfigError(f"{asset} has no trip {name}".rstrip(), hint=f"there is {held}")

    def _want(self, point: ScenePoint) -> Want:
        """The point itself, or the one that it is another view of."""
        source = self._sources[point.asset, point.name]
        return Want(source, source.entry.every_ms * MILLISECOND or self.tick_ns)
