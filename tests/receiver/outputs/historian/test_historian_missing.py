"""Laws of gaps: what is told missing is exactly what has not come, whatever the order of arrival."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from history_blocks import ALL, BOOT, SECOND, T0, batch, block, opened, stream

from protocol.block import BlockKind
from protocol.content.sample import Row
from receiver.outputs.base import OpenedBlock, OtherBody
from receiver.outputs.historian.missing import Spans, StreamEnd, missing_spans
from receiver.outputs.historian.read import Door

LATER = T0 + 3600 * SECOND


def filled(numbers: list[int]) -> Spans:
    """Spans of blocks, every third of which tells no time; block n lasts from n to n + 0.5 s."""
    spans = Spans()
    for number in numbers:
        timed = number % 3 != 2
        at = T0 + number * SECOND if timed else None
        spans.add(number, at, None if at is None else at + SECOND // 2, T0)
    return spans


@pytest.mark.parametrize("seed", range(60))
def test_holes_are_what_has_not_come(seed: int) -> None:
    """For any arrival of numbers, the holes are the complement below the highest, and spans do not touch."""
    chance = random.Random(seed)
    numbers = chance.sample(range(60), chance.randrange(1, 60))
    spans = filled(numbers)
    told = [number for hole in missing_spans(list(spans), BOOT) for number in range(hole.first, hole.after)]
    assert told == sorted(set(range(max(numbers))) - set(numbers)), f"seed {seed}"
    assert len(told) == spans.missing(None)
    assert all(number in spans for number in numbers)
    assert not any(number in spans for number in told)
    firsts = [span.first for span in spans]
    assert all(one.last + 1 < first for one, first in zip(spans, firsts[1:], strict=False))


@pytest.mark.parametrize("seed", range(30))
def test_spans_do_not_depend_on_the_order_of_arrival(seed: int) -> None:
    """The same numbers in any order give the same spans with the same times."""
    chance = random.Random(seed)
    numbers = chance.sample(range(40), 25)
    ways = [filled(chance.sample(numbers, len(numbers))) for _ in range(4)]
    assert all(list(way) == list(ways[0]) for way in ways), f"seed {seed}"


@pytest.mark.parametrize("seed", range(20))
def test_changes_say_all_that_must_be_written(seed: int) -> None:
    """A file kept up by `changes` alone holds the spans, whenever it is asked."""
    chance = random.Random(seed)
    spans = Spans()
    file: dict[int, tuple[int, int | None, int | None]] = {}
    for number in chance.sample(range(50), 40):
        spans.add(number, T0 + number, T0 + number, T0)
        if chance.random() < 0.3:
            gone, fresh = spans.changes()
            for first in gone:
                file.pop(first, None)
            file |= {span.first: (span.last, span.first_ns, span.last_ns) for span in fresh}
            held = {span.first: (span.last, span.first_ns, span.last_ns) for span in spans}
            assert file == held, f"seed {seed}"


def test_a_gap_lasts_from_the_block_before_to_the_block_after() -> None:
    """Its times are the last one told before and the first one told after; untimed neighbours are looked past."""
    spans = filled([0, 1, 2, 5, 6])
    (hole,) = missing_spans(list(spans), BOOT)
    assert (hole.first, hole.after) == (3, 5)
    assert (hole.from_ns, hole.to_ns) == (T0 + SECOND + SECOND // 2, T0 + 6 * SECOND)


def test_a_gap_at_the_start_begins_with_the_stream() -> None:
    """Before the first block that came, the packer's start stands for the time."""
    (hole,) = missing_spans(list(filled([4])), BOOT - 10_000_000)
    assert (hole.first, hole.after, hole.from_ns, hole.to_ns) == (0, 4, T0 - 10 * SECOND, T0 + 4 * SECOND)
    (hole,) = missing_spans(list(filled([4])), 1)
    assert (hole.from_ns, hole.to_ns) == (T0 + 4 * SECOND, T0 + 4 * SECOND)


def test_the_next_open_tells_the_missing_tail() -> None:
    """Numbers after the last that came are missing once the next stream names this one's last block."""
    spans = filled([0, 1])
    (hole,) = missing_spans(list(spans), BOOT, StreamEnd(4, T0 + 9 * SECOND, T0))
    assert (hole.first, hole.after, hole.to_ns) == (2, 5, T0 + 9 * SECOND)
    assert missing_spans(list(spans), BOOT, StreamEnd(1, T0 + 9 * SECOND, T0)) == []
    assert spans.missing(StreamEnd(4, T0, T0)) == 3


def one(number: int, received_ns: int = T0, key: bytes = b"stream-1") -> OpenedBlock:
    """A batch of one row, a second after the one before."""
    at = T0 + number * SECOND
    return block(stream(key), number, batch([Row(0, at, 1.0)]), received_ns=received_ns)


def test_the_door_tells_gaps_and_forgets_healed_ones(tmp_path: Path) -> None:
    """A hole is told when it is a second old; healed blocks split and close it, also after a restart."""
    output = opened(tmp_path)
    output.take([one(0), one(1), one(6)], b"1")
    young = Door(tmp_path, ALL, clock=lambda: T0 + SECOND // 2)
    door = Door(tmp_path, ALL, clock=lambda: LATER)
    assert young.absences(T0, LATER) == []
    (gap,) = door.absences(T0, LATER)
    assert (gap.first, gap.blocks, gap.from_ns, gap.to_ns) == (2, 4, T0 + SECOND, T0 + 6 * SECOND)
    assert gap.stream == b"stream-1".hex()
    assert door.absences(LATER, LATER + 1) == []
    output.take([one(3, LATER)], b"2")
    assert [(gap.first, gap.blocks) for gap in door.absences(T0, LATER)] == [(2, 1), (4, 2)]
    output.close()
    output = opened(tmp_path)
    assert output.status()["missing_blocks"] == 3
    output.take([one(2), one(5), one(4)], b"3")
    assert door.absences(T0, LATER) == []
    output.close()
    young.close()
    door.close()


def test_blocks_without_samples_fill_numbers(tmp_path: Path) -> None:
    """Keys, heads and kinds of later versions are no gap; an OPEN's time begins its stream."""
    output = opened(tmp_path)
    begin = block(stream(), 0, OtherBody(kind=BlockKind.OPEN, body={"time": T0 - SECOND, "previous": None}))
    output.take([begin, block(stream(), 1, OtherBody(kind=99, body={})), one(2), one(4)], b"1")
    door = Door(tmp_path, ALL, clock=lambda: LATER)
    assert [(gap.first, gap.blocks) for gap in door.absences(0, LATER)] == [(3, 1)]
    output.close()
    door.close()


def test_the_tail_of_a_killed_stream_is_a_gap(tmp_path: Path) -> None:
    """The OPEN of the next stream shows what the last one had sent and this side has not."""
    output = opened(tmp_path)
    body = {"time": T0 + 20 * SECOND, "previous": [b"stream-1", 5, b"\0" * 32]}
    output.take(
        [one(0), one(1), block(stream(b"stream-2", BOOT + 1), 0, OtherBody(kind=BlockKind.OPEN, body=body))], b"1"
    )
    door = Door(tmp_path, ALL, clock=lambda: LATER)
    assert [(gap.first, gap.blocks, gap.to_ns) for gap in door.absences(0, LATER)] == [(2, 4, T0 + 20 * SECOND)]
    assert output.status()["missing_blocks"] == 4
    output.close()
    door.close()
