"""How tags depend on one another: a network of nodes, evaluated level by level, for many tags at once.

    level 0    signals that stand by themselves, in banks of one kind and one period      `shapes`
    level n    follow, product, over, alarm: functions of nodes of lower levels
    trips      put a value over a node while they are on, whatever its level

A node is (point, period, lag): what a tag was `lag` ago, seen by somebody who looks every `period`. So a valve that
closes late, of a pump that tripped, is three nodes and still a pure function of time: no state is stepped anywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.plant.shapes import Bank, Floats, Row, key_of
from simulator.plant.signals import SECOND, Alarm, Batch, Fixed, Follow, Over, Product, Record, Signal, Walk
from simulator.plant.trips import MILLISECOND, Trips
from simulator.scene.scene import Point, sources_of

ZERO, ONE = 0, 1
"""Nodes that are always 0 and 1."""

JITTER_S = 30.0
"""Time scale of the walk that a follower adds on its own [s]."""

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Want:
    """A node to be had."""

    point: Point
    every_ns: int
    """Its time is the last multiple of this [ns]."""
    lag_ns: int = 0
    """And it is this old [ns]."""


@dataclass(frozen=True, slots=True)
class _Override:
    """A trip's hold on a node."""

    node: int
    trip: int
    after_ns: int
    value: float
    want: Want


class Network:
    """The nodes of some points."""

    def __init__(self, wants: Sequence[Want], named: Mapping[tuple[str, str], Point], trips: Trips, seed: int) -> None:
        """
        Args:
            wants: What shall be known; `place[i]` is where `numbers` has it.
            named: All points of the scene by asset and name.
            trips: Which of them a trip holds.
            seed: Makes the keys.
        """
        self._named, self._trips, self._seed = named, trips, seed
        self._nodes: dict[tuple[int, int, int], int] = {}
        self._levels: list[int] = [0, 0]
        self._rows: dict[tuple[type[Any], int], list[tuple[int, Row]]] = defaultdict(list)
        self._formulas: dict[int, dict[Any, list[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(list))
        self._overrides: dict[int, list[_Override]] = defaultdict(list)
        self.place: Places = np.array([self._node(want) for want in wants], np.int64)
        self._banks = [
            Bank(kind, every_ns, [at for at, _ in held], [row for _, row in held])
            for (kind, every_ns), held in self._rows.items()
        ]
        self._steps = [
            (self._compiled(self._formulas[level]), self._overrides[level])
            for level in range(max(self._levels, default=0) + 1)
        ]
        self._held: dict[int, tuple[int, Floats]] = {}

    def numbers(self, tick: int) -> Floats:
        """Every node at a tick [ns since 1970]."""
        out = np.zeros(len(self._levels))
        out[ONE] = 1.0
        for number, bank in enumerate(self._banks):
            time_ns = tick - tick % bank.every_ns
            held = self._held.get(number)
            if held is None or held[0] != time_ns:
                held = self._held[number] = (time_ns, bank.numbers(time_ns))
            out[bank.places] = held[1]
        for formulas, overrides in self._steps:
            for formula in formulas:
                formula(out)
            for one in overrides:
                time_ns = tick - tick % one.want.every_ns - one.want.lag_ns
                begun = self._trips.begun_ns(one.trip, time_ns)
                if begun is not None and time_ns >= begun + one.after_ns:
                    out[one.node] = one.value
        return out

    # -- which nodes there are

    def _node(self, want: Want) -> int:
        """The node's place, made with all it depends on if it is new."""
        key = want.point.number, want.every_ns, want.lag_ns
        if key not in self._nodes:
            self._nodes[key] = self._made(want)
        return self._nodes[key]

    def _made(self, want: Want) -> int:
        point, signal = want.point, want.point.entry.signal
        assert signal is not None  # a scene lets no scalar pass without one
        key = key_of(self._seed, point.asset, point.name)
        match signal:
            case Follow() | Product():
                sources = self._sources(want, round(signal.lag_s * SECOND))
                walk = Walk(mean=0.0, span=signal.jitter, period_s=JITTER_S)
                jitter = self._base(walk, key, want) if signal.jitter else ZERO
                node = self._add(sources, (type(signal), len(sources)), (*sources, signal.gain, signal.offset, jitter))
            case Over():
                sources = self._sources(want, 0)
                node = self._add(sources, Over, (*sources, signal.limit, signal.below))
            case Alarm():
                delay, hold = (round(one * SECOND) // want.every_ns for one in (signal.delay_s, signal.hold_s))
                sources = [self._sources(want, at * want.every_ns)[0] for at in range(delay + hold + 1)]
                node = self._add(sources, (Alarm, delay, hold), (*sources, signal.limit, signal.below))
            case Record():
                node = self._base(Fixed(value=0), key, want)
            case Batch(cycle=cycle) if cycle:
                node = self._base(signal, key_of(self._seed, point.asset, f"cycle {cycle}"), want)
            case _:
                node = self._base(signal, key, want)
        self._hold(node, want)
        return node

    def _sources(self, want: Want, lag_ns: int) -> list[int]:
        points = [self._named[one] for one in sources_of(want.point)]
        return [self._node(Want(point, want.every_ns, want.lag_ns + lag_ns)) for point in points]

    def _base(self, signal: Signal, key: int, want: Want) -> int:
        node = len(self._levels)
        self._levels.append(0)
        self._rows[type(signal), want.every_ns].append((node, Row(signal, key, want.every_ns, want.lag_ns)))
        return node

    def _add(self, sources: Sequence[int], kind: Any, fields: tuple[Any, ...]) -> int:
        level = 1 + max(self._levels[source] for source in sources)
        node = len(self._levels)
        self._levels.append(level)
        self._formulas[level][kind].append((node, *fields))
        return node

    def _hold(self, node: int, want: Want) -> None:
        for number, trip in enumerate(self._trips.all):
            for step in trip.steps:
                if (step.asset, step.tag) == (want.point.asset, want.point.name) and not isinstance(step.to, str):
                    held = _Override(node, number, step.after_ms * MILLISECOND, float(step.to), want)
                    self._overrides[self._levels[node]].append(held)

    # -- how they are evaluated

    def _compiled(self, formulas: Mapping[Any, list[tuple[Any, ...]]]) -> list[Callable[[Floats], None]]:
        return [_FORMULAS[kind if kind is Over else kind[0]](kind, rows) for kind, rows in formulas.items()]


def _columns(rows: list[tuple[Any, ...]], first: int) -> tuple[Places, Places, list[Floats]]:
    """Nodes, their sources (a column a source), and the other fields."""
    nodes = np.array([row[0] for row in rows], np.int64)
    sources = np.array([row[1:first] for row in rows], np.int64)
    return nodes, sources, [np.array(column, np.float64) for column in zip(*(row[first:] for row in rows), strict=True)]


def _scaled(kind: Any, rows: list[tuple[Any, ...]]) -> Callable[[Floats], None]:
    """Follow and Product: offset + gain x product of the sources + jitter."""
    nodes, sources, (gain, offset, jitter) = _columns(rows, 1 + kind[1])
    walks = jitter.astype(np.int64)

    def evaluate(out: Floats) -> None:
        product = out[sources[:, 0]] if kind[1] == 1 else out[sources].prod(axis=1)
        out[nodes] = product * gain + offset + out[walks]

    return evaluate


def _beyond(_: Any, rows: list[tuple[Any, ...]]) -> Callable[[Floats], None]:
    nodes, sources, (limit, below) = _columns(rows, 2)
    under = below > 0

    def evaluate(out: Floats) -> None:
        out[nodes] = (out[sources[:, 0]] > limit) != under

    return evaluate


def _alarm(kind: Any, rows: list[tuple[Any, ...]]) -> Callable[[Floats], None]:
    """Beyond the limit for delay + 1 looks in a row, at some moment within the last hold + 1."""
    _, delay, hold = kind
    nodes, sources, (limit, below) = _columns(rows, 2 + delay + hold)
    under = below > 0

    def evaluate(out: Floats) -> None:
        beyond = (out[sources] > limit[:, None]) != under[:, None]
        came = [beyond[:, at : at + delay + 1].all(axis=1) for at in range(hold + 1)]
        out[nodes] = np.any(came, axis=0)

    return evaluate


_FORMULAS: dict[Any, Callable[[Any, list[tuple[Any, ...]]], Callable[[Floats], None]]] = {
    Follow: _scaled,
    Product: _scaled,
    Over: _beyond,
    Alarm: _alarm,
}
