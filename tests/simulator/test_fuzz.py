"""The three servers together under requests that were well formed before they were spoiled, by a seed.

What may happen: a reply, a refusal, an end of the connection. What may not: an exception that escapes, a server that
does not answer a good client afterwards, a connection or a task that stays.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import struct
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.ua.ua_binary import nodeid_to_binary
from logix_line import request as cip
from logix_line import symbol
from modbus_client import read, request
from small_plant import on_free_ports

from simulator.main import Room
from simulator.scene.file import parse

Message = Callable[[random.Random, int], bytes]
"""Makes a request for a session."""


class Watcher(logging.Handler):
    """Keeps what was logged as an error by anyone."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def spoiled(dice: random.Random, message: bytes, share: float = 0.8) -> bytes:
    """The message, that share of the time with something wrong: bits turned, bytes in or out, cut, lengths that lie."""
    out = bytearray(message)
    for _ in range(dice.choice((1, 1, 2, 5)) if dice.random() < share else 0):
        at = dice.randrange(len(out)) if out else 0
        match dice.randrange(6):
            case 0 if out:
                out[at] ^= 1 << dice.randrange(8)
            case 1 if out:
                out[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                out[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 3:
                del out[at : at + dice.randrange(1, 9)]
            case 4:
                del out[at:]
            case _ if len(out) >= at + 4:
                out[at : at + 4] = struct.pack("<I", dice.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
    return bytes(out)


def modbus_message(dice: random.Random, _: int) -> bytes:
    """Any function with any data, most of them reads."""
    pdu = read(dice.randrange(1, 5), dice.randrange(0, 80), dice.randrange(1, 126))
    if dice.random() < 0.5:
        pdu = bytes((dice.randrange(256),)) + dice.randbytes(dice.randrange(0, 40))
    return request(dice.randrange(65536), pdu, dice.choice((0, *[1] * 9, 255)))


def logix_message(dice: random.Random, session: int) -> bytes:
    """A request in SendRRData, mostly."""
    paths = (symbol("Filler"), symbol("Seal_Temp") + b"\x28\x02", b"\x20\x6b\x25\x00\x01\x00", b"\x20\x06\x24\x01")
    inner = cip(
        dice.choice((0x4C, 0x52, 0x55, 0x03, 0x01, 0x0A, 0x54, 0x5B, 0x4E, 0x4D, dice.randrange(256))),
        dice.choice(paths),
        dice.choice(
            (b"\x01\x00", b"\x01\x00\0\0\0\0", b"\x02\x00\x01\x00\x02\x00", dice.randbytes(dice.randrange(60)))
        ),
    )
    if dice.random() < 0.5:
        inner = cip(0x4C, dice.choice(paths[:2]), b"\x01\x00")
    inner = spoiled(dice, inner, 0.6)  # within a frame that is right, or all that comes behind it would be lost
    body = struct.pack("<IHHHHHH", 0, 5, 2, 0, 0, 0xB2, len(inner)) + inner
    kind = dice.choice((*[0x6F] * 16, 0x70, 0x63, 0x04, dice.randrange(256)))
    return struct.pack("<HHII8sI", kind, len(body), session, 0, b"fuzzfuzz", 0) + body


async def recorded(port: int) -> list[bytes]:
    """What a good OPC UA client sends from its hello to its end, chunk by chunk."""
    chunks: list[bytes] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while data := await up_reader.read(65536):
                writer.write(data)
            writer.close()

        task = asyncio.create_task(back())
        try:
            while head := await reader.readexactly(8):
                chunk = head + await reader.readexactly(struct.unpack_from("<I", head, 4)[0] - 8)
                chunks.append(chunk)
                up_writer.write(chunk)
        except asyncio.IncompleteReadError:
            pass
        up_writer.close()
        await task

    proxy = await asyncio.start_server(carry, "127.0.0.1", 0)
    url = f"opc.tcp://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/"
    async with Client(url, timeout=10) as client:
        nodes = [client.get_node("ns=2;s=Turbine.Speed"), client.get_node("ns=2;s=Turbine.Load")]
        await client.read_attributes(nodes)
        await client.nodes.objects.get_children()
        subscription = await client.create_subscription(50, Silent())
        await subscription.subscribe_data_change(nodes)
        await subscription.subscribe_events()
        with suppress(ua.UaError):
            await client.nodes.server.call_method(ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), 1)
    proxy.close()
    await proxy.wait_closed()
    return chunks


class Silent:
    """Hears and says nothing."""

    def datachange_notification(self, *_: Any) -> None:
        """A value."""

    def event_notification(self, *_: Any) -> None:
        """An event."""

    def status_change_notification(self, *_: Any) -> None:
        """A status."""


async def tell(port: int, first: bytes, messages: Callable[[int], list[bytes]]) -> None:
    """One connection on which all is sent; what comes back is read until it is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    session = 0
    try:
        if first:
            writer.write(first)
            session = struct.unpack_from("<I", await asyncio.wait_for(reader.readexactly(28), 10), 4)[0]
        writer.write(b"".join(messages(session)))
        writer.write_eof()
        while await asyncio.wait_for(reader.read(65536), 20):
            pass
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()


async def converse(server: Any, dice: random.Random, chunks: list[bytes]) -> int:
    """The recorded conversation under its own channel and session, from one chunk on spoiled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    start = dice.randrange(len(chunks))
    channel = old = token = b""
    try:
        for number, chunk in enumerate(chunks):
            if chunk[:3] != b"HEL" and channel:
                chunk = chunk[:8] + channel + chunk[12:]
            if old:
                chunk = chunk.replace(old, token)
            writer.write(spoiled(dice, chunk) if number >= start else chunk)
            await writer.drain()
            if number >= start or number > 3:  # a publish request is not answered at once
                continue
            head = await asyncio.wait_for(reader.readexactly(8), 10)
            body = await asyncio.wait_for(reader.readexactly(struct.unpack_from("<I", head, 4)[0] - 8), 10)
            if head[:3] == b"OPN":
                channel = body[:4]
            if number == 2:  # the session is made: its token is the newest one
                held = list(server._server.iserver._external_sessions)
                token = nodeid_to_binary(held[-1])
                old = _token(chunks[3])
        writer.write_eof()
        while await asyncio.wait_for(reader.read(65536), 20):
            pass
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.transport.abort()
    return len(chunks) - start


def _token(chunk: bytes) -> bytes:
    """The authentication token of a recorded request: the NodeId behind the request's type (a four-byte one)."""
    at = 24 + 4
    return chunk[at : at + {0: 2, 1: 4, 2: 7}.get(chunk[at] & 0x3F, 7)]


async def well(room: Room) -> None:
    """A good client of each kind is answered."""
    ports = {asset: place["port"] for asset, place in room.places().items()}
    reader, writer = await asyncio.open_connection("127.0.0.1", ports["pump-7"])
    writer.write(request(1, read(3, 0, 2)))
    assert len(await asyncio.wait_for(reader.readexactly(13), 20)) == 13
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", ports["packaging-2"])
    writer.write(struct.pack("<HHII8sI", 0x63, 0, 0, 0, b"contextX", 0))
    assert (await asyncio.wait_for(reader.readexactly(24), 20))[:2] == b"\x63\x00"
    writer.close()
    async with Client(f"opc.tcp://127.0.0.1:{ports['turbine-1']}/", timeout=20) as client:
        assert await client.get_node("ns=2;s=Turbine.Speed").read_value() > 0


def batches(dice: random.Random, message: Message, count: int) -> Iterator[Callable[[int], list[bytes]]]:
    """Spoiled messages in handfuls, as many as asked for."""
    while count > 0:
        size = min(count, dice.randrange(1, 5))
        yield lambda session, size=size: [  # type: ignore[misc]
            spoiled(dice, message(dice, session), 0.25) for _ in range(size)
        ]
        count -= size


async def storm(count: int, seed: int) -> None:
    """That many requests in all, a third to each server."""
    dice = random.Random(seed)
    escaped: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    room = Room(parse(tomllib.loads(on_free_ports())), 1, "127.0.0.1")
    await room.open()
    try:
        servers = {asset: server for asset, (_, server) in room.servers.items()}
        register = struct.pack("<HHII8sI", 0x65, 4, 0, 0, b"contextX", 0) + b"\x01\0\0\0"
        chunks = await recorded(servers["turbine-1"].port)
        await well(room)
        tasks = len(asyncio.all_tasks())
        for messages in batches(dice, modbus_message, count // 3):
            await tell(servers["pump-7"].port, b"", messages)
        for messages in batches(dice, logix_message, count // 3):
            await tell(servers["packaging-2"].port, dice.choice((b"", *[register] * 9)), messages)
        sent = 0
        while sent < count - 2 * (count // 3):
            sent += await converse(servers["turbine-1"], dice, chunks)
        await well(room)
        asked = servers["turbine-1"].asked
        assert min(asked.get(name, 0) for name in ("Read", "Browse", "CreateMonitoredItems", "Publish")) > 10, asked
        assert servers["packaging-2"].counts["tags_read"] > count // 100
        assert all(server.counts["malformed"] > 10 for server in servers.values())
        servers["turbine-1"].faults.add("restart 0s")  # sessions outlive their connections until they time out
        for asset, server in servers.items():
            for _ in range(1000):
                if not server.counts["open"]:
                    break
                await asyncio.sleep(0.01)
            assert server.counts["open"] == 0, asset
        for _ in range(1000):
            if len(asyncio.all_tasks()) <= tasks:
                break
            await asyncio.sleep(0.02)
        assert len(asyncio.all_tasks()) <= tasks + 2, [str(task) for task in asyncio.all_tasks()]
    finally:
        await room.close()
    gc.collect()
    assert escaped == []


def weather(count: int, seed: int) -> None:
    """A storm with everyone's errors watched."""
    watcher = Watcher()
    logging.getLogger().addHandler(watcher)
    try:
        asyncio.run(storm(count, seed))
    finally:
        logging.getLogger().removeHandler(watcher)
    assert watcher.lines == []


@pytest.mark.parametrize("seed", [20_261_123])
def test_two_thousand_spoiled_requests_leave_three_servers_well(seed: int) -> None:
    """Nothing escapes, hangs or stays."""
    weather(2000, seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(5))
def test_fifty_thousand_spoiled_requests_leave_three_servers_well(seed: int) -> None:
    """The same, 10,000 under each of five seeds."""
    weather(10_000, seed)
