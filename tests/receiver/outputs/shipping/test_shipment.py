"""Laws of the shipment: what identifies a sample stays, however it is gathered, cut, stored and joined."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import msgpack
import numpy as np
import pytest
import zstandard
from shipping_fake import keys

from protocol.content.sample import Flag, Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.shipping.dispatch import cut
from receiver.outputs.shipping.shipment import LIVE_S, Shipment, gather, halves, merged, pack, unpack
from receiver.outputs.testing.feed import SEEN, T0_NS, block, facts, others, samples, stream


def only(blocks: list[OpenedBlock]) -> Shipment:
    """The one shipment of these blocks."""
    ((_, one),) = gather(blocks, T0_NS)
    return one


def told(one: Shipment) -> Counter[tuple[object, ...]]:
    """Its samples with all that they have."""
    rows = zip(keys(one), one.columns.rows(), one.healed.tolist(), strict=True)
    return Counter((key, one.series[row.tag], row[1:], healed) for key, row, healed in rows)


def test_every_sample_is_gathered_once_with_its_description() -> None:
    """Values, times, names and units of all samples, and nothing of content that has none."""
    blocks = [samples(0), *others(1), samples(20), samples(21)]
    one = only(blocks)
    assert len(one) == sum(facts(blocks).values())
    got = Counter((one.series[row.tag].asset, one.series[row.tag].tag, row.time_ns) for row in one.columns.rows())
    assert got == Counter((fact.asset, fact.tag, fact.time_ns) for fact in facts(blocks).elements())
    assert one.blocks == 3
    assert max(keys_of := Counter(keys(one))), "no samples"
    assert set(keys_of.values()) == {1}


def test_what_identifies_a_sample_does_not_depend_on_the_scope() -> None:
    """Cut to one asset, the same samples have the same block and rank; refresh rows count for nothing."""
    whole = samples(7)
    assert isinstance(whole.body, BatchBody)
    columns = whole.body.columns
    seen = columns.select(columns.tag != 4)
    scoped = replace(whole, body=BatchBody(columns=seen, first_ns=0, last_ns=0))
    assert set(keys(only([scoped]))) == {key for key in keys(only([whole])) if key[2] == SEEN}
    rows = list(columns.rows())
    rows.insert(1, Row(0, T0_NS, 1.0, flags=Flag.REFRESH))
    renewed = replace(whole, body=BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0))
    assert told(only([renewed])) == told(only([whole]))


def test_what_identifies_a_sample_does_not_depend_on_the_order_of_a_blocks_rows() -> None:
    """The history hands a block over sorted by time, the journal by tag: the same samples have the same rank."""
    for number in range(20):
        whole = samples(number)
        assert isinstance(whole.body, BatchBody)
        columns = whole.body.columns
        by_time = columns.select(np.lexsort((columns.tag, columns.time_ns)))
        by_tag = columns.select(np.lexsort((columns.time_ns, columns.tag)))
        got = [replace(whole, body=BatchBody(columns=one, first_ns=0, last_ns=0)) for one in (by_time, by_tag)]
        assert told(only(got[:1])) == told(only(got[1:]))


def test_a_stored_shipment_is_read_back_and_a_damaged_one_never() -> None:
    """Every array and text; a flipped or missing byte is told."""
    one = only([samples(number) for number in range(9)])
    data = pack(one)
    assert told(unpack(data)) == told(one)
    for at in range(0, len(data), 37):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]):
            with pytest.raises((ValueError, KeyError, TypeError)):
                unpack(damaged)


def test_cutting_and_joining_keeps_every_sample() -> None:
    """Any halving, any order of joining: the same samples; a block and an asset stay together where they can."""
    one = only([samples(number) for number in range(40)])
    for most in (1, 7, 50, 10_000):
        parts = cut(one, most)
        assert all(len(part) <= most for part in parts)
        assert told(merged(parts)) == told(one)
    first, second = halves(one) or (one, one)
    assert (first.number[-1], second.number[0]) != (first.number[0], first.number[0])
    starts = set(one.runs().tolist())
    assert len(first) in starts, "a block was cut where it need not be"
    assert halves(one.rows(0, 1)) is None


def test_a_run_begins_anew_where_the_same_block_comes_twice() -> None:
    """Handed over twice at once, its samples are there twice, each run whole."""
    one = only([samples(5), samples(5)])
    assert len(one.runs()) == 2 * len(only([samples(5)]).runs())


def test_what_is_live_and_what_is_late_go_apart() -> None:
    """Healed or older than a minute is late; each stream has a shipment of its own."""
    old = replace(samples(1), received_ns=T0_NS - int(LIVE_S * 1e9) - 1)
    later = samples(2, of=stream(b"stream-2"))
    got = gather([samples(0), old, later, samples(3, healed=True)], T0_NS)
    assert sorted((live, one.stream, *np.unique(one.number).tolist()) for live, one in got) == [
        (False, b"stream-1", 1, 3),
        (True, b"stream-1", 0),
        (True, b"stream-2", 2),
    ]


def test_a_large_hand_over_is_several_shipments_of_whole_blocks() -> None:
    """No block is in two of them."""
    chance = random.Random(3)
    rows = [Row(0, T0_NS + at, chance.random()) for at in range(9_000)]
    body = BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0)
    got = [one for _, one in gather([block(number, body) for number in range(7)], T0_NS)]
    assert [np.unique(one.number).tolist() for one in got] == [[0, 1, 2], [3, 4, 5], [6]]


def test_what_an_earlier_build_stored_is_read() -> None:
    """Its series had no conversion."""
    one = only([samples(3)])
    held = msgpack.unpackb(zstandard.ZstdDecompressor().decompress(pack(one)))
    held["series"] = [series[:6] for series in held["series"]]
    before = zstandard.ZstdCompressor().compress(msgpack.packb(held))
    assert unpack(before).series == one.series
