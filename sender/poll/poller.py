"""Polling: every device read by its schedule, what came named and thinned, and handed to the packer.

    DeviceLoop -> rows by point number -> Validity -> Deadband -> Ids -> Sink     one task a device, columns all the way
                                              +-> Alarms -> events

A new stream begins with each `Poller`: ids are its own. What the configuration knows is described in one call at the
start; what only the device can say (a type, a firmware) when it was reached. First reads are spread over a period, so
that devices do not all speak at the same moment.

`reload` takes a changed configuration in the same stream: a device whose table has not changed by a byte goes on in the
middle of what it does; one that has is closed and begun anew, with its counts and its ids for what is still the same.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import numpy as np

from collectors.base import Collector, Event, Facts, Identity
from protocol.content.array import Array
from protocol.content.catalog import TYPES, Asset, Tag
from protocol.content.sample import Columns, Flag, concat
from protocol.errors import ConfigError, StoreError
from protocol.written import counted, span
from sender.poll import difference
from sender.poll.alarms import Alarms
from sender.poll.config import AssetConfig, SenderConfig
from sender.poll.deadband import EVERY, Deadband
from sender.poll.device import Counts, DeviceLoop
from sender.poll.ids import Ids, cut, drafts
from sender.poll.sink import Sink
from sender.poll.validity import Validity

SPREAD_S = 1.0
"""First reads are spread over at most this [s], or the device's shortest period."""

GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, lie evenly for any number of devices."""

ENDS_S = 30 * 86400.0
"""A certificate that ends within this is told [s]: to have one made and trusted takes a plant weeks."""

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
        self._ids = Ids()
        self._lines = {asset.table.name: self._line(asset) for asset in config.assets}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._begun = -1

    async def run(self) -> None:
        """Read for ever; when cancelled every collector is closed.

        Raises:
            StoreError: from the sink.
            ConfigError: more tags than a stream has.
        """
        self._announce()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for line in self._lines.values():
                    self._start(line)
                group.create_task(asyncio.Event().wait(), name="a reload may bring the first device")
        except BaseExceptionGroup as group:
            raise (_first(group) or group) from None

    async def reload(self, config: SenderConfig) -> list[str]:
        """Take a changed configuration while running.

        Returns:
            What has changed, a line an asset; the same lines go in band.

        Raises:
            ConfigError: it changes what needs a restart; nothing was changed.
        """
        assert self._group is not None
        before = {name: line.asset for name, line in self._lines.items()}
        after = {asset.table.name: asset for asset in config.assets}
        self._admit(config, [asset for name, asset in after.items() if name not in before or _differ(before, asset)])
        lines = []
        stopping: list[str] = []
        for name in [*before, *(name for name in after if name not in before)]:
            old, new = before.get(name), after.get(name)
            line = difference.of_asset(name, None if old is None else old.raw, None if new is None else new.raw)
            if line:
                lines.append(line)
                stopping.append(name)
        await asyncio.gather(*(self._stop(name) for name in stopping))
        self._config = config
        for name in stopping:
            self._change(name, after.get(name))
        now = self._clock()
        self._sink.state("", now, "configuration", self._summary())
        for text in lines:
            self._sink.state("", now, "configuration", text)
        return lines

    def status(self) -> dict[str, Any]:
        """Counters of each asset, by name; plain JSON values."""
        told = {name: asdict(line.counts) for name, line in self._lines.items()}
        apart = ("troubles", "certificates")
        return {name: {key: one for key, one in counts.items() if key not in apart} for name, counts in told.items()}

    def warnings(self) -> list[str]:
        """What has no values although its device is up, and why; certificates that end soon; a line each."""
        lines = [f"{name}: {text}" for name, line in self._lines.items() for text in line.counts.troubles]
        return lines + [f"{name}: {text}" for name, line in self._lines.items() for text in line.ending()]

    def certificate_s(self) -> float:
        """How long until the first certificate of a device's connection ends [s]; infinite where none has an end."""
        ends = [end_ns for line in self._lines.values() for end_ns in line.counts.certificates.values()]
        return min(((end_ns - self._clock()) / 1e9 for end_ns in ends), default=math.inf)

    def _line(self, asset: AssetConfig) -> _Line:
        return _Line(asset, self._config.site, self._ids, self._sink, self._clock, self._monotonic)

    def _start(self, line: _Line) -> None:
        if line.asset.watched:
            assert self._group is not None
            name, self._begun = line.asset.table.name, self._begun + 1
            reading = self._read(line, (self._begun * GOLDEN) % 1)
            self._tasks[name] = self._group.create_task(reading, name=name)

    async def _stop(self, name: str) -> None:
        """End one device's task, its collector closed; whatever it died of is the group's matter."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _admit(self, config: SenderConfig, changed: Sequence[AssetConfig]) -> None:
        keys = difference.fixed(self._config.raw, config.raw)
        if keys:
            hint = "restart `send`: nothing is lost by it, the spool is kept"
            raise ConfigError(f"{', '.join(keys)} cannot change while it runs", hint=hint)
        tags = sum(one.point.count for asset in changed for one in asset.watched)
        if tags > self._ids.left:
            hint = "restart `send`, which begins a new stream"
            raise ConfigError(f"this stream has no ids left for {tags} tags", hint=hint)

    def _change(self, name: str, asset: AssetConfig | None) -> None:
        """One device that was stopped: gone, or begun anew."""
        old = self._lines.pop(name, None)
        if asset is None:
            self._sink.state(name, self._clock(), "down", "taken out of the configuration")
            return
        line = self._lines[name] = self._line(asset)
        if old is not None:
            line.follow(old)
        self._sink.catalog({name: line.description}, line.known())
        self._start(line)

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
        assets = {name: line.description for name, line in self._lines.items()}
        self._sink.catalog(assets, [tag for line in self._lines.values() for tag in line.known()])
        self._sink.state("", self._clock(), "configuration", self._summary())

    def _summary(self) -> str:
        tags = sum(one.point.count for asset in self._config.assets for one in asset.watched)
        assets = len(self._config.assets)
        return f"sha256 {self._config.digest}, {counted(assets, 'asset')}, {counted(tags, 'tag')}"


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
        self._warned: set[str] = set()
        """Certificates of which it was said in the stream that they end."""
        self._patterns = any(one.point.pattern for one in asset.watched)
        self._points = [
            np.array([point.number + index for point in scan.points for index in range(point.count)], np.uint32)
            for scan in asset.device.scans
        ]

    def follow(self, before: _Line) -> None:
        """Go on with the counts, the numbers of events and the alarms of the same device."""
        self.counts = replace(before.counts, state="starting", trouble="", since_ns=self._clock())
        self._sequence = before._sequence
        self.happened(self._alarms.follow(before._alarms, self._clock()))

    def ending(self) -> list[str]:
        """Certificates of its connection that end soon, a line each."""
        return [text for _, text in self._ending()]

    def _ending(self) -> list[tuple[str, str]]:
        now, out = self._clock(), []
        for what, end_ns in self.counts.certificates.items():
            left_s = (end_ns - now) / 1e9
            if left_s < ENDS_S:
                day = datetime.fromtimestamp(end_ns // 10**9, UTC).strftime("%Y-%m-%d")
                when = f"ends on {day}, in {span(left_s)}" if left_s > 0 else f"ended on {day}"
                out.append((what, f"{what} {when}: have a new one made, and trusted at the other end"))
        return out

    def make(self, refused: Callable[[str], None]) -> Collector:
        """The device's collector."""
        return self.asset.collector(self.asset.device, clock=self._clock, refused=refused)

    def known(self) -> list[Tag]:
        """Descriptions that need nothing from the device; none where one type is missing."""
        watched = self.asset.watched
        if any((one.stated.type or one.point.type) not in TYPES or one.table.options.get("states") for one in watched):
            return []
        return self._ids.describe(self.asset.table.name, drafts(self.asset.table.name, watched, {}))

    def described(self, facts: Mapping[int, Facts], identity: Identity) -> None:
        """See `device.Hand`."""
        name = self.asset.table.name
        self._validity.typed(number for number, said in facts.items() if said.type == "uint64")
        fresh = self._ids.describe(name, drafts(name, self.asset.watched, facts))
        description = _describe(self.asset, self._site, identity) if identity != Identity() else self.description
        if fresh or description != self.description:
            self.description = description
            self._sink.catalog({name: description}, fresh)
        for what, text in self._ending():
            if what not in self._warned:  # a device that comes and goes says it once
                self._warned.add(what)
                self.said("note", text)
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
            rows = rows.select(self._ids.there(self.asset.table.name)[rows.tag])
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


def _differ(before: Mapping[str, AssetConfig], asset: AssetConfig) -> bool:
    return before[asset.table.name].raw != asset.raw


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
