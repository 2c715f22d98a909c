"""From nodes to what a device would say: values of their types, when they were taken, how good they are.

    numbers of the network -> resolution -> range -> type              numbers and bools
    counts and text numbers -> start, wrap, texts                      counters, texts
    a trip that is on, the newest recorded events                      put over all that

An item is a point seen some time ago (`Want`): all points now are a plant's moment, one point at many times is its
history. Values are of a catalog type: `float32` is a Python float that float32 holds exactly, whole numbers are within
their type's range, `string` is at most `entry.length` characters. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.plant.network import Network, Want
from simulator.plant.shapes import Floats, key_of, uniform
from simulator.plant.signals import SECOND, CounterSignal, FixedSignal, RecordSignal, TextSignal
from simulator.plant.trips import MILLISECOND, TripEvent, Trips, Value
from simulator.scene.scene import ScenePoint, TagEntry

LIMITS: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
"""Least and greatest value of each whole-number type."""


class Reading:
    """Some points, each at its age."""

    def __init__(
        self, wants: Sequence[Want], named: Mapping[tuple[str, str], ScenePoint], trips: Trips, seed: int
    ) -> None:
        """
        Args:
            wants: The items; `every_ns` is the point's own period.
            named: All points of the scene by asset and name.
            trips: For what they put over values.
            seed: For the keys of signals and spells.
        """
        self._network = Network(wants, named, trips, seed)
        self._trips = trips
        self._lag: NDArray[np.int64] = np.array([want.lag_ns for want in wants], np.int64)
        self._every: NDArray[np.int64] = np.array([want.every_ns for want in wants], np.int64)
        entries = [want.point.entry for want in wants]
        self._scale = np.array([-1.0 if one.decimals is None else 10.0**one.decimals for one in entries])
        self._low = np.array([-np.inf if one.low is None else one.low for one in entries])
        self._high = np.array([np.inf if one.high is None else one.high for one in entries])
        self._constant: list[Value] = [0] * len(wants)
        self._counters: list[tuple[int, int, int, int]] = []
        self._texts: list[tuple[int, tuple[str, ...]]] = []
        self._records: dict[str, list[tuple[int, str, int, Want]]] = defaultdict(list)
        self._tripped: list[tuple[int, int, int, Value, Want]] = []
        self._plain: list[tuple[NDArray[np.int64], Callable[[Floats], NDArray[Any]]]] = []
        self._sort(wants)
        self._spells = [_spell(item, want, seed) for item, want in enumerate(wants) if want.point.entry.spell]

    def at(self, tick: int) -> tuple[list[Value], list[int], list[int]]:
        """Values, the times at which they were taken [ns], and StatusCodes at a tick [ns since 1970]."""
        numbers = self._network.numbers(tick)[self._network.place]
        scale = self._scale
        rounded = np.where(scale > 0, np.rint(numbers * scale) / np.abs(scale), numbers)
        values = self._typed(np.clip(rounded, self._low, self._high), numbers)
        seen = tick - self._lag
        times: list[int] = (seen - seen % self._every).tolist()
        quality = [0] * len(values)
        for item, status, lag_ns, every_ns, for_ns, phase_ns in self._spells:
            if (tick - lag_ns + phase_ns) % every_ns < for_ns:
                quality[item] = status
        self._put(tick, values, times)
        return values, times, quality

    def _typed(self, column: Floats, numbers: Floats) -> list[Value]:
        values: list[Value] = self._constant.copy()
        for at, convert in self._plain:
            for item, value in zip(at.tolist(), convert(column[at]).tolist(), strict=True):
                values[item] = value
        for item, start, low, wrap in self._counters:
            values[item] = low + (start - low + int(numbers[item])) % wrap
        for item, texts in self._texts:
            values[item] = texts[int(numbers[item])]
        return values

    def _put(self, tick: int, values: list[Value], times: list[int]) -> None:
        """What trips hold, and what was recorded of them."""
        for item, trip, after_ns, value, want in self._tripped:
            time_ns = tick - tick % want.every_ns - want.lag_ns
            begun = self._trips.begun_ns(trip, time_ns)
            if begun is not None and time_ns >= begun + after_ns:
                values[item], times[item] = value, begun + after_ns
        for asset, fields in self._records.items():
            newest: dict[int, list[TripEvent]] = {}
            count = max(back for _, _, back, _ in fields) + 1
            for item, field, back, want in fields:
                time_ns = tick - tick % want.every_ns - want.lag_ns
                if time_ns not in newest:
                    newest[time_ns] = self._trips.newest(asset, time_ns, count)
                events = newest[time_ns]
                entry = want.point.entry
                values[item] = (
                    typed(_FIELDS[field](events[back]), entry) if back < len(events) else _EMPTY.get(entry.type, 0)
                )

    def _sort(self, wants: Sequence[Want]) -> None:
        """Items by how their values come about."""
        plain: dict[str, list[int]] = defaultdict(list)
        for item, want in enumerate(wants):
            point, entry, signal = want.point, want.point.entry, want.point.entry.signal
            if isinstance(signal, TextSignal):
                self._texts.append((item, tuple(text[: entry.length] for text in signal.texts)))
            elif isinstance(signal, FixedSignal):
                self._constant[item] = typed(signal.value, entry)
            elif isinstance(signal, CounterSignal):
                low, high = LIMITS[entry.type]
                base, wrap = (0, signal.wrap) if signal.wrap else (low, high - low + 1)
                self._counters.append((item, signal.start, base, wrap))
            elif isinstance(signal, RecordSignal):
                self._records[point.asset].append((item, signal.field, signal.back + _index_of(point), want))
            else:
                plain[entry.type].append(item)
            for number, trip in enumerate(self._trips.all):
                for step in trip.steps:
                    if (step.asset, step.tag) == (point.asset, point.name):
                        after_ns = step.after_ms * MILLISECOND
                        self._tripped.append((item, number, after_ns, typed(step.to, entry), want))
        self._plain = [(np.array(items, np.int64), _converter(kind)) for kind, items in plain.items()]


_FIELDS: dict[str, Callable[[TripEvent], Value]] = {
    "time_ms": lambda event: event.time_ns // MILLISECOND,
    "number": lambda event: event.number,
    "code": lambda event: event.code,
    "state": lambda event: event.state,
    "text": lambda event: event.text,
}
"""Field of a recorded event -> its value."""

FIELDS = frozenset(_FIELDS)
"""What a record signal may ask for."""

_EMPTY: dict[str, Value] = {"string": "", "bool": False, "float16": 0.0, "float32": 0.0, "float64": 0.0}
"""What stands in a record's place before its event; 0 for whole numbers."""


def _index_of(point: ScenePoint) -> int:
    """The first element number in a point's path, 0 where there is none."""
    index = re.search(r"\[(\d+)", point.name)
    return int(index[1]) if index else 0


def _spell(item: int, want: Want, seed: int) -> tuple[int, int, int, int, int, int]:
    spell, point = want.point.entry.spell, want.point
    assert spell is not None
    every_ns, for_ns = round(spell.every_s * SECOND), round(spell.for_s * SECOND)
    key = np.array([key_of(seed, point.asset, f"{point.name} spell")], np.uint64)
    return item, spell.quality, want.lag_ns, every_ns, for_ns, int(float(uniform(key, 0)[0]) * every_ns)


def typed(value: Value, entry: TagEntry) -> Value:
    """One value as the entry's type holds it; a number outside a whole-number type becomes its nearest one."""
    if entry.type == "string":
        return str(value)[: entry.length]
    if entry.type == "bool":
        return bool(value)
    if entry.type in LIMITS:
        low, high = LIMITS[entry.type]
        return min(max(int(value), low), high)
    return float(_converter(entry.type)(np.array([float(value)]))[0])


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
