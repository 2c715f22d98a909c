"""Blocks for tests of outputs: a small plant of two vendors, every type of value, every kind of content.

What an output must hold of them is a `Counter` of facts, one a sample. Times of a tag are unlike each other, but in
what `twin` and `doubled` make.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Flag, Row, Value, concat, from_rows
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, OtherBody, StateBody, StreamDescription, TallyBody

SECOND_NS = 10**9
T0_NS = 1_763_884_800 * SECOND_NS
"""When the first block was read [ns since 1970 UTC]."""
SEEN, UNSEEN = "pump-7", "press-1"
"""An asset of each vendor: what a scope lets through, and what it does not."""
VENDOR = "Acme Pumps"
"""The vendor of SEEN."""

ASSETS = (
    Asset(name=SEEN, site="north", vendors=(VENDOR,), serial="AP-3391"),
    Asset(name=UNSEEN, site="north", vendors=("Volta",), simulated=True),
)
TAGS = (
    Tag(id=0, asset=SEEN, name="pressure", unit="bar", type="float32"),
    Tag(id=1, asset=SEEN, name="running", type="bool"),
    Tag(id=2, asset=SEEN, name="energy", type="uint64"),
    Tag(id=3, asset=SEEN, name="mode", type="string"),
    Tag(id=4, asset=UNSEEN, name="strokes", type="int32"),
)


class Fact(NamedTuple):
    """One sample as a destination must have it."""

    asset: str
    tag: str
    time_ns: int
    value: Value
    """Number, truth or text; None where the device gave none."""


def stream(key: bytes = b"stream-1", boot: int = T0_NS // 1000) -> StreamDescription:
    """A stream that describes the plant; a later one has a larger `boot`."""
    return StreamDescription(
        key=key,
        boot=boot,
        site="north",
        assets={asset.name: asset for asset in ASSETS},
        tags={tag.id: tag for tag in TAGS},
    )


def block(
    number: int,
    body: BatchBody | Page | StateBody | EventBody | TallyBody | OtherBody,
    *,
    of: StreamDescription | None = None,
    healed: bool = False,
) -> OpenedBlock:
    """An opened block."""
    received_ns = T0_NS + number * SECOND_NS
    return OpenedBlock(stream=of or stream(), number=number, healed=healed, received_ns=received_ns, body=body)


def samples(number: int, *, of: StreamDescription | None = None, healed: bool = False) -> OpenedBlock:
    """A block of 1 to 20 samples of all tags, always the same for its number."""
    chance = random.Random(number)
    rows = []
    for at in range(chance.randrange(1, 21)):
        tag = chance.randrange(len(TAGS))
        value = None if chance.random() < 0.1 else _value(chance, tag)
        quality = 0x80050000 if value is None else chance.choice((0, 0, 0x40900000))
        rows.append(Row(tag, T0_NS + number * SECOND_NS + at * 1_000_000, value, quality))
    body = BatchBody(columns=from_rows(rows), first_ns=rows[0].time_ns, last_ns=rows[-1].time_ns)
    return block(number, body, of=of, healed=healed)


def twin(one: OpenedBlock, number: int, *, healed: bool = False) -> OpenedBlock:
    """Another block whose samples have the same tags and times: the device's clock stood, or was set back."""
    return replace(one, number=number, healed=healed)


def doubled(one: OpenedBlock) -> OpenedBlock:
    """The block with each of its samples twice."""
    assert isinstance(one.body, BatchBody)
    return replace(one, body=replace(one.body, columns=concat([one.body.columns, one.body.columns])))


def odd(number: int) -> OpenedBlock:
    """A block of what careless devices and wrong clocks give, each sample of another time."""
    values: Mapping[int, Sequence[Value]] = {
        0: (float("nan"), float("inf"), float("-inf"), 1.7e308, 5e-324, -0.0, True, "no number"),
        2: (-1, -(2**63), 2**63 - 1),
        3: ("", "\0", "a\nb\r\t\x7f", "x" * 100_000, "\\", 5, None),
    }
    times = (-(10**9), -1, 0, 1, 32_503_680_000 * SECOND_NS // 10)
    rows = [
        Row(tag, T0_NS + number * SECOND_NS + at * 1_000_000, value)
        for tag, each in values.items()
        for at, value in enumerate(each)
    ]
    rows += [Row(0, at, 1.0) for at in times]
    return block(number, BatchBody(columns=from_rows(rows), first_ns=T0_NS, last_ns=T0_NS))


def others(first: int) -> list[OpenedBlock]:
    """A block of every kind of content besides samples, and one of a kind that nobody knows."""
    at = T0_NS + first * SECOND_NS
    bodies: tuple[Page | StateBody | EventBody | TallyBody | OtherBody, ...] = (
        Page(index=0, assets=ASSETS, tags=TAGS),
        StateBody(asset=SEEN, time_ns=at, what="down", text="no answer"),
        StateBody(asset="", time_ns=at, what="note", text="of the sender itself"),
        EventBody(
            asset=SEEN, source="trip", time_ns=at, severity=900, code="T-3", text="oil", state="active", sequence=1
        ),
        TallyBody(time_ns=at, number=first, assets={SEEN: (10, 9)}),
        OtherBody(kind=99, body={"from": "a later sender"}),
    )
    return [block(first + at, body) for at, body in enumerate(bodies)]


def facts(blocks: Iterable[OpenedBlock]) -> Counter[Fact]:
    """What a destination must hold of these blocks, each once."""
    return Counter(fact for one in blocks if isinstance(one.body, BatchBody) for fact in _facts(one.stream, one.body))


def _facts(of: StreamDescription, body: BatchBody) -> Sequence[Fact]:
    out = []
    for row in body.columns.rows():
        tag, value = of.tags[row.tag], row.value
        if tag.type == "uint64" and isinstance(value, int) and value < 0:
            value += 2**64
        if not row.flags & Flag.REFRESH:
            out.append(Fact(tag.asset, tag.name, row.time_ns, value))
    return out


def _value(chance: random.Random, tag: int) -> Value:
    return (
        round(chance.gauss(4, 1), 3),
        chance.random() < 0.5,
        chance.choice((0, 7, 2**53 - 1)),
        chance.choice(("auto", "hand", "ärger", 'a "b", c=d')),
        chance.randrange(-(2**31), 2**31),
    )[tag]
