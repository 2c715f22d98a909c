"""The segment store: what was synced is there, once, whatever happened."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.block import HEADER, BlockKind
from protocol.errors import HeldError
from protocol.ranges import Ranges
from protocol.store.layout import read_leaves, segment_numbers, segment_path
from protocol.store.lost import numbers_at
from protocol.store.reader import Reader, read_kept, walk
from protocol.store.record import HEAD, Record, parse, record, to_bytes
from protocol.store.resync import START, Damage, Place
from protocol.store.segment_store import Store, StoreFull

STREAM = b"streamAA"


def _block(number: int, size: int = 60, kind: int = BlockKind.BATCH, stream: bytes = STREAM) -> Record:
    body = random.Random(number).randbytes(size)
    block = HEADER.pack(b"CB", 1, kind, stream, number, 1, bytes(12)) + body
    return record(stream, number, 1, 4, block, time_ns=number)


def _all(folder: Path) -> list[Record]:
    found: list[Record] = []
    walk(folder, lambda place, one: found.append(one))
    return found


def _store(folder: Path, *numbers: int, segment_bytes: int = 1 << 20) -> None:
    store = Store(folder, segment_bytes=segment_bytes)
    for number in numbers:
        store.append(_block(number))
    store.sync()
    store.close()


def test_what_was_synced_is_read_in_order(tmp_path: Path) -> None:
    """Over several segments and several starts, each record once, as it was written."""
    for start in range(0, 60, 20):
        store = Store(tmp_path, segment_bytes=700)
        for number in range(start, start + 20):
            store.append(_block(number))
            store.sync()
        store.close()
    assert _all(tmp_path) == [_block(number) for number in range(60)]
    assert len(segment_numbers(tmp_path)) > 5


def test_readers_never_see_what_is_not_synced(tmp_path: Path) -> None:
    """A record appears with the sync, not with the append."""
    store = Store(tmp_path)
    reader = Reader(tmp_path)
    store.append(_block(0))
    assert reader.read() == []
    store.sync()
    assert [one.number for one in reader.read()] == [0]
    assert reader.read() == []
    store.close()


@settings(max_examples=60)
@given(cut=st.integers(0, 600), junk=st.binary(max_size=40))
def test_journal_keeps_whole_records_when_power_fails_mid_write(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    """Whatever is left of the tail, the next start keeps exactly the whole records before it and goes on."""
    folder = tmp_path_factory.mktemp("torn")
    _store(folder, 0, 1, 2, 3)
    path = segment_path(folder, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + junk)
    kept = [number for number in range(4) if (number + 1) * _block(0).length <= min(cut, len(whole))]
    store = Store(folder)
    store.append(_block(9))
    store.sync()
    store.close()
    assert [one.number for one in _all(folder)] == [*kept, 9]


def test_a_damaged_record_is_stepped_over_and_stated(tmp_path: Path) -> None:
    """One flipped bit in a synced record costs that record, said with its place and number; its neighbours are read."""
    _store(tmp_path, 0, 1, 2)
    path = segment_path(tmp_path, 1)
    data = bytearray(path.read_bytes())
    data[_block(0).length + HEAD.size + 50] ^= 1
    path.write_bytes(data)
    reader = Reader(tmp_path)
    assert [one.number for one in reader.read()] == [0]
    assert [one.number for one in reader.read()] == [2]
    assert reader.began == Place(1, 2 * _block(0).length)
    damage = Damage(Place(1, _block(0).length), Place(1, 2 * _block(0).length))
    assert reader.damaged == [damage]
    assert numbers_at(tmp_path, damage) == {STREAM: Ranges([(1, 2)])}


def test_only_one_writes(tmp_path: Path) -> None:
    """A second writer is refused while the first lives."""
    store = Store(tmp_path)
    with pytest.raises(HeldError, match="another process"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_full_disk_loses_nothing_and_tears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is no room the records wait; the file ends where it ended; afterwards all are there."""
    store = Store(tmp_path)
    store.append(_block(0))
    store.sync()
    size = segment_path(tmp_path, 1).stat().st_size
    real = os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: len(data) // 2], at)

    store.append(_block(1))
    store.append(_block(2))
    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(StoreFull):
        store.sync()
    monkeypatch.undo()
    assert segment_path(tmp_path, 1).stat().st_size == size
    assert [one.number for one in _all(tmp_path)] == [0]
    store.sync()
    store.close()
    assert [one.number for one in _all(tmp_path)] == [0, 1, 2]


def test_retention_takes_whole_segments_and_leaves_leaves_and_kept_blocks(tmp_path: Path) -> None:
    """After the oldest segments are gone a reader goes on with what is there and counts what it missed."""
    store = Store(tmp_path, segment_bytes=500)
    store.append(_block(0, kind=BlockKind.OPEN))
    for number in range(1, 20):
        store.append(_block(number))
        store.sync()
    reader = Reader(tmp_path)
    assert [one.number for one in reader.read(1)] == [0]
    gone = store.drop_oldest()
    assert gone is not None
    assert store.drop_oldest() is not None
    assert [one.number for one in read_kept(tmp_path, STREAM)] == [0]
    leaves = read_leaves(tmp_path, STREAM)
    written = [_block(0, kind=BlockKind.OPEN), *(_block(number) for number in range(1, 20))]
    assert leaves == b"".join(one.digest for one in written)
    rest = []
    while found := reader.read():
        rest += [one.number for one in found]
    first_kept = min(store.segments[0].streams[STREAM])[0]
    still_open = [number for number in rest if number < first_kept]
    assert still_open == list(range(1, 1 + len(still_open)))
    assert rest == still_open + list(range(first_kept, 20))
    assert reader.skipped == 1
    store.close()


def test_kept_blocks_are_each_there_once(tmp_path: Path) -> None:
    """A crash between the kept file and the segment is mended on the next start, doubles are read once."""
    store = Store(tmp_path)
    for number, kind in enumerate((BlockKind.OPEN, BlockKind.EPOCH, BlockKind.BATCH, BlockKind.CATALOG)):
        store.append(_block(number, kind=kind))
    store.sync()
    store.close()
    kept = tmp_path / "kept" / f"{STREAM.hex()}.seg"
    kept.write_bytes(kept.read_bytes()[:-30])
    Store(tmp_path).close()
    assert [one.number for one in read_kept(tmp_path, STREAM)] == [0, 1, 3]


def test_a_place_is_where_its_record_stands(tmp_path: Path) -> None:
    """`walk` gives each record's own place, over segments; `at` reads it back."""
    _store(tmp_path, *range(10), segment_bytes=300)
    _store(tmp_path, *range(10, 20), segment_bytes=300)
    places: list[tuple[Place, int]] = []
    walk(tmp_path, lambda place, one: places.append((place, one.number)), START)
    reader = Reader(tmp_path)
    assert [reader.at(place).number for place, _ in places] == list(range(20))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_record_are_not_one(data: bytes) -> None:
    """Random bytes never parse, and never escape."""
    assert parse(data, 0, len(data)) is None


def test_a_record_is_what_it_was() -> None:
    """Bytes and back."""
    one = _block(5)
    data = to_bytes(one)
    assert parse(data, 0, len(data)) == one
    assert len(data) == one.length
    assert parse(data, 0, len(data) - 1) is None


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_segment_store import _block
from protocol.store.segment_store import Store
store = Store(Path(sys.argv[1]), segment_bytes=4000)
number = 0
while True:
    for _ in range(5):
        store.append(_block(number))
        number += 1
    store.sync()
    print(number, flush=True)
"""


def test_killed_writers_lose_nothing_that_was_synced(tmp_path: Path) -> None:
    """kill -9 at five moments; every number said to be synced is there, in order, without doubles."""
    for lines in (1, 3, 7, 20, 60):
        folder = tmp_path / str(lines)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = 0
            for _ in range(lines):
                said = int(process.stdout.readline())
            process.kill()
        Store(folder).close()
        numbers = [one.number for one in _all(folder)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= said
