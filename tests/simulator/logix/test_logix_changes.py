"""A false controller that changes while it is read: downloads, tags that go, faults of single tags, small frames."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from logix_line import Wire, filled, request, running, symbol
from pycomm3 import LogixDriver
from small_plant import NOW, one_device

from protocol.errors import ConfigError
from simulator.logix.attributes import IdentityObject
from simulator.logix.server import LogixServer, serve
from simulator.plant.plant import Plant

Result = TypeVar("Result")

TAGS: list[dict[str, Any]] = [
    {"name": "Level", "type": "float32", "signal": {"kind": "sine", "mean": 5, "span": 2, "period_s": 9}},
    {"name": "Other", "type": "int32", "signal": {"kind": "fixed", "value": 7}},
    {
        "name": "Grid",
        "type": "int16",
        "dims": [2, 3, 4],
        "signal": {"kind": "walk", "mean": 0, "span": 99, "spread": 9},
    },
]


def served(work: Callable[[LogixServer, Plant], Result]) -> Result:
    """Run something that blocks against a scene's controller."""

    async def run() -> Result:
        plant = Plant(one_device(TAGS, protocol="enip"), 3)
        plant.advance(NOW)
        server = await serve(plant, plant.scene.servers[0], "127.0.0.1", 0)
        loop = asyncio.get_running_loop()

        def call(text: str) -> None:
            async def add() -> None:
                server.faults.add(text)

            asyncio.run_coroutine_threadsafe(add(), loop).result(10)

        server.tell = call  # type: ignore[attr-defined]
        try:
            return await asyncio.to_thread(work, server, plant)
        finally:
            await server.close()

    return asyncio.run(run())


def tell(server: Any, text: str) -> None:
    """A fault, a trouble or a command, given where the controller runs."""
    server.tell(text)


def test_after_a_download_old_instance_numbers_lead_elsewhere() -> None:
    """A client that kept its list reads an error or another tag by number; a new upload reads right again."""

    def work(server: LogixServer, plant: Plant) -> None:
        with LogixDriver(f"127.0.0.1:{server.port}") as driver:
            before = {tag["tag_name"]: tag["instance_id"] for tag in driver.get_tag_list()}
            assert driver.read("Other").value == 7
            tell(server, "download")
            stale = driver.read("Other")
            kept = before["Other"] == server.controller.scope("").by_name["other"].instance
            assert stale.error is not None or stale.value != 7 or kept
            after = {tag["tag_name"]: tag["instance_id"] for tag in driver.get_tag_list()}
            assert before.keys() == after.keys()
            assert before != after
            assert driver.read("Other").value == 7
        with pytest.raises(ConfigError):
            server.faults.add("download now")

    served(work)


def test_a_tag_that_is_gone_is_unknown_and_comes_back() -> None:
    """Not in the list, an error when read, change counts moved; healed, everything is as before."""

    def work(server: LogixServer, plant: Plant) -> None:
        with LogixDriver(f"127.0.0.1:{server.port}", init_tags=True) as driver:
            counts = list(server.controller.changes)
            tell(server, "gone Lev*")
            assert driver.read("Level").error is not None
            assert driver.read("Other").value == 7
            assert "Level" not in {tag["tag_name"] for tag in driver.get_tag_list()}
            assert server.controller.changes != counts
            server.faults.clear()
            driver.get_tag_list()
            assert driver.read("Level").value == plant.moment.values[plant.point("device", "Level").number]

    served(work)


def test_a_fault_of_one_tag_leaves_its_neighbours() -> None:
    """In one packet of many, the named tag is refused with its code and the others are read."""

    def work(server: LogixServer, plant: Plant) -> None:
        with LogixDriver(f"127.0.0.1:{server.port}") as driver:
            tell(server, "refuse 0x0F at tag:Level")
            level, other = driver.read("Level", "Other")
            assert level.error is not None
            assert other.value == 7
            assert server.counts["faults"] == 1

    served(work)


def test_values_of_a_frozen_controller_stand_still() -> None:
    """`freeze` for one tag; three dimensions read as the plant has them."""

    def work(server: LogixServer, plant: Plant) -> None:
        with LogixDriver(f"127.0.0.1:{server.port}") as driver:
            grid = driver.read("Grid{24}").value
            flat = [
                plant.moment.values[plant.point("device", f"Grid[{a},{b},{c}]").number]
                for a in range(2)
                for b in range(3)
                for c in range(4)
            ]
            assert grid == flat
            held = driver.read("Level").value
            tell(server, "freeze Level")
            tell(server, "value Other 9")
            plant.advance(NOW + 5_000_000_000)
            assert driver.read("Level").value == held
            assert driver.read("Other").value == 9

    served(work)


def test_a_small_controller_grants_small_connections_and_says_how_small() -> None:
    """`largest`: a larger Forward Open is refused with 0x0109 and the size there is; that size is granted."""
    with running(filled(), largest=500) as line, Wire(line.port) as wire:
        wire.register()
        refused = wire.forward_open(4000)
        assert (refused[2], *struct.unpack_from("<HH", refused, 4)) == (0x01, 0x0109, 500)
        assert wire.forward_open(500)[2] == 0


def test_the_network_objects_are_there() -> None:
    """TCP/IP and Ethernet link objects, class attributes, the router's list of classes."""
    with running(filled()) as line, Wire(line.port) as wire:
        wire.register()
        address = wire.unconnected(request(0x0E, b"\x20\xf5\x24\x01\x30\x05"))
        assert (address[2], address[4:8]) == (0, bytes((1, 0, 0, 127)))
        speed = wire.unconnected(request(0x0E, b"\x20\xf6\x24\x01\x30\x01"))
        assert struct.unpack_from("<I", speed, 4) == (1000,)
        revision = wire.unconnected(request(0x0E, b"\x20\x01\x24\x00\x30\x01"))
        assert revision[2] == 0
        classes = wire.unconnected(request(0x0E, b"\x20\x02\x24\x01\x30\x01"))
        count = struct.unpack_from("<H", classes, 4)[0]
        assert {1, 2, 6, 0x6B, 0x6C, 0x8B, 0xF5, 0xF6} <= set(struct.unpack_from(f"<{count}H", classes, 6))


def test_old_firmware_reads_by_name_only() -> None:
    """Before 21 there is no reading by instance number, before 18 no attribute 10."""
    with running(filled(), identity=IdentityObject(major=16, minor=4)) as line, Wire(line.port) as wire:
        wire.register().forward_open()
        assert wire.connected(request(0x4C, b"\x20\x6b\x25\x00\x01\x00", b"\x01\x00"))[2] == 0x05
        assert wire.connected(request(0x4C, symbol("One_DINT"), b"\x01\x00"))[2] == 0
        listed = wire.connected(request(0x55, b"\x20\x6b\x25\x00\x00\x00", struct.pack("<3H", 2, 1, 10)))
        assert listed[2] == 0x0A
