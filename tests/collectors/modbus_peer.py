"""A Modbus server of a few lines, over raw sockets, that can answer wrongly on purpose.

It shares nothing with pymodbus. Register `a` of every table holds `a * 3 % 65536`, bit `a` is set where `a % 3 == 0`.
What it does instead is a fault: a function of the request that gives the bytes to send, or tells it to say nothing,
to hang up, or to wait for `Peer.release`.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

HOST = "127.0.0.1"


class Act(Enum):
    """What a fault may do instead of sending bytes."""

    SILENCE = "say nothing"
    RESET = "hang up"
    LATE = "answer rightly, but only after `Peer.release`"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    transaction: int
    unit: int
    function: int
    start: int
    count: int

    def __str__(self) -> str:
        table = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}.get(self.function, str(self.function))
        return f"read {table} {self.start}..{self.start + self.count - 1}"

    @property
    def data(self) -> bytes:
        """Right data for a read."""
        addresses = range(self.start, self.start + self.count)
        if self.function > 2:
            return b"".join(struct.pack(">H", register(at)) for at in addresses)
        packed = bytearray((self.count + 7) // 8)
        for place, at in enumerate(addresses):
            packed[place // 8] |= bit(at) << place % 8
        return bytes(packed)

    def frame(self, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
        """A Modbus TCP frame in answer to it."""
        head = self.transaction if transaction is None else transaction
        return struct.pack(">HHHB", head, 0, len(pdu) + 1, self.unit if unit is None else unit) + pdu

    def right(self) -> bytes:
        """The answer of a sound device; exception 1 for any function that reads nothing."""
        if self.function not in (1, 2, 3, 4):
            return self.exception(1)
        return self.frame(bytes([self.function, len(self.data)]) + self.data)

    def exception(self, code: int) -> bytes:
        """An exception in answer to it."""
        return self.frame(bytes([self.function | 0x80, code]))


Fault = Callable[[Asked], "bytes | Act | None"]


def register(address: int) -> int:
    """What register `address` holds."""
    return address * 3 % 65536


def bit(address: int) -> bool:
    """What coil or input `address` holds."""
    return address % 3 == 0


def illegal(*addresses: int, code: int = 2) -> Fault:
    """A device that refuses every read that touches one of the addresses."""

    def fault(asked: Asked) -> bytes | None:
        touched = any(asked.start <= at < asked.start + asked.count for at in addresses)
        return asked.exception(code) if asked.function <= 4 and touched else None

    return fault


@dataclass
class Peer:
    """The server; `async with Peer() as peer`."""

    fault: Fault | None = None
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    """Every request but identifications, in order."""
    identifications: int = 0
    received: int = 0
    """Bytes that came in, of any kind."""
    connections: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"tcp://{HOST}:{self.port}"

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the port and every connection."""
        assert self._server is not None
        self.release.set()
        self._server.close()
        tasks = [task for task in self._serving.values() if task]
        self.hang_up()
        await asyncio.gather(*tasks)
        await self._server.wait_closed()

    def hang_up(self) -> None:
        """Close every connection, and go on listening."""
        for writer in self._serving:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving[writer] = asyncio.current_task()
        try:
            while True:
                head = await reader.readexactly(7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                body = await reader.readexactly(length - 1)
                self.received += 7 + len(body)
                await self._answer(writer, transaction, unit, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self._serving[writer]
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, transaction: int, unit: int, body: bytes) -> None:
        start, count = struct.unpack(">HH", body[1:5].ljust(4, b"\0"))
        asked = Asked(transaction, unit, body[0], start, count)
        if asked.function == 43:
            self.identifications += 1
        else:
            self.asked.append(asked)
        answer = self.fault(asked) if self.fault else None
        if answer is Act.SILENCE:
            return
        if answer is Act.RESET:
            writer.transport.abort()
            return
        if answer is Act.LATE:
            await self.release.wait()
        writer.write(answer if isinstance(answer, bytes) else asked.right())
        await writer.drain()
