"""Polling: every device read by its schedule, what came named and thinned, and handed to the packer.

    DeviceLoop -> rows by point number -> Validity -> Deadband -> Ids -> Sink     one task a device, columns all the way
                                              +-> Alarms -> events

A new stream begins with each `Poller`: ids are its own. What the configuration knows is described in one call at the
start; what only the device can say (a type, a firmware) when it was reached. First reads are spread over a period, so
that devices do not all speak at the same moment.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

import numpy as np

from collectors.base import Collector, Event, Facts, Identity
from protocol.catalog import Asset, Tag
from protocol.errors import ConfigError, StoreError
from protocol.sample import Array, Columns, Flag, concat
from sender.alarms import Alarms
from sender.config import AssetConfig, SenderConfig
from sender.deadband import EVERY, Deadband
from sender.device import Counts, DeviceLoop
from sender.ids import Ids, cut, drafts
from sender.sink import Sink
from sender.validity import Validity

SPREAD_S = 1.0
"""First reads are spread over at most this [s], or the device's shortest period."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, lie evenly for any number of devices."""

log = logging.getLogger("checkvalve.poll")


class Poller:
    """Reads all devices of a configuration.

    Args:
        config: What to read.
        sink: Where it goes.
        clock: Wall time [ns since 1970 UTC].
        monotonic: Monotonic time [s]; the running event loop's own kind.
        random: For back-offs.
    """

    def __init__(
        self,
        config: SenderConfig,
        sink: Sink,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._config, self._sink = config, sink
        self._clock, self._monotonic = clock, monotonic
        self._random = random or Random()
        ids = Ids()
        self._lines = [_Line(asset, config.site, ids, sink, clock, monotonic) for asset in config.assets]

    async def run(self) -> None:
        """Read for ever; when cancelled every collector is closed.

        Raises:
            StoreError: from the sink.
            ConfigError: more tags than a stream has.
        """
        self._announce()
        try:
            async with asyncio.TaskGroup() as group:
                for index, line in enumerate(self._lines):
                    if line.asset.watched:
                        group.create_task(self._read(line, (index * GOLDEN) % 1), name=line.asset.table.name)
        except BaseExceptionGroup as group:
            raise (_first(group) or group) from None

    def status(self) -> dict[str, Any]:
        """Counters of each asset, by name; plain JSON values."""
        return {line.asset.table.name: asdict(line.counts) for line in self._lines}

    async def _read(self, line: _Line, phase: float) -> None:
        await asyncio.sleep(phase * min(SPREAD_S, *(scan.every_s for scan in line.asset.device.scans)))
        loop = DeviceLoop(
            line.asset.device,
            line.make,
            line,
            line.counts,
            subscribes=line.asset.subscribes,
            clock=self._clock,
            monotonic=self._monotonic,
            random=Random(self._random.random()),
        )
        await loop.run()

    def _announce(self) -> None:
        """Everything that the configuration alone can describe, and which configuration it is."""
        assets = {line.asset.table.name: line.description for line in self._lines}
        self._sink.catalog(assets, [tag for line in self._lines for tag in line.known()])
        tags = sum(one.point.count for asset in self._config.assets for one in asset.watched)
        text = f"sha256 {self._config.digest}, {len(assets)} assets, {tags} tags"
        self._sink.state("", self._clock(), "configuration", text)


class _Line:
    """What stands between one device and the sink."""

    def __init__(
        self,
        asset: AssetConfig,
        site: str,
        ids: Ids,
        sink: Sink,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self.asset = asset
        self.counts = Counts()
        self._identity = Identity()
        self.description = _describe(asset, site, self._identity)
        self._site, self._ids, self._sink = site, ids, sink
        self._clock, self._monotonic = clock, monotonic
        self._deadband = _deadband(asset)
        count = sum(one.point.count for one in asset.watched)
        self._validity = Validity(asset.rules, count, subscribes=asset.subscribes)
        self._alarms = Alarms(asset.alarms)
        self._sequence = 0
        self._patterns = any(one.point.pattern for one in asset.watched)
        self._points = [
            np.array([point.number + index for point in scan.points for index in range(point.count)], np.uint32)
            for scan in asset.device.scans
        ]

    def make(self, refused: Callable[[str], None]) -> Collector:
        """The device's collector."""
        return self.asset.collector(self.asset.device, clock=self._clock, refused=refused)

    def known(self) -> list[Tag]:
        """Descriptions that need nothing from the device; none where one type is missing."""
        if any(one.point.type is None for one in self.asset.watched):
            return []
        return self._ids.describe(self.asset.table.name, drafts(self.asset.table.name, self.asset.watched, {}))

    def described(self, facts: Mapping[int, Facts], identity: Identity) -> None:
        """See `device.Hand`."""
        name = self.asset.table.name
        fresh = self._ids.describe(name, drafts(name, self.asset.watched, facts))
        description = _describe(self.asset, self._site, identity) if identity != Identity() else self.description
        if fresh or description != self.description:
            self.description = description
            self._sink.catalog({name: description}, fresh)
        before, self._identity = self._identity, identity
        serial = self.asset.table.serial
        other = serial and identity.serial and identity.serial.strip().casefold() != serial.strip().casefold()
        if other and identity.serial != before.serial:
            text = f"the device says serial {cut(identity.serial)}, the configuration {serial}"
            log.warning("other_serial asset=%s text=%r", name, text)
            self.said("note", text)

    def rows(self, scan: int, rows: Columns) -> None:
        """See `device.Hand`."""
        now = self._monotonic()
        if self._patterns:
            rows = rows.take(self._ids.there(self.asset.table.name)[rows.tag])
        rows = self._validity.apply(rows)
        passed = self._deadband.filter(rows, now)
        columns = passed.columns
        if self.asset.subscribes:
            columns = concat([columns, self._deadband.silent(self._points[scan], self._clock(), now)])
        self.counts.read += passed.read
        self.counts.held_back += passed.held
        self.counts.bad += int(np.count_nonzero((passed.columns.quality >> 31) > (passed.columns.flags & Flag.REFRESH)))
        if len(columns):
            name = self.asset.table.name
            self._sink.samples(name, self._ids.rename(name, columns), passed.read)
        self.happened(self._alarms.take(rows))

    def happened(self, events: Sequence[Event]) -> None:
        """See `device.Hand`."""
        for event in events:
            self._sequence += 1
            self.counts.events += 1
            self._sink.event(self.asset.table.name, event, self._sequence)

    def said(self, what: str, text: str) -> None:
        """See `device.Hand`."""
        self._sink.state(self.asset.table.name, self._clock(), what, text)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The error that ends the poller, out of what asyncio wrapped around it."""
    for error in group.exceptions:
        found = _first(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, StoreError | ConfigError):
            return found
    return None


def _describe(asset: AssetConfig, site: str, identity: Identity) -> Asset:
    table = asset.table
    return Asset(
        name=table.name,
        site=site,
        path=table.path,
        vendors=table.vendor,
        serial=table.serial or cut(identity.serial),
        model=table.model or cut(identity.model),
        firmware=cut(identity.firmware),
        kind=table.kind,
        collector=table.collector,
        simulated=table.simulated,
    )


def _deadband(asset: AssetConfig) -> Deadband:
    """The asset's deadbands by point number; an array's elements have that of their table."""
    counts = [one.point.count for one in asset.watched]

    def spread(values: list[float]) -> Array:
        return np.repeat(np.array(values, np.float64), counts)

    changes = [one.table.change for one in asset.watched]
    return Deadband(
        spread([EVERY if change is None else change for change in changes]),
        spread([one.silence_s for one in asset.watched]),
        spread([one.scan_s for one in asset.watched]),
        subscribes=asset.subscribes,
    )
