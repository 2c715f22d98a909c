"""Blocks for the historian's tests, and thresholds small enough that a few rows take the whole way into chunks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import NO_TIME, Flag, Row, Value, from_rows
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, OtherBody, StateBody, StreamDescription, TallyBody
from receiver.outputs.historian.codec import rollup
from receiver.outputs.historian.hot import fresh, sealing, shelves
from receiver.outputs.historian.output import HistorianOutput
from receiver.outputs.historian.read import Door
from receiver.outputs.historian.views import LatestView, SampleView, Scope

SECOND = 10**9
T0 = 1_763_884_800 * SECOND
BOOT = T0 // 1000
ALL = Scope()

ASSETS = (
    Asset(name="pump-7", site="north", vendors=("Acme",), serial="AP-3391"),
    Asset(name="relay-2", site="north", vendors=("Volta", "Acme"), kind="protection"),
    Asset(name="press-1", site="north", vendors=("Volta",), simulated=True),
)
TAGS = (
    Tag(id=0, asset="pump-7", name="pressure", unit="bar", type="float32"),
    Tag(id=1, asset="pump-7", name="running", type="bool"),
    Tag(id=2, asset="relay-2", name="trips", type="uint64"),
    Tag(id=3, asset="press-1", name="mode", type="string"),
    Tag(id=4, asset="press-1", name="count", type="int32"),
)


def stream(
    key: bytes = b"stream-1", boot: int = BOOT, tags: Sequence[Tag] = TAGS, assets: Sequence[Asset] = ASSETS
) -> StreamDescription:
    """A stream that describes these tags."""
    return StreamDescription(
        key=key,
        boot=boot,
        site="north",
        assets={asset.name: asset for asset in assets},
        tags={tag.id: tag for tag in tags},
    )


def block(
    of: StreamDescription,
    number: int,
    body: BatchBody | Page | StateBody | EventBody | TallyBody | OtherBody,
    *,
    healed: bool = False,
    received_ns: int = T0,
) -> OpenedBlock:
    """An opened block."""
    return OpenedBlock(stream=of, number=number, healed=healed, received_ns=received_ns, body=body)


def batch(rows: Sequence[Row], first_ns: int | None = None, last_ns: int | None = None) -> BatchBody:
    """A batch; its poller's times are those of its first and last row."""
    first = rows[0].time_ns if first_ns is None else first_ns
    last = rows[-1].time_ns if last_ns is None else last_ns
    return BatchBody(columns=from_rows(rows), first_ns=first, last_ns=last)


def some_value(chance: random.Random, tag: int) -> Value:
    """A value of the tag's type, or none."""
    if chance.random() < 0.05:
        return None
    return (
        round(chance.gauss(4, 1), 2),
        chance.random() < 0.5,
        chance.choice([0, 7, 2**63 + 5, 2**64 - 1]),
        chance.choice(["auto", "hand", "ärger", ""]),
        chance.randrange(-(2**31), 2**31),
    )[tag]


def some_blocks(
    chance: random.Random, of: StreamDescription, count: int, rows: int, *, begin_ns: int = T0
) -> list[OpenedBlock]:
    """Blocks 0 to `count - 1` of random rows, whose times repeat and run backwards now and then."""
    out = []
    for number in range(count):
        at = begin_ns + number * SECOND
        made = []
        for _ in range(chance.randrange(1, rows)):
            tag = chance.randrange(len(TAGS))
            value = some_value(chance, tag)
            quality = 0x80050000 if value is None else chance.choice([0, 0, 0, 0x40900000, 0x80000000])
            time_ns = at + chance.randrange(-3, 4) * SECOND // 2
            other = chance.choice([NO_TIME, time_ns + chance.randrange(10**6)])
            flags = Flag.REFRESH if chance.random() < 0.1 else 0
            made.append(Row(tag, time_ns, value, quality, chance.randrange(3), other, flags))
        out.append(
            block(of, number, batch(made, at, at + SECOND // 2), healed=chance.random() < 0.2, received_ns=at + SECOND)
        )
    return out


def expected(blocks: Iterable[OpenedBlock]) -> tuple[dict[str, list[SampleView]], dict[str, LatestView]]:
    """By asset and tag: the history and the current value that these blocks must give, worked out one by one."""
    history: dict[str, list[SampleView]] = {}
    latest: dict[str, LatestView] = {}
    for one in sorted(blocks, key=lambda b: (b.stream.boot, b.stream.key, b.number)):
        assert isinstance(one.body, BatchBody)
        for row in one.body.columns.rows():
            tag = one.stream.tags[row.tag]
            value = row.value
            if tag.type == "uint64" and isinstance(value, int) and value < 0:
                value += 2**64
            name = f"{tag.asset}/{tag.name}"
            latest[name] = LatestView(0, row.time_ns, row.other_ns, value, row.quality, row.native, one.received_ns)
            if not row.flags & Flag.REFRESH:
                history.setdefault(name, []).append(
                    SampleView(row.time_ns, value, row.quality, row.native, row.other_ns, one.healed)
                )
    for held in history.values():
        held.sort(key=lambda sample: sample.time_ns)  # stable: equal times stay in the sender's order
    return history, latest


def told(door: Door) -> tuple[dict[str, list[SampleView]], dict[str, LatestView]]:
    """The same, as the door tells it."""
    history: dict[str, list[SampleView]] = {}
    names: dict[int, str] = {}
    for view in [view for asset in door.assets() for view in door.tags(asset.asset.name)]:
        names[view.series] = f"{view.tag.asset}/{view.tag.name}"
        samples = door.samples(view.series, -(2**62), 2**62, None)
        if samples:
            history[names[view.series]] = samples
    latest = {names[one.series]: one._replace(series=0) for one in door.latest()[0]}
    return history, latest


def opened(folder: Path, clock_ns: int = T0) -> HistorianOutput:
    """A historian whose clock stands still and that may not wait."""
    return HistorianOutput(folder, clock=lambda: clock_ns, wait=never)


def never(seconds: float) -> None:
    """The wait of a test in which nothing may wait."""
    raise AssertionError(f"waited {seconds} s")


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every threshold so small that rows move on at once."""
    for (module, name), value in SMALL.items():
        monkeypatch.setattr(module, name, value)


SMALL: Mapping[tuple[ModuleType, str], int] = {
    (fresh, "FRESH_ROWS"): 24,
    (fresh, "FRESH_GROUPS"): 4,
    (shelves, "MERGE_PIECES"): 3,
    (shelves, "SEAL_ROWS"): 48,
    (shelves, "LEAST_ROWS"): 6,
    (sealing, "CHUNK_ROWS"): 8,
    (rollup, "LEAST_ROWS"): 2,
}
