"""Damage at rest of a segment store: what is whole is read, what is not is stated, nothing ever raises."""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from protocol.block import HEADER, KEPT, BlockKind
from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import join
from protocol.store.layout import kept_path, segment_numbers, segment_path
from protocol.store.lost import numbers_at
from protocol.store.reader import SYNCED, Reader, read_kept, walk
from protocol.store.record import Record, record, to_bytes
from protocol.store.resync import Damage, Place, next_true, scan
from protocol.store.segment_store import Store

STREAMS = (b"streamAA", b"streamBB")


def _one(stream: bytes, number: int, size: int = 90, kind: int = BlockKind.BATCH) -> Record:
    body = random.Random(number).randbytes(size)
    block = HEADER.pack(b"CB", 1, kind, stream, number, 1, bytes(12)) + body
    return record(stream, number, 3, 4, block, time_ns=number)


def _make(folder: Path, *, counts: tuple[int, int] = (24, 17), index: int | None = None) -> list[Record]:
    """Two streams over several segments; the current one's index is written after so many records of the second."""
    store = Store(folder, segment_bytes=1500)
    out = []
    for stream, count in zip(STREAMS, counts, strict=True):
        for number in range(count):
            kind = {0: BlockKind.OPEN, 1: BlockKind.EPOCH, 2: BlockKind.CATALOG}.get(number, BlockKind.BATCH)
            out.append(_one(stream, number, 60 + 7 * number % 50, kind))
            store.append(out[-1])
            if number % 2:
                store.sync()
            if stream == STREAMS[1] and number == index:
                store.note_index()
    store.sync()
    store.close()
    return out


def _read(folder: Path) -> tuple[list[tuple[Place, Record]], list[Damage]]:
    found: list[tuple[Place, Record]] = []
    damaged = walk(folder, lambda place, one: found.append((place, one)))
    return found, damaged


def _places(folder: Path) -> dict[tuple[bytes, int], tuple[Place, int]]:
    return {(one.stream, one.number): (place, one.length) for place, one in _read(folder)[0]}


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _hurt(path: Path, how: str, dice: random.Random) -> None:
    """One fault, as a disk or a careless copy makes it."""
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    span = dice.choice((1, 8, 64, 200, 512, 4096))
    match how:
        case "flip":
            data[at] ^= 1 << dice.randrange(8)
        case "zero":
            data[at : at + span] = bytes(len(data[at : at + span]))
        case "garbage":
            data[at : at + span] = dice.randbytes(len(data[at : at + span]))
        case "shadow":  # a page of elsewhere in the same file
            data[at : at + span] = (data * 2)[at // 2 : at // 2 + len(data[at : at + span])]
        case "cut":
            del data[at:]
        case "empty":
            data.clear()
        case "longer":
            data += dice.randbytes(span)
        case "gone":
            path.unlink()
            return
    path.write_bytes(data)


FAULTS = ("flip", "zero", "garbage", "shadow", "cut", "empty", "longer", "gone")


@pytest.mark.parametrize("index", [None, 9])
@pytest.mark.parametrize("how", FAULTS)
def test_what_is_whole_is_read_and_what_is_not_is_stated(tmp_path: Path, how: str, index: int | None) -> None:
    """A fault anywhere in any file, seeded: no exception, no other bytes, each record is read or its number or bytes
    are stated, and no number is stated that can be read or never was."""
    _make(tmp_path / "whole", index=index)
    places = _places(tmp_path / "whole")
    wrote = dict(zip(places, (one for _, one in _read(tmp_path / "whole")[0]), strict=True))
    for seed in range(60):
        dice = random.Random(f"{how} {index} {seed}")
        folder = tmp_path / "hurt"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", folder)
        victims = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
        victim = dice.choice(victims)
        print("seed", seed, victim.relative_to(folder))  # noqa: T201  shown when the test fails
        _hurt(victim, how, dice)
        before = _judge(folder, places, wrote, Reader(folder).end() == Reader(tmp_path / "whole").end())
        store = Store(folder, segment_bytes=1500)
        more = _one(STREAMS[1], 17)
        store.append(more)
        store.sync()
        lost, damaged = store.lost, store.damaged
        store.close()
        after = _judge(folder, places, {**wrote, (more.stream, more.number): more}, True, damaged)
        assert before <= after, "opening it loses nothing"
        join(lost, numbers_at(folder, *_read(folder)[1]))
        for stream, ranges in lost.items():
            for first, last in ranges:
                both = {(stream, number) for number in range(first, last)} & after
                assert all(wrote[key].block[3] in KEPT for key in both)
        Store(folder).close()


def _judge(
    folder: Path,
    places: dict[tuple[bytes, int], tuple[Place, int]],
    wrote: dict[tuple[bytes, int], Record],
    known: bool,
    more: list[Damage] = [],  # noqa: B006  never changed
) -> set[tuple[bytes, int]]:
    """What is read; each is as it was written, and where all must be read or stated, it is."""
    found, damaged = _read(folder)
    for _, one in found:
        assert wrote[one.stream, one.number].block == one.block
        assert wrote[one.stream, one.number].digest == one.digest
    there = {(one.stream, one.number) for _, one in found}
    stated = numbers_at(folder, *damaged)
    for stream, ranges in stated.items():
        for first, after in ranges:
            for number in range(first, after):
                assert (stream, number) in wrote, "never was"
                kept = (stream, number) in wrote and wrote[stream, number].block[3] in KEPT
                assert (stream, number) not in there or kept, "can be read, and was not appended again"
    for key, (place, length) in places.items() if known else ():
        told = key in there or key[1] in stated.get(key[0], ())
        assert told or any(
            one.start <= place and Place(place.segment, place.offset + length) <= one.end for one in [*damaged, *more]
        ), key
        data = segment_path(folder, place.segment)
        raw = data.read_bytes()[place.offset : place.offset + length] if data.exists() else b""
        assert key in there or raw != to_bytes(wrote[key]), "whole, and not read"
    return there


def test_numbers_of_a_closed_segment_are_told_by_its_index(tmp_path: Path) -> None:
    """Its records may be zeros altogether: every number is stated."""
    _make(tmp_path)
    path = segment_path(tmp_path, 2)
    held = {one.number for one in scan(path)}
    path.write_bytes(bytes(path.stat().st_size))
    _, damaged = _read(tmp_path)
    assert damaged == [Damage(Place(2, 0), Place(2, path.stat().st_size))]
    assert numbers_at(tmp_path, *damaged) == {STREAMS[0]: Ranges([(min(held), max(held) + 1)])}


def test_what_a_segment_lost_stays_known_over_starts(tmp_path: Path) -> None:
    """The current segment's index tells the number at the first start; the next ones, and readers, know it still."""
    store = Store(tmp_path)
    for number in range(4):
        store.append(_one(STREAMS[0], number))
    store.sync()
    assert store.note_index()
    store.close()
    length = _one(STREAMS[0], 0).length
    with segment_path(tmp_path, 1).open("r+b") as file:
        file.seek(2 * length)
        file.write(bytes(length))
    for number in range(4, 7):
        store = Store(tmp_path)
        assert store.damaged == [Damage(Place(1, 2 * length), Place(1, 3 * length))]
        assert store.lost == {STREAMS[0]: Ranges([(2, 3)])}
        store.append(_one(STREAMS[0], number))
        store.sync()
        store.note_index()
        store.close()
    found, damaged = _read(tmp_path)
    assert [one.number for _, one in found] == [0, 1, 3, 4, 5, 6]
    assert numbers_at(tmp_path, *damaged) == {STREAMS[0]: Ranges([(2, 3)])}


def test_a_segment_that_was_cut_short_keeps_every_place(tmp_path: Path) -> None:
    """It is made as long again: a reader that stood at its end reads on with what is new, and states what it lost."""
    _make(tmp_path, counts=(4, 0))
    last = segment_numbers(tmp_path)[-1]
    reader = Reader(tmp_path, Reader(tmp_path).end())
    size = segment_path(tmp_path, last).stat().st_size
    os.truncate(segment_path(tmp_path, last), size - 10)
    store = Store(tmp_path)
    assert store.damaged[-1].end == Place(last, size)
    store.append(_one(STREAMS[0], 9))
    store.sync()
    store.close()
    assert [one.number for one in reader.read()] == [9]
    assert reader.damaged == []


@pytest.mark.parametrize(
    "how", ["empty", "cut", "flip", "zero", "garbage", "gone", "folder"], ids=lambda how: f"synced_{how}"
)
def test_an_end_that_cannot_be_believed_stops_no_reader_for_long(tmp_path: Path, how: str) -> None:
    """The last good end holds and trouble is told; a running writer mends it, though nothing new comes."""
    store = Store(tmp_path)
    for number in range(3):
        store.append(_one(STREAMS[0], number))
    store.sync()
    reader, late = Reader(tmp_path), Reader(tmp_path)
    assert len(reader.read(2)) == 2
    synced = tmp_path / "synced"
    match how:
        case "gone":
            synced.unlink()
        case "folder":
            synced.unlink()
            synced.mkdir()
        case _:
            _hurt(synced, how, random.Random(5))
    assert [one.number for one in reader.read()] == [2]
    assert reader.trouble
    assert late.read() == []
    assert late.trouble
    assert not late.beyond
    if how == "folder":
        synced.rmdir()  # nobody's to guess
    store.republish()
    assert [one.number for one in late.read()] == [0, 1, 2]
    assert not late.trouble
    assert reader.end() == Place(1, 3 * _one(STREAMS[0], 0).length)
    store.close()


def test_a_store_of_the_version_before_is_read(tmp_path: Path) -> None:
    """`synced` of 16 bytes, an index without a check: read as they are, and written with checks at the next start."""
    wrote = _make(tmp_path)
    end = Reader(tmp_path).end()
    (tmp_path / "synced").write_bytes(SYNCED.pack(*end))
    index = segment_path(tmp_path, 1, ".idx")
    told = index.read_text()
    index.write_text(told[: told.index(', "check"')] + "}")
    found, damaged = _read(tmp_path)
    assert [one for _, one in found] == wrote
    assert damaged == []
    store = Store(tmp_path)
    assert (store.damaged, store.lost, store.place) == ([], {}, end)
    store.close()
    assert len((tmp_path / "synced").read_bytes()) == 24


@pytest.mark.parametrize("how", FAULTS)
def test_a_damaged_kept_file_is_made_again_from_the_segments(tmp_path: Path, how: str) -> None:
    """Of each stream that the segments still have; what only the kept file had and is damaged is told."""
    _make(tmp_path)
    whole = {stream: read_kept(tmp_path, stream) for stream in STREAMS}
    for seed in range(20):
        print("seed", seed)  # noqa: T201  shown when the test fails
        _hurt(kept_path(tmp_path, STREAMS[0]), how, random.Random(seed))
        store = Store(tmp_path)
        assert store.unkept == []
        store.close()
        assert [one.block for one in read_kept(tmp_path, STREAMS[0])] == [one.block for one in whole[STREAMS[0]]]
        assert read_kept(tmp_path, STREAMS[1]) == whole[STREAMS[1]]


def test_a_damaged_block_that_was_kept_apart_is_appended_again(tmp_path: Path) -> None:
    """The segments lost a CATALOG page that the stream's kept file has: it is read once more, and counts as lost no
    longer, at this start and at the next."""
    records = _make(tmp_path, counts=(9, 0))
    page = next(one for one in records if (one.stream, one.number) == (STREAMS[0], 2))
    place, length = _places(tmp_path)[STREAMS[0], 2]
    _flip(segment_path(tmp_path, place.segment), place.offset + length - 1)
    for _ in range(2):
        store = Store(tmp_path, segment_bytes=1500)
        assert not store.lost
        store.close()
        found, _ = _read(tmp_path)
        assert [one for _, one in found].count(page) == 1
        assert sorted(found)[-1][1] == page


def test_a_kept_block_that_is_nowhere_else_is_missed_and_told(tmp_path: Path) -> None:
    """Its segment went with retention: the stream is named, the file's other blocks are read."""
    _make(tmp_path)
    store = Store(tmp_path)
    while store.drop_oldest():
        pass
    store.close()
    path = kept_path(tmp_path, STREAMS[1])
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    store = Store(tmp_path)
    assert store.unkept == [STREAMS[1]]
    store.close()
    assert [one.number for one in read_kept(tmp_path, STREAMS[1])] == [1, 2]


def test_a_full_disk_keeps_no_damaged_store_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes, leaves and kept files are damaged and there is no room to make them again: all is read all the same."""
    wrote = _make(tmp_path)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for path in (*(tmp_path / "segments").glob("*.idx"), *(tmp_path / "kept").iterdir()):
        _hurt(path, "garbage", random.Random(1))
    with monkeypatch.context() as patched:
        patched.setattr(statefile, "write", full)
        patched.setattr("protocol.store.keeping.write_all", full)
        store = Store(tmp_path)
        assert store.lost == {}
        store.close()
    assert [one for _, one in _read(tmp_path)[0]] == wrote
    Store(tmp_path).close()
    assert [one.number for one in read_kept(tmp_path, STREAMS[0])] == [0, 1, 2]


def test_a_lost_index_ages_no_segment(tmp_path: Path) -> None:
    """When it was begun is then not known: it is taken to be as young as the next one, so that retention keeps it."""
    store = Store(tmp_path, segment_bytes=300)
    for number in range(9):
        store.append(_one(STREAMS[0], number))
        store.sync(100.0 * number)
    store.note_index()
    born = [segment.born_s for segment in store.segments]
    store.close()
    segment_path(tmp_path, 2, ".idx").unlink()
    segment_path(tmp_path, 3, ".idx").write_bytes(b"{}")
    store = Store(tmp_path)
    assert [segment.born_s for segment in store.segments] == [born[0], born[3], born[3], *born[3:]]
    store.close()


def test_an_old_end_that_no_writer_could_have_written_is_not_believed(tmp_path: Path) -> None:
    """16 bytes that point behind the file, or at no segment, are a trouble and no end."""
    _make(tmp_path)
    last = segment_numbers(tmp_path)[-1]
    for place in (Place(last, 1 << 40), Place(last + 3, 0), Place(0, 0), Place(2**63, 5)):
        (tmp_path / "synced").write_bytes(SYNCED.pack(*place))
        reader = Reader(tmp_path)
        assert reader.read() == []
        assert reader.trouble


def test_a_place_of_another_store_does_not_make_a_reader_silent(tmp_path: Path) -> None:
    """Behind the end it says so; in the middle of a record it goes on with the next."""
    wrote = _make(tmp_path)
    assert Reader(tmp_path, Place(99, 0)).beyond
    assert not Reader(tmp_path, Reader(tmp_path).end()).beyond
    reader = Reader(tmp_path, Place(1, 30))
    assert reader.read(1) == [wrote[1]]


def test_a_stretch_that_ends_within_a_record_is_no_damage(tmp_path: Path) -> None:
    """`until` is somebody's place, and may be of another store: what ends behind it is not read and not damaged."""
    wrote = _make(tmp_path)
    reader = Reader(tmp_path)
    assert reader.read(until=Place(1, wrote[0].length + 20)) == wrote[:1]
    assert reader.read(until=Place(1, wrote[0].length + 20)) == []
    assert reader.damaged == []


def test_a_page_that_the_disk_does_not_give_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO of one sector costs the records in it and no others."""
    store = Store(tmp_path)
    wrote = [_one(STREAMS[0], number, 3000) for number in range(8)]
    for one in wrote:
        store.append(one)
    store.sync()
    store.close()
    real = os.pread

    def failing(file: int, size: int, at: int) -> bytes:
        if at < 3 * 4096 and at + size > 2 * 4096 and os.readlink(f"/proc/self/fd/{file}").endswith(".seg"):
            raise OSError(errno.EIO, "Input/output error")
        return real(file, size, at)

    monkeypatch.setattr(os, "pread", failing)
    found, damaged = _read(tmp_path)
    length = wrote[0].length
    hit = {at for at in range(8) if at * length < 3 * 4096 and (at + 1) * length > 2 * 4096}
    assert [one.number for _, one in found] == [at for at in range(8) if at not in hit]
    assert damaged == [Damage(Place(1, min(hit) * length), Place(1, (max(hit) + 1) * length))]


@pytest.mark.parametrize("content", [b"\0", b"CB\x01", b"\0\0\1\0" + bytes(60) + b"CB\x01", b"CB\x01\x03streamAA"])
def test_a_large_damage_is_stepped_over_in_linear_time(tmp_path: Path, content: bytes) -> None:
    """Sixteen times the bytes take not much more than sixteen times as long, whatever they are."""
    took = []
    for size in (1 << 20, 16 << 20):
        path = tmp_path / "large.seg"
        one = _one(STREAMS[0], 1)
        path.write_bytes((content * (size // len(content) + 1))[:size] + to_bytes(one))
        file = os.open(path, os.O_RDONLY)
        begun = time.process_time()
        assert next_true(file, 0, size + one.length, size + one.length) == size
        took.append(time.process_time() - begun)
        os.close(file)
    assert took[1] < 16 * took[0] * 4 + 0.2
