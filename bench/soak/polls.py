"""The plant of `bench soak`, in place of devices: `python -m bench.soak.polls FOLDER TAGS RATE`.

    one asset of 200 tags ("hall"), the others share the rest: 20 of them, more where they would pass 200 tags each

It drives the sender's own packer and spool as `send --only poll` does, with the mix of `bench.mix`, until SIGTERM;
`send --only emit` does the rest. Every tag is read at the same period, each asset at its own moment within it, and a
sample carries the wall time of its poll, so that delays can be told from it.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.mix import signals
from protocol import keys
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Quality, ValueKind
from protocol.process.statusfile import PERIOD, write_status
from sender.link_file import load as load_link
from sender.store.pack import Packer
from sender.store.spool import Spool

HALL = "hall"
"""The asset with the most tags."""
HALL_TAGS = 200
ASSETS = 20
"""Beside the hall, at least."""
LOOK_S = 0.005
"""Longest time between two looks at what is due [s], as in `send`."""
FIRST = 1000
"""The first tag's id, as `signals` counts."""

STATES = ("RUNNING", "STOPPED", "FAULT 17")
BAD = np.uint32(Quality.BAD_SENSOR_FAILURE)

_TYPES = {ValueKind.FLOAT: "float64", ValueKind.INT: "int64", ValueKind.BOOL: "bool", ValueKind.TEXT: "string"}


class SoakAsset:
    """One asset: its tags, and its polls one after another, never the same again."""

    def __init__(self, name: str, tags: tuple[Tag, ...], first: Columns) -> None:
        """
        Args:
            name: Of the asset.
            tags: In the order of `first`.
            first: One poll of them, from `signals`.
        """
        self.name, self.tags, self._now = name, tags, first
        self._random = random = np.random.default_rng(first.tag[0])
        floats, ints = len(first.floats), len(first.ints)
        self._step = random.choice([0.01, 0.05, 0.1, 0.5], floats)
        self._narrow = random.random(floats) < 0.3
        self._rate = random.choice([0.2, 3.0, 40.0, 0.0], ints, p=[0.26, 0.26, 0.25, 0.23])

    def poll(self, time_ns: int) -> Columns:
        """The next poll, all at this time: each kind of signal moves as `signals` says."""
        random, before = self._random, self._now
        walk = before.floats + random.normal(0.0, 1.2, len(self._step)) * self._step
        floats = np.round(np.round(walk / self._step) * self._step, 2)
        floats[self._narrow] = floats[self._narrow].astype(np.float32)
        self._now = dataclasses.replace(
            before,
            time_ns=np.full(len(before), time_ns),
            floats=floats,
            ints=before.ints + random.poisson(self._rate),
            bools=before.bools ^ (random.random(len(before.bools)) < 0.02),
            texts=tuple(random.choice(STATES) if random.random() < 0.03 else text for text in before.texts),
            quality=np.where(random.random(len(before)) < 0.001, BAD, np.uint32(0)),
        )
        return self._now


def shares(tags: int) -> dict[str, int]:
    """Tags of each asset; the hall has at most half of them."""
    hall = min(HALL_TAGS, tags // 2)
    rest = tags - hall
    assets = max(ASSETS, -(-rest // HALL_TAGS))
    return {HALL: hall} | {f"unit-{at:03}": rest * (at + 1) // assets - rest * at // assets for at in range(assets)}


def plant(tags: int, period_s: float) -> list[SoakAsset]:
    """Every asset, read every `period_s`; ids from `FIRST` up."""
    sizes = shares(tags)
    rows = signals(tags, 1)
    machines, at = [], 0
    for name, size in sizes.items():
        named = tuple(
            _tag(name, number, ValueKind(int(rows.kind[number])), period_s) for number in range(at, at + size)
        )
        machines.append(SoakAsset(name, named, rows.select(np.arange(at, at + size))))
        at += size
    return machines


def _tag(asset: str, number: int, kind: ValueKind, period_s: float) -> Tag:
    number_like = kind == ValueKind.FLOAT
    return Tag(
        id=FIRST + number,
        asset=asset,
        name=f"point_{number:05}",
        type=_TYPES[kind],
        unit="bar" if number_like else "",
        description=f"measured at place {number}",
        low=0.0 if number_like else None,
        high=500.0 if number_like else None,
        normal_low=1.0 if number_like else None,
        normal_high=450.0 if number_like else None,
        scan_s=period_s,
        max_silence_s=period_s,
        address=f"holding:{2 * number}",
    )


class _SoakPlant:
    def __init__(self, folder: Path, tags: int, rate: int) -> None:
        link = load_link(folder / "sender.toml")
        publics = [key for path in link.keys.receivers for key in keys.load_public(path)]
        self.state = link.state
        self.spool = Spool(link.state, keep_s=1e6, most_bytes=10**11, now=time.monotonic())
        self.packer = Packer(
            site="bench",
            boot=self.spool.next_boot(time.time_ns()),
            geometry=link.outlet.geometry,
            signer=keys.load(link.keys.own, "sign"),
            receivers=[key for key in publics if key.kind == "open"],
            previous=self.spool.previous(),
            append=self.spool.append,
            entropy=os.urandom,
            wall=time.time_ns,
            now=time.monotonic,
            room=lambda: self.spool.room,
        )
        self.period_s = tags / rate
        self.machines = plant(tags, self.period_s)
        self.late = 0
        """Polls that were left out because this process could not keep up."""

    def run(self) -> None:
        """Poll every asset when it is due, until SIGTERM or SIGINT."""
        stop: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _: stop.append(got))
        assets = {one.name: Asset(name=one.name, site="bench", collector="modbus") for one in self.machines}
        self.packer.catalog(assets, [tag for one in self.machines for tag in one.tags])
        for one in self.machines:
            self.packer.state(one.name, time.time_ns(), "up", "")
        gc.collect()
        gc.freeze()
        turns = self._turns()
        due, machine = next(turns)
        said = 0.0
        while not stop:
            now = time.monotonic()
            while due <= now:
                if now - due > 1.0:
                    self.late += 1
                else:
                    self.packer.samples(machine.name, machine.poll(time.time_ns()), len(machine.tags))
                due, machine = next(turns)
            self.packer.tick()
            self.spool.tick(now)
            if now >= said + PERIOD:
                said = now
                self._say()
            wanted = min(due, self.packer.deadline(), self.spool.deadline(now))
            time.sleep(min(max(wanted - time.monotonic(), 0.0005), LOOK_S))
        self.packer.finish()
        self.spool.close(time.monotonic())
        self._say()

    def _turns(self) -> Iterator[tuple[float, SoakAsset]]:
        """When which asset is read."""
        start, step = time.monotonic(), self.period_s / len(self.machines)
        at = 0
        while True:
            yield start + at * step, self.machines[at % len(self.machines)]
            at += 1

    def _say(self) -> None:
        counts = self.packer.counts()
        status = {
            "counts": {asset: {"read": read, "sent": sent} for asset, (read, sent) in counts.items()},
            "spool": self.spool.status(),
            "late": self.late,
            "not_kept": self.packer.refused,
        }
        write_status(self.state, "poll", status, time_ns=time.time_ns())


if __name__ == "__main__":
    _SoakPlant(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).run()
