"""The whole path on virtual time: what was spooled comes out once, or is a stated gap."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from pipe import Pipe, lossy

from protocol import seal
from protocol.block import BlockKind, read_header
from protocol.content.sample import Row
from protocol.store.reader import walk
from protocol.store.record import Record
from protocol.store.resync import Place
from receiver.catch.datagrams import Datagrams
from receiver.outputs.base import BatchBody
from receiver.publish.blocks import content

HOUR_NS = 3600 * 10**9
YEARS = {"1970": 0, "2040": 2_208_988_800 * 10**9}


def _all_arrived(pipe: Pipe) -> None:
    """Every stream's samples are there, once, in order; and the counts balance with nothing open."""
    for stream, rows in pipe.sent.items():
        assert sorted(pipe.numbers(stream)) == sorted(set(pipe.numbers(stream)))
        assert _values(pipe.received(stream)) == _values(rows)
    counts = pipe.intake.gaps.counts()
    assert counts.missing == counts.expired == 0
    assert counts.expected == counts.whole + counts.repaired + counts.healed


def _values(rows: list[Row]) -> list[tuple[int, int, str]]:
    return sorted((row.time_ns, row.tag, repr(row.value)) for row in rows)


def _busy(pipe: Pipe, seconds: float, share: float = 0.0) -> None:
    for _ in range(round(seconds * 10)):
        pipe.sample()
        pipe.run(0.1, lossy(share))


def test_samples_come_out_as_they_went_in(tmp_path: Path) -> None:
    """Two seconds on a clean link."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 2)
    pipe.finish()
    pipe.run(1)
    _all_arrived(pipe)
    assert pipe.intake.gaps.counts().healed == 0


@pytest.mark.parametrize("seed", range(4))
def test_five_percent_loss_costs_nothing(tmp_path: Path, seed: int) -> None:
    """With loss_target set to it every block comes whole or repaired, long before a repeat."""
    pipe = Pipe(tmp_path, seed=seed, loss=0.05)
    _busy(pipe, 5, 0.05)
    pipe.finish()
    pipe.run(1, lossy(0.05))
    _all_arrived(pipe)
    assert pipe.intake.gaps.counts().healed == 0
    assert pipe.intake.gaps.counts().repaired > 0


def test_a_cut_shorter_than_a_repeat_heals_by_itself(tmp_path: Path) -> None:
    """The cable is out for a second: those blocks are missing, then healed; nothing is doubled."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 1)
    _busy(pipe, 1, 1.0)
    _busy(pipe, 1)
    assert pipe.intake.gaps.counts().missing > 0
    pipe.finish()
    pipe.run(6)
    _all_arrived(pipe)
    assert pipe.intake.gaps.counts().healed > 0


@pytest.mark.parametrize("seed", range(6))
def test_any_process_may_die_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Ten deaths at random moments; what had reached the spool comes out once. The seed is the test's number."""
    pipe = Pipe(tmp_path, seed=seed, repeat=(1.0, 3.0, 8.0))
    chance = random.Random(seed)
    streams = [pipe.packer.stream]
    for _ in range(10):
        _busy(pipe, chance.choice((0.2, 0.5, 1.0)))
        pipe.run(chance.random() * 0.2)
        dying = chance.choice(("poll", "emit", "catch", "publish"))
        getattr(pipe, f"kill_{dying}", lambda: None)()
        if dying == "poll":
            pipe.sent[pipe.packer.stream] = _durable(pipe)
        getattr(pipe, f"start_{dying}")()
        if dying == "poll":
            streams.append(pipe.packer.stream)
    pipe.finish()
    pipe.run(12)
    for stream in streams:
        numbers = pipe.numbers(stream)
        assert sorted(numbers) == sorted(set(numbers))
        assert _values(pipe.received(stream)) == _values(pipe.sent[stream])
    counts = pipe.intake.gaps.counts()
    assert counts.missing == 0
    assert counts.expected == counts.whole + counts.repaired + counts.healed + counts.expired


@pytest.mark.parametrize("seed", range(6))
def test_deaths_with_lost_first_sendings_and_cold_joins_leave_nothing_unpublished(tmp_path: Path, seed: int) -> None:
    """Each new stream's first blocks come as the link lets them, each restart of publish finds kept blocks in any
    order, a low side joins late: what is journaled is published. The seed is the test's number."""
    pipe = Pipe(tmp_path, seed=seed, repeat=(1.0, 3.0, 8.0))
    chance = random.Random(seed)
    _busy(pipe, 0.3, 1.0)  # the low side hears nothing of the first stream's beginning
    for _ in range(12):
        dying = chance.choice(("poll", "emit", "catch", "publish", "publish"))
        if dying == "poll":
            pipe.spool.flush(pipe.now)
        getattr(pipe, f"kill_{dying}", lambda: None)()
        if dying == "poll":
            pipe.sent[pipe.packer.stream] = _durable(pipe)
        getattr(pipe, f"start_{dying}")()
        _busy(pipe, 0.1, chance.choice((0.0, 0.5, 0.8)))
        _busy(pipe, chance.choice((0.2, 0.5)))
        if chance.random() < 0.5:
            pipe.start_publish()
    pipe.finish()
    pipe.run(12)
    _nothing_unpublished(pipe)
    for stream, rows in pipe.sent.items():
        assert _values(pipe.received(stream)) == _values(rows)


@pytest.mark.parametrize("lost", range(5))
def test_one_lost_first_sending_and_a_clean_restart_leave_nothing_unpublished(tmp_path: Path, lost: int) -> None:
    """Datagram n of a stream's first, its OPEN, EPOCH or page among them, comes by its repeat; publish is restarted."""
    pipe = Pipe(tmp_path)
    sent = iter(range(10**9))
    for _ in range(30):
        pipe.sample()
        pipe.run(0.1, lambda random: int(next(sent) != lost))
    pipe.start_publish()
    _busy(pipe, 2)
    pipe.finish()
    pipe.run(6)
    _all_arrived(pipe)
    _nothing_unpublished(pipe)


@pytest.mark.parametrize("seed", range(4))
def test_a_low_side_that_joins_late_and_a_restart_leave_nothing_unpublished(tmp_path: Path, seed: int) -> None:
    """It starts cold at any moment of the carousel's round; publish is restarted when it has learned some of it."""
    chance = random.Random(seed)
    pipe = Pipe(tmp_path, seed=seed, repeat=(2.0,))
    for _ in range(round(chance.uniform(4, 30) * 5)):
        pipe.sample()
        pipe.run(0.2, catch=False)
    for _ in range(60):
        pipe.sample()
        pipe.run(1.0)
        if chance.random() < 0.1:
            pipe.start_publish()
    pipe.finish()
    pipe.run(3)
    _nothing_unpublished(pipe)


def _nothing_unpublished(pipe: Pipe) -> None:
    """Every block in the journal was handed on, once."""
    held: dict[bytes, list[int]] = {}
    walk(pipe.low / "journal", lambda place, one: held.setdefault(one.stream, []).append(one.number))
    for stream, numbers in held.items():
        assert sorted(pipe.numbers(stream)) == sorted(numbers)
    assert not pipe.opener.waiting
    assert not pipe.opener.refused


def _durable(pipe: Pipe) -> list[Row]:
    """Rows of the dead packer whose blocks the spool has."""
    stream = pipe.packer.stream
    rows: list[Row] = []
    box: dict[int, seal.Seal] = {}

    def visit(place: Place, one: Record) -> None:
        if one.stream != stream:
            return
        header = read_header(one.block)
        if header.kind == BlockKind.EPOCH:
            body = seal.verify(one.block, {pipe.sign.public.id: pipe.sign.public})
            epoch, key = seal.open_epoch(body, stream, pipe.open_key)
            box[epoch] = seal.Seal(key, stream, epoch)
        if header.kind == BlockKind.BATCH:
            batch = content(header.kind, box[header.epoch].open(one.block))
            assert isinstance(batch, BatchBody)
            rows.extend(batch.columns.rows())

    walk(pipe.high / "spool", visit)
    return rows


def test_a_receiver_that_was_down_heals_without_asking(tmp_path: Path) -> None:
    """catch is away for two seconds; when it is back the repeats bring what it missed."""
    pipe = Pipe(tmp_path, repeat=(4.0, 9.0))
    _busy(pipe, 1)
    pipe.journal.sync(pipe.now)
    pipe.kill_catch()
    for _ in range(20):
        pipe.sample()
        pipe.run(0.1, catch=False)
    pipe.start_catch()
    _busy(pipe, 1)
    pipe.finish()
    pipe.run(10)
    _all_arrived(pipe)


def test_a_late_receiver_learns_everything_from_the_carousel(tmp_path: Path) -> None:
    """It starts cold: what is sent from then on is opened within a round, what was before is a stated gap."""
    pipe = Pipe(tmp_path, repeat=(2.0,))
    for _ in range(60):
        pipe.sample()
        pipe.run(0.2, catch=False)
    first = pipe.packer.number
    for _ in range(40):
        pipe.sample()
        pipe.run(1.0)
    pipe.finish()
    pipe.run(3)
    stream = pipe.packer.stream
    assert set(range(first, pipe.packer.number)) <= set(pipe.numbers(stream))
    counts = pipe.intake.gaps.counts()
    assert counts.expected == pipe.packer.number
    assert counts.missing + counts.whole + counts.repaired + counts.healed == counts.expected


def test_a_restored_spool_that_went_on_differently_loses_nothing(tmp_path: Path) -> None:
    """A spool is copied, goes on, is put back, and goes on differently: both futures arrive, nothing is taken twice."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 1)
    pipe.run(1)
    for part in (pipe.kill_poll, pipe.kill_emit):
        pipe.spool.flush(pipe.now) if part == pipe.kill_poll else None
        part()
    no_pipes = shutil.ignore_patterns("doorbell*")
    shutil.copytree(pipe.high, tmp_path / "copy", ignore=no_pipes)
    pipe.start_poll()
    pipe.start_emit()
    _busy(pipe, 1)
    pipe.finish()
    pipe.run(1)
    pipe.kill_poll()
    pipe.kill_emit()
    shutil.rmtree(pipe.high)
    shutil.copytree(tmp_path / "copy", pipe.high)
    pipe.start_poll()
    pipe.start_emit()
    _busy(pipe, 1)
    pipe.finish()
    pipe.run(6)
    assert len(pipe.sent) == 3
    for stream, rows in pipe.sent.items():
        assert sorted(pipe.numbers(stream)) == sorted(set(pipe.numbers(stream)))
        assert _values(pipe.received(stream)) == _values(rows)


@pytest.mark.parametrize("side", ["high_wall", "low_wall"])
@pytest.mark.parametrize("step", ["+1h", "-1h", "1970", "2040"])
def test_a_clock_that_jumps_loses_nothing(tmp_path: Path, side: str, step: str) -> None:
    """Either side's wall clock is stepped in mid-run, and both processes of that side are restarted after it."""
    pipe = Pipe(tmp_path)
    _busy(pipe, 1)
    wall = getattr(pipe, side)
    setattr(pipe, side, YEARS.get(step, wall + (HOUR_NS if step == "+1h" else -HOUR_NS)))
    _busy(pipe, 1)
    if side == "high_wall":
        pipe.spool.flush(pipe.now)
        pipe.packer.finish()
        pipe.spool.flush(pipe.now)
        pipe.run(0.3)
        pipe.kill_poll()
        pipe.kill_emit()
        pipe.start_poll()
        pipe.start_emit()
    else:
        pipe.journal.sync(pipe.now)
        pipe.kill_catch()
        pipe.start_catch()
        pipe.start_publish()
    _busy(pipe, 1)
    pipe.finish()
    pipe.run(6)
    _all_arrived(pipe)


def test_old_frames_sent_again_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was on the link is replayed after a restart of the emitter: refused or double, the counts stay."""
    pipe = Pipe(tmp_path)
    taken: list[bytes] = []
    real = pipe.intake.receive

    def tapped(datagrams: Datagrams, now: float, wall_ns: int) -> None:
        taken.extend(map(bytes, datagrams.split()))
        real(datagrams, now, wall_ns)

    monkeypatch.setattr(pipe.intake, "receive", tapped)
    _busy(pipe, 1)
    pipe.run(1)
    old = list(taken)
    pipe.kill_emit()
    pipe.start_emit()
    _busy(pipe, 1)
    pipe.run(1)
    before, opened = pipe.intake.gaps.counts(), len(pipe.opened)
    for frame in old:
        real(Datagrams(memoryview(frame), len(frame)), pipe.now, pipe.low_wall)
    pipe.run(0.3, emit=False)
    assert pipe.intake.gaps.counts() == before
    assert len(pipe.opened) == opened
    assert sum(pipe.intake.gather.refused.values()) > 0
