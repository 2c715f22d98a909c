"""Reads one OPC UA server, or the better one of several: a connection, and the scans on it (`watched`).

A lost connection, and silence, are the whole device's (`AssetError`); the poller closes and opens again, and then
everything is learned anew: namespaces, node ids, types, limits. A server may have been changed meanwhile. What had come
and was not read yet is kept and handed out first; what was learned of nodes and alarms is kept too (`memory`).

Of several servers (`urls`) one is used at a time; which one, and when it changes, is `redundancy`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from collectors import certificate_ends
from collectors.base import Collector, Device, Draft, Event, Facts, Identity, Request, Scan
from collectors.guard import Guard
from collectors.opcua import config as configuration
from collectors.opcua.address import BranchAddress, parse
from collectors.opcua.config import LEVEL_S
from collectors.opcua.discover import draft
from collectors.opcua.events.conditions import Conditions
from collectors.opcua.memory import Memory
from collectors.opcua.namespaces.kept import Kept
from collectors.opcua.redundancy import Choice, rank
from collectors.opcua.secure.servicelog import ServiceLog
from collectors.opcua.session import Session
from collectors.opcua.watched import RETRY_NS, Watched
from protocol.content.sample import Columns, Quality, concat
from protocol.errors import AssetError


class OpcUaCollector(Collector):
    """One server at `opc.tcp://host:port/path`; see README.md beside this file for its settings."""

    protocol = "opcua"
    subscribes = True
    offers = frozenset(("never_read", "urls", "most", "range"))

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        self.config = configuration.load(device)
        self.guard = Guard(device.name, refused)
        self._session: Session | None = None
        self._identity = Identity()
        self._facts: dict[int, Facts] = {}
        self._watches: dict[int, Watched] = {}
        self._left: dict[int, Columns] = {}
        """By scan, what had come before the connection was lost."""
        self._conditions: Conditions | None = None
        self._memory = Memory()
        self._kept = Kept(device.folder, device.name)
        self._loaded = False
        self._deaf, self._deaf_until = "", 0
        """Why events are not heard, and when that is tried again [ns]."""
        self._choice = Choice(len(self.config.urls))
        self._level_at = 0.0
        keeps = self.config.security.encrypted and device.folder is not None
        self._services = ServiceLog(device.folder, device.name) if keeps and device.folder else None

    @classmethod
    def check(cls, device: Device) -> list[str]:
        return configuration.mistakes(device)

    @classmethod
    def doubts(cls, device: Device) -> list[str]:
        return configuration.doubts(device)

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        return configuration.requests(device)

    @classmethod
    def notifies(cls, device: Device) -> bool:
        return device.settings.get("mode") != "poll"

    @classmethod
    def spreads(cls, at: str) -> bool:
        return isinstance(parse(at), BranchAddress)

    async def open(self) -> None:
        await self.close()
        if not self._loaded:
            held = self._kept.load(self._memory.remark, self.clock())
            self._memory.meant |= {index: uri for index, uri in held.items() if index in self.config.indexes}
            self._loaded = True
        await self._use(*await self._connect())

    async def read(self, scan: Scan) -> Columns:
        try:
            await self._compare(self._connected())
            await self._hear(self._connected())
            if self._conditions is not None:
                self._conditions.check()
                await self._conditions.mend()
            rows = await self._watches[_key(scan)].read()
        except AssetError:
            self._choice.lost()
            left = self._left.pop(_key(scan), None)
            if left is None:
                raise
            return left  # the trouble comes again with the next read
        left = self._left.pop(_key(scan), None)
        return rows if left is None else concat([left, rows])

    async def close(self) -> None:
        session, self._session = self._session, None
        self._conditions = None
        for key, watched in self._watches.items():
            rest = watched.rest()
            if len(rest):
                self._left[key] = concat([self._left[key], rest]) if key in self._left else rest
        self._watches = {}
        if session is not None:
            await session.close()
        if self._services is not None:
            self._services.flush()

    def events(self) -> Sequence[Event]:
        return self._memory.take_events()

    def remarks(self) -> Sequence[str]:
        told = self._services.remarks(self.clock()) if self._services is not None else []
        return [*self._memory.take_remarks(), *told]

    def troubles(self) -> Sequence[str]:
        """What has no values, or is not heard, although the device is up."""
        return [self._deaf] if self._deaf else []

    def certificates(self) -> Mapping[str, int]:
        given = self.config.security
        names = ("certificate", "user_certificate", "server_certificate")
        shown = certificate_ends.end_ns(self._session.server_certificate) if self._session is not None else None
        held = certificate_ends.ends({name: getattr(given, name) for name in names})
        return held | ({} if shown is None or given.policy == "None" else {"the server's certificate": shown})

    def relearned(self) -> bool:
        again = False
        for watched in self._watches.values():
            again, watched.relearned = again or watched.relearned, False
        return again

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        return await draft(self._connected(), self.config, ranges)

    def facts(self) -> Mapping[int, Facts]:
        return self._facts

    def identity(self) -> Identity:
        return self._identity

    async def _connect(self) -> tuple[int, Session, int | None]:
        """The first healthy server, else the best of those that answer: its place, connection and ServiceLevel."""
        best: tuple[int, Session, int | None] | None = None
        troubles: list[AssetError] = []
        try:
            for index in self._choice.order():
                try:
                    session, level = await self._reach(index)
                except AssetError as error:
                    troubles.append(error)
                    continue
                if best is None or rank(level) > rank(best[2]):
                    best, beaten = (index, session, level), best
                else:
                    beaten = index, session, level
                if beaten is not None:
                    await beaten[1].close()
                if rank(level) == rank(255):
                    break
        except BaseException:
            if best is not None:
                await best[1].close()
            raise
        if best is None:
            self._choice.lost()
            if len(troubles) == 1:
                raise troubles[0]
            text = "; ".join(f"{url}: {error}" for url, error in zip(self.config.urls, troubles, strict=False))
            raise AssetError(f"{self.device.name}: none of its servers: {text}", quality=troubles[0].quality)
        return best

    async def _reach(self, index: int) -> tuple[Session, int | None]:
        """A connection to one of the servers, and its ServiceLevel where there are several."""
        url = self.config.urls[index]
        note = None if self._services is None else self._note
        meant = self._memory.meant
        session = Session(url, self.config, self.device, self.guard, self.budget, note, meant)
        try:
            await session.open()
            return session, await session.level() if len(self.config.urls) > 1 else None
        except BaseException:
            await session.close()
            raise

    async def _use(self, index: int, session: Session, level: int | None) -> None:
        """Read from that server from now on."""
        other = index != self._choice.used
        self._session = session
        now = asyncio.get_running_loop().time()
        self._choice.opened(index, level, now)
        self._level_at = now + LEVEL_S
        if other:
            self._memory.remark(f"{session.url} is read now" + (f", ServiceLevel {level}" if level is not None else ""))
        try:
            self._identity = session.identity
            self._keep(session)
            self._deaf_until = 0
            await self._hear(session)  # first: without a subscription values can be polled, and events cannot
            for scan, watch in zip(self.device.scans, self.config.watches, strict=True):
                watched = Watched(session, self.config, watch, self.clock, self._facts, self._memory)
                await watched.begin()
                self._watches[_key(scan)] = watched
        except BaseException:
            await self.close()
            raise

    async def _hear(self, session: Session) -> None:
        """Listen to events, if they are asked for; where the server does not let us, values are read all the same."""
        if self.config.events == "none" or self._conditions is not None or self.clock() < self._deaf_until:
            return
        conditions = Conditions(session, self.config, self.clock, self._memory)
        try:
            await conditions.begin()
        except AssetError as error:
            if session.lost or error.quality in (Quality.BAD_TIMEOUT, Quality.BAD_NOT_CONNECTED):
                raise
            self._deaf_until = self.clock() + RETRY_NS
            self._deaf = f"events are not heard, the server does not let us listen: {error}"
            self._memory.remark(self._deaf, once=True)
            return
        self._conditions, self._deaf = conditions, ""

    async def _compare(self, session: Session) -> None:
        """Ask the server how well it can serve; where it says badly for long, look at the others, and change over."""
        now = asyncio.get_running_loop().time()
        if len(self.config.urls) == 1 or now < self._level_at:
            return
        self._level_at = now + LEVEL_S
        level = await session.level()
        self._choice.level(level, now)
        if self.config.gentle or not self._choice.looks(now):
            return
        for index in range(len(self.config.urls)):
            if index == self._choice.used:
                continue
            try:
                other, theirs = await self._reach(index)
            except AssetError:
                continue
            if rank(theirs) > rank(level):
                await self.close()
                await self._use(index, other, theirs)
                return
            await other.close()

    def _keep(self, session: Session) -> None:
        """Keep what typed indexes mean, and say where the server counts otherwise than it did."""
        self._kept.save(self._memory.meant, lambda line: self._memory.remark(line, once=True))
        for line in session.spaces.moved():
            self._memory.remark(line, once=True)

    def _note(self, service: str) -> None:
        assert self._services is not None
        self._services.note(service, self.clock())

    def _connected(self) -> Session:
        if self._session is None:
            raise AssetError(f"{self.device.name}: not connected", quality=Quality.BAD_NOT_CONNECTED)
        return self._session


def _key(scan: Scan) -> int:
    """A scan's own number: the first of its points'."""
    return scan.points[0].number if scan.points else -1
