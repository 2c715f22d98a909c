"""A scene's section becomes a controller whose tags agree with the plant, and its faults do what they say."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from logix_line import Wire, request, symbol
from pycomm3 import LogixDriver
from small_plant import NOW, fixed, one_device, small

from protocol.errors import ConfigError
from simulator.logix.controller import Controller
from simulator.logix.server import LogixServer, serve, start
from simulator.plant.plant import Plant
from simulator.scene.scene import DeviceSection

Result = TypeVar("Result")


def section_of(plant: Plant) -> DeviceSection:
    """The EtherNet/IP section of the plant's scene."""
    return next(one for one in plant.scene.servers if one.protocol == "enip")


def serving(plant: Plant, work: Callable[[LogixServer], Awaitable[Result]]) -> Result:
    """What `work` gives while the plant's controller is served."""

    async def run() -> Result:
        server = await serve(plant, section_of(plant), "127.0.0.1", 0)
        try:
            return await work(server)
        finally:
            await server.close()

    return asyncio.run(run())


def read_all(port: int, names: list[str]) -> list[Any]:
    """Values of the names, by pycomm3."""
    driver = LogixDriver(f"127.0.0.1:{port}")
    driver.open()
    try:
        tags = driver.read(*names)
        assert [tag.error for tag in tags] == [None] * len(names)
        return [tag.value for tag in tags]
    finally:
        driver.close()


def test_every_point_of_the_shipped_scene_reads_as_the_plant_has_it() -> None:
    """All points, at two moments: the controller's answer is the plant's value, to the bit."""
    plant = Plant(small(), 3)
    points = section_of(plant).points

    async def work(server: LogixServer) -> None:
        for moment in (NOW, NOW + 7_300_000_000):
            plant.advance(moment)
            values = await asyncio.to_thread(read_all, server.port, [point.name for point in points])
            assert values == [plant.moment.values[point.number] for point in points]

    serving(plant, work)


def test_every_type_of_a_scene_has_its_type_in_the_controller() -> None:
    """Each catalog type, as scalar, array and string of any length, arrives as it was declared."""
    values: dict[str, Any] = {
        "bool": True,
        "int8": -100,
        "uint8": 200,
        "int16": -30_000,
        "uint16": 60_000,
        "int32": -2_000_000_000,
        "uint32": 4_000_000_000,
        "int64": -(1 << 60),
        "uint64": 1 << 62,
        "float32": 0.5,
        "float64": 0.1,
    }
    tags = [fixed(f"a_{kind}", "", kind, value) for kind, value in values.items()]
    tags += [fixed(f"b_{kind}", "", kind, value, dims=[5]) for kind, value in values.items()]
    tags += [fixed("text", "", "string", "x" * 82, length=82), fixed("long", "", "string", "y" * 200, length=200)]
    for tag in tags:
        del tag["at"]
    plant = Plant(one_device(tags, protocol="enip"))

    async def work(server: LogixServer) -> None:
        names = [f"a_{kind}" for kind in values] + [f"b_{kind}[4]" for kind in values] + ["text", "long"]
        got = await asyncio.to_thread(read_all, server.port, names)
        assert got == [*values.values(), *values.values(), "x" * 82, "y" * 200]

    serving(plant, work)


@pytest.mark.parametrize("settings", [{"slot": "0"}, {"speed": 3}, {"refuse_large": 1}])
def test_a_wrong_setting_is_named(settings: dict[str, Any]) -> None:
    """A setting that does not exist, or is of another type, stops the start with its name."""
    plant = Plant(one_device([], protocol="enip", **settings))

    async def work(server: LogixServer) -> None:
        raise AssertionError("started")

    with pytest.raises(ConfigError, match=f"enip.{next(iter(settings))}"):
        serving(plant, work)


def test_settings_reach_the_controller() -> None:
    """An old CPU in slot 3 refuses the large connection, and answers in its slot only."""
    plant = Plant(one_device([], protocol="enip", slot=3, refuse_large=True, name="Old"))

    async def work(server: LogixServer) -> None:
        def ask() -> list[int]:
            with Wire(server.port) as wire:
                wire.register()
                opened = [wire.forward_open(slot=3), wire.forward_open(500, large=False, slot=3)]
                opened.append(wire.forward_open(500, large=False, slot=0, serial=78))
                assert wire.connected(request(0x01, b"\x20\x64\x24\x01"))[4:] == b"\x03\x00Old"
                return [reply[2] for reply in opened]

        assert await asyncio.to_thread(ask) == [0x08, 0x00, 0x01]

    serving(plant, work)


def spoiled(text: str, work: Callable[[Wire], Result]) -> Result:
    """What `work` gives on a connection whose next data reply meets the fault."""

    async def run() -> Result:
        controller = Controller()
        controller.tag("Level", "REAL", value=12.5)
        server = await start(controller)

        def ask() -> Result:
            with Wire(server.port, timeout=0.3 if "hang" in text else 5) as wire:
                wire.register().forward_open()
                loop.call_soon_threadsafe(server.faults.add, text)
                while not server.faults:
                    pass
                return work(wire)

        loop = asyncio.get_running_loop()
        try:
            return await asyncio.to_thread(ask)
        finally:
            assert server.counts["faults"] == 1
            await server.close()

    return asyncio.run(run())


LEVEL = request(0x4C, symbol("Level"), b"\x01\x00")


def test_a_refusal_and_a_busy_device_are_general_statuses() -> None:
    """`refuse CODE` answers with the code, `busy` with resource unavailable; the next request is answered well."""
    assert spoiled("refuse 16 x1", lambda wire: (wire.connected(LEVEL), wire.connected(LEVEL)[2])) == (
        b"\xcc\x00\x10\x00",
        0,
    )
    assert spoiled("busy x1", lambda wire: wire.connected(LEVEL)) == b"\xcc\x00\x02\x00"


def test_a_short_reply_is_two_bytes_short_and_well_formed() -> None:
    """`short` cuts the value, and every length says so."""
    assert spoiled("short x1", lambda wire: wire.connected(LEVEL)) == b"\xcc\x00\x00\x00\xca\x00\x00\x00"


@pytest.mark.parametrize(
    ("text", "error"),
    [("hang x1", TimeoutError), ("reset x1", ConnectionError), ("wrong_transaction x1", AssertionError)],
)
def test_hanging_resetting_and_other_sequences_break_a_client(text: str, error: type[Exception]) -> None:
    """No reply, a reset, and a reply to another request are what a careful client must notice."""
    with pytest.raises(error):
        spoiled(text, lambda wire: wire.connected(LEVEL))


def test_late_replies_are_right_and_other_functions_wrong() -> None:
    """`late` keeps the bytes, `wrong_function` changes the service code only."""
    right = b"\xcc\x00\x00\x00\xca\x00" + struct.pack("<f", 12.5)
    assert spoiled("late 0.05s x1", lambda wire: wire.connected(LEVEL)) == right
    assert spoiled("wrong_function x1", lambda wire: wire.connected(LEVEL)) == b"\xcd" + right[1:]


def test_an_absent_controller_comes_back_on_its_port() -> None:
    """`absent` refuses connections and ends those there are; taken away, the same port answers again."""

    async def run() -> None:
        server = await start(Controller())
        port = server.port
        fault = server.faults.add("absent")
        await server.settled()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port), 5)
        server.faults.remove(fault)
        await server.settled()
        assert server.port == port
        with await asyncio.to_thread(socket.create_connection, ("127.0.0.1", port), 5):
            pass
        await server.close()

    asyncio.run(run())
