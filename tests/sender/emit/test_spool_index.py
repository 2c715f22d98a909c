"""What the emitter knows of the spool agrees with what stands there, whatever retention and the disk took."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from emitting import STREAM, Emitting

from protocol.store.index import Segment
from protocol.store.reader import walk
from protocol.store.resync import Damage
from sender.emit.spool_index import SpoolIndex
from sender.store import damage

OTHER = b"sent-two"
SEEDS = range(10)


def _read(line: Emitting) -> SpoolIndex:
    """An index of the whole spool, as a start makes it."""
    index = SpoolIndex(line.spool)
    index.refresh()
    index.look_through(line.store.place)
    index.refresh()
    return index


@pytest.mark.parametrize("seed", SEEDS)
def test_oldest_sealed_and_gone_are_what_the_segments_say(tmp_path: Path, seed: int) -> None:
    """Streams follow each other, retention takes segments out of the front and the middle, some blocks are damaged."""
    chance = random.Random(seed)
    line = Emitting(tmp_path, seed=seed, segment_bytes=3000)
    for stream in (STREAM, OTHER):
        for _ in range(chance.randrange(2, 30)):
            line.write(chance.randrange(1, 4), stream)
    closed: list[Segment] = line.store.segments[:-1]
    for one in chance.sample(closed, k=min(len(closed), 2)):
        line.store.drop(one)
    kept = {stream: {n for s, n in line.places() if s == stream} for stream in (STREAM, OTHER)}
    hit = chance.choice(sorted(kept[OTHER]) or [0])
    if kept[OTHER]:
        line.damage(hit, stream=OTHER)
        kept[OTHER].discard(hit)
    index = _read(line)
    index.damage(_stepped_over(line), line.store.place)
    for stream, numbers in kept.items():
        if not numbers:
            continue
        assert index.oldest(stream) == min(numbers), f"seed {seed}"
        gone = {number for span in index.gone(stream) for number in range(*span)}
        assert not gone & numbers, f"seed {seed}: what is there is never said to be gone"
        if stream == STREAM:
            assert index.sealed(stream) >= max(numbers) + 1
            assert gone >= set(range(min(numbers), max(numbers))) - numbers - {hit}, f"seed {seed}"
    assert set(index.streams()) >= {stream for stream, numbers in kept.items() if numbers}
    assert index.sealed(OTHER) in (0, line.numbers[OTHER]) or not kept[OTHER]


def test_what_was_read_exists_at_once(tmp_path: Path) -> None:
    """Before any index is written."""
    index = SpoolIndex(tmp_path)
    index.note(1, STREAM, 4)
    assert (index.sealed(STREAM), index.oldest(STREAM), index.streams()) == (5, 4, [STREAM])


def test_a_segment_that_went_is_forgotten(tmp_path: Path) -> None:
    """Its numbers are no more kept, and the oldest one is younger."""
    line = Emitting(tmp_path, segment_bytes=2000)
    for _ in range(8):
        line.write(2)
    index = _read(line)
    assert index.oldest(STREAM) == 0
    line.store.drop(line.store.segments[0])
    index.refresh()
    assert index.oldest(STREAM) == min(number for _, number in line.places())


def test_a_closed_segment_without_an_index_is_looked_at_the_second_time(tmp_path: Path) -> None:
    """The first time its index may be about to be written; the second time it is damaged."""
    line = Emitting(tmp_path, segment_bytes=2000)
    for _ in range(8):
        line.write(2)
    first = line.spool / "segments" / "0000000001.idx"
    assert first.exists()
    first.unlink()
    index = SpoolIndex(line.spool)
    index.refresh()
    assert index.oldest(STREAM) > 0
    index.refresh()
    assert index.oldest(STREAM) == 0


def test_a_damaged_segment_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many readers step over it: its bytes are counted once, and read once."""
    line = Emitting(tmp_path)
    line.write(10)
    line.damage(4)
    index = _read(line)
    size = index.damaged_bytes()
    assert size == _length(line)
    monkeypatch.setattr(damage, "lost", None)
    index.damage(_stepped_over(line), line.store.place)
    assert index.damaged_bytes() == size
    assert {stream: list(numbers) for stream, numbers in index.lost().items()} == {STREAM: [(4, 5)]}


def _length(line: Emitting) -> int:
    """Of one record here [bytes]."""
    return next(one.length for _, one in line.places().values())


def _stepped_over(line: Emitting) -> list[Damage]:
    return walk(line.spool, lambda place, one: None)
