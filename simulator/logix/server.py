"""A false Logix controller on EtherNet/IP: TCP for everything, UDP on the same port for ListIdentity.

    server = await serve(plant, section, "127.0.0.1", 44818)       from a scene
    server = await start(controller, "127.0.0.1", 0)               from tags of a test's own
    server.port, server.counts, server.faults, await server.close()

The thin shell around `encapsulation` (bytes of a session), `objects` (requests), `connections` and `controller`
(tags). One task a client; a client that sends nonsense gets a status and at worst loses its connection.

`[server.enip]` in a scene may say: `name` (of the program), `slot` (0), `refuse_large` (false; true is an old CPU),
`largest` (4002: largest connection granted [bytes]). The firmware's number decides more: see `objects`.

Commands: `restart [5s]`, `download` (a program download: tags get other instance numbers, change counts move).

Source: ODVA, The CIP Networks Library, volume 2 (2-2 use of TCP and UDP; port 44818).
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

from protocol.errors import ConfigError
from simulator.device_faults import Act, DeviceFaults, Fault
from simulator.logix.attributes import IdentityObject
from simulator.logix.connections import LARGEST, Chassis, chassis
from simulator.logix.controller import Controller
from simulator.logix.encapsulation import BODY_BYTES, HEADER, EncapsulationSession, Lists
from simulator.logix.objects import Objects
from simulator.logix.spoil import can_meet, spoiled
from simulator.logix.tag_layout import fill
from simulator.plant.plant import Plant, PlantMoment
from simulator.plant.troubles import View, fits
from simulator.scene.scene import DeviceSection
from simulator.serving import TRIES, Presence, QuestionCounts

MOST_CLIENTS = 128
"""TCP connections at once; a further one is closed at once, as a full controller does."""

COUNTS = (
    *("connections", "sessions", "forward_opens", "large_forward_opens", "requests", "tags_read", "refused"),
    *("writes_refused", "malformed", "bytes_in", "bytes_out"),
)
"""What is counted, from 0."""

SETTINGS = {"name": str, "slot": int, "refuse_large": bool, "largest": int}
"""Keys of `[server.enip]`."""

PIECES = 10
"""Into so many a slow reply is cut, at most."""


class LogixServer:
    """A running controller (`simulator.serving.DeviceServer`)."""

    def __init__(self, controller: Controller, objects: Objects, shared: Chassis, faults: DeviceFaults) -> None:
        self.controller = controller
        self.objects = objects
        self.faults = faults
        self.faults.actions["download"] = self._download
        objects.spoils = self.faults.meet_tag
        self._asked = QuestionCounts()
        objects.asked = self._asked.add
        self._presence = Presence(self.faults, self._leave, self._back)
        self._counted = objects.counts
        self._host = ""
        self._port = 0
        self._chassis = shared
        self._numbers = itertools.count(0x1001)
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.ended: Callable[[], None] = lambda: None
        """Called once when it closes."""

    @property
    def port(self) -> int:
        """The port it listens on, by TCP and by UDP."""
        return self._port

    @property
    def counts(self) -> dict[str, int]:
        """What happened since the start: `COUNTS`, then `open` connections and `faults` met."""
        return {**self._counted, "open": len(self._clients), "faults": self.faults.met}

    @property
    def asked(self) -> dict[str, int]:
        """What was asked for, in a few words, and how often."""
        return self._asked.counts

    async def listen(self, host: str, port: int, *, tries: int = TRIES) -> None:
        """Bind both sockets to one port, or the next one above it that has both free; 0 picks a free one.

        Raises:
            OSError: `tries` ports in a row are taken.
        """
        for attempt in range(tries):
            try:
                wanted = port + attempt if port else 0
                tcp = await asyncio.start_server(self._arrived, host, wanted, limit=HEADER.size + BODY_BYTES)
            except OSError as error:
                if attempt + 1 == tries or error.errno != errno.EADDRINUSE:
                    raise
                continue
            self._host, self._port = host, tcp.sockets[0].getsockname()[1]
            lists = Lists(self.objects, host, self._port)
            try:
                self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    partial(_Datagrams, lists), (host, self._port)
                )
            except OSError:
                tcp.close()
                if attempt + 1 == tries:
                    raise
                continue
            self._tcp = tcp
            self.objects.address = host
            self._presence.there = True
            return

    async def drop_clients(self) -> None:
        """Cut every connection, as a pulled cable's switch does; the controller goes on."""
        tasks = list(self._clients)
        for task in tasks:
            self._clients[task].transport.abort()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()

    async def close(self) -> None:
        """Stop listening and let every client go; may be called twice."""
        self.ended()
        self.ended = lambda: None
        await self._presence.close()

    async def settled(self) -> None:
        """Wait until an `absent` that was added or removed is in effect."""
        await self._presence.settled()

    def _download(self, words: list[str]) -> None:
        if words:
            raise ConfigError(f"download `{' '.join(words)}`: takes no more words", hint="write download alone")
        self.controller.download()

    async def _back(self) -> None:
        await self.listen(self._host, self._port, tries=1)

    async def _leave(self) -> None:
        """Close the listening sockets, and every connection."""
        udp, tcp = self._udp, self._tcp
        self._udp = self._tcp = None
        if udp is not None:
            udp.close()
        if tcp is not None:
            # asyncio (3.11) fails on a server that is closed while it accepts: stop accepting first, then close
            for one in tcp.sockets:
                asyncio.get_running_loop().remove_reader(one.fileno())
            await _turns()
            tcp.close()
        await self.drop_clients()

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client came. Plain, so that it is known before its task has begun."""
        if len(self._clients) >= MOST_CLIENTS:
            writer.transport.abort()
            return
        self._counted["connections"] += 1
        task = asyncio.get_running_loop().create_task(self._client(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._clients.pop(task).close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("sockname")[:2]
        session = EncapsulationSession(
            self.objects, Lists(self.objects, host, port), self._chassis, next(self._numbers), self._counted
        )
        try:
            await self._serve(reader, writer, session)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went, or the server is closing: either way this connection is over
        finally:
            session.connections.clear()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: EncapsulationSession
    ) -> None:
        while not session.ended:
            header = await reader.readexactly(HEADER.size)
            length = session.length(header)
            body = await reader.readexactly(length) if length <= BODY_BYTES else b""
            self._counted["bytes_in"] += HEADER.size + len(body)
            self.objects.met = None
            reply = session.answer(header, body)
            if (
                reply is not None
                and (self.faults or self.objects.met)
                and can_meet(reply[0])
                and len(reply) > HEADER.size
            ):
                fault = self.objects.met or self.faults.meet("", 0, 1)
                if fault is not None:
                    reply = await self._spoil(fault, reply, writer)
            if reply is not None:
                self._counted["bytes_out"] += len(reply)
                writer.write(reply)
                await writer.drain()

    async def _spoil(self, fault: Fault, reply: bytes, writer: asyncio.StreamWriter) -> bytes | None:
        """What goes out in place of this reply, once the fault it meets is done; None for nothing."""
        if fault.act is Act.LATE:
            await asyncio.sleep(fault.seconds)
        elif fault.act is Act.SLOW:
            size = -(-len(reply) // PIECES)
            while len(reply) > size:
                writer.write(reply[:size])
                reply = reply[size:]
                await asyncio.sleep(fault.seconds / PIECES)
        elif fault.act is Act.RESET:
            writer.transport.abort()
            raise ConnectionResetError
        elif fault.act in (Act.HANG, Act.ABSENT):
            return None
        return spoiled(fault, reply, self.faults.random)


async def _turns() -> None:
    """Let the loop finish what it has begun: a connection is known two turns after it was accepted, and its socket is
    closed one turn after its transport was."""
    for _ in range(4):
        await asyncio.sleep(0)


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
    identity: IdentityObject | None = None,
    name: str = "Main",
    slot: int = 0,
    refuse_large: bool = False,
    largest: int = LARGEST[True],
    clock: Callable[[], int] = time.time_ns,
    faults: DeviceFaults | None = None,
) -> LogixServer:
    """Serve a controller's tags.

    Args:
        controller: Its tags may be changed while it is served.
        host: IPv4 address to listen on.
        port: For TCP and UDP; 0 picks a free one.
        identity: Its name plate.
        name: Name of its program.
        slot: Link address behind port 1 at which it answers.
        refuse_large: Refuse the large Forward Open, as an old CPU does.
        largest: Largest connection granted [bytes].
        clock: Its wall clock [ns since 1970 UTC].
        faults: What it does wrong; None for nothing yet.

    Raises:
        OSError: the port is taken.
    """
    counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
    objects = Objects(controller, identity or IdentityObject(), name, counts, clock)
    shared = chassis(counts, slot=slot, refuse_large=refuse_large, largest=largest)
    server = LogixServer(controller, objects, shared, DeviceFaults() if faults is None else faults)
    await server.listen(host, port)
    return server


async def serve(plant: Plant, section: DeviceSection, host: str, port: int) -> LogixServer:
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
    faults = DeviceFaults(plant.seed)
    view = View(plant, section.points, faults.troubles)
    try:
        fill(controller, plant, section, view)
        server = await start(
            controller,
            host,
            port,
            identity=_identity(section),
            clock=lambda: view.clock_ns(time.time_ns()),
            faults=faults,
            **{"name": section.asset.replace("-", "_"), **section.settings},
        )
    except BaseException:
        view.close()
        raise

    def moved(_: PlantMoment) -> None:
        gone = [one.pattern for one in faults.troubles.of_word("gone")]
        if gone or controller.hiding:
            controller.hide(lambda title: any(fits(pattern, title) for pattern in gone))

    view.listen(moved)
    server.ended = view.close
    return server


def _identity(section: DeviceSection) -> IdentityObject:
    """The section's own words as far as CIP has a place for them; a serial that is no number is hashed into one."""
    firmware = re.match(r"(\d+)\.(\d+)", section.firmware)
    major, minor = (min(int(one), 127) for one in firmware.groups()) if firmware else (33, 11)
    serial = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", section.serial)
    number = int(serial[1], 16) if serial else zlib.crc32(section.serial.encode())
    product = f"{(section.model or IdentityObject().product)[:20]} (simulated)"
    return IdentityObject(product=product, major=major, minor=minor, serial=number)
