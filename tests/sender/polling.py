"""A plant without hardware for the poller's tests: virtual time, scripted collectors, a sink that checks its rules."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np

from collectors.base import Collector, Device, Event, Facts, Identity, Request, Scan
from protocol.content.catalog import Asset, Tag, meaning_of
from protocol.content.sample import Columns, Flag, Row, ValueKind, columns
from protocol.errors import ConfigError
from sender.poll.config import SenderConfig, load
from sender.poll.poller import Poller

EPOCH_NS = 1_700_000_000_000_000_000
"""Wall time at virtual time 0."""


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: what would be waited for has just passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody waits."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run_virtual(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


def points_of(scan: Scan) -> list[int]:
    """Every point number of a scan."""
    return [point.number + index for point in scan.points for index in range(point.count)]


class Fake(Collector):
    """A collector by script: `reads` is asked at every read, `opens` at every open."""

    protocol = "fake"
    opens: ClassVar[Callable[[Fake], Awaitable[None]]]
    reads: ClassVar[Callable[[Fake, Scan], Awaitable[Any]]]
    told: ClassVar[Mapping[int, Facts]]
    who: ClassVar[Identity]
    held: ClassVar[Mapping[str, int]] = {}
    made: ClassVar[list[Fake]]

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        self.opened: list[float] = []
        self.read_at: list[tuple[float, float]] = []
        self.closed = 0
        self.inside = 0
        type(self).made.append(self)

    @classmethod
    def check(cls, device: Device) -> list[str]:
        wrong = [] if device.url.startswith("fake:") else [f"url: {device.url!r} is not fake:; write fake:1"]
        bad = [point for scan in device.scans for point in scan.points if not point.at.isdigit()]
        return wrong + [f"tags.{point.name}.at: {point.at!r} is no number; write 0" for point in bad]

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        return [
            Request(what="read all", every_s=scan.every_s, points=len(scan.points), request_bytes=12, reply_bytes=100)
            for scan in device.scans
        ]

    async def open(self) -> None:
        self.opened.append(asyncio.get_running_loop().time())
        await type(self).opens(self)

    async def read(self, scan: Scan) -> Columns:
        assert self.inside == 0, "two coroutines in one collector"
        self.inside += 1
        try:
            self.read_at.append((asyncio.get_running_loop().time(), scan.every_s))
            got: Columns = await type(self).reads(self, scan)
            return got
        finally:
            self.inside -= 1

    async def close(self) -> None:
        self.closed += 1

    def facts(self) -> Mapping[int, Facts]:
        return type(self).told

    def identity(self) -> Identity:
        return type(self).who

    def certificates(self) -> Mapping[str, int]:
        return type(self).held


async def opens_at_once(_: Fake) -> None:
    """A device that is there."""


async def steady(fake: Fake, scan: Scan) -> Columns:
    """One float a point, the number of seconds."""
    numbers = points_of(scan)
    return columns(numbers, fake.clock(), np.full(len(numbers), float(fake.clock() - EPOCH_NS) / 1e9))


def scripted(
    reads: Callable[[Fake, Scan], Awaitable[Any]] = steady,
    *,
    opens: Callable[[Fake], Awaitable[None]] = opens_at_once,
    facts: Mapping[int, Facts] | None = None,
    identity: Identity | None = None,
    subscribes: bool = False,
) -> type[Fake]:
    """A collector class of its own."""
    members = {
        "reads": staticmethod(reads),
        "opens": staticmethod(opens),
        "told": facts or {},
        "who": identity or Identity(),
        "made": [],
        "subscribes": subscribes,
    }
    return type("Scripted", (Fake,), members)


@dataclass
class Memory:
    """A sink that keeps everything and asserts what a sink may rely on."""

    loop: asyncio.AbstractEventLoop
    assets: dict[str, Asset] = field(default_factory=dict)
    tags: dict[int, Tag] = field(default_factory=dict)
    taken: list[tuple[float, str, Columns]] = field(default_factory=list)
    states: list[tuple[float, str, str, str]] = field(default_factory=list)
    events: list[tuple[float, str, Event]] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    certificate_s: float = 0.0

    def samples(self, asset: str, columns: Columns, read: int) -> None:
        ids = columns.tag.tolist()
        assert all(self.tags[one].asset == asset for one in ids), "a sample of a tag that was not described"
        assert read == sum(not flags & Flag.REFRESH for flags in columns.flags.tolist())
        self.taken.append((self.loop.time(), asset, columns))
        self.read[asset] = self.read.get(asset, 0) + read

    def catalog(self, assets: Mapping[str, Asset], tags: Sequence[Tag]) -> None:
        self.assets.update(assets)
        for tag in tags:
            assert tag.asset in self.assets
            assert tag.id not in self.tags or meaning_of(self.tags[tag.id]) == meaning_of(tag), "an id changed meaning"
            self.tags[tag.id] = tag

    def event(self, asset: str, event: Event, sequence: int) -> None:
        assert sequence == 1 + sum(who == asset for _, who, _ in self.events)
        self.events.append((self.loop.time(), asset, event))

    def state(self, asset: str, time_ns: int, what: str, text: str) -> None:
        self.states.append((self.loop.time(), asset, what, text))

    def rows(self, asset: str) -> list[tuple[float, str, Row]]:
        """(virtual time, tag name, row) of everything that came of an asset."""
        return [
            (at, self.tags[row.tag].name, row) for at, who, taken in self.taken if who == asset for row in taken.rows()
        ]

    def said(self, asset: str, *what: str) -> list[str]:
        """Kinds of states of an asset, in order."""
        return [kind for _, who, kind, _ in self.states if who == asset and (not what or kind in what)]


def sender_toml(assets: str, *, head: str = "") -> str:
    """A file that is right, with these assets."""
    top = 'site = "north"\n[outlet]\nto = "127.0.0.1:5005"\n[keys]\nown = "keys/high"\nreceivers = ["keys/low.pub"]\n'
    return (head or top) + assets


def asset_toml(name: str, *tags: str, every: str = "1s", collector: str | None = None, more: str = "") -> str:
    """One asset with one scan."""
    listed = "".join(f"  {{ {tag} }},\n" for tag in tags)
    kind = collector or name
    return (
        f'[[asset]]\nname = "{name}"\ncollector = "{kind}"\nurl = "fake:1"\n{more}\n'
        f'[[asset.scan]]\nevery = "{every}"\ntags = [\n{listed}]\n'
    )


def loaded(folder: Path, text: str, kinds: Mapping[str, type[Collector]]) -> SenderConfig:
    """Write and load a configuration whose collectors are these."""

    def find(name: str) -> type[Collector]:
        if name not in kinds:
            raise ConfigError(f"collector {name!r} is not installed", hint="installed are: fake")
        return kinds[name]

    path = folder / "sender.toml"
    path.write_text(text)
    return load(path, find=find)


def poll_for(config: SenderConfig, seconds: float, *, meanwhile: Callable[[Memory], None] | None = None) -> Memory:
    """Poll for so many virtual seconds; afterwards every collector that was made is closed."""
    kept: list[Memory] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sink = Memory(loop)
        kept.append(sink)
        poller = Poller(
            config,
            sink,
            clock=lambda: EPOCH_NS + round(loop.time() * 1e9),
            monotonic=loop.time,
            random=Random(7),
        )
        task = asyncio.create_task(poller.run())
        await asyncio.sleep(seconds)
        if task.done():
            task.result()
        if meanwhile:
            meanwhile(sink)
        task.cancel()
        await asyncio.wait({task})
        status = poller.status()
        for name, counts in status.items():
            assert counts["read"] == sink.read.get(name, 0)
        sink.status, sink.warnings = status, poller.warnings()
        sink.certificate_s = poller.certificate_s()

    run_virtual(main())
    return kept[0]


def bad_rows(rows: Sequence[tuple[float, str, Row]]) -> list[tuple[float, str, Row]]:
    """Those of bad quality; each has no value."""
    out = [one for one in rows if one[2].quality >> 31]
    assert all(row.value is None for _, _, row in out)
    return out


def kinds_of(rows: Columns) -> set[ValueKind]:
    """Which kinds of value are there."""
    return {ValueKind(one) for one in rows.kind.tolist()}
