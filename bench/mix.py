"""A plant's hour in miniature: the seeded mix of signals that the codec is measured on.

    60 %  process values: random walks, rounded to their instrument's resolution (0.01 to 0.5);
          three in ten come from a 32-bit REAL register, so they are exact in float32 only
    20 %  counters: rising by 0.2, 3 or 40 a poll on average
    15 %  on/off values (six in ten) and status words (four in ten) that seldom change
     5 %  texts: an operating state out of three

A poll reads every tag once a second, a few milliseconds early or late; 100 tags share one request and so one time.
One sample in a thousand is bad. The same seed gives the same samples, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import Columns, Quality, Value, columns

START_NS = 1_767_225_600_000_000_000
"""First poll: 2026-01-01 00:00 UTC [ns]."""

_STATES = ("RUNNING", "STOPPED", "FAULT 17")
_WORDS = (0x8001, 0x8003, 0x0101)


def signals(tags: int = 500, polls: int = 20, *, seed: int = 3) -> Columns:
    """Samples in poll order, as a sender's packer holds them: every tag of the first poll, then of the second.

    Args:
        tags: Tags, with ids from 1,000 up.
        polls: Polls of all tags, one a second.
        seed: Of the random generator.
    """
    random = np.random.default_rng(seed)
    makers = random.permutation(_shares(tags))
    series = [_MAKERS[maker](random, polls) for maker in makers.tolist()]
    jitter_ms = np.rint(random.normal(0.0, 2.0, polls)).astype(np.int64)
    poll_ns = START_NS + np.arange(polls, dtype=np.int64) * 1_000_000_000 + jitter_ms * 1_000_000
    request_ns = np.arange(tags, dtype=np.int64) // 100 * 3_000_000
    bad = random.random(tags * polls) < 0.001
    return columns(
        np.tile(np.arange(1000, 1000 + tags, dtype=np.uint32), polls),
        (poll_ns[:, None] + request_ns[None, :]).ravel(),
        [one[poll] for poll in range(polls) for one in series],
        quality=np.where(bad, np.uint32(Quality.BAD_SENSOR_FAILURE), np.uint32(Quality.GOOD)),
    )


def _shares(tags: int) -> Array:
    """Which maker each tag has, by the shares above; rounding goes to the process values."""
    counts = [0, tags * 20 // 100, tags * 9 // 100, tags * 6 // 100, tags * 5 // 100]
    counts[0] = tags - sum(counts)
    return np.repeat(np.arange(5), counts)


def _walk(random: np.random.Generator, polls: int) -> list[Value]:
    resolution = random.choice([0.01, 0.05, 0.1, 0.5])
    walk = np.cumsum(random.normal(0.0, 1.2 * resolution, polls)) + random.uniform(5.0, 500.0)
    value = np.round(np.round(walk / resolution) * resolution, 2)
    if random.random() < 0.3:
        value = value.astype(np.float32).astype(np.float64)
    return list(value.tolist())


def _counter(random: np.random.Generator, polls: int) -> list[Value]:
    rate = random.choice([0.2, 3.0, 40.0])
    return list((random.integers(0, 1 << 20) + np.cumsum(random.poisson(rate, polls))).tolist())


def _switch(random: np.random.Generator, polls: int) -> list[Value]:
    return [bool(state) for state in np.cumsum(random.random(polls) < 0.02) % 2]


def _status(random: np.random.Generator, polls: int) -> list[Value]:
    return list(random.choice(_WORDS, polls, p=[0.95, 0.04, 0.01]).tolist())


def _state(random: np.random.Generator, polls: int) -> list[Value]:
    return [_STATES[at] for at in (np.cumsum(random.random(polls) < 0.03) % 3).tolist()]


_MAKERS: tuple[Callable[[np.random.Generator, int], list[Value]], ...] = (_walk, _counter, _switch, _status, _state)
