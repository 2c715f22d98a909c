"""What a quantity does over time: every signal is a pure function of (key, time), never a state that is stepped.

    value = shape(key, time)        key = hash(seed, asset, name)

So a value can be asked for at any instant, in any order, by any process: two servers started minutes apart from the
same seed agree, and a test may compute what a reading from yesterday should have been. A drifting walk is value
noise: independent random heights on a lattice of times, joined smoothly, in octaves of thrice the frequency and half
the height (K. Perlin, An Image Synthesizer, 1985, with heights instead of gradients).

The dataclasses are what a scene may say; `Bank` evaluates many signals of one kind at once. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Keys: TypeAlias = NDArray[np.uint64]

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

EPOCH_S = 1_767_225_600
"""2026-01-01T00:00:00Z [s since 1970]: counters count from here, so that they stay of a believable size."""

OCTAVES = 4
"""Octaves of a walk: the finest moves 27 times as fast as the slowest, which looks like a process with its noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Drifts around `mean` without ever leaving `mean` +- (`span` + `spread`)."""

    mean: float
    span: float
    """Farthest it strays from its own mean, in the tag's unit."""
    period_s: float = 300.0
    """Time scale of the slowest octave [s]."""
    spread: float = 0.0
    """The key shifts the mean by up to this, so that equal parts of a machine differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sine:
    """`mean` + `span` x sin(2 pi time / period); the key sets the phase."""

    mean: float
    span: float
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A saw tooth from `start` towards `end`, as a tank that fills and is emptied, or a conveyor's position."""

    start: float
    end: float
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Whole numbers that never fall, but wrap; the rate swings between a half and one and a half of `rate`."""

    start: int = 0
    """Count at EPOCH_S."""
    rate: float = 1.0
    """Mean rate [1/s]."""
    vary: float = 0.1
    """The key makes the mean rate faster or slower by up to this share, so that equal parts of a machine differ."""
    wrap: int = 0
    """Counts before it is 0 again; 0 means the range of the tag's type."""
    swing_s: float = 600.0
    """Time in which the rate swings up and down [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Holds one of `levels` for `dwell_s`, then takes one at random (it may be the same again)."""

    levels: tuple[float, ...]
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A bool that is true for the share `duty` of the dwell times."""

    duty: float = 0.5
    dwell_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Shows one of `texts` for `dwell_s`."""

    texts: tuple[str, ...]
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A constant: a set point, a serial number, a name plate."""

    value: float | int | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Another tag's signal, scaled and late: `offset` + `gain` x other(time - `lag_s`) + own walk of `jitter`."""

    of: str
    """`name` in the same asset, `.name` for a sibling in the same structure, or `asset:name`."""
    gain: float = 1.0
    offset: float = 0.0
    lag_s: float = 0.0
    jitter: float = 0.0
    """Span of a walk of its own that is added, in the tag's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """A bool: true while the other tag's signal is above `limit` (below it with `below`)."""

    of: str
    """As in `Follow`."""
    limit: float
    below: bool = False


Signal: TypeAlias = Walk | Sine | Ramp | Counter | Step | Switch | Text | Fixed | Follow | Over

KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Walk, Sine, Ramp, Counter, Step, Switch, Text, Fixed, Follow, Over)
}
"""The word in a scene's `signal = { kind = ".." }`."""


def key_of(seed: int, asset: str, name: str) -> int:
    """64 bits that depend on all three and on nothing else."""
    text = f"{seed}\0{asset}\0{name}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def uniform(keys: Keys, index: Any) -> Floats:
    """Random heights in [0, 1): one per (key, lattice index), by splitmix64 (Steele, Lea, Flood 2014)."""
    cells = np.atleast_1d(np.asarray(index, np.float64)).astype(np.int64).view(np.uint64)
    mixed = keys + cells * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    heights: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return heights


@dataclass(frozen=True, slots=True)
class Row:
    """One signal to evaluate."""

    signal: Signal
    key: int
    every_ns: int
    """It changes only at whole multiples of this [ns]."""
    lag_ns: int = 0


class Bank:
    """Rows of one kind and one period, evaluated together and again only when their period has passed."""

    def __init__(self, kind: type[Any], every_ns: int, places: Sequence[int], rows: Sequence[Row]) -> None:
        self.kind = kind
        self.every_ns = every_ns
        self.places = np.array(places, np.int64)
        self.keys: Keys = np.array([row.key for row in rows], np.uint64)
        self.lag_s = np.array([row.lag_ns for row in rows], np.float64) / SECOND
        self.signals = [row.signal for row in rows]
        self._fields: dict[str, Floats] = {}

    def field(self, name: str) -> Floats:
        """One parameter of all rows."""
        if name not in self._fields:
            self._fields[name] = np.array([getattr(signal, name) for signal in self.signals], np.float64)
        return self._fields[name]

    def numbers(self, time_ns: int) -> Floats:
        """All values at `time_ns`, which is a whole multiple of `every_ns`; a text is the number of its text."""
        seconds = time_ns / SECOND - self.lag_s
        return _EVALUATE[self.kind](self, seconds)


def _walk(bank: Bank, seconds: Floats) -> Floats:
    shift = bank.field("spread") * (2.0 * uniform(bank.keys ^ np.uint64(0xA5A5), 0) - 1.0)
    x = seconds / bank.field("period_s")
    total = np.zeros(len(seconds))
    for octave in range(OCTAVES):
        keys = bank.keys + np.uint64(octave + 1)
        cell = np.floor(x)
        part = x - cell
        left, right = uniform(keys, cell), uniform(keys, cell + 1)
        total += (left + (right - left) * part * part * (3.0 - 2.0 * part) - 0.5) * 0.5**octave
        x = x * 3.0
    return bank.field("mean") + shift + bank.field("span") * total / (1.0 - 0.5**OCTAVES)


def _sine(bank: Bank, seconds: Floats) -> Floats:
    turns = seconds / bank.field("period_s") + uniform(bank.keys, 0)
    wave: Floats = np.sin(2.0 * np.pi * (turns - np.floor(turns)))
    return bank.field("mean") + bank.field("span") * wave


def _ramp(bank: Bank, seconds: Floats) -> Floats:
    turns = seconds / bank.field("period_s") + uniform(bank.keys, 0)
    return bank.field("start") + (bank.field("end") - bank.field("start")) * (turns - np.floor(turns))


def _counter(bank: Bank, seconds: Floats) -> Floats:
    """Counts since EPOCH_S, without `start` and wrap, which are added in whole numbers."""
    since = seconds - EPOCH_S
    swing = bank.field("swing_s") / (2.0 * np.pi)
    rate = bank.field("rate") * (1.0 + bank.field("vary") * (2.0 * uniform(bank.keys, 0) - 1.0))
    counts: Floats = np.floor(rate * (since + 0.5 * swing * np.sin(since / swing)))
    return counts


def _step(bank: Bank, seconds: Floats) -> Floats:
    picked = _picked(bank, seconds, [len(signal.levels) for signal in bank.signals if isinstance(signal, Step)])
    levels = [signal.levels for signal in bank.signals if isinstance(signal, Step)]
    return np.array([held[at] for held, at in zip(levels, picked.tolist(), strict=True)], np.float64)


def _text(bank: Bank, seconds: Floats) -> Floats:
    counts = [len(signal.texts) for signal in bank.signals if isinstance(signal, Text)]
    return _picked(bank, seconds, counts).astype(np.float64)


def _switch(bank: Bank, seconds: Floats) -> Floats:
    cell = np.floor(seconds / bank.field("dwell_s"))
    return (uniform(bank.keys, cell) < bank.field("duty")).astype(np.float64)


def _fixed(bank: Bank, seconds: Floats) -> Floats:
    values = [signal.value for signal in bank.signals if isinstance(signal, Fixed)]
    return np.array([0.0 if isinstance(value, str) else float(value) for value in values])


def _picked(bank: Bank, seconds: Floats, counts: list[int]) -> NDArray[np.int64]:
    cell = np.floor(seconds / bank.field("dwell_s"))
    picked: NDArray[np.int64] = (uniform(bank.keys, cell) * np.array(counts, np.float64)).astype(np.int64)
    return picked


_EVALUATE = {
    Walk: _walk,
    Sine: _sine,
    Ramp: _ramp,
    Counter: _counter,
    Step: _step,
    Text: _text,
    Switch: _switch,
    Fixed: _fixed,
}
