"""Reads one OPC UA server: a connection, and the scans on it (`watched`), each by subscription or by polling.

A lost connection, and silence, are the whole device's (`AssetError`); the poller closes and opens again, and then
everything is learned anew: namespaces, node ids, types, limits. A server may have been changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from collectors.base import Collector, Device, Draft, Facts, Identity, Request, Scan
from collectors.guard import Guard
from collectors.opcua import config as configuration
from collectors.opcua.discover import draft
from collectors.opcua.session import Session
from collectors.opcua.watched import Watched
from protocol.errors import AssetError
from protocol.sample import Columns, Quality


class OpcUaCollector(Collector):
    """One server at `opc.tcp://host:port/path`; see README.md beside this file for its settings."""

    protocol = "opcua"
    subscribes = True

    def __init__(self, device: Device, *, clock: Callable[[], int], refused: Callable[[str], None]) -> None:
        super().__init__(device, clock=clock, refused=refused)
        self.config = configuration.load(device)
        self.guard = Guard(device.name, refused)
        self._session: Session | None = None
        self._identity = Identity()
        self._facts: dict[int, Facts] = {}
        self._watches: dict[int, Watched] = {}

    @classmethod
    def check(cls, device: Device) -> list[str]:
        return configuration.mistakes(device)

    @classmethod
    def plan(cls, device: Device) -> list[Request]:
        return configuration.requests(device)

    @classmethod
    def notifies(cls, device: Device) -> bool:
        return device.settings.get("mode") != "poll"

    async def open(self) -> None:
        await self.close()
        self._session = session = Session(self.config, self.device, self.guard)
        try:
            await session.open()
            self._identity = session.identity
            for scan, watch in zip(self.device.scans, self.config.watches, strict=True):
                watched = Watched(session, watch, self.clock, self._facts, subscribe=self.config.subscribe)
                await watched.begin()
                self._watches[_key(scan)] = watched
        except BaseException:
            await self.close()
            raise

    async def read(self, scan: Scan) -> Columns:
        self._connected()
        return await self._watches[_key(scan)].read()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def discover(self, ranges: Sequence[str] = ()) -> Draft:
        return await draft(self._connected())

    def facts(self) -> Mapping[int, Facts]:
        return self._facts

    def identity(self) -> Identity:
        return self._identity

    def _connected(self) -> Session:
        if self._session is None:
            raise AssetError(f"{self.device.name}: not connected", quality=Quality.BAD_NOT_CONNECTED)
        return self._session


def _key(scan: Scan) -> int:
    """A scan's own number: the first of its points'."""
    return scan.points[0].number if scan.points else -1
