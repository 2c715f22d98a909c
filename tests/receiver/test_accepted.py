"""Laws of what was ever journaled: a kill at any moment neither doubles a block nor forgets one."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path

import pytest

from protocol.errors import HeldError, StoreError
from protocol.journal import Store
from protocol.record import How, Record, record
from protocol.segments import walk
from receiver import floors
from receiver.accepted import Accepted
from receiver.floors import Floors
from receiver.ledger import SAVE_PERIOD, TIDY_PERIOD, Ledger

S, T = b"stream-1", b"stream-2"
HOURS = 3600.0


def block(number: int, *, stream: bytes = S, how: How = How.WHOLE, size: int = 200) -> Record:
    """A journaled block."""
    content = b"CB\x01\x03" + stream + number.to_bytes(8, "big") + random.Random(number).randbytes(size)
    return record(stream, number, 3, 2, content, how=how, time_ns=number)


def open_ledger(
    state: Path, *, now: float = 0.0, keep_s: float = 1e9, most: float = 1e12, segment: int = 5000
) -> Ledger:
    """A ledger of small segments."""
    return Ledger(state, keep_s=keep_s, most_bytes=most, now=now, segment_bytes=segment)


def killed(ledger: Ledger) -> None:
    """As a kill -9: files are let go, nothing is written."""
    ledger.close()


def journaled(state: Path) -> list[tuple[bytes, int]]:
    """What the journal holds, in order."""
    out: list[tuple[bytes, int]] = []
    walk(state / "journal", lambda _, one: out.append((one.stream, one.number)))
    return out


@pytest.mark.parametrize("seed", range(25))
def test_a_kill_at_any_moment_forgets_nothing_that_was_synced(tmp_path: Path, seed: int) -> None:
    """Random blocks, syncs, saves and kills: after each start exactly what was synced is known, and how it came."""
    chance = random.Random(seed)
    synced: dict[tuple[bytes, int], How] = {}
    now = 0.0
    for _ in range(6):
        ledger = open_ledger(tmp_path, now=now)
        known = {
            (key, number): None
            for key, held in ledger.accepted.streams.items()
            for first, after in held.ranges
            for number in range(first, after)
        }
        assert known.keys() == synced.keys(), f"seed {seed}"
        for stream in (S, T):
            held = ledger.accepted.streams.get(stream)
            classes = [how for (key, _), how in synced.items() if key == stream]
            assert held is None or held.classes == {how: classes.count(how) for how in How}, f"seed {seed}"
        assert ledger.accepted.doubled == 0 == len(ledger.accepted.remade), f"seed {seed}"
        for _ in range(chance.randrange(8)):
            fresh = {}
            for number in chance.sample(range(300), chance.randrange(12)):
                key = (chance.choice((S, T)), number)
                if key not in synced and key not in fresh:
                    fresh[key] = chance.choice(list(How))
                    ledger.append(block(number, stream=key[0], how=fresh[key]), now)
            if chance.random() < 0.8:
                assert ledger.sync(now)
                synced |= fresh
            else:
                break
            now += chance.choice((0.1, SAVE_PERIOD + 1))
            ledger.tick(now)
        killed(ledger)


def test_accepted_ranges_outlive_the_blocks(tmp_path: Path) -> None:
    """After retention took the segments, and a restart, the numbers are still known as held."""
    ledger = open_ledger(tmp_path, most=12_000)
    for number in range(200):
        ledger.append(block(number), 0.0)
        ledger.sync(0.0)
    ledger.tick(TIDY_PERIOD)
    assert ledger.store.size <= 12_000
    killed(ledger)
    assert journaled(tmp_path)[0][1] > 100
    again = open_ledger(tmp_path)
    assert list(again.accepted.streams[S].ranges) == [(0, 200)]
    assert again.accepted.streams[S].classes[How.WHOLE] == 200
    killed(again)


def test_age_is_running_time_summed_over_starts(tmp_path: Path) -> None:
    """Segments go when the running time since they were closed passes `keep`, not before, whatever the clock did."""
    ledger = open_ledger(tmp_path, now=1000.0, keep_s=10 * HOURS)
    now = 1000.0
    for number in range(60):
        ledger.append(block(number), now)
        ledger.sync(now)
        now += 60.0
    ledger.tick(now)
    first = ledger.store.segments[0].number
    assert first == 1
    ledger.sync(now)
    ledger.save(now)
    killed(ledger)
    later = 5.0  # another boot: the monotonic clock begins anew
    ledger = open_ledger(tmp_path, now=later, keep_s=10 * HOURS)
    assert ledger.running(later) == pytest.approx(3600.0)
    ledger.tick(later + 9 * HOURS - 60)
    assert ledger.store.segments[0].number == 1
    ledger.tick(later + 9 * HOURS + 1800)
    assert 1 < ledger.store.segments[0].number < ledger.store.current.number
    ledger.tick(later + 11 * HOURS)
    assert len(ledger.store.segments) == 1
    killed(ledger)


@pytest.mark.parametrize("damage", ["missing", "cut", "other", "sums"])
def test_a_lost_file_is_made_again_from_the_leaves(tmp_path: Path, damage: str) -> None:
    """Even where retention took the blocks: no number is forgotten, only how the old ones came."""
    ledger = open_ledger(tmp_path, most=12_000)
    for number in range(0, 300, 2):
        ledger.append(block(number, how=How.REPAIRED), 0.0)
        ledger.sync(0.0)
    ledger.append(block(7, stream=T), 0.0)
    ledger.sync(0.0)
    ledger.tick(TIDY_PERIOD)
    ledger.save(TIDY_PERIOD)
    killed(ledger)
    path = tmp_path / "accepted" / f"{S.hex()}.json"
    held = json.loads(path.read_text())
    if damage == "missing":
        path.unlink()
    else:
        wrong = {"cut": path.read_text()[:50], "other": "[]", "sums": json.dumps(held | {"whole": 1})}
        path.write_text(wrong[damage])
    again = open_ledger(tmp_path)
    assert [first for first, _ in again.accepted.streams[S].ranges] == list(range(0, 300, 2))
    assert again.accepted.streams[S].ranges.count == sum(again.accepted.streams[S].classes.values()) == 150
    assert again.accepted.remade == [S]
    assert list(again.accepted.streams[T].ranges) == [(7, 8)]
    again.save(0.0)
    killed(again)
    assert open_ledger(tmp_path).accepted.remade == []


def test_a_journal_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Where the journal was taken away, the ranges stay, and what the new one holds is not forgotten by a kill."""
    ledger = open_ledger(tmp_path)
    for number in range(100):
        ledger.append(block(number), 0.0)
        ledger.sync(0.0)
    ledger.save(0.0)
    killed(ledger)
    (tmp_path / "journal").rename(tmp_path / "elsewhere")
    ledger = open_ledger(tmp_path)
    assert list(ledger.accepted.streams[S].ranges) == [(0, 100)]
    ledger.append(block(150), 0.0)
    ledger.sync(0.0)
    killed(ledger)
    assert list(open_ledger(tmp_path).accepted.streams[S].ranges) == [(0, 100), (150, 151)]


def test_a_group_waits_20_ms_at_most_and_not_at_all_after_a_quiet_time(tmp_path: Path) -> None:
    """One sync for what comes within 20 ms, the first block of a quiet time at once, 1 MiB at once."""
    ledger = open_ledger(tmp_path, now=10.0, segment=1 << 30)
    ledger.append(block(0), 10.0)
    assert ledger.deadline() == 10.0
    ledger.tick(10.0)
    assert len(journaled(tmp_path)) == 1
    for number in range(1, 5):
        ledger.append(block(number), 10.0 + number / 1000)
    assert ledger.deadline() == pytest.approx(10.02)
    ledger.tick(10.019)
    assert len(journaled(tmp_path)) == 1
    ledger.tick(10.0201)
    assert len(journaled(tmp_path)) == 5
    for number in range(5, 10):
        ledger.append(block(number, size=220_000), 10.021)
    assert ledger.deadline() <= 10.021
    ledger.tick(10.021)
    assert len(journaled(tmp_path)) == 10
    killed(ledger)


def test_a_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is no room nothing is lost, dropped or said to be there; when there is, all of it is written."""
    ledger = open_ledger(tmp_path)
    real = os.pwrite

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    told = []
    ledger.append(block(0), 0.0)
    monkeypatch.setattr(os, "pwrite", no_room)
    ledger.tick(0.1)
    told.append(ledger.full)
    assert S not in ledger.accepted.streams
    assert 0.1 < ledger.deadline() <= 0.7
    ledger.tick(0.2)
    told.append(ledger.full)
    monkeypatch.setattr(os, "pwrite", real)
    ledger.tick(0.7)
    told.append(ledger.full)
    assert told == [True, True, False]
    assert journaled(tmp_path) == [(S, 0)]
    assert list(ledger.accepted.streams[S].ranges) == [(0, 1)]
    killed(ledger)


def test_a_failing_disk_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but a full disk stops the process; a second catch is refused too."""
    ledger = open_ledger(tmp_path)
    with pytest.raises(HeldError):
        open_ledger(tmp_path)

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    ledger.append(block(0), 0.0)
    monkeypatch.setattr(os, "pwrite", broken)
    with pytest.raises(StoreError):
        ledger.tick(1.0)


def test_floors_are_written_within_a_second_of_a_change(tmp_path: Path) -> None:
    """A restart after a kill refuses what stood below them."""
    ledger = open_ledger(tmp_path)
    ledger.floors = Floors(link=(5, 6), beat=(7, 8), confirmed=True)
    ledger.tick(TIDY_PERIOD)
    killed(ledger)
    assert floors.load(tmp_path) == Floors(link=(5, 6), beat=(7, 8), confirmed=True)


def test_what_gaps_want_back_is_kept_as_it_was(tmp_path: Path) -> None:
    """An outlook survives a restart, also one of a stream of which no block came."""
    ledger = open_ledger(tmp_path)
    outlook = {"expected": [[0, 5]], "oldest": 1, "sealed": 9, "finished": 5, "open": [[0, 5, 17]]}
    ledger.remember({T: outlook})
    ledger.save(0.0)
    killed(ledger)
    again = open_ledger(tmp_path)
    assert again.accepted.streams[T].outlook == outlook
    killed(again)


def test_readers_are_rung_and_never_waited_for(tmp_path: Path) -> None:
    """Each FIFO that somebody reads is rung after a sync; a full one, a file and a deserted one harm nothing."""
    ledger = open_ledger(tmp_path)
    os.mkfifo(tmp_path / "doorbell-one")
    os.mkfifo(tmp_path / "doorbell-deserted")
    (tmp_path / "doorbell-file").write_text("")
    reader = os.open(tmp_path / "doorbell-one", os.O_RDONLY | os.O_NONBLOCK)
    ledger.tick(TIDY_PERIOD)
    ledger.append(block(0), TIDY_PERIOD)
    ledger.sync(TIDY_PERIOD)
    assert os.read(reader, 10) == b"!"
    assert (tmp_path / "doorbell-file").read_text() == ""
    for number in range(1, 40):
        ledger.append(block(number), TIDY_PERIOD)
        ledger.sync(TIDY_PERIOD)
    os.close(reader)
    ledger.append(block(50), TIDY_PERIOD)
    ledger.sync(TIDY_PERIOD)
    assert len(journaled(tmp_path)) == 41
    killed(ledger)


def test_a_double_in_the_journal_is_told(tmp_path: Path) -> None:
    """A journal put together by hand counts each number once and says that it found more."""
    store = Store(tmp_path / "journal")
    for number in (1, 2, 1):
        store.append(block(number))
    store.sync()
    store.close()
    accepted = Accepted(tmp_path / "accepted", tmp_path / "journal")
    assert accepted.doubled == 1
    assert accepted.streams[S].ranges.count == 2
