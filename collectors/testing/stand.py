"""The stand that a collector is tested on: a wire that records and can be broken, and what every test needs.

It belongs to `contract`, and like it is imported by nothing of the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from collectors.base import Collector, Device, Scan, numbered
from collectors.guard import WriteRefused
from protocol.content.sample import Row
from protocol.errors import AssetError

HOST = "127.0.0.1"

DEADLINE_S = 30.0
"""Longest wait for a condition [s]: generous, since nothing is measured here."""

Attempt = Callable[[Any], Awaitable[Any]]


class Wire:
    """A TCP connection to a device that records, and that a test can break; one relay, any number of connections.

    Args:
        to: The device's port.
    """

    def __init__(self, to: int) -> None:
        self.port = 0
        self.sent: list[bytearray] = []
        """What was sent towards the device, by connection."""
        self._to = to
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        """Be there, at the same port as before."""
        self._server = await asyncio.start_server(self._joined, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def gone(self) -> None:
        """Refuse connections, and drop those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def cut(self) -> None:
        """Drop every connection, and go on listening."""
        self.thaw()
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Let nothing come back."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let it come back."""
        self._flows.set()

    @property
    def total(self) -> int:
        """Bytes sent towards the device on all connections."""
        return sum(map(len, self.sent))

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        record = bytearray()
        self.sent.append(record)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(HOST, self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        self._tasks.add(asyncio.create_task(self._pass(reader, back, record)))
        self._tasks.add(asyncio.create_task(self._pass(there, writer, None)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray | None) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if record is None:
                    await self._flows.wait()
                else:
                    record += data
                writer.write(data)
                await writer.drain()
        writer.close()


class Stand:
    """What a subclass names, and how its collector is driven."""

    collector: ClassVar[type[Collector]]
    tags: ClassVar[Sequence[Mapping[str, Any]]]
    """At least two tags that the device has, all readable with good quality."""
    settings: ClassVar[Mapping[str, Any]] = {}
    ranges: ClassVar[Sequence[str]] = ()
    """What `discover` is told to look at, where the protocol wants it typed."""
    fence: ClassVar[str] = ""
    """An entry of `never_read` that covers the first tag, where the protocol offers it."""
    planted: ClassVar[bytes]
    attempts: ClassVar[Mapping[str, Attempt]] = {}
    timeout_s: ClassVar[float] = 2.0
    every_s: ClassVar[float] = 0.2

    def device(self) -> AbstractAsyncContextManager[int]:
        """A running device, and its port on 127.0.0.1."""
        raise NotImplementedError

    def url(self, port: int) -> str:
        """The url of a device on that port."""
        raise NotImplementedError

    def heard(self, sent: bytes) -> list[tuple[str, bool]]:
        """Each request of one connection's bytes in words, and whether it can only read; without the collector's code.

        Raises:
            ValueError: bytes that are no request.
        """
        raise NotImplementedError

    # -- how it is driven

    def _made(
        self,
        port: int,
        *,
        tags: Sequence[Mapping[str, Any]] | None = None,
        settings: Mapping[str, Any] | None = None,
        kind: str = "process",
        timeout_s: float | None = None,
        requests_s: float | None = None,
    ) -> Device:
        return Device(
            name="under-test",
            url=self.url(port),
            kind=kind,
            settings=self.settings if settings is None else settings,
            scans=numbered([(self.every_s, self.tags if tags is None else tags)]),
            timeout_s=timeout_s or self.timeout_s,
            requests_s=requests_s,
        )

    def _build(
        self, made: Device, clock: Callable[[], int] = time.time_ns, refused: Callable[[str], None] | None = None
    ) -> Collector:
        def unexpected(line: str) -> None:
            raise AssertionError(f"the guard refused a request of the collector's own: {line}")

        return self.collector(made, clock=clock, refused=refused or unexpected)

    def _run(self, work: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with self.device() as port:
                wire = Wire(port)
                await wire.listen()
                try:
                    await work(wire)
                finally:
                    await wire.gone()

        asyncio.run(main())

    @asynccontextmanager
    async def _opened(
        self, made: Device, clock: Callable[[], int] = time.time_ns, refused: Callable[[str], None] | None = None
    ) -> AsyncIterator[Collector]:
        plc = self._build(made, clock, refused)
        try:
            await plc.open()
            yield plc
        finally:
            await plc.close()

    async def _rows(self, plc: Collector, scan: Scan) -> dict[int, Row]:
        """The newest row of every point; a poll must give them in one read."""
        wanted = {point.number + at for point in scan.points for at in range(point.count)}
        rows: dict[int, Row] = {}
        until = time.monotonic() + DEADLINE_S
        while not wanted <= set(rows):
            assert time.monotonic() < until, f"no rows for points {sorted(wanted - set(rows))}"
            got = await plc.read(scan)
            rows.update((row.tag, row) for row in got.rows())
            if not plc.notifies(plc.device):
                assert sorted(got.tag.tolist()) == sorted(wanted), "a poll gives each point one row"
            await asyncio.sleep(0.01)
        assert set(rows) == wanted
        return rows

    async def _again(self, plc: Collector, scan: Scan) -> list[Row]:
        """A later read: a subscription may have nothing to say."""
        return list((await asyncio.wait_for(plc.read(scan), DEADLINE_S)).rows())

    async def _failure(self, work: Awaitable[Any]) -> AssetError:
        try:
            await asyncio.wait_for(work, DEADLINE_S)
        except AssetError as error:
            return error
        raise AssertionError("went on as if nothing had been")

    async def _trouble(
        self, plc: Collector, scan: Scan, until: Callable[[], bool] = lambda: False
    ) -> AssetError | None:
        """Read until it fails, or until the condition holds."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                await asyncio.wait_for(plc.read(scan), DEADLINE_S)
            except AssetError as error:
                return error
            if until():
                return None
            await asyncio.sleep(0.02)
        raise AssertionError("went on as if nothing had been")

    async def _cancelled(self, work: Coroutine[Any, Any, Any], wire: Wire, *, more_than: int) -> None:
        """Cancel it while it waits for the device."""
        task = asyncio.create_task(work)
        end = time.monotonic() + DEADLINE_S
        while wire.total <= more_than:
            assert time.monotonic() < end
            assert not task.done(), task
            await asyncio.sleep(0.005)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=DEADLINE_S)
        assert done, "still inside after it was cancelled"
        assert task.cancelled()

    async def _refused(self, name: str, attempt: Awaitable[Any]) -> None:
        try:
            await asyncio.wait_for(attempt, DEADLINE_S)
        except WriteRefused:
            return
        raise AssertionError(f"{name} was let through")
