"""Laws of the messages: every line is JSON and whole, a message has one block and asset, ids are made of content."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from shipping_fake import keys

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Row, from_rows
from receiver.outputs.base import BatchBody, OpenedBlock, StreamDescription
from receiver.outputs.shipping.messages import PART_BYTES, messages
from receiver.outputs.shipping.shipment import Shipment, gather
from receiver.outputs.testing.feed import T0_NS, block, samples


def shipment(*blocks: OpenedBlock) -> Shipment:
    """The one shipment of these blocks."""
    ((_, one),) = gather(blocks, T0_NS)
    return one


def odd(rows: list[Row], **tag: Any) -> OpenedBlock:
    """A block of one tag with names that nobody should give."""
    name = 'a"b\\c\n\0ü'
    of = StreamDescription(
        key=b"stream-9",
        boot=7,
        site=name,
        assets={name: Asset(name=name, simulated=True)},
        tags={0: Tag(id=0, asset=name, name=name, **tag)},
    )
    return block(3, BatchBody(columns=from_rows(rows), first_ns=0, last_ns=0), of=of, healed=True)


def test_every_sample_is_a_line_once_and_knows_itself() -> None:
    """All lines of all messages together: each sample by what identifies it, ids all different."""
    one = shipment(*(samples(number) for number in range(50)))
    told = list(messages(one, 10**6))
    lines = [json.loads(line) for each in told for line in each.body.split(b"\n")]
    got = [(bytes.fromhex(x["stream"]), x["number"], x["asset"], x["rank"]) for x in lines]
    assert got == keys(one)
    assert len({each.id for each in told}) == len(told)
    for each in told:
        some = [json.loads(line) for line in each.body.split(b"\n")]
        assert {(x["number"], x["asset"]) for x in some} == {(some[0]["number"], each.asset)}


def test_a_value_is_written_whole() -> None:
    """Numbers to the last digit, uint64, no number, texts of any kind, and what else a sample has."""
    rows = [
        Row(0, -5, 0.1),
        Row(0, T0_NS, float("nan"), 0x40000000, 7, T0_NS + 1),
        Row(0, T0_NS, float("-inf")),
        Row(0, T0_NS, 2**64 - 1),
        Row(0, T0_NS, True),
        Row(0, T0_NS, 'say "\0\n"'),
        Row(0, T0_NS, None),
    ]
    (told,) = messages(shipment(odd(rows, type="uint64", unit="bar")), 10**6)
    lines = [json.loads(line) for line in told.body.split(b"\n")]
    assert [line["value"] for line in lines] == [0.1, None, None, 2**64 - 1, True, 'say "\0\n"', None]
    assert [line.get("text") for line in lines] == [None, "NaN", "-Infinity", None, None, None, None]
    assert [line["time_ns"] for line in lines[:2]] == [-5, T0_NS]
    second = lines[1]
    assert (second["quality"], second["native"], second["other_ns"]) == (0x40000000, 7, T0_NS + 1)
    assert all(line["healed"] and line["simulated"] for line in lines)
    assert all(line["tag"] == line["asset"] == line["site"] == 'a"b\\c\n\0ü' for line in lines)
    assert told.id.isascii()
    assert told.id.isprintable()
    (signed,) = messages(shipment(odd([Row(0, 0, -(2**63))], type="int64")), 10**6)
    assert json.loads(signed.body)["value"] == -(2**63)


def test_a_message_is_parted_at_its_bound_and_a_line_never() -> None:
    """The same parts each time: ids depend on what is in them, and on nothing that came with them."""
    rows = [Row(0, T0_NS + at, "x" * (at % 700)) for at in range(3000)]
    one = shipment(odd(rows, type="string"))
    told = list(messages(one, 10**9))
    assert len(told) > 3
    assert all(len(each.body) <= PART_BYTES for each in told)
    assert [row for each in told for row in each.rows] == list(range(3000))
    other = replace(odd(rows, type="string"), number=2)
    beside = list(messages(shipment(other, odd(rows, type="string")), 10**9))
    assert [each.id for each in beside][len(told) :] == [each.id for each in told]
    small = list(messages(one, 100))
    assert [len(each.rows) for each in small] == [1] * 3000


def test_a_message_says_how_its_values_are_made() -> None:
    """Where a scale changes, a reader sees that the values before and after are not one quantity."""
    told = [
        message
        for number, scale in enumerate(("", "int16 x 0.1"))
        for message in messages(shipment(replace(odd([Row(0, T0_NS, 1.0)], conversion=scale), number=number)), 10**6)
    ]
    assert [json.loads(one.body).get("conversion") for one in told] == [None, "int16 x 0.1"]
