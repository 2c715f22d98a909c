"""The false Modbus device against clients that were not written here, and against bytes that no client would send."""

from __future__ import annotations

import asyncio
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest
from modbus_client import ask, frame, read, request
from pymodbus.client import AsyncModbusTcpClient
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.utils import decode_ieee, word_list_to_long
from small_plant import NOW, fixed, modbus_device, one_device, small

from simulator.plant.plant import Plant

TICK = 100_000_000
SEED = 20


def plant_now() -> Plant:
    plant = Plant(small(), SEED)
    plant.advance(NOW)
    return plant


def value(plant: Plant, name: str) -> Any:
    return plant.moment.values[plant.point("pump-7", name).number]


def test_pymodbus_reads_every_type() -> None:
    """pymodbus takes registers, bits, words in order and texts for what the plant says."""

    async def run() -> None:
        plant = plant_now()
        async with modbus_device(plant) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=5)
            assert await client.connect()
            held = (await client.read_holding_registers(0, count=86, device_id=1)).registers
            kinds = client.DATATYPE

            def got(at: int, count: int, kind: Any) -> Any:
                return client.convert_from_registers(held[at : at + count], kind, word_order="big")

            assert got(0, 2, kinds.FLOAT32) == value(plant, "discharge_pressure")
            assert got(10, 1, kinds.UINT16) == value(plant, "speed")
            assert got(12, 1, kinds.INT16) == value(plant, "valve_position")
            assert got(30, 4, kinds.FLOAT64) == value(plant, "total_volume")
            assert got(34, 2, kinds.UINT32) == value(plant, "energy")
            assert got(40, 4, kinds.INT64) == value(plant, "shaft_turns")
            assert got(47, 2, kinds.INT32) == value(plant, "clock_drift") < 0
            assert got(60, 6, kinds.STRING) == "AP-3391/2019"
            inputs = await client.read_input_registers(10, count=7, device_id=1)
            vibration = client.convert_from_registers(inputs.registers[2:4], kinds.FLOAT32, word_order="big")
            assert vibration == value(plant, "bearing_nde.vibration")
            coils = (await client.read_coils(0, count=4, device_id=1)).bits[:4]
            assert coils == [value(plant, name) for name in ("run_command", "remote_mode", "standby_armed", "running")]
            alarms = (await client.read_discrete_inputs(0, count=5, device_id=1)).bits[:5]
            assert alarms[1] == value(plant, "discharge_high")
            client.close()

    asyncio.run(run())


def test_pymodbus_reads_the_low_word_first_where_the_device_says_so() -> None:
    """The same value in a device of the other word order."""

    async def run() -> None:
        plant = Plant(one_device([fixed("level", "holding:7", "float32", 12.5)], word_order="little"))
        async with modbus_device(plant) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=5)
            assert await client.connect()
            held = (await client.read_holding_registers(7, count=2, device_id=1)).registers
            assert client.convert_from_registers(held, client.DATATYPE.FLOAT32, word_order="little") == 12.5
            client.close()

    asyncio.run(run())


def test_pymodbus_reads_the_name_plate() -> None:
    """Device identification in all four accesses; the extended one needs a second page."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=5)
            assert await client.connect()

            async def information(code: int, first: int = 0) -> Any:
                return await client.read_device_information(read_code=code, object_id=first, device_id=1)

            basic = await information(1)
            assert basic.information == {0: b"Acme Pumps", 1: b"CX-200", 2: b"4.12"}
            regular = await information(2, 0)
            assert regular.information[4] == b"CX-200 skid controller"
            one = await information(4, 0x80)
            assert one.information == {0x80: b"AP-3391"}
            page = await information(3, 0)
            assert page.more_follows == 0xFF
            following = await information(3, page.next_object_id)
            assert following.more_follows == 0
            assert {*page.information, *following.information} == {0, 1, 2, 3, 4, 5, 6, 0x80, 0x81, 0x82, 0x83}
            assert b"simulated" in {**page.information, **following.information}[0x82]
            missing = await information(4, 0x70)
            assert missing.exception_code == 2
            client.close()

    asyncio.run(run())


def test_pymodbustcp_reads_the_same() -> None:
    """A second client, of another author, and its own decoding."""

    async def run() -> None:
        plant = plant_now()
        async with modbus_device(plant) as server:
            client = ModbusClient(host="127.0.0.1", port=server.port, unit_id=1, timeout=5)

            def blocking() -> None:
                held = client.read_holding_registers(0, 48)
                floats = [decode_ieee(word) for word in word_list_to_long(held[0:10])]
                names = ("discharge_pressure", "suction_pressure", "flow", "motor_current", "motor_power")
                assert floats == [value(plant, name) for name in names]
                assert client.read_coils(2, 1) == [True]
                assert len(client.read_input_registers(0, 46)) == 46
                assert client.read_holding_registers(40_000, 1) is None
                assert client.last_except == 2
                assert client.write_single_register(0, 5) is False
                assert client.last_except == 1
                client.close()

            await asyncio.to_thread(blocking)
            assert server.counts["refused"] == 1

    asyncio.run(run())


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll (Debian) is not installed")
def test_mbpoll_reads_the_same() -> None:
    """A third client, built on libmodbus in C."""

    async def run() -> None:
        plant = plant_now()
        async with modbus_device(plant) as server:

            def poll(*options: str) -> str:
                command = ["mbpoll", "-1", "-q", "-m", "tcp", "-p", str(server.port), "-a", "1", *options, "127.0.0.1"]
                return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout

            text = await asyncio.to_thread(poll, "-t", "4:float", "-B", "-r", "1", "-c", "2")
            shown = [float(line.split()[-1]) for line in text.splitlines() if line.startswith("[")]
            assert shown == pytest.approx(
                [value(plant, "discharge_pressure"), value(plant, "suction_pressure")], rel=1e-4
            )
            text = await asyncio.to_thread(poll, "-t", "0", "-r", "3", "-c", "2")
            assert [line.split()[-1] for line in text.splitlines() if line.startswith("[")] == [
                "1",
                str(int(value(plant, "running"))),
            ]
            text = await asyncio.to_thread(poll, "-t", "3", "-r", "45", "-c", "1")
            assert int(text.split("[45]:")[1].split()[0]) == value(plant, "oil_level") % 65536

    asyncio.run(run())


def test_requests_in_one_segment_are_all_answered_in_order() -> None:
    """Ten requests that arrive together get ten replies, each with its own data."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"".join(request(100 + at, read(3, at, 1 + at)) for at in range(10)))
            replies = [await asyncio.wait_for(frame(reader), 5) for _ in range(10)]
            assert [transaction for transaction, _, _ in replies] == list(range(100, 110))
            assert [pdu[1] for _, _, pdu in replies] == [2 * (1 + at) for at in range(10)]
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


def test_a_request_split_anywhere_is_answered_once() -> None:
    """Two requests cut into two segments at every byte, then sent byte by byte."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            both = request(1, read(3, 0, 2)) + request(2, read(1, 0, 4))
            pieces = [[both[:cut], both[cut:]] for cut in range(1, len(both))]
            pieces.append([both[at : at + 1] for at in range(len(both))])
            for parts in pieces:
                before = server.counts["requests"]
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                assert (await asyncio.wait_for(frame(reader), 5))[0] == 1
                assert (await asyncio.wait_for(frame(reader), 5))[0] == 2
                assert server.counts["requests"] == before + 2
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("pdu", "expected"),
    [
        (read(3, 0, 126), "8303"),
        (read(3, 0, 0), "8303"),
        (read(3, 500, 1), "8302"),
        (read(4, 65535, 2), "8402"),
        (read(1, 0, 2001), "8103"),
        (read(2, 100, 1), "8202"),
        (b"\x03\x00\x00", "8303"),
        (read(5, 0, 0xFF00), "8501"),
        (read(6, 0, 1), "8601"),
        (bytes.fromhex("1000000001020001"), "9001"),
        (bytes.fromhex("0800000000"), "8801"),
        (b"\x11", "9101"),
        (b"\x63", "e301"),
        (bytes.fromhex("2b0d00"), "ab01"),
        (bytes.fromhex("2b0e0500"), "ab03"),
        (bytes.fromhex("2b0e"), "ab03"),
    ],
)
def test_what_may_not_be_asked_gets_its_exception(pdu: bytes, expected: str) -> None:
    """The right exception code, in the standard's order of checks."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            assert (await ask(server, pdu)).hex() == expected
            assert server.counts["exceptions"] == 1
            assert server.counts["refused"] == (pdu[0] in (5, 6, 16))

    asyncio.run(run())


def test_another_unit_is_a_gateway_without_that_target() -> None:
    """Exception 0x0B, and the device itself does not count it as its request."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            assert (await ask(server, read(3, 0, 1), unit=2)).hex() == "830b"
            assert (server.counts["other_unit"], server.counts["requests"]) == (1, 0)

    asyncio.run(run())


def test_the_refusal_of_writes_is_a_setting() -> None:
    """A device may refuse writes by another code."""

    async def run() -> None:
        plant = Plant(one_device([fixed("level", "holding:0", "uint16", 3)], refuse=4))
        async with modbus_device(plant) as server:
            assert (await ask(server, read(6, 0, 9))).hex() == "8604"
            assert (await ask(server, read(3, 0, 1))).hex() == "03020003"

    asyncio.run(run())


def test_values_change_with_the_tick_and_never_between() -> None:
    """Two reads within a tick are equal; after `advance` the reply is the new moment's."""

    async def run() -> None:
        plant = plant_now()
        async with modbus_device(plant) as server:
            first = await ask(server, read(3, 0, 48))
            assert await ask(server, read(3, 0, 48)) == first
            plant.advance(NOW + TICK)
            second = await ask(server, read(3, 0, 48))
            assert second != first
            assert struct.unpack(">f", second[2:6])[0] == value(plant, "discharge_pressure")

    asyncio.run(run())


def test_hostile_bytes_never_stop_the_device() -> None:
    """Random and mutated requests on many connections: no exception escapes, and an honest client is served after."""
    dice = random.Random(SEED)
    good = [request(5, read(function, 0, 4)) for function in (1, 2, 3, 4)] + [request(6, bytes.fromhex("2b0e0300"))]

    def nasty(kind: int) -> bytes:
        if kind == 0:
            return dice.randbytes(dice.randint(1, 300))
        if kind == 1:
            return request(dice.randrange(65536), dice.randbytes(dice.randint(1, 253)), dice.choice((0, 1, 255)))
        mutated = bytearray(dice.choice(good))
        for _ in range(dice.randint(1, 3)):
            mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        return bytes(mutated[: dice.randint(1, len(mutated))] if kind == 2 else mutated)

    async def run() -> None:
        escaped: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        async with modbus_device(plant_now()) as server:
            for turn in range(120):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                for _ in range(50):
                    # every other client keeps to frames, so that its nonsense gets past the framing
                    writer.write(nasty(1 if turn % 2 else dice.randrange(4)))
                writer.write_eof()
                await asyncio.wait_for(drained(reader), 10)
                writer.close()
                try:
                    await writer.wait_closed()
                except ConnectionError:
                    continue  # the device closed while there were still bytes under way
            assert (await ask(server, read(3, 0, 2)))[:2].hex() == "0304"
            assert server.counts["malformed"] > 10
            assert server.counts["requests"] > 900
        assert escaped == []

    asyncio.run(run())


async def drained(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        return


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """The device's memory does not grow with the questions of one who never takes an answer."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            flood = request(1, read(3, 0, 86)) * 2000
            sent = 0
            try:
                while sent < 400:
                    writer.write(flood)
                    await asyncio.wait_for(writer.drain(), 1.0)
                    sent += 1
            except TimeoutError:
                pass
            assert sent < 400
            answered = server.counts["requests"]
            assert (await ask(server, read(3, 0, 1)))[0] == 3
            assert server.counts["requests"] == answered + 1
            writer.transport.abort()
            del reader

    asyncio.run(run())


def test_connections_are_counted() -> None:
    """Those so far and those open."""

    async def run() -> None:
        async with modbus_device(plant_now()) as server:
            held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(5)]
            for reader, writer in held:
                writer.write(request(1, read(3, 0, 1)))
                await frame(reader)
            assert (server.counts["connections"], server.counts["open"]) == (5, 5)
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            await ask(server, read(3, 0, 1))
            assert server.counts["connections"] == 6

    asyncio.run(run())
