"""How a block's frames leave: portions, pauses, and what an outage can take."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.store.resync import START
from protocol.wire.erasure import spares_for
from sender.commands.link_load import latency
from sender.emit.interleave import HELD_BYTES, LATENCY_MOST, Done, Group, Interleave, Parcel, Portions, portions
from sender.emit.pace import Pace, wire_bytes

LENGTH = 1472
"""Bytes of a frame here."""
WIRE = LENGTH + 42


class _Line:
    """A link at its rate on virtual time: what the shell does, with a made-up emitter's core around `Interleave`."""

    def __init__(self, rate: float, burst: int | None = None) -> None:
        self.pace = Pace(rate, burst, largest_frame=WIRE)
        self.deal = Interleave()
        self.now = 0.0
        self.sent: list[tuple[float, int, int]] = []
        """(when, block, frame of it)."""
        self.sizes: list[tuple[float, int]] = []
        self.finished: dict[int, float] = {}
        self._frames: dict[int, int] = {}

    def offer(self, number: int, need: int, spare: int, how: Portions) -> None:
        view = memoryview(number.to_bytes(4, "big") * (LENGTH // 4 * (need + spare)))
        self.deal.add(view, LENGTH, how, Done(b"s", number, Group(START, START, None, 1)), self.now)

    def run(self, until: float, arrivals: list[tuple[float, int, int, int, Portions]]) -> None:
        """Send until then; a new block begins where nothing of the others is due."""
        while self.now < until:
            self.deal.settle(self.now)
            parcel = self.deal.next(self.now)
            if parcel is None and arrivals and arrivals[0][0] <= self.now:
                self.offer(*arrivals.pop(0)[1:])
                parcel = self.deal.next(self.now)
            if parcel is None:
                times = [at for at in (self.deal.deadline(), arrivals[0][0] if arrivals else None) if at is not None]
                self.now = max(self.now, min([*times, until]))
                continue
            self._send(parcel)

    def _send(self, parcel: Parcel) -> None:
        step = self.pace.frames(parcel.length) * parcel.length
        number = int.from_bytes(parcel.frames[:4], "big")
        for at in range(0, len(parcel.frames), step):
            part = parcel.frames[at : at + step]
            frames = len(part) // parcel.length
            size = wire_bytes(len(part), frames)
            self.now += self.pace.wait(size, self.now)
            self.pace.spend(size, self.now)
            self.sizes.append((self.now, size))
            for _ in range(frames):
                index = self._frames[number] = self._frames.get(number, -1) + 1
                self.sent.append((self.now, number, index))
        if parcel.done is not None:
            self.finished[number] = self.now


def _busiest(rate: float, share: float, need: int, spare: int, how: Portions, seconds: float, seed: int) -> _Line:
    """Full blocks at a share of the rate, at random times, sometimes several at once."""
    chance, at = random.Random(seed), 0.0
    arrivals: list[tuple[float, int, int, int, Portions]] = []
    while at < seconds:
        for _ in range(chance.choice((1, 1, 1, 3))):
            arrivals.append((at, len(arrivals), need, spare, how))
        at += chance.expovariate(share * rate / (1.5 * (need + spare) * WIRE))
    line = _Line(rate)
    line.run(seconds + 30, arrivals)
    assert not arrivals
    return line


@pytest.mark.parametrize("rate_mbit", [20, 900])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.98])
@pytest.mark.parametrize(("need", "loss"), [(64, 0.01), (29, 0.01), (64, 0.05), (64, None)])
def test_an_outage_shorter_than_the_pause_costs_nothing_at_any_load(
    rate_mbit: int, share: float, need: int, loss: float | None
) -> None:
    """Wherever it begins: no block loses more frames than it has spares; the pacing law is kept meanwhile."""
    rate, spare = rate_mbit * 1e6 / 8, 2 if loss is None else spares_for(need, loss)
    how = portions(need, spare, 0.05, rate)
    line = _busiest(rate, share, need, spare, how, seconds=40e6 / rate, seed=7)
    times: dict[int, list[float]] = {}
    for at, number, _ in line.sent:
        times.setdefault(number, []).append(at)
    for number, sent in times.items():
        assert len(sent) == need + spare
        for at, after in zip(sent, sent[spare:], strict=False):
            assert after - at >= how.pause * 0.999999, f"block {number}: {spare + 1} frames within {after - at} s"
    _law(line)


def test_the_outage_is_the_whole_pause_where_the_link_has_room() -> None:
    """64 + 10 at 20 Mb/s: 50 ms, which is spare x 8 blocks; without a loss_target the latency bounds it."""
    assert portions(64, 10, 0.05, 2.5e6) == Portions((10,) * 7 + (4,), 0.05)
    assert portions(64, 2, 0.05, 2.5e6).pause == pytest.approx(LATENCY_MOST / 32)
    assert portions(64, 10, 0.05, 112.5e6).pause == pytest.approx(HELD_BYTES / 112.5e6 / 7)
    depth = 0.05 / (10 * WIRE / 2.5e6)
    assert depth == pytest.approx(8.3, abs=0.1)


def test_good_weather_costs_no_latency_while_the_load_is_light() -> None:
    """With as many spares as data the data leave at once and the spares a pause later."""
    how = portions(6, 6, 0.05, 2.5e6)
    assert (how.counts, how.pause, latency(how, 6), latency(how, 12)) == ((6, 6), 0.05, 0.0, 0.05)
    assert portions(6, 3, 0.0, 2.5e6) == Portions((9,), 0.0)
    assert portions(6, 0, 0.05, 2.5e6) == Portions((6,), 0.0)


@given(st.integers(1, 127), st.integers(0, 127), st.floats(0, 10), st.floats(1e4, 1e9))
def test_portions_are_the_block_and_their_latency_is_bounded(need: int, spare: int, spread: float, rate: float) -> None:
    """Every frame is in one portion; with fewer spares than data no portion holds more than the spares."""
    how = portions(need, spare, spread, rate)
    assert sum(how.counts) == need + spare
    if how.pause and spare < need:
        assert max(how.counts) <= spare
        assert latency(how, need + spare) <= LATENCY_MOST * 1.000001
        assert latency(how, need + spare) * rate <= HELD_BYTES * 1.000001
        assert how.pause <= spread


def test_new_blocks_begin_only_where_nothing_is_due() -> None:
    """A hundred full blocks at once: at the full rate only about pause / (spare x frame time) are under way."""
    how = portions(64, 10, 0.05, 2.5e6)
    line = _Line(2.5e6)
    line.run(10, [(0.0, number, 64, 10, how) for number in range(100)])
    begun = {number: min(at for at, one, _ in line.sent if one == number) for number in range(100)}
    most = max(sum(begun[one] <= at <= line.finished[one] for one in range(100)) for at in begun.values())
    assert most <= 10
    assert line.finished[99] == pytest.approx(100 * 74 * WIRE / 2.5e6, rel=0.05), "the link never stood still"


def _law(line: _Line) -> None:
    """In every window at most rate x w + burst bytes."""
    low = float("inf")
    total = 0
    for at, size in line.sizes:
        low = min(low, total - line.pace.rate * at)
        total += size
        assert total - line.pace.rate * at - low <= line.pace.burst + 1
