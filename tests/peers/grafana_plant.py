"""A small plant of two minutes for the dashboards, its samples as blocks, and what of them each panel must show.

Names are such that a query which does not quote them breaks. What is wanted is worked out here sample by sample, from
the rows alone, and knows nothing of any query.

    pressure   good; from 40 s buckets with one uncertain sample, one bad value, one without a value, and two of nothing
    energy     an outlier among ordinary numbers, stamped by its device; strokes is exact beyond 2**53
    level      bar, then kPa
    running, mode, lost   truth, text, and a tag whose newest sample has no value
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from protocol.content.catalog import Asset, Tag
from protocol.content.sample import NO_TIME, Row, Value, from_rows, severity
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, StreamDescription

SECOND = 10**9
START_S = 1_763_884_800
"""When it begins [s since 1970]."""
LENGTH_S, BUCKET_S = 120, 10
SITE, PUMP, PRESS = "north (old)", "pump-7, 'east'", 'press "A", 1'
UNCERTAIN, BAD = 0x40930000, 0x808C0000
HEALED_FROM_S = 90
"""Blocks from here on had been missing and came late."""

TAGS = (
    Tag(id=0, asset=PUMP, name="pressure.out", unit="bar", type="float64"),
    Tag(id=1, asset=PUMP, name="energy", type="float64"),
    Tag(id=2, asset=PUMP, name="running", type="bool"),
    Tag(id=3, asset=PRESS, name="mode/2", type="string"),
    Tag(id=4, asset=PRESS, name="level", unit="bar", type="float64"),
    Tag(id=5, asset=PRESS, name="lost", unit="%", type="float64"),
    Tag(id=6, asset=PRESS, name="strokes", type="uint64"),
)
BEFORE = {tag.id: tag for tag in TAGS}
LATER = {**BEFORE, 4: Tag(id=4, asset=PRESS, name="level", unit="kPa", type="float64")}
CHANGED_S = 60
"""When the unit of `level` changes."""


@dataclass(frozen=True, slots=True)
class PlantSample:
    """A sample and what it is of."""

    tag: Tag
    row: Row
    healed: bool

    @property
    def quality(self) -> int:
        """192, 64 or 0."""
        return (192, 64, 0)[severity(self.row.quality)]

    @property
    def bucket_s(self) -> int:
        """When its bucket begins [s since 1970]."""
        return self.row.time_ns // SECOND // BUCKET_S * BUCKET_S


def samples() -> Iterator[PlantSample]:
    """All of them, in order of time; none lies on the edge of a bucket."""
    for second in range(1, LENGTH_S):
        at = (START_S + second) * SECOND + SECOND // 2
        for tag in (LATER if second >= CHANGED_S else BEFORE).values():
            for value, quality in _values(tag, second):
                yield PlantSample(
                    tag, Row(tag.id, at, value, quality, 0, _second_time(tag, at)), second >= HEALED_FROM_S
                )


def _second_time(tag: Tag, at: int) -> int:
    """`energy` is stamped by its device: up to 120 ms later, once by a clock of 1684; nothing else is."""
    if tag.name == "energy" and at // SECOND == START_S + 25:
        return -9 * 10**18
    return at + at // SECOND % 7 * 20_000_000 if tag.name == "energy" else NO_TIME


def _values(tag: Tag, second: int) -> list[tuple[Value, int]]:
    bucket, ordinary = second // BUCKET_S, 4 + second / 64
    if tag.name == "pressure.out":
        if second % 2 or bucket in (7, 8):
            return []
        odd = second % BUCKET_S == 4
        if bucket == 5 and odd:
            return [(999.0, BAD)]
        return [(None, BAD) if bucket == 6 and odd else (ordinary, UNCERTAIN if bucket == 4 and odd else 0)]
    if second % 5:
        return []
    if tag.name == "energy":
        return [(2.5e12 if second == 15 else ordinary, 0)]
    if tag.name == "strokes":
        return [(2**53 + 1 if second == 115 else second, 0)]
    if tag.name == "lost":
        return [(None, BAD) if second > 100 else (50.0, 0)]
    odd_values: dict[str, Value] = {"running": second % 2 == 0, "mode/2": f"auto 'x' {second}"}
    return [(odd_values.get(tag.name, ordinary), 0)]


def blocks() -> list[OpenedBlock]:
    """A block of samples each bucket, and then what happened."""
    held: dict[int, list[PlantSample]] = defaultdict(list)
    for one in samples():
        held[one.bucket_s].append(one)
    out = []
    for number, (begin_s, rows) in enumerate(sorted(held.items())):
        body = BatchBody(columns=from_rows([one.row for one in rows]), first_ns=0, last_ns=0)
        later = begin_s >= START_S + CHANGED_S
        out.append(
            _block(
                number,
                body,
                tags=LATER if later else BEFORE,
                key=b"later..." if later else b"before..",
                healed=rows[0].healed,
            )
        )
    happened: tuple[EventBody | StateBody, ...] = (*EVENTS, *STATES)
    return out + [_block(1000 + at, one) for at, one in enumerate(happened)]


EVENTS = tuple(
    EventBody(
        asset=PUMP,
        source="trip",
        time_ns=(START_S + second) * SECOND,
        severity=severity,
        code="T-3",
        text=text,
        state=state,
        sequence=severity,
    )
    for second, severity, text, state in ((31, 900, 'oil "low", now', "active"), (52, 400, "oil is back", "cleared"))
)
STATES = tuple(
    StateBody(asset=PRESS, time_ns=(START_S + second) * SECOND, what=what, text=text)
    for second, what, text in ((72, "down", "no answer"), (91, "up", "it answers"))
)


def _block(
    number: int,
    body: BatchBody | EventBody | StateBody,
    *,
    tags: dict[int, Tag] = LATER,
    key: bytes = b"later...",
    healed: bool = False,
) -> OpenedBlock:
    assets = {name: Asset(name=name, site=SITE) for name in (PUMP, PRESS)}
    of = StreamDescription(key=key, boot=1, site=SITE, assets=assets, tags=tags)
    return OpenedBlock(stream=of, number=number, healed=healed, received_ns=START_S * SECOND, body=body)
