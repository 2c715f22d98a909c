"""Rates on the wire that need no network: packer, spool and emitter on virtual time, every frame counted."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from pathlib import Path

import numpy as np

from bench.mix import signals
from protocol import keymaking, keys
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns
from sender.emit.emitter import Emitter
from sender.emit.link_session import LinkTerms
from sender.emit.pace import wire_bytes
from sender.geometry import Geometry
from sender.store.pack import Packer
from sender.store.spool import Spool

RATE = 20e6 / 8
REPEAT = (20.0, 900.0)


def idle_kbit() -> float:
    """Wire rate with 1,000 described tags and no samples [kb/s], over ten minutes after the first."""
    early, _ = _wire(tags=1000, per_second=0, seconds=60.0)
    whole, _ = _wire(tags=1000, per_second=0, seconds=660.0)
    return (whole - early) * 8e-3 / 600


def bytes_per_sample(per_second: int) -> float:
    """Wire bytes for each sample, all copies and all else counted: as many seconds as both repeats need."""
    size, samples = _wire(tags=per_second, per_second=per_second, seconds=30.0)
    return size / samples


def _wire(*, tags: int, per_second: int, seconds: float) -> tuple[int, int]:
    """(bytes on the wire, samples) of a sender that samples for so long; repeats are sent out at the end."""
    with tempfile.TemporaryDirectory(prefix="checkvalve-bench-") as name:
        plant = _QuietPlant(Path(name), tags)
        size = samples = 0
        rows = signals(tags, max(1, round(seconds))) if per_second else None
        for tick in range(round(seconds * 100)):
            if rows is not None and tick % 100 == 0:
                part = _poll(rows, tick // 100, tags, plant.wall)
                plant.packer.samples("a", part, len(part))
                samples += len(part)
            size += plant.step()
        if per_second:
            size += plant.repeats()
        return size, samples


def _poll(rows: Columns, poll: int, tags: int, wall: int) -> Columns:
    part = rows.select(np.arange(poll * tags, (poll + 1) * tags))
    return dataclasses.replace(part, time_ns=np.full(len(part), wall))


class _QuietPlant:
    def __init__(self, folder: Path, tags: int) -> None:
        for side in ("high", "low"):
            keymaking.make(side, folder / side)
        self.now, self.wall = 1000.0, 1_800_000_000_000_000_000
        entropy = random.Random(1).randbytes
        geometry = Geometry(width=1424, rate=RATE, repeats=len(REPEAT), loss=None)
        self.spool = Spool(folder / "state", keep_s=1e9, most_bytes=10**12, now=self.now)
        self.packer = Packer(
            site="bench",
            boot=self.spool.next_boot(self.wall),
            geometry=geometry,
            signer=keys.load(folder / "high", "sign"),
            receivers=[keys.load(folder / "low", "open").public],
            previous=None,
            append=self.spool.append,
            entropy=entropy,
            wall=lambda: self.wall,
            now=lambda: self.now,
        )
        named = [Tag(id=1000 + at, asset="a", name=f"area/unit/tag_{at}", unit="bar") for at in range(tags)]
        self.packer.catalog({"a": Asset(name="a", vendors=("Acme",))}, named)
        link = LinkTerms(
            mtu=1500,
            spread_s=0.05,
            repeat=REPEAT,
            geometry=geometry,
            signer=keys.load(folder / "high", "link-sign"),
            receivers=[keys.load(folder / "low", "catch").public],
            boot=1,
            entropy=entropy,
            wall=lambda: self.wall,
            synced=lambda: 1,
        )
        self.emitter = Emitter(self.spool.folder, link, self.now)

    def step(self, seconds: float = 0.01) -> int:
        """Let time pass; bytes that left."""
        self.now += seconds
        self.wall += int(seconds * 1e9)
        self.packer.tick()
        self.spool.tick(self.now)
        size = 0
        while (parcel := self.emitter.next(self.now)) is not None:
            size += wire_bytes(len(parcel.frames), parcel.count)
            self.emitter.left(parcel)
        return size

    def repeats(self) -> int:
        """What both repeats of everything so far weigh, with all that a link says beside the samples meanwhile."""
        before = self.emitter.repeats.deadline()
        size = ticks = 0
        while self.emitter.repeats.deadline() is not None and before is not None and ticks < 20_000:
            size += self.step(0.05)
            ticks += 1
        return size
