"""How a signal becomes numbers: every shape is a pure function of (key, time).

    value = shape(key, time)        key = hash(seed, asset, name)

A drifting walk is value noise: independent random heights on a lattice of times, joined smoothly, in octaves of thrice
the frequency and half the height (K. Perlin, An Image Synthesizer, 1985, with heights instead of gradients).

`Bank` evaluates many signals of one kind at once. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simulator.plant.signals import (
    EPOCH_S,
    BatchSignal,
    CounterSignal,
    FixedSignal,
    RampSignal,
    Signal,
    SineSignal,
    StepSignal,
    SwitchSignal,
    TextSignal,
    WalkSignal,
)

Floats: TypeAlias = NDArray[np.float64]
Keys: TypeAlias = NDArray[np.uint64]

OCTAVES = 4
"""Octaves of a walk: the finest moves 27 times as fast as the slowest, which looks like a process with its noise."""


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
class SignalRow:
    """One signal to evaluate."""

    signal: Signal
    key: int
    every_ns: int
    """It changes only at whole multiples of this [ns]."""
    lag_ns: int = 0


class Bank:
    """Rows of one kind and one period, evaluated together and again only when their period has passed."""

    def __init__(self, kind: type[Any], every_ns: int, places: Sequence[int], rows: Sequence[SignalRow]) -> None:
        self.kind = kind
        self.every_ns = every_ns
        self.places = np.array(places, np.int64)
        self.keys: Keys = np.array([row.key for row in rows], np.uint64)
        self.lag_us = np.array([row.lag_ns // 1000 for row in rows], np.int64)
        self.signals = [row.signal for row in rows]
        self._fields: dict[str, Floats] = {}

    def field(self, name: str) -> Floats:
        """One parameter of all rows."""
        if name not in self._fields:
            self._fields[name] = np.array([getattr(signal, name) for signal in self.signals], np.float64)
        return self._fields[name]

    def numbers(self, time_ns: int) -> Floats:
        """All values at `time_ns`, which is a whole multiple of `every_ns`; a text is the number of its text."""
        # whole microseconds are exact in float64 until 2255, so a time that is reached by a lag is that time to the bit
        numbers: Floats = _EVALUATE[self.kind](self, (time_ns // 1000 - self.lag_us) / 1e6)
        return numbers


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
    picked = _picked(bank, seconds, [len(signal.levels) for signal in bank.signals if isinstance(signal, StepSignal)])
    levels = [signal.levels for signal in bank.signals if isinstance(signal, StepSignal)]
    return np.array([own[at] for own, at in zip(levels, picked.tolist(), strict=True)], np.float64)


def _text(bank: Bank, seconds: Floats) -> Floats:
    counts = [len(signal.texts) for signal in bank.signals if isinstance(signal, TextSignal)]
    return _picked(bank, seconds, counts).astype(np.float64)


def _switch(bank: Bank, seconds: Floats) -> Floats:
    cell = np.floor(seconds / bank.field("dwell_s"))
    return (uniform(bank.keys, cell) < bank.field("duty")).astype(np.float64)


def _batch(bank: Bank, seconds: Floats) -> Floats:
    phases = uniform(bank.keys, 0)
    out = np.empty(len(seconds))
    for at, signal in enumerate(bank.signals):
        assert isinstance(signal, BatchSignal)
        times, levels = signal.times_s, signal.levels
        since = (seconds[at] % times[-1] + phases[at] * times[-1]) % times[-1]
        if signal.hold:
            out[at] = levels[int(np.searchsorted(times, since, side="right")) - 1]
        else:
            out[at] = np.interp(since, times, levels)
    return out


def _fixed(bank: Bank, seconds: Floats) -> Floats:
    values = [signal.value for signal in bank.signals if isinstance(signal, FixedSignal)]
    return np.array([0.0 if isinstance(value, str) else float(value) for value in values])


def _picked(bank: Bank, seconds: Floats, counts: list[int]) -> NDArray[np.int64]:
    cell = np.floor(seconds / bank.field("dwell_s"))
    picked: NDArray[np.int64] = (uniform(bank.keys, cell) * np.array(counts, np.float64)).astype(np.int64)
    return picked


_EVALUATE: dict[type[Any], Any] = {
    WalkSignal: _walk,
    SineSignal: _sine,
    RampSignal: _ramp,
    CounterSignal: _counter,
    StepSignal: _step,
    TextSignal: _text,
    SwitchSignal: _switch,
    BatchSignal: _batch,
    FixedSignal: _fixed,
}
