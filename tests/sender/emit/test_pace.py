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


def test_a_send_that_is_late_by_three_quarters_of_the_burst_costs_no_rate() -> None:
    """A sender that is busy elsewhere before every tenth send still reaches the rate, to the last byte of a second."""
    pace = Pace(900e6 / 8, None, largest_frame=1514)
    frames = pace.frames(1472)
    assert frames == 10
    size, now, total = frames * 1514, 0.0, 0
    while now < 1:
        now += pace.wait(size, now) + (pace.burst * 3 / 4 / pace.rate if total % (10 * size) == 9 * size else 0.0)
        pace.spend(size, now)
        total += size
    assert pace.rate * now <= total <= pace.rate * now + pace.burst


class _Machine:
    """A clock of its own: each sleep ends late, each send takes its time, and its bytes leave somewhere in that."""

    def __init__(self, seed: int, *, oversleep: float, send: float) -> None:
        self.now = 0.0
        self.left: list[tuple[float, int]] = []
        self._chance, self._oversleep, self._send = random.Random(seed), oversleep, send

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self._chance.uniform(0.2, 1.0) * self._oversleep

    def out(self, frames: memoryview, length: int) -> bool:
        took = self._send * len(frames) / 32_768
        self.left.append((self.now + self._chance.random() * took, wire_bytes(len(frames), len(frames) // length)))
        self.now += took
        return True


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("oversleep", "send"), [(60e-6, 30e-6), (200e-6, 150e-6), (350e-6, 80e-6)])
def test_a_paced_send_reaches_its_rate_whatever_sleeps_too_long(oversleep: float, send: float, seed: int) -> None:
    """900 Mb/s to the last byte of half a second, each byte under the law of the bucket at the moment it left."""
    pace, machine = Pace(900e6 / 8, None, largest_frame=1514), _Machine(seed, oversleep=oversleep, send=send)
    block = memoryview(bytes(1472 * 73))
    while machine.now < 0.5:
        assert pace.send(block, 1472, machine.out, clock=lambda: machine.now, sleep=machine.sleep)
    assert sum(size for _, size in machine.left) >= pace.rate * machine.now  # a bucket that was never full lost nothing
    before, low = 0, 0.0
    for at, size in machine.left:
        low = min(low, before - pace.rate * at)
        before += size
        assert before - pace.rate * at - low <= pace.burst + 1e-3


def test_headers_are_counted() -> None:
    """Ethernet, IP and UDP headers: 42 bytes a frame."""
    assert wire_bytes(1472, 1) == 1514
    assert wire_bytes(3000, 3) == 3126


class _Wire:
    """What stands for the outlet, on virtual time: takes a send, or refuses it as its letters say."""

    def __init__(self, answers: str = "") -> None:
        self.answers = list(answers)
        self.now = 0.0
        self.taken: list[tuple[float, bytes]] = []
        self.holds = 0

    def send(self, frames: memoryview, length: int) -> bool:
        if self.answers and self.answers.pop(0) == "x":
            return False
        self.taken.append((self.now, bytes(frames)))
        return True

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def hold(self) -> bool:
        self.holds += 1
        self.now += 0.2
        return self.holds < 5


@pytest.mark.parametrize("answers", ["", "x", "xx.x", ".x.x.x", "...xxx"])
def test_a_paced_send_gives_again_what_was_not_taken(answers: str) -> None:
    """In order, each frame once, and never above the law of the bucket, however the interface comes and goes."""
    rate, length = 2.5e6, 1472
    pace, wire = Pace(rate, largest_frame=1514), _Wire(answers)
    frames = b"".join(bytes([at]) * length for at in range(40))
    assert pace.send(memoryview(frames), length, wire.send, clock=lambda: wire.now, sleep=wire.sleep, hold=wire.hold)
    assert b"".join(data for _, data in wire.taken) == frames
    sizes = [(at, wire_bytes(len(data), len(data) // length)) for at, data in wire.taken]
    for first, (start, _) in enumerate(sizes):
        for last in range(first, len(sizes)):
            given = sum(size for _, size in sizes[first : last + 1])
            assert given <= rate * (sizes[last][0] - start) + pace.burst + 1e-6


def test_a_paced_send_ends_where_nobody_waits_for_the_interface() -> None:
    """False, and nothing behind it was tried."""
    pace, wire = Pace(2.5e6, largest_frame=1514), _Wire(".xx")
    assert not pace.send(memoryview(bytes(1472 * 9)), 1472, wire.send, clock=lambda: wire.now, sleep=wire.sleep)
    assert len(wire.taken) == 1
