"""A resend hands out what a gap code names, once, and names exactly what is not there any more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from emitting import STREAM, Emitting

from protocol.store.record import Record
from protocol.store.resync import Place
from sender.emit.resend import BlockRange, Resend, StreamBlocks


def _part(line: Emitting, *spans: tuple[int, int], stream: bytes = STREAM) -> StreamBlocks:
    """Blocks from first to after, each span as the command would find it."""
    places = line.places()
    ranges = []
    for first, after in spans:
        last, one = places[stream, after - 1]
        end = Place(last.segment, last.offset + one.length)
        ranges.append(BlockRange(places[stream, first][0], end, first, after))
    return StreamBlocks(stream=stream, kept=frozenset(), stretches=tuple(ranges))


def _all(resend: Resend) -> list[Record]:
    out: list[Record] = []
    for _ in range(10_000):
        if resend.done:
            return out
        out += resend.step()
    raise AssertionError("it does not end")


def test_what_was_asked_for_leaves_once_and_in_order(tmp_path: Path) -> None:
    """Spans of two streams, none of their neighbours."""
    line = Emitting(tmp_path, segment_bytes=3000)
    for _ in range(15):
        line.write(4)
    for _ in range(5):
        line.write(4, b"sent-two")
    resend = Resend(line.spool, [_part(line, (3, 9), (40, 60)), _part(line, (0, 5), stream=b"sent-two")])
    assert [(one.stream, one.number) for one in _all(resend)] == [
        *((STREAM, number) for number in (*range(3, 9), *range(40, 60))),
        *((b"sent-two", number) for number in range(5)),
    ]
    assert resend.gone == []
    assert resend.sent == 31


@pytest.mark.parametrize("seed", range(8))
def test_a_restart_goes_on_where_it_stopped(tmp_path: Path, seed: int) -> None:
    """From the position at any moment: nothing before it leaves again, nothing behind it is left out."""
    chance = random.Random(seed)
    line = Emitting(tmp_path, seed=seed, segment_bytes=30_000)
    for _ in range(50):
        line.write(10)
    part = _part(line, (10, 150), (200, 430))
    resend = Resend(line.spool, [part])
    left: list[int] = []
    while not resend.done:
        if chance.random() < 0.3:
            resend = Resend(line.spool, [StreamBlocks.from_json(part.to_json())], position=resend.position)
            index, number = resend.position
            left = [one for one in left if (one >= 200, one) < (bool(index), number or 200 * index)]
        left += [one.number for one in resend.step()]
    assert left == [*range(10, 150), *range(200, 430)], f"seed {seed}"


@pytest.mark.parametrize("hit", [(5,), (3, 4, 8), ()], ids=str)
def test_what_is_damaged_or_taken_is_named_and_nothing_else(tmp_path: Path, hit: tuple[int, ...]) -> None:
    """Between finding and sending the disk and retention go on."""
    line = Emitting(tmp_path)
    line.write(12)
    part = _part(line, (2, 11))
    line.damage(*hit)
    resend = Resend(line.spool, [part])
    numbers = [one.number for one in _all(resend)]
    assert numbers == [number for number in range(2, 11) if number not in hit]
    assert {number for _, first, after in resend.gone for number in range(first, after)} == set(hit)


@pytest.mark.parametrize(
    "span",
    [(Place(9, 0), Place(9, 50)), (Place(1, 3), Place(1, 90)), (Place(1, 0), Place(1, 0)), (Place(0, 0), Place(0, 0)),
     (Place(-4, -4), Place(2**70, 2**70))],
    ids=["no such segment", "in the middle", "empty", "nowhere", "no place at all"],
)  # fmt: skip
def test_nothing_in_an_errand_makes_it_raise(tmp_path: Path, span: tuple[Place, Place]) -> None:
    """What is not where it was said to be is gone."""
    line = Emitting(tmp_path)
    line.write(3)
    part = StreamBlocks(stream=b"no-such-", kept=frozenset({1}), stretches=(BlockRange(*span, 4, 7),))
    resend = Resend(line.spool, [part])
    assert _all(resend) == []
    assert {number for _, first, after in resend.gone for number in range(first, after)} == {4, 5, 6}
