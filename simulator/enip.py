"""A false Logix controller on EtherNet/IP: TCP for everything, UDP on the same port for ListIdentity.

    server = await serve(plant, section, "127.0.0.1", 44818)       from a scene
    server = await start(controller, "127.0.0.1", 0)               from tags of a test's own
    server.port, server.counts, await server.close()

The thin shell around `encapsulation` (bytes of a session), `logix_objects` (requests), `connections` and `logix`
(tags). One task a client; a client that sends nonsense gets a status and at worst loses its connection.

`[server.enip]` in a scene may say: `name` (of the program), `slot` (0), `refuse_large` (false; true is an old CPU).

Source: ODVA, The CIP Networks Library, volume 2 (2-2 use of TCP and UDP; port 44818).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

from protocol.errors import ConfigError
from simulator.connections import Chassis, chassis
from simulator.encapsulation import BODY_BYTES, HEADER, Lists, Session
from simulator.logix import Controller
from simulator.logix_objects import Identity, Objects
from simulator.logix_plant import fill
from simulator.plant import Plant
from simulator.scene import Section

MOST_CLIENTS = 128
"""TCP connections at once; a further one is closed at once, as a full controller does."""

SETTINGS = {"name": str, "slot": int, "refuse_large": bool}
"""Keys of `[server.enip]`."""


class Server:
    """A running controller."""

    def __init__(self, controller: Controller, objects: Objects, shared: Chassis) -> None:
        self.controller = controller
        self.objects = objects
        self.counts: Counter[str] = objects.counts
        """`clients`, `sessions`, `requests`, `tags_read`, `refused`, `writes_refused`, `malformed`, `bytes_in`,
        `bytes_out`, `forward_opens`, `large_forward_opens`."""
        self.port = 0
        self._chassis = shared
        self._numbers = itertools.count(0x1001)
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ended: Callable[[], None] = lambda: None

    async def listen(self, host: str, port: int) -> None:
        """Bind both sockets to one port; 0 picks a free one. Raises OSError when it is taken."""
        for attempt in itertools.count():
            tcp = await asyncio.start_server(self._client, host, port, limit=HEADER.size + BODY_BYTES)
            self.port = tcp.sockets[0].getsockname()[1]
            lists = Lists(self.objects, host, self.port)
            try:
                self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    partial(_Datagrams, lists), (host, self.port)
                )
            except OSError:
                tcp.close()
                if port or attempt == 8:
                    raise
                continue
            self._tcp = tcp
            return

    async def drop_clients(self) -> None:
        """Cut every connection, as a pulled cable's switch does; the controller goes on."""
        tasks = list(self._clients)
        for task in tasks:
            self._clients[task].transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop listening and let every client go; may be called twice."""
        self._ended()
        self._ended = lambda: None
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        await self.drop_clients()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= MOST_CLIENTS:
            writer.transport.abort()
            return
        self._clients[task] = writer
        self.counts["clients"] += 1
        host, port = writer.get_extra_info("sockname")[:2]
        session = Session(
            self.objects, Lists(self.objects, host, port), self._chassis, next(self._numbers), self.counts
        )
        try:
            await self._serve(reader, writer, session)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the server is closing: either way this connection is over
        finally:
            del self._clients[task]
            session.connections.clear()
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session) -> None:
        while not session.ended:
            header = await reader.readexactly(HEADER.size)
            length = session.length(header)
            body = await reader.readexactly(length) if length <= BODY_BYTES else b""
            self.counts["bytes_in"] += HEADER.size + len(body)
            reply = session.answer(header, body)
            if reply is not None:
                self.counts["bytes_out"] += len(reply)
                writer.write(reply)
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    """ListIdentity and its kin by UDP."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self.lists.datagram(data)
        if reply is not None and self.transport is not None:
            self.transport.sendto(reply, addr)


async def start(
    controller: Controller,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    identity: Identity | None = None,
    name: str = "Main",
    slot: int = 0,
    refuse_large: bool = False,
    clock: Callable[[], int] = time.time_ns,
) -> Server:
    """Serve a controller's tags.

    Args:
        controller: Its tags may be changed while it is served.
        host: IPv4 address to listen on.
        port: For TCP and UDP; 0 picks a free one.
        identity: Its name plate.
        name: Name of its program.
        slot: Link address behind port 1 at which it answers.
        refuse_large: Refuse the large Forward Open, as an old CPU does.
        clock: Its wall clock [ns since 1970 UTC].

    Raises:
        OSError: the port is taken.
    """
    counts: Counter[str] = Counter()
    objects = Objects(controller, identity or Identity(), name, counts, clock)
    server = Server(controller, objects, chassis(counts, slot=slot, refuse_large=refuse_large))
    await server.listen(host, port)
    return server


async def serve(plant: Plant, section: Section, host: str, port: int) -> Server:
    """Serve one section of a scene; its values follow the plant's moment.

    Raises:
        ConfigError: a setting or a tag that a Logix controller cannot have.
        OSError: the port is taken.
    """
    for key, value in section.settings.items():
        if type(value) is not SETTINGS.get(key):
            known = ", ".join(f"{name} ({kind.__name__})" for name, kind in SETTINGS.items())
            raise ConfigError(
                f"{section.asset}, enip.{key}: not a setting, or of another type", hint=f"there is {known}"
            )
    controller = Controller()
    ended = fill(controller, plant, section)
    settings = {"name": section.asset.replace("-", "_"), **section.settings}
    try:
        server = await start(controller, host, port, identity=_identity(section), **settings)
    except OSError:
        ended()
        raise
    server._ended = ended
    return server


def _identity(section: Section) -> Identity:
    """The section's own words as far as CIP has a place for them; a serial that is no number is hashed into one."""
    firmware = re.match(r"(\d+)\.(\d+)", section.firmware)
    major, minor = (min(int(one), 127) for one in firmware.groups()) if firmware else (33, 11)
    serial = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", section.serial)
    number = int(serial[1], 16) if serial else zlib.crc32(section.serial.encode())
    return Identity(product=section.model or Identity().product, major=major, minor=minor, serial=number)
