"""The token bucket's law."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.emit.pace import Pace, wire_bytes


@given(
    rate=st.floats(1e4, 2e8),
    burst=st.integers(1600, 70_000),
    sizes=st.lists(st.integers(60, 1600), min_size=1, max_size=80),
    seed=st.integers(0, 2**32),
)
def test_no_window_holds_more_than_rate_and_burst(rate: float, burst: int, sizes: list[int], seed: int) -> None:
    """In every window of w seconds at most rate x w + burst bytes leave, whenever the sender comes to ask."""
    pace, now = Pace(rate, burst, largest_frame=1514), 1000.0
    moments = random.Random(seed)
    sent: list[tuple[float, int]] = []
    for size in sizes:
        now += moments.choice((0.0, 0.0, moments.expovariate(rate / 1500)))
        now += pace.wait(size, now)
        pace.spend(size, now)
        sent.append((now, size))
    for first in range(len(sent)):
        total = 0
        for at, size in sent[first:]:
            total += size
            assert total <= rate * (at - sent[first][0]) + pace.burst + 1


def test_the_rate_is_reached_when_there_is_enough_to_send() -> None:
    """Ten seconds of frames as fast as allowed are ten seconds of the rate."""
    pace, now, total = Pace(1e6, None, largest_frame=1514), 0.0, 0
    while now < 10:
        now += pace.wait(1514, now)
        pace.spend(1514, now)
        total += 1514
    assert total == pytest.approx(1e7, rel=0.001)


def test_the_default_burst_is_a_millisecond_but_at_least_a_frame() -> None:
    """20 Mb/s: 2,500 bytes; 1 Mb/s: a frame; 10 Gb/s: 64 KiB."""
    assert Pace(20e6 / 8, None, largest_frame=1514).burst == 2500
    assert Pace(1e6 / 8, None, largest_frame=1514).burst == 1514
    assert Pace(10e9 / 8, None, largest_frame=1514).burst == 65536


def test_a_send_that_is_late_by_up_to_half_the_burst_costs_no_rate() -> None:
    """A sender that is busy elsewhere between two sends still reaches the rate, to the last byte of a second."""
    pace = Pace(900e6 / 8, None, largest_frame=1514)
    frames = pace.frames(1472)
    assert frames == 21
    size, busy = frames * 1514, pace.burst / 2 / pace.rate * 0.9
    now, total, late = 0.0, 0, random.Random(3)
    while now < 1:
        now += pace.wait(size, now) + late.random() * busy
        pace.spend(size, now)
        total += size
    assert total == pytest.approx(900e6 / 8, rel=0.001)


def test_headers_are_counted() -> None:
    """Ethernet, IP and UDP headers: 42 bytes a frame."""
    assert wire_bytes(1472, 1) == 1514
    assert wire_bytes(3000, 3) == 3126
