"""Laws of equal times: each sample has a row of its own, in whatever order blocks come, and however often."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeAlias

import numpy as np
import pytest
from history_blocks import SECOND, T0, batch, block, stream
from influx_peer import split

from protocol.content.sample import Row
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.influx.lines import LineWriter
from receiver.outputs.influx.met_blocks import PAGE, MetBlocks
from receiver.outputs.influx.same_time import HOLES, LANES, SameTimes, TimesChange

OF = stream()


def plain(numbers: Sequence[int], ticks: int = 1) -> list[OpenedBlock]:
    """Blocks of one sample of two tags each, a second apart."""
    return [
        block(OF, number, batch([Row(tag, T0 + number * SECOND // ticks, float(number)) for tag in (0, 1)]))
        for number in numbers
    ]


def shared(chance: random.Random, count: int) -> list[OpenedBlock]:
    """Blocks whose samples often have times of others: within them, over their borders, and long before."""
    out, at = [], T0
    for number in range(count):
        rows = []
        for _ in range(chance.randrange(1, 8)):
            at += chance.choice([0, 0, 1, 300, 400_000])
            back = chance.choice([0, 0, 0, 300, 400_000, 2_000_000])
            rows.append(Row(chance.randrange(4), at - back, None if chance.random() < 0.3 else chance.random()))
        out.append(block(OF, number, batch(rows)))
    return out


def behind_live(blocks: Sequence[OpenedBlock]) -> list[OpenedBlock]:
    """The later half comes live, and between its blocks the first half, from the history."""
    half = len(blocks) // 2
    pairs = zip_longest(blocks[half:], blocks[:half])
    return [one for pair in pairs for one in pair if one is not None]


def healed(blocks: Sequence[OpenedBlock]) -> list[OpenedBlock]:
    """Every third block comes ten blocks late."""
    late = [(at + (10.5 if at % 3 == 0 else 0.0), one) for at, one in enumerate(blocks)]
    return [one for _, one in sorted(late, key=lambda pair: pair[0])]


def shuffled(blocks: Sequence[OpenedBlock]) -> list[OpenedBlock]:
    return random.Random(len(blocks)).sample(list(blocks), len(blocks))


def backwards(blocks: Sequence[OpenedBlock]) -> list[OpenedBlock]:
    return list(blocks)[::-1]


Order: TypeAlias = Callable[[Sequence[OpenedBlock]], list[OpenedBlock]]
ORDERS: Mapping[str, Order] = {"in order": list, "behind live": behind_live, "healed": healed, "shuffled": shuffled,
                               "backwards": backwards}  # fmt: skip


def rows(lines: bytes, resolution_ns: int = 1) -> Iterator[tuple[str, int]]:
    """What is one row at a server that tells times apart by so much."""
    for line in lines.splitlines():
        series, _, time_ns = split(line)
        yield series, time_ns // resolution_ns


def samples(blocks: Sequence[OpenedBlock]) -> int:
    return sum(len(one.body.columns) for one in blocks if isinstance(one.body, BatchBody))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("resolution_ns", [1, 1000, 1_000_000])
@pytest.mark.parametrize("seed", range(3))
def test_samples_with_equal_times_have_a_row_each(seed: int, resolution_ns: int, order: str) -> None:
    """By what the server can tell apart, also behind live data and healed; a writer begun anew goes on the same."""
    given = ORDERS[order](shared(random.Random(seed), 40))
    writer = LineWriter()
    writer.resolution_ns = resolution_ns
    kept: dict[tuple[bytes, int], bytes] = {}
    series: list[tuple[int, bytes]] = []
    times: list[TimesChange] = []
    made: list[tuple[str, int]] = []
    for at, one in enumerate(given):
        lines = writer.lines(one)
        made += rows(lines, resolution_ns)
        changes = writer.changes()
        series += changes.series
        times += [TimesChange.from_bytes(change.to_bytes()) for change in changes.times]
        kept.update({(key, page): bits for key, page, bits in changes.met})
        if at % 7 == 0:
            times = [TimesChange.from_bytes(writer.times().to_bytes())]
        if at % 5 == 0:
            writer = LineWriter(MetBlocks(lambda key, page: kept.get((key, page))))
            writer.load(series, times)
            writer.resolution_ns = resolution_ns
        assert writer.lines(one) == b"", f"seed {seed}: what comes again makes a second row"
    assert len(made) == samples(given)
    assert len(set(made)) == len(made), f"seed {seed}: one sample would replace another"


@pytest.mark.parametrize("order", ["in order", "behind live", "backwards"])
def test_samples_with_times_of_their_own_stand_in_the_series_itself(order: str) -> None:
    """History behind live data doubles no series; one sample that has a live one's time stands beside it, alone."""
    writer = LineWriter()
    for one in ORDERS[order](plain(range(200))):
        assert b"seq=" not in writer.lines(one)
    (twin,) = plain([1000])
    at = T0 + 150 * SECOND
    assert b"seq=" not in writer.lines(twin)
    beside = writer.lines(block(OF, 2000, batch([Row(0, at, 1.0), Row(1, at + 1, 1.0), Row(2, at, 1.0)])))
    assert [b",seq=1," in line for line in beside.splitlines()] == [True, True, False]


@pytest.mark.parametrize("seed", range(8))
def test_a_block_that_spreads_over_several_holes_replaces_no_sample(seed: int) -> None:
    """Its times lie between, below and above those that came, in any order: none has the row of another."""
    chance = np.random.default_rng(seed)
    times, taken = SameTimes(), set[tuple[int, int, int]]()
    for _ in range(40):
        series = chance.integers(0, 3, 30)
        at = chance.integers(0, 1000, 30)
        seq, _ = times.numbers(series, at, 1)
        lanes = [0] * 30 if seq is None else seq.tolist()
        given = set(zip(series.tolist(), at.tolist(), lanes, strict=True))
        assert len(given) == 30
        assert not taken & given, f"seed {seed}: one sample would replace another"
        taken |= given


@pytest.mark.parametrize(("holes", "order"), [(HOLES, (0, 1, 2)), (HOLES, (2, 1, 0)), (HOLES // 2, (1, 0, 2))])
def test_a_healed_block_fits_into_the_hole_that_it_left(holes: int, order: Sequence[int]) -> None:
    """As many holes as are kept, or half where each is filled from its middle: no sample needs a number."""
    begins = range(10, 10 + 20 * holes, 20)
    writer = LineWriter()
    for one in plain([number for number in range(200) if not any(0 <= number - at < 3 for at in begins)]):
        writer.lines(one)
    for one in plain([at + which for which in order for at in begins]):
        assert b"seq=" not in writer.lines(one)


@pytest.mark.parametrize("wrong", [[0], [2_000_000_000 * SECOND], [0, 2_000_000_000 * SECOND], [-(2**63), 2**63 - 1]])
def test_a_clock_that_was_wrong_once_doubles_no_series(wrong: list[int]) -> None:
    """A few times far from all others, in one block with good ones: what comes after still has the series itself."""
    writer = LineWriter()
    writer.lines(block(OF, 0, batch([Row(0, at, 1.0) for at in (T0 - SECOND, *wrong, T0 - SECOND // 2)])))
    for one in plain(range(1, 50)):
        assert b"seq=" not in writer.lines(one)


def test_a_clock_that_stands_still_costs_no_memory_and_no_sample() -> None:
    """Beyond LANES equal times each has a number of its own, and a restart goes on counting."""
    times, whole = SameTimes(), []
    series, at = np.zeros(3, np.int64), np.full(3, 5)
    given: list[int] = []
    for _ in range(LANES):
        seq, change = times.numbers(series, at, 1)
        assert seq is not None
        given += seq.tolist()
        whole.append(TimesChange.from_bytes(change.to_bytes()))
        times = SameTimes()
        times.load(whole)
        whole = [times.whole()]
    assert given == list(range(3 * LANES))
    assert len(whole[0].to_bytes()) < 8 * 12 * (LANES + 2)


def test_what_an_earlier_build_knew_of_a_series_is_kept_to() -> None:
    """Its newest time, and how many rows have it: the next at that time has the number after; what is older is free."""
    columns = [[3, 9], [50, 70], [2, 1], [1, 1], [40, 60], [1, 1]]
    told = b"".join(np.diff(one, prepend=0).astype("<i8").tobytes() for one in columns)
    times = SameTimes()
    times.load([TimesChange.of_newest(told)])
    seq, _ = times.numbers(np.array([3, 9, 9]), np.array([50, 69, 70]), 1)
    assert seq is not None
    assert seq.tolist() == [2, 0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_times_that_are_no_times_are_told(seed: int) -> None:
    """Bytes that were not written are an error in words, or a change that can be loaded."""
    chance = random.Random(seed)
    for size in (0, 7, 8, 16, 88, 96, 200):
        told = chance.randbytes(size)
        try:
            change = TimesChange.from_bytes(told)
            SameTimes().load([change])
        except ValueError:
            continue


def test_times_at_both_ends_of_all_time_are_told_apart() -> None:
    """The first and the last nanosecond that 64 bits hold, at every resolution."""
    for resolution_ns in (1, 1_000_000):
        times = SameTimes()
        ends = np.array([-(2**63), 2**63 - 1, -(2**63), 0])
        seq, _ = times.numbers(np.zeros(4, np.int64), ends, resolution_ns)
        assert seq is not None
        assert seq.tolist() == [0, 0, 1, 0]
        seq, _ = times.numbers(np.zeros(2, np.int64), np.array([5 * 10**6, 2**63 - 1]), resolution_ns)
        assert seq is not None
        assert seq.tolist() == [0, 1]


def test_pages_of_blocks_are_let_go_of_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block comes once, whatever page is in memory; the last number there is too."""
    monkeypatch.setattr("receiver.outputs.influx.met_blocks.PAGES", 2)
    kept: dict[tuple[bytes, int], bytes] = {}
    met = MetBlocks(lambda key, page: kept.get((key, page)))
    numbers = [*range(0, 20 * PAGE, PAGE), 2**64 - 1]
    for fresh in (True, False):
        for number in numbers:
            assert met.add(b"s", number) is fresh
            kept.update({(key, page): bits for key, page, bits in met.changes()})
            assert len(met._pages) <= 2
