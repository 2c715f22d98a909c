"""A fault does to a Modbus client what its word says, where it says, as often as it says."""

from __future__ import annotations

import asyncio
import struct

import pytest
from modbus_client import ask, frame, read, request
from pymodbus.client import AsyncModbusTcpClient
from small_plant import fixed, modbus_device, one_device

from protocol.errors import ConfigError
from simulator.control import Breakable, open_control
from simulator.device_faults import Act, DeviceFaults, Fault
from simulator.modbus.server import ModbusServer
from simulator.plant.plant import Plant

GOOD = bytes.fromhex("0304" + "0007" + "0009")


def device() -> Plant:
    tags = [
        fixed("a", "holding:0", "uint16", 7),
        fixed("b", "holding:1", "uint16", 9),
        fixed("c", "coil:0", "bool", True),
    ]
    return Plant(one_device(tags), 3)


async def exchange(server: ModbusServer, wait_s: float = 5.0) -> bytes:
    """All bytes that answer one request for both registers; empty where the connection ended, or nothing came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request(0x1234, read(3, 0, 2)))
        return await asyncio.wait_for(reader.read(300), wait_s)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refuse 2", "123400000003018302"),
        ("refuse", "123400000003018304"),
        ("busy", "123400000003018306"),
        ("short", "1234000000050103020007"),
        ("wrong_unit", "12340000000754" + GOOD.hex()),
        ("wrong_function", "1234000000070104" + GOOD.hex()[2:]),
        ("wrong_transaction", "47610000000701" + GOOD.hex()),
        ("late 0.01s", "12340000000701" + GOOD.hex()),
    ],
)
def test_each_fault_on_the_wire(fault: str, expected: str) -> None:
    """The reply, byte by byte; once it is gone, the right one."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            server.faults.add(f"{fault} x1")
            assert (await exchange(server)).hex() == expected
            assert server.counts["faults"] == 1
            assert (await exchange(server))[7:] == GOOD
            assert server.counts["faults"] == 1

    asyncio.run(run())


def test_a_hanging_device_keeps_the_connection() -> None:
    """No reply to the spoiled request, and the next one on the same connection is answered."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            server.faults.add("hang x1")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request(1, read(3, 0, 2)) + request(2, read(3, 0, 2)))
            assert await asyncio.wait_for(frame(reader), 5) == (2, 1, GOOD)
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


def test_a_late_reply_comes_after_the_next_ones() -> None:
    """The right reply to the first request arrives behind that to the second, after its delay."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            server.faults.add("late 0.05s x1")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            asked = asyncio.get_running_loop().time()
            writer.write(request(1, read(3, 0, 2)) + request(2, read(3, 0, 2)))
            assert [(await asyncio.wait_for(frame(reader), 5))[0] for _ in range(2)] == [2, 1]
            assert asyncio.get_running_loop().time() - asked >= 0.05
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


def test_a_reset_is_a_reset() -> None:
    """The client sees RST, not an orderly end."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            server.faults.add("reset x1")
            with pytest.raises(ConnectionResetError):
                await exchange(server)
            assert (await exchange(server))[7:] == GOOD

    asyncio.run(run())


def test_garbage_is_from_the_seed() -> None:
    """No Modbus frame (protocol id 0xFFFF), and the same bytes for the same seed."""

    async def run() -> bytes:
        async with modbus_device(device()) as server:
            server.faults.add("garbage")
            return await exchange(server)

    first = asyncio.run(run())
    assert first[2:4] == b"\xff\xff"
    assert asyncio.run(run()) == first


def test_an_absent_device_refuses_connections_and_returns_on_its_port() -> None:
    """Absent: open connections are reset, new ones refused. Back: the same port answers again."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            port = server.port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(1, read(3, 0, 2)))
            await frame(reader)
            absent = server.faults.add("absent")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.readexactly(1), 5)
            writer.transport.abort()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            server.faults.remove(absent)
            await server.settled()
            assert server.port == port
            assert (await exchange(server))[7:] == GOOD

    asyncio.run(run())


def test_a_fault_touches_only_its_addresses() -> None:
    """A fault at one register spoils each read that contains it, and no other."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            server.faults.add("refuse 2 at holding:1")
            assert (await ask(server, read(3, 0, 1))).hex() == "03020007"
            assert (await ask(server, read(3, 0, 2))).hex() == "8302"
            assert (await ask(server, read(3, 1, 1))).hex() == "8302"
            assert (await ask(server, read(1, 0, 1))).hex() == "010101"
            server.faults.clear()
            assert await ask(server, read(3, 0, 2)) == GOOD

    asyncio.run(run())


def test_pymodbus_takes_a_short_reply_for_good() -> None:
    """Why a collector must count what it got: the best known client passes a short reply on as a success."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            server.faults.add("short")
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=5)
            assert await client.connect()
            reply = await client.read_holding_registers(0, count=2, device_id=1)
            assert (reply.isError(), reply.registers) == (False, [7])
            client.close()

    asyncio.run(run())


def test_a_share_is_drawn_from_the_seed() -> None:
    """A fault with a share meets about that share, the same requests under the same seed."""
    runs = []
    for _ in range(2):
        faults = DeviceFaults(seed=5)
        faults.add("busy 20%")
        runs.append([faults.meet("holding", 0, 1) is not None for _ in range(2000)])
    assert runs[0] == runs[1]
    assert 320 <= sum(runs[0]) <= 480


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hang", Fault(act=Act.HANG)),
        ("refuse 2 at input:7", Fault(act=Act.REFUSE, code=2, table="input", first=7, last=7)),
        (
            "late 0.25s at holding:0-9 x3 50%",
            Fault(act=Act.LATE, seconds=0.25, table="holding", first=0, last=9, times=3, share=0.5),
        ),
    ],
)
def test_a_fault_is_read_from_text(text: str, expected: Fault) -> None:
    """The form in which a failing test prints it, and a person types it."""
    assert Fault.parse(text) == expected
    assert Fault.parse(str(expected)) == expected


@pytest.mark.parametrize("act", list(Act))
def test_a_fault_prints_as_it_is_typed(act: Act) -> None:
    """Whatever a fault is, its text reads back as itself."""
    for fault in (Fault(act=act), Fault(act=act, table="coil", first=3, last=5, times=2, share=0.125)):
        assert Fault.parse(str(fault)) == fault


def test_lines_break_and_heal_a_running_device() -> None:
    """The control's answers, and that the faults are really there and really gone."""

    async def run() -> None:
        async with modbus_device(device()) as server:
            assets: dict[str, Breakable] = {"device": server.faults, "turbine": DeviceFaults()}
            trips: list[tuple[str, str]] = []

            def trip(asset: str, name: str) -> str:
                trips.append((asset, name))
                return name or "overspeed"

            control, port = await open_control(lambda: assets, 0, trip=trip)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def say(line: str) -> str:
                writer.write(f"{line}\n".encode())
                return (await asyncio.wait_for(reader.readline(), 5)).decode().strip()

            assert await say("fault device busy at holding:1") == "ok device: busy at holding:1-1"
            assert (await ask(server, read(3, 0, 2))).hex() == "8306"
            assert await say("fault turbine bad Speed* uncertain") == "ok turbine: bad Speed* uncertain"
            assert await say("list") == "ok device: busy at holding:1-1; turbine: bad Speed* uncertain"
            assert await say("heal device") == "ok device is well"
            assert await ask(server, read(3, 0, 2)) == GOOD
            assert await say("trip turbine") == "ok turbine trips: overspeed"
            assert await say("trip turbine undervoltage") == "ok turbine trips: undervoltage"
            assert trips == [("turbine", ""), ("turbine", "undervoltage")]
            assert (await say("trip nobody")).startswith("error: no such asset")
            assert (await say("fault device sleepy")).startswith("error: fault `sleepy`: not understood")
            assert (await say("fault nobody hang")).startswith("error: no such asset")
            assert (await say("explode")).startswith("error: write")
            writer.write(b"x" * 10_000)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await writer.wait_closed()
            control.close()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", "explode", "hang at nowhere:3", "late 1s at holding:", "hang forever"])
def test_an_unreadable_fault_is_refused(text: str) -> None:
    """A mistyped fault is the operator's mistake, not a device that is well."""
    with pytest.raises(ConfigError):
        Fault.parse(text)


def test_frames_are_built_as_the_standard_says() -> None:
    """The helper of these tests is right too: the example request of the standard (6.3)."""
    assert request(0, read(3, 0x6B, 3)).hex() == "0000000000060103006b0003"
    assert struct.calcsize(">HHHB") == 7
