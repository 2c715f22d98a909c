"""The plant: every point's value, quality and time at any instant, as a pure function of scene, seed and time.

    plant = Plant(scene, seed)
    moment = plant.at(time_ns)             asked out of order, by anyone: the same answer for ever
    moment.values[point.number]            float, int, bool or str, already of the precision of the point's type
    moment.times_ns[point.number]          when it took this value: the last multiple of its period (source time)
    moment.quality[point.number]           OPC UA StatusCode

Time is cut into ticks (`scene.tick_ms`) counted from 1970, so that all servers of a plant, and two plants of one
seed, change at the same instants. `advance(now)` keeps the newest moment in `plant.moment` and, if a tick has passed,
hands it to those that called `listen`; a protocol server fills its image in that callback and answers from it.

A protocol server gets its tags thus:

    for entry in section.entries:  entry.name, entry.type, entry.dims, section.structs[entry.type].members
    plant.point(section.asset, "Axis[1].Position") -> Point; its value is plant.moment.values[point.number]

`Point.name` is the path that a Logix client would type: `Tag`, `Array[i]` or `Array[i,j]`, `Tag.Member`,
`Program:Main.Tag`. Values of a catalog type: `float32` is a Python float that float32 holds exactly, whole numbers are
within their type's range, `string` is at most `entry.length` characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simulator.scene import Point, Scene, source_of
from simulator.signals import EPOCH_S, SECOND, Bank, Counter, Fixed, Floats, Follow, Over, Row, Text, Walk, key_of
from simulator.signals import uniform as uniform_of

Value: TypeAlias = float | int | bool | str

LIMITS: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
"""Least and greatest value of each whole-number type."""


@dataclass(frozen=True, slots=True)
class Moment:
    """All points at one tick; each list is indexed by `Point.number`."""

    time_ns: int
    """The tick [ns since 1970 UTC]."""
    values: list[Value]
    times_ns: list[int]
    """When each took its value [ns]."""
    quality: list[int]
    """OPC UA StatusCodes."""


class Plant:
    """The model of one scene."""

    def __init__(self, scene: Scene, seed: int = 1) -> None:
        self.scene = scene
        self.seed = seed
        self.points = scene.points
        self.tick_ns = scene.tick_ms * 1_000_000
        self._named = {(point.asset, point.name): point for point in self.points}
        self._listeners: list[Callable[[Moment], None]] = []
        self._held: dict[int, tuple[int, Floats]] = {}
        self._compile()
        self.moment = self.at(EPOCH_S * SECOND)

    def point(self, asset: str, name: str) -> Point:
        """The point of that path. Raises KeyError."""
        return self._named[asset, name]

    def listen(self, callback: Callable[[Moment], None]) -> Callable[[], None]:
        """Call `callback` with each new moment; gives back what ends it."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def advance(self, now_ns: int) -> Moment:
        """The moment at `now_ns`, kept in `moment`; listeners hear of it if it is another tick than the last."""
        if now_ns // self.tick_ns != self.moment.time_ns // self.tick_ns:
            self.moment = self.at(now_ns)
            for listener in tuple(self._listeners):
                listener(self.moment)
        return self.moment

    def at(self, time_ns: int) -> Moment:
        """Every point at the tick that `time_ns` is in [ns since 1970 UTC]."""
        tick = time_ns - time_ns % self.tick_ns
        rows = np.zeros(self._row_count)
        for number, bank in enumerate(self._banks):
            rows[bank.places] = self._numbers(number, bank, tick - tick % bank.every_ns)
        numbers = rows[self._row] * self._gain + self._offset + rows[self._jitter]
        numbers = np.where(np.isnan(self._limit), numbers, (numbers > self._limit) != self._below)
        scale = self._scale
        numbers = np.clip(np.where(scale > 0, np.rint(numbers * scale) / np.abs(scale), numbers), self._low, self._high)
        times = tick - tick % self._every
        return Moment(tick, self._typed(numbers, rows), times.tolist(), self._qualities(tick))

    def _numbers(self, number: int, bank: Bank, time_ns: int) -> Floats:
        """The bank's values, computed again only when its period has passed."""
        held = self._held.get(number)
        if held is None or held[0] != time_ns:
            held = self._held[number] = (time_ns, bank.numbers(time_ns))
        return held[1]

    def _typed(self, numbers: Floats, rows: Floats) -> list[Value]:
        values: list[Value] = self._constant.copy()
        for at, convert in self._plain:
            for number, value in zip(at.tolist(), convert(numbers[at]).tolist(), strict=True):
                values[number] = value
        for number, row, start, low, wrap in self._counters:
            values[number] = low + (start - low + int(rows[row])) % wrap
        for number, row, texts in self._texts:
            values[number] = texts[int(rows[row])]
        return values

    def _qualities(self, tick: int) -> list[int]:
        out = [0] * len(self.points)
        for number, quality, every_ns, for_ns, phase_ns in self._spells:
            if (tick + phase_ns) % every_ns < for_ns:
                out[number] = quality
        return out

    def _compile(self) -> None:
        """Sort points into banks of rows and arrays of how a row becomes a value. Row 0 is the constant zero."""
        groups: dict[tuple[type[Any], int], list[tuple[int, Row]]] = defaultdict(list)
        self._row_count = 1
        count = len(self.points)
        self._row, self._jitter = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._gain, self._offset, self._limit = np.ones(count), np.zeros(count), np.full(count, np.nan)
        self._below = np.zeros(count, bool)
        for point in self.points:
            number = point.number
            row, jitter = self._rows(point)
            for where, one in ((self._row, row), (self._jitter, jitter)):
                if one is not None:
                    where[number] = self._row_count
                    groups[type(one.signal), one.every_ns].append((self._row_count, one))
                    self._row_count += 1
            signal = point.entry.signal
            if isinstance(signal, Follow):
                self._gain[number], self._offset[number] = signal.gain, signal.offset
            elif isinstance(signal, Over):
                self._limit[number], self._below[number] = signal.limit, signal.below
        self._banks = [
            Bank(kind, every_ns, [at for at, _ in held], [row for _, row in held])
            for (kind, every_ns), held in groups.items()
        ]
        self._compile_values()

    def _rows(self, point: Point) -> tuple[Row, Row | None]:
        """The row a point is made from, and that of its own walk on top."""
        signal, every_ns = point.entry.signal, self._every_of(point)
        own = key_of(self.seed, point.asset, point.name)
        if not isinstance(signal, Follow | Over):
            assert signal is not None  # scene.parse lets no scalar pass without one
            return Row(signal, own, every_ns), None
        asset, name = source_of(point, signal)
        source = self.point(asset, name).entry.signal
        assert source is not None
        lag_ns = round(signal.lag_s * SECOND) if isinstance(signal, Follow) else 0
        jitter = Walk(mean=0.0, span=signal.jitter, period_s=30.0) if isinstance(signal, Follow) else None
        row = Row(source, key_of(self.seed, asset, name), every_ns, lag_ns)
        return row, Row(jitter, own, every_ns) if jitter and jitter.span else None

    def _every_of(self, point: Point) -> int:
        return point.entry.every_ms * 1_000_000 or self.tick_ns

    def _compile_values(self) -> None:
        """How the numbers become values of their types."""
        points = self.points
        self._every: NDArray[np.int64] = np.array([self._every_of(point) for point in points], np.int64)
        places = [point.entry.decimals for point in points]
        self._scale = np.array([-1.0 if held is None else 10.0**held for held in places])
        self._low = np.array([-np.inf if point.entry.low is None else point.entry.low for point in points])
        self._high = np.array([np.inf if point.entry.high is None else point.entry.high for point in points])
        self._constant: list[Value] = [0] * len(points)
        self._counters: list[tuple[int, int, int, int, int]] = []
        self._texts: list[tuple[int, int, tuple[str, ...]]] = []
        self._spells: list[tuple[int, int, int, int, int]] = []
        plain: dict[str, list[int]] = defaultdict(list)
        for point in points:
            number, entry, signal = point.number, point.entry, point.entry.signal
            row = int(self._row[number])
            if isinstance(signal, Text):
                self._texts.append((number, row, tuple(text[: entry.length] for text in signal.texts)))
            elif isinstance(signal, Fixed):
                self._constant[number] = _constant(signal.value, entry.type, entry.length)
            elif isinstance(signal, Counter):
                low, high = LIMITS[entry.type]
                base, wrap = (0, signal.wrap) if signal.wrap else (low, high - low + 1)
                self._counters.append((number, row, signal.start, base, wrap))
            else:
                plain[entry.type].append(number)
            if entry.spell is not None:
                every_ns, for_ns = round(entry.spell.every_s * SECOND), round(entry.spell.for_s * SECOND)
                key = np.array([key_of(self.seed, point.asset, f"{point.name} spell")], np.uint64)
                phase_ns = int(float(uniform_of(key, 0)[0]) * every_ns)
                self._spells.append((number, entry.spell.quality, every_ns, for_ns, phase_ns))
        self._plain = [(np.array(held, np.int64), _converter(kind)) for kind, held in plain.items()]


def _constant(value: Value, kind: str, length: int) -> Value:
    if kind == "string":
        return str(value)[:length]
    if kind == "bool":
        return bool(value)
    return int(value) if kind in LIMITS else float(_converter(kind)(np.array([float(value)]))[0])


def _converter(kind: str) -> Callable[[Floats], NDArray[Any]]:
    """From float64 to what the type can hold."""
    if kind == "bool":
        return lambda numbers: numbers > 0.5
    if kind in LIMITS:
        low, high = LIMITS[kind]
        return lambda numbers: np.clip(np.rint(numbers), low, min(high, 2**62)).astype(np.int64)
    if kind in ("float32", "float16"):
        narrow = np.dtype(kind)
        return lambda numbers: numbers.astype(narrow).astype(np.float64)
    return lambda numbers: numbers
