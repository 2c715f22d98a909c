"""False Modbus devices behind a gateway, on serial framing, in TLS, and with registers that change by being read."""

from __future__ import annotations

import asyncio
import random
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
from modbus_client import ask, frame, read, request
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusTlsClient
from small_plant import NOW, fixed, modbus_device, one_device

from protocol.errors import ConfigError
from simulator.certificates import made
from simulator.main import Room
from simulator.modbus.framing import RTU_LONGEST, Broken, Mbap, Rtu, crc
from simulator.modbus.readout import CHUNK, EVENT_REGISTERS, FILE_REGISTERS
from simulator.plant.plant import Plant
from simulator.scene.file import parse

SECOND = 1_000_000_000


def serial(unit: int, pdu: bytes) -> bytes:
    """A frame of a serial line."""
    return bytes((unit,)) + pdu + struct.pack("<H", crc(bytes((unit,)) + pdu))


def test_the_check_of_a_serial_frame_is_the_standards() -> None:
    """The example of the serial line's specification (6.2.2): 02 07 has the check 41 12."""
    assert serial(2, b"\x07").hex() == "02074112"


def test_serial_requests_may_be_cut_anywhere() -> None:
    """However the bytes arrive, the same requests come out; a frame with a wrong check comes out nowhere."""
    dice = random.Random(8)
    frames = [
        serial(1, read(3, 0, 2)),
        serial(9, b"\x2b\x0e\x01\x00"),
        serial(1, b"\x10\0\0\0\1\2\0\7"),
        serial(2, b"\x07"),
    ]
    whole = b"".join(frames)
    for _ in range(200):
        cuts = sorted(dice.sample(range(1, len(whole)), 5))
        framing = Rtu()
        got = [one for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) for one in framing.split(whole[a:b])]
        assert [serial(one.unit, one.pdu) for one in got] == frames
    framing = Rtu()
    assert framing.split(frames[0][:-1] + b"\xff") == []
    assert framing.bad == 1
    assert len(framing.split(frames[0])) == 1


def test_no_bytes_make_a_framing_wait_without_bound() -> None:
    """Random bytes for ever: what is kept never grows past one frame."""
    dice = random.Random(9)
    for framing in (Rtu(), Mbap()):
        for _ in range(3000):
            try:
                framing.split(dice.randbytes(dice.randrange(1, 40)))
            except Broken:
                framing = Mbap()
            assert len(framing._rest) <= RTU_LONGEST + 40


def test_pymodbus_reads_over_serial_framing() -> None:
    """RTU over TCP with a client of another make; another unit is silence, as on a line."""

    async def run() -> None:
        plant = Plant(one_device([fixed("a", "holding:0", "uint16", 7)], framing="rtu", unit=17))
        async with modbus_device(plant) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port, framer=FramerType.RTU, timeout=5)
            assert await client.connect()
            assert (await client.read_holding_registers(0, count=1, device_id=17)).registers == [7]
            client.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(serial(3, read(3, 0, 1)) + serial(17, read(3, 0, 1)))
            assert await asyncio.wait_for(reader.readexactly(7), 10) == serial(17, b"\x03\x02\x00\x07")
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


def test_pymodbus_reads_within_tls_and_a_stranger_does_not(tmp_path: Path) -> None:
    """A client whose certificate the scene trusts reads; one without any is turned away."""
    own = made("client", "urn:client", "127.0.0.1")
    (tmp_path / "clients.pem").write_bytes(own.certificate)
    (tmp_path / "client-key.pem").write_bytes(own.key)

    def context(known: bool) -> ssl.SSLContext:
        held = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        held.check_hostname, held.verify_mode = False, ssl.CERT_NONE
        if known:
            held.load_cert_chain(tmp_path / "clients.pem", tmp_path / "client-key.pem")
        return held

    async def run() -> None:
        settings: dict[str, Any] = {"tls": True, "clients": str(tmp_path / "clients.pem")}
        plant = Plant(one_device([fixed("a", "holding:0", "uint16", 7)], **settings))
        async with modbus_device(plant) as server:
            client = AsyncModbusTlsClient("127.0.0.1", port=server.port, sslctx=context(known=True), timeout=5)
            assert await client.connect()
            assert (await client.read_holding_registers(0, count=1, device_id=1)).registers == [7]
            client.close()
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await stranger(server.port)

    async def stranger(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context(known=False))
        try:
            writer.write(request(1, read(3, 0, 1)))
            await asyncio.wait_for(reader.readexactly(1), 10)
        finally:
            writer.transport.abort()

    asyncio.run(run())


def gateway(**settings: Any) -> Room:
    """A gateway, unit 1, with two devices behind it, units 2 and 3."""

    def server(asset: str, value: int, **modbus: Any) -> dict[str, Any]:
        return {
            "asset": asset,
            "protocol": "modbus",
            "modbus": modbus,
            "tag": [fixed("a", "holding:0", "uint16", value)],
        }

    tables = [
        server("second", 22, behind="first", unit=2),
        {**server("first", 11, **settings), "port": 0},
        server("third", 33, behind="first", unit=3),
    ]
    return Room(parse({"scene": {"name": "three"}, "server": tables}), 1, "127.0.0.1")


def test_each_unit_behind_a_gateway_is_a_device_of_its_own() -> None:
    """Own values, own faults, own absence (0x0B while the gateway stays), own counts; one port."""

    async def run() -> None:
        room = gateway()
        await room.open()
        places, server = room.places(), room.servers["first"][1]
        assert len({place["port"] for place in places.values()}) == 1
        assert [places[asset]["unit"] for asset in ("second", "first", "third")] == [2, 1, 3]

        async def value(unit: int) -> str:
            return (await ask(server, read(3, 0, 1), unit)).hex()  # type: ignore[arg-type]

        assert [await value(unit) for unit in (1, 2, 3)] == ["0302000b", "03020016", "03020021"]
        assert await value(4) == "830b"
        room.servers["second"][1].faults.add("busy")
        room.servers["third"][1].faults.add("absent")
        assert [await value(unit) for unit in (1, 2, 3)] == ["0302000b", "8306", "830b"]
        room.servers["third"][1].faults.clear()
        assert await value(3) == "03020021"
        assert room.counts()["second"]["requests"] == 2
        assert room.counts()["second"]["faults"] == 1
        await room.close()

    asyncio.run(run())


def test_a_gateway_may_answer_any_unit_as_its_own() -> None:
    """`other_units = "same"`, as many small devices do."""

    async def run() -> None:
        room = gateway(other_units="same")
        await room.open()
        server: Any = room.servers["first"][1]
        assert (await ask(server, read(3, 0, 1), 200)).hex() == "0302000b"
        await room.close()

    asyncio.run(run())


@pytest.mark.parametrize("settings", [{"behind": "nobody"}, {"behind": "second"}, {"unit": 2}, {"framing": "morse"}])
def test_a_gateway_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    """A gateway that is none, a unit number twice, a framing that is none."""

    async def run() -> None:
        with pytest.raises(ConfigError):
            await gateway(**settings).open()

    asyncio.run(run())


def recorder() -> Plant:
    """A relay that trips once a minute, its events and its log in windows."""
    tags: list[dict[str, Any]] = [
        {
            "name": "current",
            "at": "input:0",
            "type": "float32",
            "signal": {"kind": "sine", "mean": 400, "span": 20, "period_s": 3},
        },
        {"name": "trip", "at": "discrete:0", "type": "bool", "signal": {"kind": "fixed", "value": False}},
    ]
    window = [
        {"at": "input:1000", "kind": "events"},
        {"at": "holding:2000", "kind": "file", "fields": ["current", "trip"]},
    ]
    server = {"asset": "relay", "protocol": "modbus", "port": 0, "modbus": {"window": window}, "tag": tags}
    steps = [
        {"tag": "trip", "to": True, "after_ms": 0, "text": "overcurrent", "severity": 900},
        {"tag": "current", "to": 0, "after_ms": 61, "text": "no current", "severity": 300},
    ]
    trip = {"name": "overcurrent", "asset": "relay", "every_s": 60, "for_s": 5, "steps": steps}
    plant = Plant(parse({"scene": {"name": "relay"}, "server": [server], "trip": [trip]}), 4)
    plant.advance(NOW)
    return plant


def test_reading_the_event_window_moves_it_on() -> None:
    """Oldest first, each record once for all clients, zeros when there is none; a new trip brings new ones."""

    async def run() -> None:
        plant = recorder()
        async with modbus_device(plant) as server:
            seen = []
            for _ in range(40):
                data = (await ask(server, read(4, 1000, EVENT_REGISTERS)))[2:]
                left, number, time_ms, code, state, severity = struct.unpack_from(">HIQHHH", data)
                if not number:
                    break
                seen.append((number, time_ms, code, state, severity, data[20:].rstrip(b"\0").decode()))
            assert left == 0
            numbers = [one[0] for one in seen]
            assert len(seen) == 16
            assert numbers == list(range(numbers[0], numbers[0] + 16))
            last = plant.trips.newest("relay", plant.moment.time_ns, 1)[0]
            assert seen[-1] == (
                *(last.number, last.time_ns // 1_000_000, last.code, int(last.state), last.severity, last.text),
            )
            before = plant.moment.time_ns
            fresh = plant.events(before + 1, plant.advance(NOW + 60 * SECOND).time_ns + 1, "relay")
            head = await ask(server, read(4, 1000, EVENT_REGISTERS))
            assert struct.unpack_from(">HI", head, 2) == (len(fresh) - 1, fresh[0].number)
            assert fresh[0].number == numbers[-1] + 1
            half = await ask(server, read(4, 1000, EVENT_REGISTERS - 1))
            again = await ask(server, read(4, 1000, EVENT_REGISTERS - 1))
            assert half == again

    asyncio.run(run())


def test_the_file_window_gives_the_log_of_the_trip_piece_by_piece() -> None:
    """Pieces join to a text with a line a tick; after the end it begins again, also for a block around the window."""

    async def run() -> None:
        plant = recorder()
        async with modbus_device(plant) as server:
            whole, size = b"", 1
            while len(whole) < size:
                data = (await ask(server, read(3, 2000, FILE_REGISTERS)))[2:]
                position, size, length = struct.unpack_from(">IIH", data)
                assert position == len(whole)
                whole += data[10 : 10 + length]
                assert length == min(CHUNK, size - position)
            end = (await ask(server, read(3, 2000, FILE_REGISTERS)))[2:]
            assert struct.unpack_from(">IIH", end)[2] == 0
            first = (await ask(server, read(3, 2000, FILE_REGISTERS)))[2:]
            assert first[10:] == whole[:CHUNK]
            lines = whole.decode("latin-1").splitlines()
            assert lines[1] == "ms;current;trip"
            assert len(lines) == 2 + 60
            assert {line.rpartition(";")[2] for line in lines[2:]} == {"True", "False"}

    asyncio.run(run())


def test_a_restart_of_the_device_is_seen_and_its_port_stays() -> None:
    """`restart`: the connection is reset, the port refuses, then answers again; windows begin anew."""

    async def run() -> None:
        plant = recorder()
        async with modbus_device(plant) as server:
            first = await ask(server, read(4, 1000, EVENT_REGISTERS))
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request(1, read(4, 0, 2)))
            await frame(reader)
            server.faults.add("restart 0.2s")
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(reader.readexactly(1), 10)
            writer.close()
            while server.faults.away:
                await asyncio.sleep(0.01)
            await server.settled()
            assert await ask(server, read(4, 1000, EVENT_REGISTERS)) == first

    asyncio.run(run())


def test_a_register_that_is_gone_is_an_illegal_address() -> None:
    """And there again when healed."""

    async def run() -> None:
        plant = Plant(one_device([fixed("a", "holding:0", "uint16", 7), fixed("b", "holding:1", "uint16", 9)]))
        async with modbus_device(plant) as server:
            server.faults.add("gone b")
            assert (await ask(server, read(3, 0, 2))).hex() == "8302"
            assert (await ask(server, read(3, 0, 1))).hex() == "03020007"
            server.faults.remove("gone b")
            assert (await ask(server, read(3, 0, 2))).hex() == "030400070009"

    asyncio.run(run())


def test_a_slow_reply_comes_in_pieces_and_whole() -> None:
    """Ten pieces over the time, none missing."""

    async def run() -> None:
        plant = Plant(one_device([fixed("a", "holding:0", "uint16", 7)]))
        async with modbus_device(plant) as server:
            server.faults.add("slow 0.1s x1")
            began = asyncio.get_running_loop().time()
            assert (await ask(server, read(3, 0, 1))).hex() == "03020007"
            assert asyncio.get_running_loop().time() - began >= 0.1

    asyncio.run(run())
