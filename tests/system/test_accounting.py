"""The accounts over random fault traces: every block is in one class, every sample is published or lost, always.

A trace is drawn from its seed: loss, cuts, a full queue at the receiver, an emitter that is paused, killed or behind,
a receiver that is killed, a poller that begins a new stream. The truth it is held against is counted here, from what
was put into the spool, dropped on the way and found in the journal.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from pipe import Fate, Pipe, lossy

import sender.emit.first_sending
from protocol.store.reader import walk
from protocol.store.record import Record
from receiver.catch.intake import Arrival
from receiver.catch.status.picture import picture
from receiver.outputs.base import BatchBody
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import Scope
from receiver.status import gap_codes as outlook
from sender.commands import errand, replay_plan

WEATHER = ("clear", "clear", "loss", "storm", "cut", "full")
FAULTS = ("none", "none", "pause", "emit", "behind", "catch", "poll")


class Trace:
    """One random history, and what is true of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.pipe = Pipe(folder, seed=seed, repeat=self.chance.choice(((), (1.0,), (1.0, 4.0))))
        self.refused = self.dropped = 0
        self.weather = "clear"
        self.log: list[str] = []
        self._take = self.pipe._put

    def second(self) -> None:
        """A second of weather and a fault."""
        pipe, chance = self.pipe, self.chance
        self.weather = chance.choice(WEATHER)
        fault = chance.choice(FAULTS)
        self.log.append(f"{self.weather}/{fault}")
        if fault in ("emit", "catch"):
            getattr(pipe, f"kill_{fault}")()
            getattr(pipe, f"start_{fault}")()
        if fault == "poll":
            pipe.finish()
            pipe.kill_poll()
            pipe.start_poll()
        if fault == "behind":
            pipe.run(0.3, self.fate, emit=False)
            for _ in range(5):
                pipe.sample(400)
                pipe.run(0.1, self.fate, emit=False)
        for _ in range(5):
            pipe.sample(chance.randrange(1, 30))
            pipe.run(0.2, self.fate, emit=fault != "pause")

    def fate(self, chance: random.Random) -> int:
        """How many copies of a frame arrive in this weather."""
        share = {"loss": 0.2, "storm": 0.7, "cut": 1.0}.get(self.weather, 0.0)
        copies = int(chance.random() >= share)
        self.dropped += not copies
        return copies + (copies and chance.random() < 0.02)

    def put(self, arrival: Arrival) -> bool:
        """The queue to the writing thread, full in some weather."""
        if self.weather == "full" and self.chance.random() < 0.3:
            self.refused += 1
            return False
        return self._take(arrival)

    def calm(self, seconds: float) -> None:
        """Nothing is lost any more."""
        self.weather = "clear"
        self.pipe.run(seconds, self.fate)


def _held(pipe: Pipe) -> dict[bytes, set[int]]:
    """Numbers in the journal, as it stands on the disk and in memory."""
    pipe.journal.sync(pipe.now)
    out: dict[bytes, set[int]] = {}

    def visit(place: object, one: Record) -> None:
        numbers = out.setdefault(one.stream, set())
        assert one.number not in numbers, "twice in the journal"
        numbers.add(one.number)

    walk(pipe.low / "journal", visit)
    return out


def _check(pipe: Pipe, log: list[str]) -> None:
    held, sealed = _held(pipe), Counter[bytes]()
    walk(pipe.high / "spool", lambda place, one: sealed.update([one.stream]))
    missing: dict[bytes, set[int]] = {}
    for gap in pipe.intake.gaps.gaps(pipe.low_wall):
        numbers = set(range(gap.first, gap.after))
        assert not numbers & missing.setdefault(gap.stream, set()), log
        missing[gap.stream] |= numbers
    for stream, one in pipe.intake.gaps.streams.items():
        counts = one.counts()
        classes = counts.whole + counts.repaired + counts.healed
        assert classes + counts.missing + counts.expired == counts.expected, log
        assert classes == len(held.get(stream, ())), log
        assert counts.missing == len(missing.get(stream, ())), log
        assert not missing.get(stream, set()) & held.get(stream, set()), log
        assert counts.expected <= sealed[stream], log
        assert counts.expired == 0, log  # nothing was dropped from the spool


@pytest.mark.parametrize("seed", range(6))
def test_the_classes_balance_whatever_happens(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every two seconds of the trace; then a code brings the rest, and everything was lost to nothing."""
    monkeypatch.setattr(sender.emit.first_sending, "LAG", 0.005)  # 12.5 kB wait: backlog
    trace = Trace(tmp_path, seed)
    pipe = trace.pipe
    monkeypatch.setattr(pipe, "_put", trace.put)
    pipe.kill_catch()
    pipe.start_catch()
    for _ in range(6):
        trace.second()
        trace.second()
        _check(pipe, trace.log)
    assert trace.dropped > 0, trace.log
    pipe.finish()
    trace.calm(6)
    for turn in range(5):
        codes = [one["code"] for one in outlook.codes(pipe.intake.gaps.gaps(pipe.low_wall))]
        if not codes:
            break
        found = replay_plan.find(pipe.high / "spool", codes, pipe.geometry)
        errand.put(pipe.high, "replay", replay_plan.body(found), time_ns=turn, salt=b"x")
        trace.calm(4)
    counts = pipe.intake.gaps.counts()
    assert (counts.missing, counts.expired) == (0, 0), trace.log
    _check(pipe, trace.log)
    _assets(pipe, tmp_path / "history", trace)


def _assets(pipe: Pipe, folder: Path, trace: Trace) -> None:
    """The asset's accounts, handed over in random parts: read = sent = published, and minutes add up to it."""
    output = HistorianOutput(folder, clock=lambda: pipe.low_wall)
    rest, rows = list(pipe.opened), sum(map(len, pipe.sent.values()))
    while rest:
        size = trace.chance.randrange(1, 40)
        output.take(rest[:size], b"at")
        rest = rest[size:]
        totals = output._files.accounts.totals()
        for sums in totals.values():
            assert sums["lost"] >= 0
            assert sums["sent"] <= sums["published"] + sums["lost"], trace.log
    output.close()
    door = Door(folder, Scope(), clock=lambda: pipe.low_wall + 10**10)
    try:
        account = door.accounts()["pump"]
        minutes = door.minutes(0, 2**62)
    finally:
        door.close()
    assert (account.read, account.sent, account.published, account.lost) == (rows, rows, rows, 0), trace.log
    assert sum(len(one.body.columns) for one in pipe.opened if isinstance(one.body, BatchBody)) == rows
    healed = sum(len(one.body.columns) for one in pipe.opened if isinstance(one.body, BatchBody) and one.healed)
    assert account.healed == healed
    assert sum(one.published for one in minutes) == account.published
    assert sum(one.healed for one in minutes) == account.healed


@pytest.mark.parametrize("seed", range(4))
def test_the_links_loss_is_the_wires_and_the_queues_is_apart(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames sent less received are those that the trace dropped; blocks that the queue refused are counted by it."""
    trace = Trace(tmp_path, seed)
    pipe = trace.pipe
    monkeypatch.setattr(pipe, "_put", trace.put)
    pipe.kill_catch()
    pipe.start_catch()
    trace.calm(1.5)
    start = trace.dropped
    sent, received, *_ = pipe.intake.sessions.totals()
    for weather in ("loss", "full", "storm", "full"):
        trace.weather = weather
        for _ in range(10):
            pipe.sample(30)
            pipe.run(0.1, _once(trace))
    trace.calm(0)
    pipe.run(1.5)
    after_sent, after_received, *_ = pipe.intake.sessions.totals()
    assert trace.refused > 0
    assert pipe.intake.overflow == trace.refused
    assert trace.dropped > start
    missing = (after_sent - sent) - (after_received - received)
    assert missing == pytest.approx(trace.dropped - start, abs=8)  # frames after the last beat are not compared


def _once(trace: Trace) -> Fate:
    """The weather without doubles."""
    return lambda chance: min(1, trace.fate(chance))


def test_kernel_drops_stand_beside_the_links_loss(tmp_path: Path) -> None:
    """They are told as they are, and never taken off a block's classes."""
    pipe = Pipe(tmp_path)
    pipe.sample()
    pipe.run(1.5, lossy(0.0))
    pipe.intake.gather.probes.kernel_drops = 17
    told = picture(pipe.intake, now=pipe.now, wall_ns=pipe.low_wall)
    assert told["link"]["kernel_drops"] == 17
    assert told["link"]["queue_overflow"] == 0
    assert told["link"]["loss_total"] == 0.0
    assert told["blocks"]["missing"] == 0
