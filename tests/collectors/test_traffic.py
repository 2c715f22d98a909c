"""What the collectors send is heard by a parser that shares nothing with them: reads, and never a write."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from enip_peer import asking, reading
from modbus_peer import Peer
from opcua_peer import UaPeer
from overheard import Unreadable, findings, heard
from pycomm3 import LogixDriver
from pymodbus.client import AsyncModbusTcpClient
from recorder import Recorder, recording

from collectors.base import Device, numbered
from collectors.modbus.collector import ModbusCollector
from collectors.opcua.collector import OpcUaCollector

HOST = "127.0.0.1"


def protocols(recorder: Recorder) -> set[str]:
    """Whose requests were heard."""
    return {one.protocol for sent in recorder.streams for one in heard(bytes(sent))}


async def modbus(port: int) -> None:
    """A pass of the Modbus collector."""
    tags = [{"name": "a", "at": "holding:0", "type": "uint16"}, {"name": "b", "at": "coil:3"}]
    url = f"tcp://{HOST}:{port}"
    made = Device(name="a", url=url, kind="process", settings={}, scans=numbered([(1.0, tags)]))
    plc = ModbusCollector(made, clock=time.time_ns, refused=print)
    await plc.open()
    await plc.read(made.scans[0])
    await plc.close()


async def opcua(url: str) -> None:
    """A pass of the OPC UA collector, by subscription."""
    tags = [{"name": "p", "at": "ns=2;s=pressure"}]
    made = Device(name="b", url=url, kind="process", settings={}, scans=numbered([(0.2, tags)]))
    plc = OpcUaCollector(made, clock=time.time_ns, refused=print)
    await plc.open()
    await plc.read(made.scans[0])
    await plc.discover()
    await plc.close()


def test_the_collectors_are_heard_and_only_read(peer: UaPeer) -> None:
    """A pass of each is recorded whole, in all three protocols, and no request of them is anything but a read."""

    async def main() -> None:
        async with Peer() as plc:
            await modbus(plc.port)
        await opcua(peer.url)
        async with reading(asking("One_DINT", "Drives[1].Speed")) as (_, reader):
            await reader.values()
            await reader.collector.discover()

    with recording() as recorder:
        asyncio.run(main())
    assert protocols(recorder) == {"modbus", "opcua", "cip"}
    assert sum(len(heard(bytes(sent))) for sent in recorder.streams) > 30
    assert findings(recorder.streams) == []


def test_a_planted_write_is_heard_in_every_protocol(peer: UaPeer) -> None:
    """The bare libraries, without the guard, write among their reads: each such request is found, and nothing else."""

    async def main() -> None:
        async with Peer() as plc:
            client = AsyncModbusTcpClient(HOST, port=plc.port, retries=0)
            await client.connect()
            await client.read_holding_registers(0, count=2)
            await client.write_register(0, 1)
            await client.read_coils(0, count=8)
            client.close()
        async with Client(peer.url) as session:
            node = session.get_node("ns=2;s=pressure")
            await node.read_value()
            with pytest.raises(ua.UaStatusCodeError):
                await node.write_value(1.0)
            with pytest.raises(ua.UaStatusCodeError):
                await session.nodes.server.call_method("0:GetMonitoredItems", ua.Variant(1, ua.VariantType.UInt32))
        async with reading(asking("One_DINT")) as (server, _):
            await asyncio.to_thread(write_tags, server.port)

    with recording() as recorder:
        asyncio.run(main())
    assert sorted(findings(recorder.streams)) == [
        "cip packet of service 0x4d class 0x6b",
        "cip service 0x4d class 0x6b",
        "cip service 0x4e class 0x6b",
        "modbus function 6",
        "opcua Call",
        "opcua request 673",
    ]


def write_tags(port: int) -> None:
    """pycomm3 alone: a value, two at once, a bit."""
    driver = LogixDriver(HOST)
    driver._cfg["port"] = port
    with driver:
        driver.read("One_DINT")
        assert driver.write("One_DINT", 5).error
        driver.write(("One_DINT", 5), ("One_REAL", 1.0))
        driver.write("Word.3", True)


RTU_READ = bytes.fromhex("01 03 00 00 00 0a c5 cd")
MBAP_READ = bytes.fromhex("0001 0000 0006 01 03 0000 000a")


@pytest.mark.parametrize(
    ("sent", "reads"),
    [
        (MBAP_READ, [True]),
        (MBAP_READ + bytes.fromhex("0002 0000 0006 01 05 0000 ff00"), [True, False]),
        (
            MBAP_READ + bytes.fromhex("0002 0000 000d 01 17 0000 0001 0000 0001 02 00"),
            [True],
        ),  # cut off: not sent whole
        (bytes.fromhex("0002 0000 000c 01 03 0000 0001 0000 0001 00"), []),
        (bytes.fromhex("0002 0000 0005 01 2b 0e 01 00"), [True]),
        (bytes.fromhex("0002 0000 0005 01 2b 0d 01 00"), [False]),
        (bytes.fromhex("0002 0000 0008 01 03 0000 000a 0600"), [False]),  # something rides behind a read
        (RTU_READ, [True]),
        (RTU_READ + bytes.fromhex("01 06 00 01 00 03 98 0b"), [True, False]),
    ],
)
def test_modbus_is_heard_as_the_standard_says(sent: bytes, reads: list[bool]) -> None:
    """Both framings; each byte belongs to a request."""
    assert [one.reads for one in heard(sent)] == reads


@pytest.mark.parametrize("sent", [b"\x99" * 40, b"\0\1\0\0\xff\xff" + bytes(20), b"HELF" + bytes(40)])
def test_what_cannot_be_read_is_a_finding_not_silence(sent: bytes) -> None:
    """An auditor who cannot parse must not say that there was nothing."""
    with pytest.raises(Unreadable):
        heard(sent)
    assert len(findings([sent])) == 1


def test_the_recorder_hears_every_way_of_sending() -> None:
    """Plain, gathered, from a coroutine, as a datagram; what an accepted socket answers is none of it."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(100)).upper())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(echo, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"abc")
        assert await reader.read() == b"ABC"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    def plain(send: Callable[[socket.socket], Any], kind: int = socket.SOCK_STREAM) -> None:
        with socket.socket(type=kind) as server, socket.socket(type=kind) as client:
            server.bind((HOST, 0))
            if kind == socket.SOCK_STREAM:
                server.listen()
            client.connect(server.getsockname())
            send(client)

    with recording() as recorder:
        asyncio.run(main())
        plain(lambda end: end.sendall(b"one"))
        plain(lambda end: end.send(b"two"))
        plain(lambda end: end.sendmsg([b"th", b"ree"]))
        plain(lambda end: end.send(b"four"), socket.SOCK_DGRAM)
    assert sorted(map(bytes, recorder.streams)) == [b"abc", b"one", b"three", b"two"]
    assert recorder.datagrams == [b"four"]


def test_tshark_hears_the_same(tmp_path: Path) -> None:
    """Modbus reads and a planted write, as somebody else's parser sees them in a capture file."""
    sent = [MBAP_READ, bytes.fromhex("0002 0000 0006 01 06 0000 0001"), bytes.fromhex("0003 0000 0006 01 04 0000 0002")]
    file = tmp_path / "sent.pcap"
    file.write_bytes(capture(sent, 502))
    words = ["tshark", "-r", str(file), "-Y", "modbus", "-T", "fields", "-e", "modbus.func_code"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert said == ["3", "6", "4"]
    assert [f"function {code}" for code in said] == [one.what for part in sent for one in heard(part)]


def capture(sent: list[bytes], port: int) -> bytes:
    """A capture file of one connection that sends these, a segment each (raw IPv4; checksums left 0)."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228)
    sequence = 1
    for data in sent:
        tcp = struct.pack(">HHIIBBHHH", 40000, port, sequence, 1, 0x50, 0x18, 8192, 0, 0) + data
        packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, bytes(4), bytes(4)) + tcp
        out += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
        sequence += len(data)
    return out
