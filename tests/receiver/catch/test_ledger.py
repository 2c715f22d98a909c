"""Laws of what was ever journaled: a kill at any moment neither doubles a block nor forgets one."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from low_disk import S, T, block, journaled, killed, open_journal

from protocol.errors import HeldError, StoreError
from protocol.store.record import How
from protocol.store.segment_store import Store
from receiver.catch.store.floors import Floors
from receiver.catch.store.journal import SAVE_PERIOD, TIDY_PERIOD
from receiver.catch.store.ledger import Ledger

HOURS = 3600.0


def kept_outlook(*, oldest: int = 0) -> dict[str, Any]:
    """What gaps want back, of a stream that they expect nothing of."""
    return {"expected": [], "oldest": oldest, "sealed": oldest, "finished": oldest, "open": [], "lost": [], "found": []}


@pytest.mark.parametrize("seed", range(25))
def test_a_kill_at_any_moment_forgets_nothing_that_was_synced(tmp_path: Path, seed: int) -> None:
    """Random blocks, syncs, saves and kills: after each start exactly what was synced is known, and how it came."""
    chance = random.Random(seed)
    synced: dict[tuple[bytes, int], How] = {}
    now = 0.0
    for _ in range(6):
        journal = open_journal(tmp_path, now=now)
        known = {
            (key, number): None
            for key, held in journal.ledger.streams.items()
            for first, after in held.held
            for number in range(first, after)
        }
        assert known.keys() == synced.keys(), f"seed {seed}"
        for stream in (S, T):
            held = journal.ledger.streams.get(stream)
            classes = [how for (key, _), how in synced.items() if key == stream]
            assert held is None or held.classes == {how: classes.count(how) for how in How}, f"seed {seed}"
        assert journal.ledger.doubled == 0 == len(journal.ledger.remade), f"seed {seed}"
        for _ in range(chance.randrange(8)):
            fresh = {}
            for number in chance.sample(range(300), chance.randrange(12)):
                key = (chance.choice((S, T)), number)
                if key not in synced and key not in fresh:
                    fresh[key] = chance.choice(list(How))
                    journal.append(block(number, stream=key[0], how=fresh[key]), now)
            if chance.random() < 0.8:
                assert journal.sync(now)
                synced |= fresh
            else:
                break
            now += chance.choice((0.1, SAVE_PERIOD + 1))
            journal.tick(now)
        killed(journal)


def test_accepted_ranges_outlive_the_blocks(tmp_path: Path) -> None:
    """After retention took the segments, and a restart, the numbers are still known as held."""
    journal = open_journal(tmp_path, most=12_000)
    for number in range(200):
        journal.append(block(number), 0.0)
        journal.sync(0.0)
    journal.tick(TIDY_PERIOD)
    assert journal.store.size <= 12_000
    killed(journal)
    assert journaled(tmp_path)[0][1] > 100
    again = open_journal(tmp_path)
    assert list(again.ledger.streams[S].held) == [(0, 200)]
    assert again.ledger.streams[S].classes[How.WHOLE] == 200
    killed(again)


def test_age_is_running_time_summed_over_starts(tmp_path: Path) -> None:
    """Segments go when the running time since they were closed passes `keep`, not before, whatever the clock did."""
    journal = open_journal(tmp_path, now=1000.0, keep_s=10 * HOURS)
    now = 1000.0
    for number in range(60):
        journal.append(block(number), now)
        journal.sync(now)
        now += 60.0
    journal.tick(now)
    first = journal.store.segments[0].number
    assert first == 1
    journal.sync(now)
    journal.save(now)
    killed(journal)
    later = 5.0  # another boot: the monotonic clock begins anew
    journal = open_journal(tmp_path, now=later, keep_s=10 * HOURS)
    assert journal.running(later) == pytest.approx(3600.0)
    journal.tick(later + 9 * HOURS - 60)
    assert journal.store.segments[0].number == 1
    journal.tick(later + 9 * HOURS + 1800)
    assert 1 < journal.store.segments[0].number < journal.store.current.number
    journal.tick(later + 11 * HOURS)
    assert len(journal.store.segments) == 1
    killed(journal)


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "other": lambda held: [],
    "sums": lambda held: held | {"whole": 1},
    "negative": lambda held: held | {"held": [[-2, 148]]},
    "turned": lambda held: held | {"held": [[150, 0]]},
    "huge": lambda held: held | {"held": [[0, 150]], "place": [1, 2**70]},
    "huge number": lambda held: held | {"held": [[2**70, 2**70 + 150]]},
    "over each other": lambda held: held | {"held": [[0, 100], [50, 150]]},
    "numbers as text": lambda held: held | {"held": [["0", "150"]]},
    "damaged and held": lambda held: held | {"damaged": held["held"][:1]},
    "order": lambda held: held | {"order": 256},
    "outlook": lambda held: held | {"outlook": {"expected": "all"}},
    "nested": lambda held: held | {"held": [[[[[[0]]]]]]},
    "check": lambda held: held | {"check": "0123456789abcdef"},
}
"""What a stream's file may hold that is not to be believed."""


@pytest.mark.parametrize("damage", ["missing", "cut", "deep", "zero", *WRONG])
def test_a_lost_file_is_made_again_from_the_leaves(tmp_path: Path, damage: str) -> None:
    """Even where retention took the blocks: no number is forgotten, only how the old ones came."""
    journal = open_journal(tmp_path, most=12_000)
    for number in range(0, 300, 2):
        journal.append(block(number, how=How.REPAIRED), 0.0)
        journal.sync(0.0)
    journal.append(block(7, stream=T), 0.0)
    journal.sync(0.0)
    journal.tick(TIDY_PERIOD)
    journal.save(TIDY_PERIOD)
    killed(journal)
    path = tmp_path / "accepted" / f"{S.hex()}.json"
    held = json.loads(path.read_text())
    del held["check"]
    if damage == "missing":
        path.unlink()
    else:
        whole = {"cut": path.read_text()[:50], "deep": "[" * 100_000, "zero": "\0" * path.stat().st_size}
        path.write_text(whole[damage] if damage in whole else json.dumps(WRONG[damage](held)))
    again = open_journal(tmp_path)
    assert [first for first, _ in again.ledger.streams[S].held] == list(range(0, 300, 2))
    assert again.ledger.streams[S].held.count == sum(again.ledger.streams[S].classes.values()) == 150
    assert again.ledger.remade == [S]
    assert len(list(tmp_path.glob("accepted/*.damaged-*"))) == len(again.warnings) == (damage != "missing")
    assert list(again.ledger.streams[T].held) == [(7, 8)]
    again.save(0.0)
    killed(again)
    assert open_journal(tmp_path).ledger.remade == []


def test_a_journal_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Where it was taken away, what the sender may keep is asked for; a kill forgets nothing of the new one."""
    journal = open_journal(tmp_path)
    for number in range(100):
        journal.append(block(number), 0.0)
        journal.sync(0.0)
    journal.ledger.remember({S: kept_outlook(oldest=30)})
    journal.save(0.0)
    killed(journal)
    (tmp_path / "journal").rename(tmp_path / "elsewhere")
    journal = open_journal(tmp_path)
    assert list(journal.ledger.streams[S].held) == [(0, 30)]
    assert list(journal.ledger.streams[S].damaged) == [(30, 100)]
    assert any("begun anew" in line for line in journal.warnings)
    assert any("30 blocks" in line for line in journal.warnings)
    journal.append(block(150), 0.0)
    journal.append(block(50), 0.0)
    journal.sync(0.0)
    killed(journal)
    again = open_journal(tmp_path).ledger.streams[S]
    assert list(again.held) == [(0, 30), (50, 51), (150, 151)]
    assert list(again.damaged) == [(30, 50), (51, 100)]


def test_a_group_waits_20_ms_at_most_and_not_at_all_after_a_quiet_time(tmp_path: Path) -> None:
    """One sync for what comes within 20 ms, the first block of a quiet time at once, 1 MiB at once."""
    journal = open_journal(tmp_path, now=10.0, segment=1 << 30)
    journal.append(block(0), 10.0)
    assert journal.deadline() == 10.0
    journal.tick(10.0)
    assert len(journaled(tmp_path)) == 1
    for number in range(1, 5):
        journal.append(block(number), 10.0 + number / 1000)
    assert journal.deadline() == pytest.approx(10.02)
    journal.tick(10.019)
    assert len(journaled(tmp_path)) == 1
    journal.tick(10.0201)
    assert len(journaled(tmp_path)) == 5
    for number in range(5, 10):
        journal.append(block(number, size=220_000), 10.021)
    assert journal.deadline() <= 10.021
    journal.tick(10.021)
    assert len(journaled(tmp_path)) == 10
    killed(journal)


def test_a_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is no room nothing is lost, dropped or said to be there; when there is, all of it is written."""
    journal = open_journal(tmp_path)
    real = os.pwrite

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    told = []
    journal.append(block(0), 0.0)
    monkeypatch.setattr(os, "pwrite", no_room)
    journal.tick(0.1)
    told.append(journal.full)
    assert S not in journal.ledger.streams
    assert 0.1 < journal.deadline() <= 0.7
    journal.tick(0.2)
    told.append(journal.full)
    monkeypatch.setattr(os, "pwrite", real)
    journal.tick(0.7)
    told.append(journal.full)
    assert told == [True, True, False]
    assert journaled(tmp_path) == [(S, 0)]
    assert list(journal.ledger.streams[S].held) == [(0, 1)]
    killed(journal)


def test_a_failing_disk_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but a full disk stops the process; a second catch is refused too."""
    journal = open_journal(tmp_path)
    with pytest.raises(HeldError):
        open_journal(tmp_path)

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "broken")

    journal.append(block(0), 0.0)
    monkeypatch.setattr(os, "pwrite", broken)
    with pytest.raises(StoreError):
        journal.tick(1.0)


def test_floors_are_written_within_a_second_of_a_change(tmp_path: Path) -> None:
    """A restart after a kill refuses what stood below them."""
    journal = open_journal(tmp_path)
    journal.floors = Floors(link=(5, 6), beat=(7, 8), confirmed=True)
    journal.tick(TIDY_PERIOD)
    killed(journal)
    again = open_journal(tmp_path)
    assert again.floors == Floors(link=(5, 6), beat=(7, 8), confirmed=True)
    assert list(again.warnings) == []
    killed(again)


def test_what_gaps_want_back_is_kept_as_it_was(tmp_path: Path) -> None:
    """An outlook survives a restart, also one of a stream of which no block came."""
    journal = open_journal(tmp_path)
    outlook = {"expected": [[0, 5]], "oldest": 1, "sealed": 9, "finished": 5, "open": [[0, 5, 17]]}
    journal.ledger.remember({T: outlook})
    journal.save(0.0)
    killed(journal)
    again = open_journal(tmp_path)
    assert again.ledger.streams[T].outlook == outlook
    killed(again)


def test_readers_are_rung_and_never_waited_for(tmp_path: Path) -> None:
    """Each FIFO that somebody reads is rung after a sync; a full one, a file and a deserted one harm nothing."""
    journal = open_journal(tmp_path)
    os.mkfifo(tmp_path / "doorbell-one")
    os.mkfifo(tmp_path / "doorbell-deserted")
    (tmp_path / "doorbell-file").write_text("")
    reader = os.open(tmp_path / "doorbell-one", os.O_RDONLY | os.O_NONBLOCK)
    journal.tick(TIDY_PERIOD)
    journal.append(block(0), TIDY_PERIOD)
    journal.sync(TIDY_PERIOD)
    assert os.read(reader, 10) == b"!"
    assert (tmp_path / "doorbell-file").read_text() == ""
    for number in range(1, 40):
        journal.append(block(number), TIDY_PERIOD)
        journal.sync(TIDY_PERIOD)
    os.close(reader)
    journal.append(block(50), TIDY_PERIOD)
    journal.sync(TIDY_PERIOD)
    assert len(journaled(tmp_path)) == 41
    killed(journal)


def test_a_double_in_the_journal_is_told(tmp_path: Path) -> None:
    """A journal put together by hand counts each number once and says that it found more."""
    store = Store(tmp_path / "journal")
    for number in (1, 2, 1):
        store.append(block(number))
    store.sync()
    ledger = Ledger(tmp_path / "accepted", store, lambda line: None)
    store.close()
    assert ledger.doubled == 1
    assert ledger.streams[S].held.count == 2


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"place": [1, -5], "running_s": 1, "segment": [1, 0]}'])
def test_a_damaged_place_is_set_aside_and_made_again(tmp_path: Path, content: str) -> None:
    """Nothing is doubled or forgotten by that, and the running time goes on from the last closed segment's birth."""
    journal = open_journal(tmp_path)
    for number in range(60):
        journal.append(block(number, how=How.REPAIRED), float(number))
        journal.sync(float(number))
    journal.save(60.0)
    born_s = journal.store.segments[-2].born_s
    killed(journal)
    (tmp_path / "accepted" / "place.json").write_text(content)
    again = open_journal(tmp_path)
    assert list(again.ledger.streams[S].held) == [(0, 60)]
    assert again.ledger.streams[S].classes[How.REPAIRED] == 60
    assert (again.ledger.doubled, len(again.warnings)) == (0, 1)
    assert again.running(0.0) >= born_s > 0
    killed(again)


def test_a_lost_index_does_not_make_a_segment_old(tmp_path: Path) -> None:
    """When an index that told a segment's birth is gone, the one before it is kept by the birth after."""
    journal = open_journal(tmp_path, keep_s=1000.0)
    for number in range(90):
        journal.append(block(number), 20.0 * number)
        journal.sync(20.0 * number)
    journal.tick(1800.0)
    oldest = journal.store.segments[0].number
    journal.save(1800.0)
    killed(journal)
    (tmp_path / "journal" / "segments" / f"{oldest + 1:010d}.idx").unlink()
    again = open_journal(tmp_path, keep_s=1000.0)
    again.tick(TIDY_PERIOD)
    assert again.store.segments[0].number == oldest
    killed(again)
