"""What beats say of the spool: all of it in turns, and never more than a frame carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from emitting import SMALL, STREAM, Emitting

from protocol.limits import MTU_LEAST, UDP_HEADERS
from protocol.ranges import Ranges
from protocol.wire.beat import STREAMS
from sender.emit.accounts import DAMAGED_TOLD, Accounts
from sender.emit.emitter import REFRESH_PERIOD
from sender.emit.spool_index import SpoolIndex
from sender.store.spool import Spool


def _streams(count: int) -> list[bytes]:
    return [b"stream%02d" % at for at in range(count)]


def test_the_newest_streams_are_in_every_beat_and_the_older_ones_take_turns(tmp_path: Path) -> None:
    """More streams than a beat holds: each is told within as many beats as there are streams."""
    line = Emitting(tmp_path)
    names = _streams(STREAMS + 5)
    for name in names:
        line.write(1, name)
    line.start()
    line.run(len(names) + 1)
    told = [[one.stream for one in beat.streams] for beat in line.beats[1:]]
    assert all(len(streams) <= STREAMS for streams in told)
    assert all(set(names[-STREAMS + 1 :]) <= set(streams) for streams in told)
    assert {stream for streams in told for stream in streams} == set(names)


def test_every_range_that_is_gone_is_told_in_its_turn(tmp_path: Path) -> None:
    """More of them than a beat names."""
    line = Emitting(tmp_path)
    line.start()
    line.write(60)
    hit = list(range(1, 60, 2))
    assert len(hit) > 2 * STREAMS
    line.damage(*hit)
    line.run(REFRESH_PERIOD + len(hit) / STREAMS + 2)
    assert all(len((beat.spool or {}).get("gone", ())) <= STREAMS for beat in line.beats)
    assert line.gone()[STREAM] >= {number for number in hit if number > line.beats[-1].streams[0].oldest}


@pytest.mark.parametrize("mtu", [MTU_LEAST, 1500])
def test_a_beat_fits_the_link(tmp_path: Path, mtu: int) -> None:
    """Streams, waiting ranges and holes without number: what does not fit is told by later beats."""
    line = Emitting(tmp_path, mtu=mtu)
    low = 1 << 20
    for name in _streams(STREAMS + 2):
        line.numbers[name] = low
        line.write(30, name)
    for name in line.numbers:
        line.damage(*range(low + 1, low + 30, 2), stream=name)
    line.start()
    line.run(REFRESH_PERIOD + 1)
    session, fewer, told = line.emitter.session, set(), set()
    for counter in range(40):
        finished = {name: Ranges((at, at + 1) for at in range(low, low + 30, 4)) for name in line.numbers}
        frame = line.emitter._accounts.beat(session, counter, finished, 1.0, {f"figure {at}": at for at in range(6)})
        assert len(frame) <= mtu - UDP_HEADERS
        beat = session._beat.read(frame)
        fewer.add(len((beat.spool or {}).get("gone", ())))
        told |= {one.stream for one in beat.streams}
    assert (max(fewer) < STREAMS) == (mtu == MTU_LEAST)
    assert told == set(line.numbers), "those that do not fit take turns"


def test_figures_of_the_spool_ride_in_the_beats(tmp_path: Path) -> None:
    """As they were said last; nothing where none were."""
    line = Emitting(tmp_path)
    line.start()
    line.run(0.1)
    assert line.beats[-1].spool == {}
    line.emitter.say_of_spool({"bytes": 7, "full": True})
    line.run(1)
    assert line.beats[-1].spool == {"bytes": 7, "full": True}


def test_what_the_low_side_is_warned_of_rides_in_every_beat_of_a_narrow_link(tmp_path: Path) -> None:
    """The figures of a real spool at their largest, beside eight waiting streams with holes, in a frame of mtu 576."""
    spool = Spool(tmp_path / "state", keep_s=1e9, most_bytes=1 << 50, now=0.0)
    spool.loses_s = 80_000.0
    figures = spool.status() | {"certificate_s": 7_000_000}
    spool.close(0.0)
    assert {"free_bytes", "loses_s", "full"} <= figures.keys()
    largest = {key: value if type(value) is bool else 1 << 50 for key, value in figures.items()}
    line = Emitting(tmp_path, mtu=MTU_LEAST)
    low = 1 << 20
    for name in _streams(STREAMS):
        line.numbers[name] = low
        line.write(30, name)
        line.damage(*range(low + 1, low + 30, 2), stream=name)
    line.start()
    line.run(REFRESH_PERIOD + 1)
    session, told = line.emitter.session, set()
    for counter in range(3 * STREAMS):
        finished = {name: Ranges((at, at + 1) for at in range(low, low + 30, 4)) for name in line.numbers}
        frame = line.emitter._accounts.beat(session, counter, finished, 1.0, largest)
        assert len(frame) <= MTU_LEAST - UDP_HEADERS
        beat = session._beat.read(frame)
        assert largest.items() <= (beat.spool or {}).items()
        told |= {one.stream for one in beat.streams}
    assert told == set(line.numbers)


def test_people_are_told_what_is_damaged(tmp_path: Path) -> None:
    """In the status with the newest ranges, in a warning with a next step; a spool that is whole says nothing."""
    line = Emitting(tmp_path)
    emitter = line.start()
    line.write(300, size=SMALL // 10)
    line.run(1)
    assert emitter.warnings() == []
    assert emitter.status()["damaged"] == {"blocks": 0, "bytes": 0, "ranges": []}
    line.damage(*range(0, 300, 2))
    line.start()
    line.run(REFRESH_PERIOD + 1)
    told = line.emitter.status()["damaged"]
    assert told["blocks"] == 150
    assert len(told["ranges"]) == DAMAGED_TOLD
    assert told["ranges"][-1] == [STREAM.hex(), 298, 299]
    (warning,) = line.emitter.warnings()
    assert "150 blocks" in warning
    assert f"look at the disk of {line.spool}" in warning


def test_totals_of_a_stream_that_is_not_known_are_nothing(tmp_path: Path) -> None:
    """Numbers that were finished and are nowhere kept any more are no claim."""
    accounts = Accounts(SpoolIndex(tmp_path), Emitting(tmp_path).start()._link)
    totals = accounts.totals(STREAM, {STREAM: Ranges([(0, 9)])})
    assert (totals.oldest, totals.sealed, totals.finished, totals.waiting) == (0, 0, 0, ())
