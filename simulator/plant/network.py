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

from simulator.plant.shapes import Bank, Floats, SignalRow, key_of
from simulator.plant.signals import (
    SECOND,
    AlarmSignal,
    BatchSignal,
    FixedSignal,
    FollowSignal,
    OverSignal,
    ProductSignal,
    RecordSignal,
    Signal,
    WalkSignal,
)
from simulator.plant.trips import MILLISECOND, Trips
from simulator.scene.scene import ScenePoint, sources_of

ZERO, ONE = 0, 1
"""Nodes that are always 0 and 1."""

JITTER_S = 30.0
"""Time scale of the walk that a follower adds on its own [s]."""

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Want:
    """A node to be had."""

    point: ScenePoint
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

    def __init__(
        self, wants: Sequence[Want], named: Mapping[tuple[str, str], ScenePoint], trips: Trips, seed: int
    ) -> None:
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
        self._rows: dict[tuple[type[Any], int], list[tuple[int, SignalRow]]] = defaultdict(list)
        self._formulas: dict[int, dict[Any, list[tuple[Any, ...]]]] = defaultdict(lambda: defaultdict(list))
        self._overrides: dict[int, list[_Override]] = defaultdict(list)
        self.place: Places = np.array([self._node(want) for want in wants], np.int64)
        self._banks = [
            Bank(kind, every_ns, [at for at, _ in rows], [row for _, row in rows])
            for (kind, every_ns), rows in self._rows.items()
        ]
        self._steps = [
            (self._compiled(self._formulas[level]), self._overrides[level])
            for level in range(max(self._levels, default=0) + 1)
        ]
        self._newest: dict[int, tuple[int, Floats]] = {}

    def numbers(self, tick: int) -> Floats:
        """Every node at a tick [ns since 1970]."""
        out = np.zeros(len(self._levels))
        out[ONE] = 1.0
        for number, bank in enumerate(self._banks):
            time_ns = tick - tick % bank.every_ns
            newest = self._newest.get(number)
            if newest is None or newest[0] != time_ns:
                newest = self._newest[number] = (time_ns, bank.numbers(time_ns))
            out[bank.places] = newest[1]
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
            case FollowSignal() | ProductSignal():
                sources = self._sources(want, round(signal.lag_s * SECOND))
                walk = WalkSignal(mean=0.0, span=signal.jitter, period_s=JITTER_S)
                jitter = self._base(walk, key, want) if signal.jitter else ZERO
                node = self._add(sources, (type(signal), len(sources)), (*sources, signal.gain, signal.offset, jitter))
            case OverSignal():
                sources = self._sources(want, 0)
                node = self._add(sources, OverSignal, (*sources, signal.limit, signal.below))
            case AlarmSignal():
                delay, hold = (round(one * SECOND) // want.every_ns for one in (signal.delay_s, signal.hold_s))
                sources = [self._sources(want, at * want.every_ns)[0] for at in range(delay + hold + 1)]
                node = self._add(sources, (AlarmSignal, delay, hold), (*sources, signal.limit, signal.below))
            case RecordSignal():
                node = self._base(FixedSignal(value=0), key, want)
            case BatchSignal(cycle=cycle) if cycle:
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
        self._rows[type(signal), want.every_ns].append((node, SignalRow(signal, key, want.every_ns, want.lag_ns)))
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
                    override = _Override(node, number, step.after_ms * MILLISECOND, float(step.to), want)
                    self._overrides[self._levels[node]].append(override)

    # -- how they are evaluated

    def _compiled(self, formulas: Mapping[Any, list[tuple[Any, ...]]]) -> list[Callable[[Floats], None]]:
        return [_FORMULAS[kind if kind is OverSignal else kind[0]](kind, rows) for kind, rows in formulas.items()]


def _columns(rows: list[tuple[Any, ...]], first: int) -> tuple[Places, Places, list[Floats]]:
    """Nodes, their sources (a column a source), and the other fields."""
    nodes = np.array([row[0] for row in rows], np.int64)
    sources = np.array([row[1:first] for row in rows], np.int64)
    return nodes, sources, [np.array(column, np.float64) for column in zip(*(row[first:] for row in rows), strict=True)]


def _scaled(kind: Any, rows: list[tuple[Any, ...]]) -> Callable[[Floats], None]:
    """`FollowSignal` and `ProductSignal`: offset + gain x product of the sources + jitter."""
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
    FollowSignal: _scaled,
    ProductSignal: _scaled,
    OverSignal: _beyond,
    AlarmSignal: _alarm,
}
